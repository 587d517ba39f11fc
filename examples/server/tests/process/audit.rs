//! What an operator can prove: the audit of a database that servers use, and the export of a room.

use serde_json::{Value, json};
use session_core::audit::SignedBundle;
use session_core::receipt;
use session_core::types::Wallet;

use crate::clock::{pass_seconds, until};
use crate::people::Person;
use crate::place::{On, Place};
use crate::settings::run;

/// The key of receipts, and the wallet that it signs as.
const RECEIPTS: [(&str, &str); 1] = [(
    "RECEIPT_SIGNING_KEY",
    "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
)];
const SIGNER: &str = "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23";

/// The one line that goes to standard output.
fn report(said: &str) -> Value {
    let line = said.lines().find(|line| line.starts_with('{'));
    serde_json::from_str(line.expect("a report")).expect("of JSON")
}

fn what_happened_can_be_proved(on: On) {
    let Some(place) = Place::new(on) else {
        return;
    };
    let server = place.serve(&RECEIPTS);
    let (host, guest) = (Person::new("host"), Person::new("guest"));
    let room = host.opens(&server);
    let host_stay = host.joins(&server, &room);
    let guest_stay = guest.joins(&server, &room);
    pass_seconds(2, &server);
    let left = host.granted(&server, "/rooms/leave", &host_stay);
    let signer: Wallet = SIGNER.parse().expect("a wallet");

    // The host's receipt comes with the answer, the guest's with the next call, which is too late.
    let told = left["receipt"].as_str().expect("a receipt");
    let of_host = receipt::verify(told, signer).expect("the server's");
    let (status, refused) = guest.call(&server, "/rooms/heartbeat", &guest_stay);
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("not_your_connection"))
    );
    let told = refused["details"]["receipt"].as_str().expect("a receipt");
    let of_guest = receipt::verify(told, signer).expect("the server's");
    assert_eq!(of_guest.wallet.to_string(), guest.wallet);
    assert_eq!(of_host.left_at, of_guest.left_at);
    assert_eq!(left["debited_seconds"], of_host.seconds.get());
    let (_, other) = host.call(&server, "/rooms/heartbeat", &guest_stay);
    assert_eq!(other["details"], Value::Null, "it is not the host's");

    until("the journal is sealed", &server, || {
        place.count("SELECT count(*) FROM unsealed") == 0
    });
    let (code, said) = place.run(&["audit"], &[]);
    let audited = report(&said);
    assert_eq!((code, &audited["ok"]), (Some(0), &json!(true)), "{said}");
    assert_eq!(
        (&audited["seats"], &audited["rooms"]),
        (&json!(2), &json!(1))
    );
    assert!(audited["blocks"].as_u64().expect("a number") >= 1);

    let id = room["room_id"].as_str().expect("an identifier");
    let (code, exported) = place.run(&["export", id], &RECEIPTS);
    assert_eq!(code, Some(0), "{exported}");
    let line = exported.lines().find(|line| line.starts_with('{'));
    let signed: SignedBundle = serde_json::from_str(line.expect("a bundle")).expect("of JSON");
    assert_eq!(signed.signer, signer);
    let story = signed.verify().expect("it holds");
    // A receipt points at an entry that the bundle shows.
    for receipt in [of_host, of_guest] {
        let mut shown = signed.bundle.blocks.iter().flat_map(|block| &block.shown);
        assert!(shown.any(|(_, entry)| entry.id == receipt.journal_position));
        assert_eq!(story.stays[&receipt.connection].charged, receipt.seconds);
    }
    let none = place.run(
        &["export", "00000000-0000-4000-8000-000000000000"],
        &RECEIPTS,
    );
    assert_eq!(none.0, Some(1), "{}", none.1);

    place.change("UPDATE transfer SET amount = amount + 1 WHERE reason = 'debit_usage'");
    let (code, said) = place.run(&["audit"], &[]);
    let audited = report(&said);
    assert_eq!((code, &audited["ok"]), (Some(1), &json!(false)), "{said}");
    assert!(
        audited["invariants"]["conservation"].as_u64() >= Some(1),
        "{said}"
    );
    assert!(audited["complaints"][0]["what"].is_string(), "{said}");
}

#[test]
fn what_happened_can_be_proved_from_a_file() {
    what_happened_can_be_proved(On::Sqlite);
}

#[test]
fn what_happened_can_be_proved_from_postgres() {
    what_happened_can_be_proved(On::Postgres);
}

#[test]
fn whoever_mistypes_the_name_of_the_file_gets_no_clean_report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (code, said) = run(folder.path(), &["audit"], &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no file session.db"), "{said}");
    assert!(!folder.path().join("session.db").exists());
}

/// Neither a clean report nor our tables.
fn is_left_alone((code, said): (Option<i32>, String)) {
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not migrated to this version"), "{said}");
}

const LOOKS: [&[&str]; 2] = [
    &["audit"],
    &["export", "00000000-0000-4000-8000-000000000000"],
];

#[test]
fn a_file_without_our_tables_is_left_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("session.db"), "").expect("an empty file");
    for look in LOOKS {
        is_left_alone(run(folder.path(), look, &RECEIPTS));
    }
}

#[test]
fn a_postgres_database_without_our_tables_is_left_alone() {
    let Some(place) = Place::new(On::Postgres) else {
        return;
    };
    for look in LOOKS {
        is_left_alone(place.run(look, &RECEIPTS));
    }
    let ours = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'journal'";
    assert_eq!(place.count(ours), 0);
}

#[test]
fn a_key_of_receipts_that_is_none_stops_the_start_and_is_not_shown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for key in ["0x12", "canary", &"0".repeat(64), &format!("{SIGNER},")] {
        let settings = [("RECEIPT_SIGNING_KEY", key)];
        let (code, said) = run(folder.path(), &["check-config"], &settings);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("RECEIPT_SIGNING_KEY"), "{said}");
        assert!(!said.contains(key) || key == "0x12", "{said}");
    }
    let (code, said) = run(folder.path(), &["check-config"], &RECEIPTS);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!(
        "RECEIPT_SIGNING_KEY=(redacted) # signs as {SIGNER}"
    )));
    assert!(!said.contains(&RECEIPTS[0].1[2..]), "{said}");
}
