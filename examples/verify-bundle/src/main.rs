//! Checks a bundle that a server exported, offline and without trusting the server.
//!
//! ```text
//! $ cargo run --release -p session-server -- export 0e6f3f4e-… > bundle.json
//! $ cargo run -p verify-bundle -- bundle.json
//! signed by 0x065aae04…
//! chain fe5a49d1-…
//! blocks 1 to 1
//! head 91231b15…
//! room 0e6f3f4e-…
//! created at 1795295740 by 0x1ee4a89d…
//! stay d09bdd1e-… of 0x1ee4a89d… from 1795295740 to 1795295742 (left): 2 seconds
//! closed at 1795295742 (host_left)
//! $ python3 examples/verify-bundle/verify.py bundle.json
//! ```
//!
//! The bundle of a booked session (`GET /session/{id}/bundle`) is checked in the same way:
//!
//! ```text
//! $ cargo run -p verify-bundle -- session.json
//! signed by 0x9f2d5c11…
//! booking 42431/0xe5e5e5e5…/7 of slot 3
//! from 1800000000 (2027-01-15T08:00:00.000Z) for 1800 seconds, grace 300, together at least 600
//! host is 0x1a642f0e…
//! host joined at 0, left at 700
//! …
//! together 700 seconds, the host alone 0, the guest alone 1100
//! decided at 1860: completed, by row 1 of the table
//! the contract takes that from 600 to 9000; the block was of 1860
//! text {"bookingId":"7","hostJoinedAt":1800000000,…}
//! the contract must show outcome 1 and 0x854fa816…
//! booking attested, settlement settled
//! $ python3 examples/verify-bundle/verify.py session.json
//! ```
//!
//! There both print the same to the last byte. Instants are told in seconds from the start.
//!
//! Identifiers and hashes are printed in full. Of a room the second prints the same but for
//! who signed, which `signer.py` says. The first uses `session_core::audit` and
//! `session_core::booking::bundle`, the scripts nothing but Python; the policy is written a second
//! time there. What is checked is written in `docs/adr/0004-journal.md` and `docs/settlement.md`. Exit codes: 0 it holds, 1 it does not, 2 it cannot be read.

mod room;
mod session;

use std::process::ExitCode;

use serde_json::Value;
use session_core::booking::bundle::SESSION_BUNDLE_FORM;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: verify-bundle FILE");
        return ExitCode::from(2);
    };
    let (text, value) = match read(&path) {
        Ok(read) => read,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::from(2);
        }
    };
    let checked = if value["bundle"]["form"] == SESSION_BUNDLE_FORM {
        session::check(&text)
    } else {
        room::check(&text)
    };
    match checked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::from(1)
        }
    }
}

fn read(path: &str) -> Result<(String, Value), Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(path)?;
    let value = serde_json::from_str(&text)?;
    Ok((text, value))
}
