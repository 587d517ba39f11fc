//! A room is lived in, exported and checked: by the core's function, by the program, and by the
//! scripts, each of which refuses it when anything is bent.

#![allow(clippy::expect_used, reason = "tests panic")]

mod common;

use common::{Kept, program, script, text};
use serde_json::Value;
use session_core::audit::{RoomExport, SignedBundle};
use session_core::changeset::Lane;
use session_core::crypto::LocalSigner;
use session_core::ports::Archive;
use session_core::room::{CreateRoom, Heartbeat, JoinRoom, LeaveRoom, StayName, Visibility};
use session_core::service::{execute, work_lane};
use session_core::types::Seconds;
use session_testkit::bench::Bench;

/// A host and two guests; one guest leaves, the other falls silent, the host closes the room.
async fn signed_bundle() -> SignedBundle {
    let (bench, store) = Bench::in_memory(7);
    let ports = &bench.ports;
    let wallets = [1, 2, 3].map(Bench::wallet);
    for wallet in wallets {
        let credit = Seconds::new(1800);
        bench.endow(wallet, credit).await.expect("store");
    }
    let create = CreateRoom {
        wallet: wallets[0],
        visibility: Visibility::Open,
        ai_enabled: false,
    };
    let room = execute(ports, &create).await.expect("store");
    let room = room.expect("hosts nothing").room;
    let mut stays = Vec::new();
    for wallet in wallets {
        let join = JoinRoom {
            wallet,
            room: Some(room),
        };
        let joined = execute(ports, &join).await.expect("store");
        stays.push(StayName {
            wallet,
            room: Some(room),
            connection: Some(joined.expect("there is a place").connection),
        });
        bench.pass(Seconds::new(3)).await.expect("store");
        work_lane(ports, Lane::Seal).await.expect("store");
    }
    for second in 0..100 {
        bench
            .pass_with_workers(Seconds::new(1))
            .await
            .expect("store");
        if second % 30 == 0 {
            let beat = Heartbeat(stays[0]);
            execute(ports, &beat).await.expect("store").expect("is in");
        }
        if second == 40 {
            let leave = LeaveRoom(stays[1]);
            execute(ports, &leave).await.expect("store").expect("is in");
        }
    }
    let leave = LeaveRoom(stays[0]);
    execute(ports, &leave).await.expect("store").expect("is in");
    bench
        .pass_with_workers(Seconds::new(30))
        .await
        .expect("store");

    let mut export = RoomExport::new(room);
    store.show(&mut export).await.expect("store");
    let bundle = export.finish().expect("the room is sealed");
    assert_eq!(bundle.unsealed, 0);
    let key = LocalSigner::from_bytes(&[0x42; 32]).expect("a key");
    bundle.signed(&key).expect("JSON")
}

#[tokio::test]
async fn a_room_is_checked_offline_and_every_checker_says_the_same() {
    let signed = signed_bundle().await;
    let story = signed.verify().expect("it holds");
    assert_eq!(story.stays.len(), 3);
    assert!(story.closed.is_some());

    let json = serde_json::to_string(&signed).expect("JSON");
    let file = Kept::new("whole", &json);
    let told = program(&file);
    assert!(told.status.success());
    let told = text(&told);
    assert!(
        told.contains("(silent)") && told.contains("(host_left)"),
        "{told}"
    );
    if let Some(by_script) = script("verify.py", &file) {
        let (signer, journal) = told.split_once('\n').expect("lines");
        assert_eq!(signer, format!("signed by {}", signed.signer));
        assert_eq!(text(&by_script), journal);
        assert!(by_script.status.success());
    }
    if let Some(by_script) = script("signer.py", &file) {
        assert_eq!(text(&by_script), format!("signed by {}\n", signed.signer));
        assert!(by_script.status.success());
    }
}

