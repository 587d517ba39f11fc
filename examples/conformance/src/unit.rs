//! The `unit` part of a golden file: sign-in, access tokens and media as plain functions.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use session_core::attestation::{Place, PlainMetrics, Window, too_late};
use session_core::auth::{AccessClaims, JwtKeys};
use session_core::crypto::{Secret, Signature, eip191};
use session_core::escrow::{BookingKey, Outcome, Slot};
use session_core::media::{Channel, raw_uid_of};
use session_core::types::{RoomId, Seconds, Timestamp, Wallet};

use crate::agora::{self, Input, Rtc};
use crate::case::Case;
use crate::members::Members;
use crate::report::{Difference, Verdict, quoted};
use crate::settlement::attestation;
use crate::shape::{name_of, unknown_section};

/// All cases of the sections.
pub(crate) fn cases(sections: &Map<String, Value>) -> Vec<Case> {
    let cases = sections
        .iter()
        .flat_map(|(section, value)| match (section.as_str(), value) {
            // What they tell is prose, or about the original only.
            ("about" | "idempotent_error", _) => Vec::new(),
            ("agora_tokens", Value::Array(list)) => each(section, list, agora_token),
            ("agora_uid", Value::Array(list)) => each(section, list, agora_uid),
            ("channels", Value::Array(list)) => each(section, list, channel),
            ("jwt", Value::Array(list)) => each(section, list, jwt),
            ("jwt", one @ Value::Object(_)) => each(section, std::slice::from_ref(one), jwt),
            ("jwt_verify", Value::Array(list)) => {
                let token = sections.get("jwt").cloned().unwrap_or_default();
                each(section, list, move |case| jwt_verify(case, &token))
            }
            ("metrics_hash", Value::Array(list)) => each(section, list, metrics_hash),
            ("signature_cases", Value::Array(list)) => each(section, list, signature),
            ("windows", Value::Array(list)) => each(section, list, windows),
            ("windows", one @ Value::Object(_)) => {
                each(section, std::slice::from_ref(one), windows)
            }
            _ => unknown_section(section, value),
        });
    cases.map(|case| case.also_below("unit.")).collect()
}

/// One case for each element of a list.
fn each(
    section: &str,
    list: &[Value],
    check: impl Fn(&Value) -> Verdict + Clone + Send + 'static,
) -> Vec<Case> {
    let case = |(value, index): (&Value, usize)| {
        let (check, recorded) = (check.clone(), value.clone());
        Case::check(section, &name_of(value, index), move || check(&recorded))
    };
    list.iter().zip(0..).map(case).collect()
}

fn signature(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let wallet = wallet(members.text("wallet")?)?;
    let message = members.text("message")?;
    let signature = members.text("signature")?;
    let is_valid = members.boolean("valid")?;
    members.finish()?;
    let got = Signature::parse(signature)
        .is_ok_and(|signature| eip191::signed_by(message, &signature, wallet));
    same("/valid", is_valid, got)
}

fn jwt(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let keys = keys(members.text("secret")?)?;
    let wallet = wallet(members.text("wallet")?)?;
    let now = Timestamp::from_unix(members.integer("now")?);
    let token = members.text("token")?;
    members.finish()?;
    let signed = keys.sign(&AccessClaims::issued_to(wallet, now));
    same_text("/token", token, &signed)
}

/// Looks at the token of the section `jwt` at another time. A case may bring a token or a secret
/// of its own.
fn jwt_verify(case: &Value, issued: &Value) -> Verdict {
    let members = Members::of(case)?;
    let text = |name| {
        let own = members.optional_text(name)?;
        let issued = || issued.get(name).and_then(Value::as_str);
        own.or_else(issued).ok_or_else(|| {
            Difference::not_understood(format!("section jwt brings no {name} to verify"))
        })
    };
    let keys = keys(text("secret")?)?;
    let token = text("token")?;
    let now = Timestamp::from_unix(members.integer("now")?);
    let is_valid = members.boolean("valid")?;
    members.finish()?;
    same("/valid", is_valid, keys.verify(token, now).is_ok())
}

fn agora_uid(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let wallet = wallet(members.text("wallet")?)?;
    let uid: u32 = members.integer("uid")?;
    members.finish()?;
    same("/uid", uid, raw_uid_of(wallet))
}

/// The channel of a free room or of a booked session.
fn channel(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let channel = members.text("channel")?;
    let named = match members.optional_text("free_room_id")? {
        Some(room) => {
            let room: RoomId = room.parse().map_err(|error| {
                Difference::not_understood(format!("room id {}: {error}", quoted(room)))
            })?;
            Channel::free_room(room)
        }
        None => {
            let (chain, booking) = (members.text("chain_id")?, members.text("booking_id")?);
            let zero = Wallet::from_bytes([0; 20]);
            let key: BookingKey = format!("{chain}/{zero}/{booking}")
                .parse()
                .map_err(|error| {
                    Difference::not_understood(format!("booking {}: {error}", quoted(booking)))
                })?;
            Channel::booked(&key, true)
        }
    };
    members.finish()?;
    same_text("/channel", channel, named.as_str())
}

