//! The command: its exit codes, what it prints, and that an altered record fails.

#![allow(clippy::unwrap_used, reason = "what is not as expected ends the test")]

mod common;

use std::process::Command;

use common::{read, vectors, written};
use serde_json::{Value, json};

/// The exit code and what was printed.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_session-conformance"))
        .args(arguments)
        .output()
        .unwrap();
    let [told, complained] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), told, complained)
}

fn scenario<'a>(file: &'a mut Value, id: &str) -> &'a mut Value {
    let scenarios = file["scenarios"].as_array_mut().unwrap();
    scenarios
        .iter_mut()
        .find(|scenario| scenario["id"] == id)
        .unwrap()
}

#[test]
fn what_passes_exits_with_0_and_tells_what_was_left_out() {
    let file = vectors("golden-rooms.json");
    let (code, told, _) = run(&[&file, "--only", "misc-health"]);
    assert_eq!(
        told,
        format!("{file}\n86 left out by --only\n1 passed, 0 failed\n")
    );
    assert_eq!(code, Some(0));
}

#[test]
fn a_changed_step_exits_with_1_and_prints_the_difference() {
    let mut file = read("golden-rooms.json");
    let steps = &mut scenario(&mut file, "credits-balance")["steps"];
    steps[0]["response"]["json"]["consumed_seconds"] = json!(101);
    let (_directory, file) = written(&file);
    let (code, told, _) = run(&[&file, "--only", "credits"]);
    let line =
        "FAIL credits-balance: step 1 GET /credits: /consumed_seconds: expected 101, got 100";
    assert!(told.lines().any(|told| told == line), "{told}");
    assert_eq!(told.lines().last(), Some("0 passed, 1 failed"));
    assert_eq!(code, Some(1));
}

#[test]
fn each_kind_of_changed_unit_case_exits_with_1() {
    for (pointer, wrong) in [
        ("/unit/signature_cases/0/valid", json!(false)),
        ("/unit/jwt/now", json!(1_760_000_001)),
        ("/unit/jwt_verify/3/valid", json!(true)),
        ("/unit/agora_uid/0/uid", json!(57_006)),
        ("/unit/channels/0/channel", json!("heaven-free-x")),
        ("/unit/agora_tokens/0/salt", json!(12_345_679)),
    ] {
        let mut file = read("golden-rooms.json");
        let section = pointer.split('/').nth(2).unwrap();
        *file.pointer_mut(pointer).unwrap() = wrong;
        let (_directory, file) = written(&file);
        let (code, told, _) = run(&[&file, "--only", &format!("unit.{section}/")]);
        assert!(told.contains(&format!("FAIL {section}/")), "{told}");
        assert_eq!(code, Some(1), "{pointer}");
    }
}

#[test]
fn each_kind_of_changed_token_case_exits_with_1() {
    for (id, pointer, wrong) in [
        ("build/rtc-pub-90", "/build/0/input/expire", json!(91)),
        (
            "build/rtc-pub-90",
            "/build/0/input/services/0/channel",
            json!("other"),
        ),
        (
            "build/rtc-pub-90",
            "/build/0/expect/signing_key_hex",
            json!("00"),
        ),
        ("build/rtc-pub-90", "/build/0/tags", json!(["misuse"])),
        ("parse/zlib-level-0", "/parse/0/expect/parsed", json!(false)),
        (
            "parse/zlib-level-0",
            "/parse/0/expect/signature_valid",
            json!(false),
        ),
        (
            "parse/zlib-level-0",
            "/parse/0/expect/fields/salt",
            json!(1),
        ),
        (
            "parse/zlib-level-0",
            "/parse/0/expect/fields/services/0/account",
            json!("0"),
        ),
        (
            "invalid_build/app-id-31",
            "/invalid_build/0/required",
            json!("accept"),
        ),
    ] {
        let mut file = read("agora.json");
        *file.pointer_mut(pointer).unwrap() = wrong;
        let (_directory, file) = written(&file);
        let (code, told, _) = run(&[&file, "--only", id]);
        assert!(told.contains(&format!("FAIL {id}: ")), "{pointer}: {told}");
        assert_eq!(code, Some(1), "{pointer}");
    }
}

