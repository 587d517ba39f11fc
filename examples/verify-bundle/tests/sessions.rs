//! Booked sessions, checked by the core's function, by the program and by the script, in which the
//! policy is written a second time: they agree on every session, and on every forgery.

#![allow(clippy::expect_used, reason = "tests panic")]

mod common;
mod drawn;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Kept, program, script, text};
use drawn::{Kind, bundle, signer};
use serde_json::{Value, json};
use session_core::attestation::MetricsSchema;
use session_core::booking::bundle::{SessionBundle, SignedSessionBundle};

const KINDS: [Kind; 4] = [
    Kind::Presence(MetricsSchema::Plain),
    Kind::Presence(MetricsSchema::Full),
    Kind::Statements,
    Kind::Nothing,
];

fn signed(bundle: SessionBundle) -> Value {
    let signed = bundle.signed(&signer(9)).expect("JSON");
    serde_json::to_value(signed).expect("JSON")
}

/// The same after somebody changed the bundle and has the key to sign it again.
fn signed_again(bundle: &Value) -> Value {
    let text = serde_json::to_string(bundle).expect("JSON");
    // `serde_json` keeps members sorted, and writes what RFC 8785 asks for of what is in here.
    let digest = session_core::crypto::eip191::digest(text.as_bytes());
    json!({
        "bundle": bundle,
        "signer": signer(9).wallet(),
        "signature": signer(9).sign_prehash(&digest).to_string(),
    })
}

/// Why the core refuses a text; `None` where it does not.
fn refusal(signed: &Value, with_signature: bool) -> Option<String> {
    let parsed = match SignedSessionBundle::parse(&signed.to_string()) {
        Ok(parsed) => parsed,
        Err(error) => return Some(error.to_string()),
    };
    let verified = if with_signature {
        parsed.verify()
    } else {
        parsed.bundle.verify()
    };
    verified.err().map(|error| error.to_string())
}

