//! Calldata, returndata, logs and reverts, each looked at in both directions: what was recorded is
//! read, compared member by member, and written again.

use std::fmt::Debug;

use serde_json::Value;
use session_core::escrow::abi::{AbiError, AbiValue};
use session_core::escrow::call::{Call, FUNCTIONS};
use session_core::escrow::event::Event;
use session_core::escrow::returned::Returned;
use session_core::escrow::revert::Revert;
use session_core::escrow::{Booking, Request, Slot, Terms};
use session_core::types::{U256, Wallet, encode_hex};

use super::{bytes, parsed, same_bytes, word};
use crate::members::Members;
use crate::report::{Difference, Verdict, quoted, shown};

/// Members with the names that the contract gives them.
type Shown = Vec<(&'static str, AbiValue)>;
/// How a record shows itself.
type Fields<T> = fn(&T) -> Result<Shown, AbiError>;

pub(super) fn check(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    match members.text("kind")? {
        "calldata" => calldata(&members),
        "log" => log(&members),
        "returndata" => returndata(&members),
        "revert" => revert(&members),
        other => Err(Difference::not_understood(format!("kind {other}"))),
    }
}

fn calldata(members: &Members<'_>) -> Verdict {
    let function = signature_of(members.text("fn")?)?;
    let args = members.list("args")?;
    let calldata = bytes("calldata", members.value("calldata")?)?;
    members.finish()?;
    let call = Call::decode(&calldata).map_err(refused)?;
    if call.signature() != function {
        return Err(Difference::between("/fn", function, call.signature()));
    }
    Difference::all(
        [
            same_list("/args", args, &call.args()),
            same_bytes("/calldata", &calldata, &call.encode()),
        ]
        .into_iter()
        .filter_map(Result::err)
        .collect(),
    )
}

/// The one signature of a name, or the signature itself where there are several.
fn signature_of(name: &str) -> Result<&'static str, Difference> {
    let mut signatures = FUNCTIONS
        .iter()
        .map(|function| function.signature)
        .filter(|signature| {
            *signature == name || signature.split('(').next().is_some_and(|own| own == name)
        });
    match (signatures.next(), signatures.next()) {
        (Some(signature), None) => Ok(signature),
        _ => Err(Difference::not_understood(format!("function {name}"))),
    }
}

fn returndata(members: &Members<'_>) -> Verdict {
    made_of_chain(members)?;
    let function = signature_of(members.text("fn")?)?;
    // What was asked for says nothing about what was answered, but must fit the function.
    let args = members.list("args")?;
    let data = bytes("returndata", members.value("returndata")?)?;
    let decoded = members.value("decoded")?;
    members.finish()?;
    let params = FUNCTIONS
        .iter()
        .find(|one| one.signature == function)
        .map(|one| one.params.len());
    if params != Some(args.len()) {
        return Err(Difference::not_understood(format!(
            "{} arguments of {function}",
            args.len()
        )));
    }
    match function {
        "getBooking(uint256)" | "bookings(uint256)" => {
            record::<Booking>(&data, decoded, Booking::fields)
        }
        "getSlot(uint256)" | "slots(uint256)" => record::<Slot>(&data, decoded, Slot::fields),
        "getBookingTerms(uint256)" | "bookingTerms(uint256)" => {
            record::<Terms>(&data, decoded, Terms::fields)
        }
        "getRequest(uint256)" | "requests(uint256)" => {
            record::<Request>(&data, decoded, Request::fields)
        }
        "oracle()" | "owner()" | "paymentToken()" | "pendingOwner()" | "treasury()" => {
            one::<Wallet>(&data, decoded, |wallet| AbiValue::Address(*wallet))
        }
        "BPS()"
        | "MAX_CHALLENGE_WINDOW()"
        | "MAX_DISPUTE_TIMEOUT()"
        | "MAX_NO_ATTEST_BUFFER()"
        | "challengeBond()"
        | "challengeWindow()"
        | "disputeTimeout()"
        | "feeBps()"
        | "hostBasePrice(address)"
        | "lateCancelPenaltyBps()"
        | "nextBookingId()"
        | "nextRequestId()"
        | "nextSlotId()"
        | "noAttestBuffer()"
        | "owed(address)"
        | "slotToBooking(uint256)"
        | "totalHeld()" => one::<U256>(&data, decoded, |number| AbiValue::Uint(*number)),
        other => Err(Difference::not_understood(format!("what {other} returns"))),
    }
}

/// A case may say that its bytes were read from a chain.
fn made_of_chain(members: &Members<'_>) -> Verdict {
    match members.optional_text("source")? {
        None | Some("chain") => Ok(()),
        Some(other) => Err(Difference::not_understood(format!("source {other}"))),
    }
}

fn record<T: Returned + Debug>(data: &[u8], decoded: &Value, fields: Fields<T>) -> Verdict {
    let record = T::from_returndata(data).map_err(refused)?;
    let written = record.to_returndata().map_err(refused)?;
    same_bytes("/returndata", data, &written)?;
    let fields = fields(&record).map_err(refused)?;
    match decoded {
        // A getter of a mapping was decoded without names.
        Value::Array(list) => same_list("/decoded", list, &fields),
        named => same_object("/decoded", named, &fields),
    }
}