#[test]
fn a_prefix_that_selects_nothing_exits_with_1_and_says_so() {
    let file = vectors("golden-rooms.json");
    let (code, told, _) = run(&[&file, "--only", "misc,moon"]);
    assert!(
        told.ends_with("1 passed, 0 failed\n--only moon selects no case of any file\n"),
        "{told}"
    );
    assert_eq!(code, Some(1));
    // One that selects something in another file is no failure.
    let tokens = vectors("agora.json");
    let (code, told, _) = run(&[&file, &tokens, "--only", "misc,build/rtc-pub-90"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(told.matches("1 passed, 0 failed\n").count(), 2);
}

#[test]
fn a_file_of_unknown_shape_exits_with_1_whatever_was_selected() {
    let (_directory, unknown) = written(&json!({"format": "golden-duet/1", "scenarios": []}));
    let good = vectors("golden-rooms.json");
    let (code, told, _) = run(&[&good, &unknown, "/nowhere.json", "--only", "misc"]);
    assert_eq!(
        told.matches("FAIL file: unknown shape").count(),
        2,
        "{told}"
    );
    assert_eq!(told.matches("0 passed, 1 failed\n").count(), 2, "{told}");
    assert_eq!(code, Some(1));
}

#[test]
fn each_kind_of_changed_legacy_case_exits_with_1() {
    for (pointer, wrong) in [
        ("/legacy_006/0/input/salt", json!(2)),
        ("/legacy_006/0/input/account", json!("2882341274")),
        ("/legacy_006/0/expect/token", json!("006")),
        ("/legacy_006/0/expect/byte_equal", json!(false)),
        ("/legacy_006/0/expect/signature_hex", json!("00")),
        ("/legacy_006/0/expect/message_hex", json!("00")),
        ("/legacy_006/0/expect/crc32_channel", json!(1)),
        ("/legacy_006/0/expect/crc32_account", json!(1)),
    ] {
        changed_fails("agora.json", "legacy_006/006-pub", pointer, &wrong);
    }
}

#[test]
fn each_kind_of_changed_livekit_case_exits_with_1() {
    for (id, pointer, wrong) in [
        ("tokens/join-90", "/tokens/0/input/now", json!(1)),
        ("tokens/join-90", "/tokens/0/input/api_key", json!("other")),
        ("tokens/join-90", "/tokens/0/input/api_secret", json!("x")),
        ("tokens/join-90", "/tokens/0/input/options/ttl", json!(91)),
        (
            "tokens/join-90",
            "/tokens/0/input/options/ttl",
            json!("90x"),
        ),
        (
            "tokens/join-90",
            "/tokens/0/input/options/identity",
            json!("user-2"),
        ),
        (
            "tokens/join-90",
            "/tokens/0/input/video/canPublish",
            json!(false),
        ),
        (
            "tokens/join-90",
            "/tokens/0/expect/header",
            json!({"alg": "HS512"}),
        ),
        (
            "tokens/join-90",
            "/tokens/0/expect/claims/exp",
            json!(1_795_200_091),
        ),
        ("tokens/join-90", "/tokens/0/expect/jwt", json!("a.b.c")),
        (
            "tokens/no-identity-join",
            "/tokens/13/input/video/roomJoin",
            json!(false),
        ),
        ("verify/good", "/verify/0/expect_strict", json!("reject")),
        ("verify/good", "/verify/0/expect_strict", json!("perhaps")),
        ("verify/good", "/verify/0/livekit_server", json!("reject")),
        ("verify/good", "/verify/0/verify_at", json!(1_795_200_090)),
    ] {
        changed_fails("livekit.json", id, pointer, &wrong);
    }
}

/// Changes one place of a file, and wants the case to fail.
fn changed_fails(name: &str, id: &str, pointer: &str, wrong: &Value) {
    let mut file = read(name);
    *file.pointer_mut(pointer).unwrap() = wrong.clone();
    let (_directory, file) = written(&file);
    let (code, told, _) = run(&[&file, "--only", id]);
    assert!(told.contains(&format!("FAIL {id}: ")), "{pointer}: {told}");
    assert_eq!(code, Some(1), "{pointer}");
}

#[test]
fn what_livekit_cases_are_left_out_is_told() {
    let file = vectors("livekit.json");
    let (code, told, _) = run(&[&file, "--only", "tokens,verify"]);
    assert_eq!(
        told,
        format!("{file}\n12 left out by --only\n32 passed, 0 failed\n")
    );
    assert_eq!(code, Some(0));
}

#[test]
fn sections_of_later_systems_fail_case_by_case() {
    for (file, section, cases) in [
        ("agora.json", "ncs_signature", 12),
        ("livekit.json", "webhooks", 12),
    ] {
        let (code, told, _) = run(&[&vectors(file), "--only", section]);
        let last = format!("\n0 passed, {cases} failed\n");
        assert!(told.ends_with(&last), "{told}");
        let line = format!(": not understood by this build: section {section}\n");
        assert_eq!(told.matches(&line).count(), cases, "{told}");
        assert_eq!(code, Some(1));
    }
}

#[test]
fn unusable_arguments_exit_with_2() {
    let file = vectors("golden-rooms.json");
    for arguments in [
        &[][..],
        &["--only", "misc"],
        &[&file, "--store", "moon"],
        &[&file, "--only", ""],
        &[&file, "--only", "misc,"],
        &[&file, "--moon"],
    ] {
        let (code, told, complained) = run(arguments);
        assert_eq!((code, told.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!complained.is_empty());
    }
    let (code, _, complained) = run(&[&file, "--store", "postgres"]);
    assert_eq!(code, Some(2));
    assert!(complained.contains("needs DATABASE_URL"), "{complained}");
}