/// What the script says of each; `None` where there is no Python.
fn told_by_script(name: &str, values: &[Value]) -> Option<Vec<Value>> {
    let lines: Vec<String> = values.iter().map(Value::to_string).collect();
    let file = Kept::new(name, &lines.join("\n"));
    let output = script("tests/each.py", &file)?;
    let trouble = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{trouble}");
    let told: Vec<Value> = text(&output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(told.len(), values.len());
    Some(told)
}

/// Whether the script says the same as the core: it holds, or the same does not.
fn assert_agree(refusal: Option<&str>, told: &Value, value: &Value) {
    match (refusal, told.as_str()) {
        (None, None) => {}
        (Some(core), Some(script)) if script.starts_with(core) => {}
        (core, _) => panic!("the core says {core:?}, the script {told}, of {value}"),
    }
}

#[test]
fn both_say_the_same_of_many_drawn_sessions() {
    let mut values = Vec::new();
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..600 {
        // Statements take the script long: few of them.
        let kind = KINDS[match seed % 40 {
            0 => 2,
            1 => 3,
            n => n % 2,
        }];
        let bundle = bundle(seed.try_into().expect("positive"), kind);
        let verdict = bundle.verify().map_or_else(
            |error| error.to_string(),
            |_| {
                let row = |decision: &session_core::booking::Decision| match kind {
                    Kind::Presence(_) => {
                        let row = decision.judgement(&bundle.agreement).row;
                        format!("{} by row {row}", decision.outcome)
                    }
                    _ => "signed".to_owned(),
                };
                bundle.decision.as_ref().map_or("open".to_owned(), row)
            },
        );
        *counts.entry(verdict).or_default() += 1;
        values.push(serde_json::to_value(bundle).expect("JSON"));
    }
    // What was drawn is worth something: every answer of the table is there, and refusals.
    println!("{counts:#?}");
    for wanted in [
        "completed by row 1",
        "no-show-host by row 5",
        "no-show-guest by row 6",
        "no-show-guest by row 7",
        "no-show-host by row 7",
        "no-show-host by row 9",
        "signed",
        "open",
        "the presence does not give this outcome",
    ] {
        assert!(counts.contains_key(wanted), "none of {wanted}: {counts:?}");
    }
    let Some(told) = told_by_script("drawn", &values) else {
        return;
    };
    for (value, told) in values.iter().zip(&told) {
        let whole = json!({ "bundle": value, "signer": signer(9).wallet(), "signature": "" });
        assert_agree(refusal(&whole, false).as_deref(), told, value);
    }
}

#[test]
fn both_tell_the_same_story_to_the_last_byte() {
    let mut told = 0;
    for seed in 0..40 {
        let kind = KINDS[usize::try_from(seed % 4).expect("small")];
        let signed = signed(bundle(seed, kind));
        let file = Kept::new("story", &signed.to_string());
        let by_program = program(&file);
        let refusal = refusal(&signed, true);
        assert_eq!(by_program.status.success(), refusal.is_none(), "{seed}");
        told += u32::from(by_program.status.success());
        if let Some(by_script) = script("verify.py", &file) {
            assert_eq!(by_script.status.code(), by_program.status.code(), "{seed}");
            assert_eq!(text(&by_script), text(&by_program), "{seed}");
            let why = String::from_utf8_lossy(&by_script.stderr).into_owned();
            assert!(why.contains(&refusal.unwrap_or_default()), "{seed}: {why}");
        }
    }
    assert!(told > 20, "{told} held");
}

/// A session of the wanted kind that holds, and has something of everything.
fn rich(kind: Kind) -> SessionBundle {
    let is_rich = |bundle: &SessionBundle| {
        let decision = bundle.decision.as_ref();
        bundle.verify().is_ok()
            && decision.is_some_and(|decision| {
                let stays = [&decision.host, &decision.guest];
                let counted = stays.map(|stays| (2..6).contains(&stays.len()));
                counted == [true, true]
                    && decision.judgement(&bundle.agreement).measures.anomalies == 0
                    && decision
                        .outages
                        .iter()
                        .any(|outage| outage.from < outage.to)
                    && decision
                        .outages
                        .iter()
                        .all(|outage| outage.from < outage.to)
                    && !decision.evidence.is_empty()
                    && bundle.host_statement.is_some()
            })
    };
    (1000..20_000)
        .map(|seed| bundle(seed, kind))
        .find(is_rich)
        .expect("one of many")
}

/// Every place of a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                places(member, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{n}"), found);
            }
        }
        _ => {}
    }
    found.push(at.to_owned());
}