fn one<T: Returned>(data: &[u8], decoded: &Value, value: fn(&T) -> AbiValue) -> Verdict {
    let read = T::from_returndata(data).map_err(refused)?;
    let written = read.to_returndata().map_err(refused)?;
    same_bytes("/returndata", data, &written)?;
    same("/decoded", decoded, &value(&read))
}

fn log(members: &Members<'_>) -> Verdict {
    made_of_chain(members)?;
    let topics = members.list("topics")?;
    let topics: Result<Vec<_>, _> = topics.iter().map(|topic| word("topics", topic)).collect();
    let topics = topics?;
    let data = bytes("data", members.value("data")?)?;
    let decoded = Members::of(members.value("decoded")?)?;
    let name = decoded.text("event")?;
    let args = decoded.value("args")?;
    decoded.finish()?;
    members.finish()?;
    let event = Event::decode(&topics, &data).map_err(refused)?;
    let event = event.ok_or_else(|| Difference::between("/decoded/event", name, "nothing"))?;
    if event.name() != name {
        return Err(Difference::between("/decoded/event", name, event.name()));
    }
    same_object("/decoded/args", args, &event.args())?;
    let (topics_again, data_again) = event.encode();
    same_bytes(
        "/topics",
        topics.as_flattened(),
        topics_again.as_flattened(),
    )?;
    same_bytes("/data", &data, &data_again)
}

fn revert(members: &Members<'_>) -> Verdict {
    let data = bytes("data", members.value("data")?)?;
    let reason = members.value("reason")?;
    members.finish()?;
    let revert = Revert::of(&data);
    match reason {
        Value::Null if revert.message().is_none() => Ok(()),
        Value::String(text) if revert.message() == Some(text) => Ok(()),
        other => Err(Difference::between("/reason", shown(other), revert)),
    }
}

/// Members under the names that the contract gives them: all of them, and no others.
fn same_object(place: &str, expected: &Value, got: &[(&'static str, AbiValue)]) -> Verdict {
    let members = Members::of(expected)?;
    let mut differences = Vec::new();
    for (name, value) in got {
        let member = members.value(name)?;
        differences.extend(same(&format!("{place}/{name}"), member, value).err());
    }
    members.finish()?;
    Difference::all(differences)
}

/// Members in the order of the contract.
fn same_list(place: &str, expected: &[Value], got: &[(&'static str, AbiValue)]) -> Verdict {
    if expected.len() != got.len() {
        let counted = |count: usize| format!("{count} members");
        let [expected, got] = [expected.len(), got.len()].map(counted);
        return Err(Difference::between(place, expected, got));
    }
    let pairs = expected.iter().zip(got);
    let differences = pairs.filter_map(|(expected, (name, value))| {
        same(&format!("{place}/{name}"), expected, value).err()
    });
    Difference::all(differences.collect())
}

/// An address may be written with its checksum, which must be right then.
fn same(place: &str, expected: &Value, got: &AbiValue) -> Verdict {
    let is_same = match got {
        AbiValue::Address(wallet) => {
            let text = expected.as_str().unwrap_or_default();
            Wallet::parse_checked(text) == Ok(*wallet)
        }
        AbiValue::Bytes(own) => bytes(place, expected)? == *own,
        AbiValue::Bytes32(own) => word(place, expected)? == *own,
        AbiValue::Uint(number) => parsed::<String>(place, expected)? == number.to_string(),
    };
    if is_same {
        return Ok(());
    }
    let got = match got {
        AbiValue::Address(wallet) => wallet.to_eip55(),
        AbiValue::Bytes(own) => format!("0x{}", encode_hex(own)),
        AbiValue::Bytes32(own) => format!("0x{}", encode_hex(own)),
        AbiValue::Uint(number) => number.to_string(),
    };
    Err(Difference::between(place, shown(expected), quoted(&got)))
}

fn refused(error: AbiError) -> Difference {
    Difference::new(format!("refused: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_that_several_functions_have_is_not_understood() {
        assert_eq!(signature_of("owed"), Ok("owed(address)"));
        assert_eq!(signature_of("withdrawOwed()"), Ok("withdrawOwed()"));
        assert!(signature_of("withdrawOwed").is_err());
        assert!(signature_of("transfer").is_err());
        assert!(signature_of("owed(uint256)").is_err());
    }

    #[test]
    fn what_differs_is_told_and_what_is_not_known_is_refused() {
        let case = json!({
            "id": "a",
            "kind": "calldata",
            "fn": "owed",
            "args": ["0xb2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2"],
            "calldata": format!("0xdf18e047{:0>64}", "b2".repeat(20)),
        });
        assert_eq!(check(&case), Ok(()));
        for (name, value) in [
            ("kind", json!("other")),
            ("fn", json!("oracle")),
            ("args", json!([])),
            (
                "args",
                json!(["0xb2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b3"]),
            ),
            (
                "args",
                json!(["0xB2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2"]),
            ),
            ("calldata", json!("0xdf18e047")),
            ("later", json!(1)),
        ] {
            let mut other = case.clone();
            other[name] = value;
            assert!(check(&other).is_err(), "{other}");
        }
    }
}
