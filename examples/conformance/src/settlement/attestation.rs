//! The attestation policy: decisions, texts and hashes of metrics, classes of attempts.

use serde_json::{Value, json};
use session_core::attestation::{
    AttestationPolicy, Class, FullMetrics, Inputs, Judgement, PlainMetrics, Reread, Ruling, Stay,
    Window, classify, judge, too_late,
};
use session_core::crypto::keccak256;
use session_core::escrow::{Booking, BookingStatus, ContractOutcome, Outcome, Slot, SlotStatus};
use session_core::types::{
    Seconds, SlotId, Timestamp, TokenAmount, U256, Wallet, Word, encode_hex,
};

use super::bytes;
use crate::members::Members;
use crate::report::{Difference, Verdict, quoted, shown};

/// A decision, and what was measured for it.
pub(super) fn decision(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    // What the original said, and why it was wrong, is not ours to say.
    for prose in ["group", "original", "differs_because"] {
        members.optional(prose);
    }
    let slot = slot(members.value("slot")?)?;
    let (host, guest) = (stays(&members, "host")?, stays(&members, "guest")?);
    let now = Timestamp::from_unix(members.integer("now")?);
    let chain_now = Timestamp::from_unix(members.integer("chain_now")?);
    let (expected, measures) = (members.value("expect")?, members.optional("measures"));
    members.finish()?;
    let judgement = judge(
        &Inputs {
            slot: &slot,
            host: &host,
            guest: &guest,
            outages: &[],
            now,
            chain_now,
        },
        &AttestationPolicy::default(),
    );
    let mut differences = Vec::new();
    differences.extend(same("/expect", expected, &told(&judgement)).err());
    if let Some(measures) = measures {
        differences.extend(same("/measures", measures, &measured(&judgement)).err());
    }
    Difference::all(differences)
}

/// The slot of a record; what the policy does not look at is as it is anywhere.
pub(crate) fn slot(value: &Value) -> Result<Slot, Difference> {
    let members = Members::of(value)?;
    let either = |snake, camel| match members.optional(snake) {
        Some(_) => members.integer(snake),
        None => members.integer(camel),
    };
    let minutes = |snake, camel| {
        let minutes: u64 = either(snake, camel)?;
        u32::try_from(minutes)
            .map_err(|_| Difference::not_understood(format!("{snake}: {minutes}")))
    };
    let slot = Slot {
        host: Wallet::from_bytes([1; 20]),
        start_time: Timestamp::from_unix(either("start_time", "startTime")?),
        duration_mins: minutes("duration_mins", "durationMins")?,
        price: TokenAmount::new(U256::ONE),
        grace_mins: minutes("grace_mins", "graceMins")?,
        min_overlap_mins: minutes("min_overlap_mins", "minOverlapMins")?,
        cancel_cutoff_mins: 0,
        status: SlotStatus::Booked,
    };
    members.finish()?;
    Ok(slot)
}

fn stays(members: &Members<'_>, name: &'static str) -> Result<Vec<Stay>, Difference> {
    let stay = |value: &Value| {
        serde_json::from_value::<Stay>(value.clone())
            .map_err(|error| Difference::not_understood(format!("{name}: {error}")))
    };
    members.list(name)?.iter().map(stay).collect()
}

fn measured(judgement: &Judgement) -> Value {
    let measures = &judgement.measures;
    json!({
        "host_secs": measures.host_seconds,
        "guest_secs": measures.guest_seconds,
        "overlap_secs": measures.overlap_seconds,
        "host_alone_secs": measures.host_alone_seconds,
        "guest_alone_secs": measures.guest_alone_seconds,
        "anomalies": measures.anomalies,
    })
}

fn told(judgement: &Judgement) -> Value {
    match judgement.ruling {
        Ruling::Attest { outcome } => json!({"state": "attest", "outcome": outcome.name()}),
        Ruling::Wait {
            reason,
            outcome: Some(outcome),
            retry_at,
        } => json!({
            "state": "wait",
            "reason": reason.name(),
            "outcome": outcome.name(),
            "retry_at": retry_at,
        }),
        Ruling::Wait { reason, .. } => json!({"state": "wait", "reason": reason.name()}),
        Ruling::WindowMissed { outcome } => json!({
            "state": "window_missed",
            "reason": too_late(outcome),
            "outcome": outcome.name(),
        }),
    }
}

/// A text of metrics, and its hash.
pub(super) fn metrics(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let schema: u8 = members.integer("schema")?;
    let input = members.value("input")?;
    let text = members.text("preimage_utf8")?;
    let hash = members.text("hash")?;
    members.finish()?;
    let made = match schema {
        1 => plain(input)?.text(),
        2 => {
            let metrics: FullMetrics = serde_json::from_value(input.clone())
                .map_err(|error| Difference::not_understood(format!("input: {error}")))?;
            metrics.text()
        }
        other => return Err(Difference::not_understood(format!("schema {other}"))),
    };
    hashed(text, &made, hash)
}

