//! What the ends of bookings credit.

use serde_json::Value;
use session_core::escrow::Side;
use session_core::escrow::payout::{Ending, credited};
use session_core::escrow::{Outcome, Terms};
use session_core::types::{Seconds, TokenAmount};

use super::parsed;
use crate::members::Members;
use crate::report::{Difference, Verdict, quoted};

pub(super) fn check(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let amount: TokenAmount = parsed("amount", members.value("amount")?)?;
    let terms = Terms {
        fee_bps: members.integer("fee_bps")?,
        late_cancel_penalty_bps: members.integer("late_cancel_penalty_bps")?,
        // They say when something may be done, not what it credits.
        challenge_window: Seconds::ZERO,
        no_attest_buffer: Seconds::ZERO,
        dispute_timeout: Seconds::ZERO,
        challenge_bond: parsed("challenge_bond", members.value("challenge_bond")?)?,
    };
    let ending = ending(&members)?;
    let expected = Members::of(members.value("credited")?)?;
    let amount_of = |name| parsed::<TokenAmount>(name, expected.value(name)?);
    let expected_of = [
        ("/credited/host", amount_of("host")?),
        ("/credited/guest", amount_of("guest")?),
        ("/credited/treasury", amount_of("treasury")?),
    ];
    expected.finish()?;
    members.finish()?;
    let got = credited(amount, &terms, ending).map_err(Difference::new)?;
    let pairs = expected_of
        .into_iter()
        .zip([got.host, got.guest, got.treasury]);
    let differences = pairs.filter(|((_, expected), got)| expected != got);
    let differences =
        differences.map(|((place, expected), got)| Difference::between(place, expected, got));
    Difference::all(differences.collect())
}

fn ending(members: &Members<'_>) -> Result<Ending, Difference> {
    Ok(match members.text("kind")? {
        "dispute" => Ending::Disputed {
            attested: outcome(members.text("attested")?)?,
            challenger: match members.text("challenger")? {
                "host" => Side::Host,
                "guest" => Side::Guest,
                other => {
                    return Err(Difference::not_understood(format!("challenger {other}")));
                }
            },
            resolved: match members.value("resolved")? {
                Value::Null => None,
                _ => Some(outcome(members.text("resolved")?)?),
            },
        },
        "final" => Ending::Final(outcome(members.text("outcome")?)?),
        "guest_cancel_early" => Ending::CancelledByGuestEarly,
        "guest_cancel_late" => Ending::CancelledByGuestLate,
        "host_cancel" => Ending::CancelledByHost,
        "unattested" => Ending::Unattested,
        other => return Err(Difference::not_understood(format!("kind {other}"))),
    })
}

fn outcome(word: &str) -> Result<Outcome, Difference> {
    word.parse()
        .map_err(|_| Difference::not_understood(format!("outcome {}", quoted(word))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_is_told_and_what_is_not_known_is_refused() {
        let case = json!({
            "id": "a",
            "kind": "dispute",
            "amount": "10000",
            "fee_bps": 300,
            "late_cancel_penalty_bps": 0,
            "challenge_bond": "7",
            "attested": "completed",
            "challenger": "guest",
            "resolved": null,
            "credited": {"host": "9707", "guest": "0", "treasury": "300"},
        });
        assert_eq!(check(&case), Ok(()));
        for (name, value) in [
            ("kind", json!("refund")),
            ("kind", json!("final")),
            ("amount", json!("10001")),
            ("amount", json!("0x1")),
            ("fee_bps", json!(70000)),
            ("challenger", json!("host")),
            ("challenger", json!("owner")),
            ("resolved", json!("no-show-host")),
            ("resolved", json!("later")),
            ("credited", json!({"host": "9707", "guest": "0"})),
            (
                "credited",
                json!({"host": "9707", "guest": "0", "treasury": "300", "owner": "0"}),
            ),
            ("later", json!(1)),
        ] {
            let mut other = case.clone();
            other[name] = value;
            assert!(check(&other).is_err(), "{other}");
        }
    }
}