/// The value as somebody could have bent it.
fn bent(value: &Value) -> Vec<Value> {
    let mut others = vec![
        json!(null),
        json!(-1),
        json!(1.5),
        json!("x"),
        json!({}),
        json!([]),
    ];
    match value {
        Value::Number(number) => {
            let number = number.as_u64().expect("whole");
            others.extend([json!(number + 1), json!(number.wrapping_sub(1)), json!(0)]);
            others.extend([json!(u64::MAX), json!(number.to_string()), json!(true)]);
        }
        Value::String(text) => {
            others.push(text.to_uppercase().into());
            others.push(format!("{text} ").into());
            others.push(format!("0{text}").into());
            for (from, to) in [("1", "2"), ("0", "1"), ("a", "b"), ("open", "booked")] {
                others.push(text.replacen(from, to, 1).into());
            }
        }
        Value::Array(items) => {
            let mut reversed = items.clone();
            reversed.reverse();
            others.push(reversed.into());
            let mut more = items.clone();
            more.extend(items.first().cloned());
            others.push(more.into());
            others.push(items.iter().skip(1).cloned().collect());
        }
        Value::Object(members) => {
            let mut more = members.clone();
            more.insert("surplus".to_owned(), json!(1));
            others.push(more.into());
            for name in members.keys() {
                let mut less = members.clone();
                less.remove(name);
                others.push(less.into());
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
    others.retain(|other| other != value);
    others
}

/// Whoever has the server's key can bend anything. What matters is refused, with the same reason;
/// of what does not, both say that too.
#[test]
fn both_say_the_same_of_every_bent_value() {
    let mut values = Vec::new();
    let mut refused = 0;
    for kind in &KINDS[..3] {
        let whole = serde_json::to_value(rich(*kind)).expect("JSON");
        let mut found = Vec::new();
        places(&whole, "", &mut found);
        for (n, place) in found.iter().enumerate() {
            let value = whole.pointer(place).expect("a place");
            let mut others = bent(value);
            if *kind == Kind::Statements {
                // Recovering takes the script long: one for each place.
                others = vec![others.swap_remove(n % others.len())];
            }
            for other in others {
                let mut whole = whole.clone();
                *whole.pointer_mut(place).expect("a place") = other;
                values.push(whole);
            }
        }
    }
    let Some(told) = told_by_script("bent", &values) else {
        return;
    };
    for (value, told) in values.iter().zip(&told) {
        let whole = json!({ "bundle": value, "signer": signer(9).wallet(), "signature": "" });
        let refusal = refusal(&whole, false);
        refused += usize::from(refusal.is_some());
        assert_agree(refusal.as_deref(), told, value);
    }
    println!("{} bent, {refused} refused", values.len());
    assert!(refused * 10 > values.len() * 8 && refused < values.len());
}

/// Whoever has not the key can bend nothing.
#[test]
fn both_refuse_every_bent_value_without_the_key() {
    let mut values = Vec::new();
    for kind in &KINDS[..3] {
        let whole = signed(rich(*kind));
        assert_eq!(refusal(&whole, true), None);
        let mut found = Vec::new();
        places(&whole, "", &mut found);
        for (n, place) in found.iter().enumerate() {
            let mut others = bent(whole.pointer(place).expect("a place"));
            let other = others.swap_remove(n % others.len());
            let mut whole = whole.clone();
            *whole.pointer_mut(place).expect("a place") = other;
            // The signer may be spelt in either case.
            if whole["signer"].as_str().map(str::to_lowercase)
                != Some(signer(9).wallet().to_string())
                || place != "/signer"
            {
                values.push(whole);
            }
        }
    }
    for value in &values {
        assert!(refusal(value, true).is_some(), "{value}");
    }
    let with_signature: Vec<Value> = values
        .into_iter()
        .filter(|value| value.get("signature").is_some())
        .collect();
    for (value, told) in with_signature
        .iter()
        .zip(told_by_script("unsigned", &with_signature).unwrap_or_default())
    {
        assert!(told.is_string(), "{value}");
    }
}

/// Each with its own reason, by the programs that people run.
#[test]
fn each_forgery_has_its_reason() {
    let whole = serde_json::to_value(rich(KINDS[1])).expect("JSON");
    let mut text_bent = whole["decision"]["metrics"].clone();
    let said = text_bent["text"].as_str().expect("a text");
    text_bent["text"] = said
        .replacen("\"decidedAt\":18", "\"decidedAt\":17", 1)
        .into();
    let metrics = "the metrics are not those of the presence";
    let form = "not a bundle of the form \"booked session bundle 1\"";
    let later = |at: &str| json!(whole.pointer(at).expect(at).as_u64().expect(at) + 1);
    let other = |at: &str| {
        let text = whole.pointer(at).and_then(Value::as_str).expect(at);
        let (digit, rest) = (text.as_bytes()[text.len() - 1], &text[..text.len() - 1]);
        json!(format!("{rest}{}", if digit == b'1' { '2' } else { '1' }))
    };
    let other_outcome = if whole["decision"]["outcome"] == "completed" {
        json!("no-show-host")
    } else {
        json!("completed")
    };
    for (place, value, why) in [
        ("/decision/outcome", other_outcome, metrics),
        ("/decision/metrics", text_bent, metrics),
        ("/decision/metrics", json!(null), metrics),
        ("/decision/metrics/schema", json!(1), metrics),
        ("/decision/metrics/schema", json!(3), form),
        (
            "/decision/decided_at",
            later("/decision/decided_at"),
            metrics,
        ),
        ("/decision/evidence/0/uri", json!("https:other"), metrics),
        (
            "/agreement/slot/start_time",
            later("/agreement/slot/start_time"),
            metrics,
        ),
        (
            "/agreement/slot/grace_mins",
            later("/agreement/slot/grace_mins"),
            metrics,
        ),
        ("/agreement/slot_id", json!("4"), metrics),
        ("/agreement/guest", other("/agreement/guest"), metrics),
        (
            "/decision/metrics_hash",
            other("/decision/metrics_hash"),
            "the hash is not that of the metrics",
        ),
        ("/decision/by", json!("force"), "the outcome was forced"),
        (
            "/decision/chain_now",
            json!(1),
            "the presence does not give this outcome",
        ),
        (
            "/host/0/joined_at",
            later("/host/0/joined_at"),
            "the decision was not made on this record",
        ),
        (
            "/guest",
            json!([]),
            "the decision was not made on this record",
        ),
        (
            "/host_statement/deadline",
            other("/host_statement/deadline"),
            "a statement is not signed by its party",
        ),
        (
            "/booking",
            other("/booking"),
            "a statement is not signed by its party",
        ),
        ("/status", json!("Booked"), form),
    ] {
        let mut bent = whole.clone();
        *bent.pointer_mut(place).expect(place) = value;
        is_refused(&signed_again(&bent), why);
    }
    let stated = serde_json::to_value(rich(Kind::Statements)).expect("JSON");
    for place in ["outcome", "metrics_hash", "deadline", "signature"] {
        let place = format!("/decision/by/statements/guest/{place}");
        let mut bent = stated.clone();
        let value = bent.pointer_mut(&place).expect("a place");
        *value = match value.as_str() {
            None => json!(9),
            Some("completed") => json!("no-show-host"),
            Some(text) if text.starts_with("no") => json!("completed"),
            Some(text) => {
                let (before, digit, after) = (&text[..9], &text[9..10], &text[10..]);
                let digit = if digit == "1" { '2' } else { '1' };
                json!(format!("{before}{digit}{after}"))
            }
        };
        is_refused(
            &signed_again(&bent),
            "the statements are not the parties', or not the same",
        );
    }
    let mut by_another = signed_again(&whole);
    by_another["signer"] = signer(8).wallet().to_string().into();
    is_refused(&by_another, "not signed by 0x");
    assert_eq!(refusal(&signed_again(&whole), true), None);
}

fn is_refused(signed: &Value, why: &str) {
    let file = Kept::new("forged", &signed.to_string());
    let by_program = program(&file);
    let said = String::from_utf8_lossy(&by_program.stderr).into_owned();
    assert!(said.contains(why), "{why:?} of {said}");
    assert_eq!(by_program.status.code(), Some(1));
    assert_eq!(text(&by_program), "");
    if let Some(by_script) = script("verify.py", &file) {
        let said = String::from_utf8_lossy(&by_script.stderr).into_owned();
        assert!(said.contains(why), "{why:?} of {said}");
        assert_eq!(by_script.status.code(), Some(1));
        assert_eq!(text(&by_script), "");
    }
}

#[test]
fn the_script_gives_every_recorded_answer() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/settlement.json");
    if let Some(output) = script("tests/vectors.py", vectors) {
        let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{wrong}");
        assert_eq!(
            text(&output),
            "attestation: 224\nmetrics_hash: 15\neip712_mutual_outcome: 6\n"
        );
    }
}
