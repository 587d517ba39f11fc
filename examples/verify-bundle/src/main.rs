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
//! Identifiers and hashes are printed in full. The second prints the same but for who signed, which
//! `signer.py` says. The first uses `session_core::audit`, the others nothing but Python. What is
//! checked is written in
//! `docs/adr/0004-journal.md`. Exit codes: 0 it holds, 1 it does not, 2 it cannot be read.

use std::process::ExitCode;

use session_core::audit::{SignedBundle, Story};
use session_core::types::encode_hex;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: verify-bundle FILE");
        return ExitCode::from(2);
    };
    let signed = match read(&path) {
        Ok(signed) => signed,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::from(2);
        }
    };
    match signed.verify() {
        Ok(story) => {
            tell(&signed, &story);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::from(1)
        }
    }
}

fn read(path: &str) -> Result<SignedBundle, Box<dyn std::error::Error>> {
    Ok(SignedBundle::parse(&std::fs::read_to_string(path)?)?)
}

fn tell(signed: &SignedBundle, story: &Story) {
    let bundle = &signed.bundle;
    println!("signed by {}", signed.signer);
    println!("chain {}", bundle.chain);
    if let Some((first, last)) = bundle.blocks.first().zip(bundle.blocks.last()) {
        println!("blocks {} to {}", first.number, last.number);
    }
    println!("head {}", encode_hex(&story.head));
    println!("room {}", bundle.room);
    if let Some((at, host)) = story.created {
        println!("created at {at} by {host}");
    }
    for (connection, stay) in &story.stays {
        let end = match stay.left {
            Some((at, why)) => format!("{at} ({})", why.name()),
            None => "now".to_owned(),
        };
        println!(
            "stay {connection} of {} from {} to {end}: {} seconds",
            stay.wallet, stay.joined_at, stay.charged
        );
    }
    if let Some((at, why)) = story.closed {
        println!("closed at {at} ({})", why.name());
    }
    if bundle.unsealed > 0 {
        println!("{} entries are in no block yet", bundle.unsealed);
    }
}