/// That a text is made, that it is read again, and what its hash is.
pub(crate) fn hashed(text: &str, made: &str, hash: &str) -> Verdict {
    let mut differences = Vec::new();
    if text != made {
        differences.push(Difference::between(
            "/preimage_utf8",
            quoted(text),
            quoted(made),
        ));
    }
    if PlainMetrics::parse(made).is_err() && FullMetrics::parse(made).is_err() {
        differences.push(Difference::new("/preimage_utf8: not read again"));
    }
    let got = format!("0x{}", encode_hex(&keccak256(made.as_bytes())));
    if hash != got {
        differences.push(Difference::between("/hash", hash, got));
    }
    Difference::all(differences)
}

fn plain(input: &Value) -> Result<PlainMetrics, Difference> {
    let members = Members::of(input)?;
    let at = |name| members.integer(name).map(Timestamp::from_unix);
    let metrics = PlainMetrics {
        booking_id: members.text("booking_id")?.to_owned(),
        host_joined_at: at("host_joined_at")?,
        host_left_at: at("host_left_at")?,
        guest_joined_at: at("guest_joined_at")?,
        guest_left_at: at("guest_left_at")?,
        overlap_seconds: Seconds::new(members.integer("overlap_seconds")?),
    };
    members.finish()?;
    Ok(metrics)
}

/// What came of an attempt, by what the chain shows afterwards.
pub(super) fn class(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    members.optional("original");
    let result = members.text("result")?;
    // How an attempt failed decides nothing; but what nobody knows is not understood.
    let known = [
        "mined_failed",
        "read_error",
        "read_ok",
        "reorged",
        "revert",
        "transport_error",
    ];
    if !known.contains(&result) {
        return Err(Difference::not_understood(format!("result {result}")));
    }
    if let Some(data) = members.optional("data") {
        bytes("data", data)?;
    }
    let status = match members.optional_text("status_after")? {
        Some(status) => Some(status),
        None => members.optional_text("status_before")?,
    };
    members.optional("status_before");
    let place = members.optional_text("window")?;
    let oracle_matches = match members.optional("oracle_matches") {
        None => true,
        Some(_) => members.boolean("oracle_matches")?,
    };
    let expected = members.value("expect")?;
    members.finish()?;
    let (window, chain_now) = placed(place)?;
    let booking = status.map(booking).transpose()?;
    if booking.is_none() && result != "read_error" {
        return Err(Difference::not_understood("no status to classify by"));
    }
    let us = Wallet::from_bytes([1; 20]);
    let oracle = if oracle_matches {
        us
    } else {
        Wallet::from_bytes([2; 20])
    };
    let reread = booking.as_ref().map(|booking| Reread {
        booking,
        chain_now,
        oracle,
    });
    let ours = (Outcome::Completed, Word::new([7; 32]));
    let told = match classify(reread.as_ref(), ours, &window, us) {
        Class::Done(done) => json!({"state": "done", "reason": done.name()}),
        Class::Wait(_) => json!({"state": "wait"}),
        Class::WindowMissed => json!({"state": "window_missed"}),
        Class::NotOracle => json!({"state": "blocked", "reason": "not_oracle"}),
        Class::Retry => json!({"state": "retry"}),
        Class::ChainUnavailable => json!({"state": "retry", "reason": "chain_unavailable"}),
    };
    same("/expect", expected, &told)
}

fn placed(place: Option<&str>) -> Result<(Window, Timestamp), Difference> {
    let window = Window {
        earliest: Timestamp::from_unix(100),
        latest: Timestamp::from_unix(200),
    };
    let now = match place {
        Some("before") => 99,
        None | Some("inside") => 150,
        Some("after") => 201,
        Some(other) => return Err(Difference::not_understood(format!("window {other}"))),
    };
    Ok((window, Timestamp::from_unix(now)))
}

/// A booking at a status, attested by somebody else where it is attested.
fn booking(status: &str) -> Result<Booking, Difference> {
    let known = BookingStatus::ALL
        .iter()
        .find(|known| known.name() == status);
    let known = known.ok_or_else(|| Difference::not_understood(format!("status {status}")))?;
    let nobody = Wallet::from_bytes([0; 20]);
    Ok(Booking {
        slot: SlotId::new(U256::ONE),
        guest: Wallet::from_bytes([3; 20]),
        amount: TokenAmount::new(U256::ONE),
        status: *known,
        oracle_outcome: ContractOutcome::NoShowHost,
        metrics_hash: [9; 32],
        attested_at: Timestamp::EPOCH,
        finalizable_at: Timestamp::EPOCH,
        challenger: nobody,
        bond: TokenAmount::new(U256::ZERO),
        disputed_at: Timestamp::EPOCH,
    })
}

fn same(place: &str, expected: &Value, got: &Value) -> Verdict {
    if expected == got {
        Ok(())
    } else {
        Err(Difference::between(place, shown(expected), shown(got)))
    }
}