/// The core's own tests bend every value; here each kind of value, for the programs.
#[tokio::test]
async fn what_was_bent_is_refused_by_every_checker() {
    let signed = signed_bundle().await;
    let json = serde_json::to_value(&signed).expect("JSON");
    let mut created = None;
    let mut last_charge = None;
    for (n, block) in json["bundle"]["blocks"]
        .as_array()
        .expect("blocks")
        .iter()
        .enumerate()
    {
        for (m, entry) in block["shown"]
            .as_array()
            .expect("entries")
            .iter()
            .enumerate()
        {
            let path = format!("/bundle/blocks/{n}/shown/{m}/1");
            if entry[1]["fact"]["room_created"].is_object() {
                created = Some(path.clone());
            }
            if entry[1]["fact"]["transferred"].is_object() {
                last_charge = Some(path);
            }
        }
    }
    let created = created.expect("the room was created");
    let charge = last_charge.expect("somebody was charged");
    for path in [
        "/bundle/form".to_owned(),
        "/bundle/chain".to_owned(),
        "/bundle/room".to_owned(),
        "/bundle/blocks/0/number".to_owned(),
        "/bundle/blocks/0/previous".to_owned(),
        "/bundle/blocks/0/sealed_at".to_owned(),
        "/bundle/blocks/0/entries".to_owned(),
        "/bundle/blocks/0/root".to_owned(),
        "/bundle/blocks/1/hash".to_owned(),
        "/bundle/blocks/0/digests/0".to_owned(),
        "/bundle/blocks/0/shown/0/0".to_owned(),
        "/bundle/blocks/0/shown/0/1/at".to_owned(),
        format!("{created}/fact/room_created/host"),
        format!("{charge}/id"),
        format!("{charge}/fact/transferred/transfer/amount"),
        format!("{charge}/fact/transferred/transfer/debit"),
        format!("{charge}/fact/transferred/transfer/reference/connection"),
        format!("{charge}/fact/transferred/debit_balance"),
    ] {
        let mut bent = json.clone();
        let value = bent
            .pointer_mut(&path)
            .unwrap_or_else(|| panic!("no {path}"));
        *value = match &*value {
            Value::Number(number) => (number.as_u64().expect("positive") + 1).into(),
            Value::String(text) => other_digit(text).into(),
            other => panic!("{path} is {other}"),
        };
        let file = Kept::new("bent", &bent.to_string());
        assert!(!program(&file).status.success(), "{path}");
        if let Some(by_script) = script("verify.py", &file) {
            assert_eq!(by_script.status.code(), Some(1), "{path}");
        }
        if let Some(by_script) = script("signer.py", &file) {
            assert_eq!(by_script.status.code(), Some(1), "{path}");
        }
    }

    // Values that have the same digest in some reading, and other things that are no bundle.
    let amount = format!("{charge}/fact/transferred/transfer/amount");
    let reference = format!("{charge}/fact/transferred/transfer/reference");
    let connection = json
        .pointer(&format!("{reference}/connection"))
        .expect("a stay");
    for (path, to) in [
        (amount.as_str(), serde_json::json!(-30)),
        (
            reference.as_str(),
            serde_json::json!({ "stay": connection }),
        ),
        (
            reference.as_str(),
            serde_json::json!({ "connection": connection, "stay": connection }),
        ),
        ("/bundle/blocks/0/shown/0/0", Value::Bool(false)),
        (
            "/bundle/blocks/0/root",
            upper(&json["bundle"]["blocks"][0]["root"]),
        ),
        ("/bundle/chain", upper(&json["bundle"]["chain"])),
        ("/bundle/blocks", Value::Array(Vec::new())),
        ("/bundle", Value::Null),
    ] {
        let mut bent = json.clone();
        *bent
            .pointer_mut(path)
            .unwrap_or_else(|| panic!("no {path}")) = to;
        let file = Kept::new("odd", &bent.to_string());
        assert!(!program(&file).status.success(), "{path}");
        if let Some(by_script) = script("verify.py", &file) {
            assert_eq!(by_script.status.code(), Some(1), "{path}");
        }
    }
    for unreadable in ["", "{", &"[".repeat(200_000)] {
        let file = Kept::new("unreadable", unreadable);
        assert_eq!(program(&file).status.code(), Some(2));
        for name in ["verify.py", "signer.py"] {
            if let Some(by_script) = script(name, &file) {
                assert_eq!(by_script.status.code(), Some(2), "{name}");
            }
        }
    }
}

fn upper(text: &Value) -> Value {
    text.as_str().expect("a text").to_uppercase().into()
}

/// The text with its last digit changed.
fn other_digit(text: &str) -> String {
    let place = text.rfind(|c: char| c.is_ascii_digit()).expect("a digit");
    let mut bytes = text.as_bytes().to_vec();
    bytes[place] = if bytes[place] == b'1' { b'2' } else { b'1' };
    String::from_utf8(bytes).expect("ASCII")
}