/// A text of metrics, and its hash.
fn metrics_hash(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let booking = members.text("booking_id")?;
    let input = members.value("metrics")?;
    let (text, hash) = (members.text("preimage_utf8")?, members.text("hash")?);
    members.finish()?;
    let members = Members::of(input)?;
    let at = |name| members.integer(name).map(Timestamp::from_unix);
    let metrics = PlainMetrics {
        booking_id: booking.to_owned(),
        host_joined_at: at("hostJoinedAt")?,
        host_left_at: at("hostLeftAt")?,
        guest_joined_at: at("guestJoinedAt")?,
        guest_left_at: at("guestLeftAt")?,
        overlap_seconds: Seconds::new(members.integer("overlapSeconds")?),
    };
    members.finish()?;
    attestation::hashed(text, &metrics.text(), hash)
}

/// When the contract takes which outcome.
fn windows(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let slot = attestation::slot(members.value("slot")?)?;
    let ends = Members::of(members.value("windows")?)?;
    let checks = members.list("checks")?;
    members.finish()?;
    let completed = Window::of(&slot, Outcome::Completed);
    let no_show = Window::of(&slot, Outcome::NoShowHost);
    let mut differences = Vec::new();
    for (name, got) in [
        ("noShowEarliest", no_show.earliest),
        ("noShowLatest", no_show.latest),
        ("completedEarliest", completed.earliest),
        ("completedLatest", completed.latest),
    ] {
        let expected: u64 = ends.integer(name)?;
        differences.extend(same(&format!("/windows/{name}"), expected, got.unix()).err());
    }
    ends.finish()?;
    for (check, number) in checks.iter().zip(0..) {
        let place = format!("/checks/{number}");
        differences.extend(
            window_check(&slot, check)
                .map_err(|error| error.within(place))
                .err(),
        );
    }
    Difference::all(differences)
}

fn window_check(slot: &Slot, check: &Value) -> Verdict {
    let members = Members::of(check)?;
    let outcome: Outcome = members
        .text("outcome")?
        .parse()
        .map_err(|error| Difference::not_understood(format!("outcome: {error}")))?;
    let now = Timestamp::from_unix(members.integer("now")?);
    let (result, sweep) = (members.text("result")?, members.value("scheduler")?);
    members.finish()?;
    let (told, swept) = match (Window::of(slot, outcome).place(now), outcome) {
        (Place::Inside, _) => ("ok", Value::Null),
        (Place::Before, Outcome::Completed) => ("overlap_not_met", "not_due_yet".into()),
        (Place::Before, Outcome::NoShowHost | Outcome::NoShowGuest) => {
            ("grace_not_over", "not_due_yet".into())
        }
        (Place::After, outcome) => (too_late(outcome), "window_missed".into()),
    };
    same_text("/result", result, told)?;
    same("/scheduler", sweep, &swept)
}

/// A token of the reference builder, made again by the format and, where a server of ours would
/// hand it out, by the issuer.
fn agora_token(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let privileges: &[u16] = match members.text("role")? {
        "publisher" => &[1, 2, 3, 4],
        "subscriber" => &[1],
        other => return Err(Difference::not_understood(format!("role {other}"))),
    };
    let privilege_expire = members.integer("privilege_expire")?;
    let privileges: BTreeMap<u16, u32> = privileges
        .iter()
        .map(|&privilege| (privilege, privilege_expire))
        .collect();
    let input = Input {
        app_id: members.text("app_id")?.to_owned(),
        app_certificate: members.text("app_certificate")?.to_owned(),
        issue_ts: members.integer("issue_ts")?,
        salt: members.integer("salt")?,
        expire: members.integer("token_expire")?,
        services: vec![
            Rtc {
                channel: members.text("channel")?.to_owned(),
                account: agora::account_of_uid(members.integer("uid")?),
                privileges,
            }
            .into(),
        ],
    };
    let payload = members.text("uncompressed_hex")?;
    let reference = members.text("token_reference")?;
    members.finish()?;
    let mut differences = Vec::new();
    differences.extend(agora::check_payload("/uncompressed_hex", &input, payload).err());
    differences.extend(agora::check_example("/token_reference", &input, reference).err());
    Difference::all(differences)
}

fn keys(secret: &str) -> Result<JwtKeys, Difference> {
    JwtKeys::new(Secret::new(secret), Vec::new())
        .map_err(|error| Difference::not_understood(format!("secret: {error}")))
}

fn wallet(text: &str) -> Result<Wallet, Difference> {
    text.parse()
        .map_err(|error| Difference::not_understood(format!("wallet {}: {error}", quoted(text))))
}

fn same<T: PartialEq + std::fmt::Display>(pointer: &str, expected: T, got: T) -> Verdict {
    if expected == got {
        Ok(())
    } else {
        Err(Difference::between(pointer, expected, got))
    }
}

fn same_text(pointer: &str, expected: &str, got: &str) -> Verdict {
    if expected == got {
        Ok(())
    } else {
        Err(Difference::between(pointer, quoted(expected), quoted(got)))
    }
}
