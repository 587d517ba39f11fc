//! The rules that stand where equality would ask too much: an identifier, a time, a token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::config::Config;
use super::media::{Seat, check_token};
use super::template::Scope;
use crate::members::integer_of;
use crate::report::{Difference, Verdict, quoted, shown};

/// How far an instant may be from now and still be `epoch_now`, in seconds.
const EPOCH_TOLERANCE_SECONDS: u128 = 10;

/// Rules without an argument.
const PLAIN: [&str; 6] = [
    "epoch_now",
    "hex32",
    "hex64",
    "iso8601",
    "nonempty_string",
    "uuid4",
];

/// Rules that have one after a colon.
const WITH_ARGUMENT: [&str; 5] = ["agora", "contains", "jwt", "range", "template"];

/// What a rule may look at besides the value that it judges.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) scope: Scope<'a>,
    pub(super) config: &'a Config,
    /// The whole body of the answer.
    pub(super) body: &'a Value,
    /// What is known of the seat that the request was about.
    pub(super) seat: &'a Seat,
}

/// Whether a rule is one of those above, before anything is sent.
pub(super) fn check_kind(text: &str) -> Verdict {
    let is_known = match text.split_once(':') {
        None => PLAIN.contains(&text),
        Some((kind, _)) => WITH_ARGUMENT.contains(&kind),
    };
    if is_known {
        Ok(())
    } else {
        Err(not_understood(text))
    }
}

/// Judges the value at a pointer by a rule whose templates are still to be filled.
pub(super) fn check(
    text: &str,
    pointer: &str,
    value: &Value,
    around: &Surroundings<'_>,
) -> Verdict {
    let rule = around.scope.fill(text)?;
    judge(&rule, pointer, value, around).map_err(|error| match error {
        Unlike::Value(detail) => {
            let got = format!("{}{detail}", shown(value));
            Difference::between(pointer, &rule, got)
        }
        Unlike::Rule => not_understood(&rule).within(pointer),
    })
}

/// Why a value was not taken.
enum Unlike {
    /// It does not fit, with what there is to say about it.
    Value(String),
    /// Nobody knows what would fit.
    Rule,
}

fn judge(
    rule: &str,
    pointer: &str,
    value: &Value,
    around: &Surroundings<'_>,
) -> Result<(), Unlike> {
    let text = value.as_str();
    let is_fitting = match rule.split_once(':') {
        None => match rule {
            "epoch_now" => integer_of(value).is_some_and(|at| {
                at.abs_diff(i128::from(around.scope.now.unix())) <= EPOCH_TOLERANCE_SECONDS
            }),
            "hex32" => text
                .and_then(|text| text.strip_prefix("0x"))
                .is_some_and(|hex| is_hex(hex, 64)),
            "hex64" => text.is_some_and(|text| is_hex(text, 64)),
            "iso8601" => text.is_some_and(is_iso8601),
            "nonempty_string" => text.is_some_and(|text| !text.is_empty()),
            "uuid4" => text.is_some_and(is_uuid4),
            _ => return Err(Unlike::Rule),
        },
        Some(("agora", argument)) => return judge_agora(argument, pointer, value, around),
        Some(("contains", argument)) => {
            let pairs = read_pairs(argument).ok_or(Unlike::Rule)?;
            let Value::Array(list) = value else {
                return Err(Unlike::Value(", no list".to_owned()));
            };
            list.iter()
                .any(|element| holds(element, &pairs, pointer, around))
        }
        Some(("jwt", argument)) => return judge_jwt(argument, value, around),
        Some(("range", argument)) => is_within(argument, value).ok_or(Unlike::Rule)?,
        Some(("template", argument)) => text == Some(argument),
        Some(_) => return Err(Unlike::Rule),
    };
    if is_fitting {
        Ok(())
    } else {
        Err(Unlike::Value(String::new()))
    }
}

fn judge_agora(
    argument: &str,
    pointer: &str,
    value: &Value,
    around: &Surroundings<'_>,
) -> Result<(), Unlike> {
    let (role, ttl) = argument.split_once(":ttl=").ok_or(Unlike::Rule)?;
    let ttl: u32 = ttl.parse().map_err(|_| Unlike::Rule)?;
    let privileges: &[u16] = match role {
        "publisher" => &[1, 2, 3, 4],
        "subscriber" => &[1],
        _ => return Err(Unlike::Rule),
    };
    let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    let beside = around.body.pointer(parent).unwrap_or(&Value::Null);
    let seat = Seat::told_by(beside).or(around.seat);
    let token = value
        .as_str()
        .ok_or_else(|| Unlike::Value(", no text".to_owned()))?;
    check_token(
        token,
        privileges,
        ttl,
        &seat,
        around.config,
        around.scope.now,
    )
    .map_err(|detail| Unlike::Value(format!(" ({detail})")))
}

/// An access token of ours, issued now: who, how long, and not a member more.
fn judge_jwt(argument: &str, value: &Value, around: &Surroundings<'_>) -> Result<(), Unlike> {
    let unlike = |detail: &str| Unlike::Value(format!(" ({detail})"));
    let token = value.as_str().ok_or_else(|| unlike("no text"))?;
    let claims = claims_of(token).ok_or_else(|| unlike("no JWT with the header of ours"))?;
    around
        .config
        .jwt_keys
        .verify(token, around.scope.now)
        .map_err(|error| unlike(&error.to_string()))?;
    let [iat, exp] = ["iat", "exp"].map(|name| claims.get(name).and_then(integer_of));
    let (Some(iat), Some(exp)) = (iat, exp) else {
        return Err(unlike("no iat or exp"));
    };
    if iat != i128::from(around.scope.now.unix()) {
        return Err(unlike("not issued now"));
    }
    if claims.as_object().is_none_or(|claims| claims.len() != 3) {
        return Err(unlike("members besides sub, iat and exp"));
    }
    for condition in argument.split(',') {
        let is_met = match condition.split_once('=').ok_or(Unlike::Rule)? {
            ("lifetime", seconds) => {
                exp.checked_sub(iat) == Some(seconds.parse().map_err(|_| Unlike::Rule)?)
            }
            ("sub", sub) => claims.get("sub").and_then(Value::as_str) == Some(sub),
            _ => return Err(Unlike::Rule),
        };
        if !is_met {
            return Err(unlike(&format!("says {claims}")));
        }
    }
    Ok(())
}

fn claims_of(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let mut decoded = || URL_SAFE_NO_PAD.decode(parts.next()?).ok();
    let (header, payload) = (decoded()?, decoded()?);
    let header: Value = serde_json::from_slice(&header).ok()?;
    (header == json!({"alg": "HS256", "typ": "JWT"}))
        .then(|| serde_json::from_slice(&payload).ok())
        .flatten()
}

/// The pairs of `{a=b,c=d}`. A comma within a value stays there, unless what follows it looks
/// like a pair.
fn read_pairs(argument: &str) -> Option<Vec<(String, String)>> {
    let inner = argument.strip_prefix('{')?.strip_suffix('}')?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in inner.split(',') {
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
        };
        match part.split_once('=').filter(|(name, _)| is_name(name)) {
            Some((name, value)) => pairs.push((name.to_owned(), value.to_owned())),
            None => {
                let (_, last) = pairs.last_mut()?;
                last.push(',');
                last.push_str(part);
            }
        }
    }
    Some(pairs)
}

/// Whether a list's element has all the pairs: each value is a rule, or else a literal.
fn holds(
    element: &Value,
    pairs: &[(String, String)],
    pointer: &str,
    around: &Surroundings<'_>,
) -> bool {
    pairs.iter().all(|(name, wanted)| {
        let Some(value) = element.get(name) else {
            return false;
        };
        if check_kind(wanted).is_ok() {
            return judge(wanted, pointer, value, around).is_ok();
        }
        let told = value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned);
        told == *wanted
    })
}

/// Whether a number is within `a..b`, both ends included; `None` where that is no range.
fn is_within(range: &str, value: &Value) -> Option<bool> {
    let (from, to) = range.split_once("..")?;
    if let (Ok(from), Ok(to), Some(number)) =
        (from.parse::<i128>(), to.parse::<i128>(), integer_of(value))
    {
        return Some((from..=to).contains(&number));
    }
    let (from, to): (f64, f64) = (from.parse().ok()?, to.parse().ok()?);
    Some(
        value
            .as_f64()
            .is_some_and(|number| (from..=to).contains(&number)),
    )
}

/// Lower-case digits, as the wire writes them.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_uuid4(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [a, b, c, d, e] = parts.as_slice() else {
        return false;
    };
    is_hex(a, 8)
        && is_hex(b, 4)
        && is_hex(c, 4)
        && c.starts_with('4')
        && is_hex(d, 4)
        && d.starts_with(['8', '9', 'a', 'b'])
        && is_hex(e, 12)
}

/// `2026-11-20T21:44:47.527Z`: a date and time of UTC, with or without a fraction of a second.
fn is_iso8601(text: &str) -> bool {
    let Some((date, time)) = text.strip_suffix('Z').and_then(|text| text.split_once('T')) else {
        return false;
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let is_number = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|digit| digit.is_ascii_digit())
    };
    let is_between = |text: &str, least: u32, most: u32| {
        is_number(text, 2)
            && text
                .parse()
                .is_ok_and(|number| (least..=most).contains(&number))
    };
    let date: Vec<&str> = date.split('-').collect();
    let clock: Vec<&str> = clock.split(':').collect();
    let ([year, month, day], [hour, minute, second]) = (date.as_slice(), clock.as_slice()) else {
        return false;
    };
    is_number(year, 4)
        && is_between(month, 1, 12)
        && is_between(day, 1, 31)
        && is_between(hour, 0, 23)
        && is_between(minute, 0, 59)
        && is_between(second, 0, 60)
        && (1..=9).contains(&fraction.len())
        && fraction.bytes().all(|digit| digit.is_ascii_digit())
}

fn not_understood(rule: &str) -> Difference {
    Difference::not_understood(format!("compare rule {}", quoted(rule)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::mint::{Flaw, token};
    use session_core::types::{Timestamp, Wallet};
    use std::collections::BTreeMap;

    const NOW: u64 = 1_800_000_000;

    #[allow(clippy::needless_pass_by_value, reason = "callers write literals")]
    fn passes(rule: &str, value: Value) -> bool {
        let config = Config::read(None).unwrap();
        let (accounts, vars) = (
            BTreeMap::new(),
            BTreeMap::from([("v".to_owned(), json!("x"))]),
        );
        let now = Timestamp::from_unix(NOW);
        let scope = Scope {
            accounts: &accounts,
            vars: &vars,
            jwt_secret: &config.jwt_secret,
            now,
        };
        let body = json!({"at": value});
        let around = Surroundings {
            scope,
            config: &config,
            body: &body,
            seat: &Seat::default(),
        };
        check_kind(rule).is_ok() && check(rule, "/at", &body["at"], &around).is_ok()
    }

    #[test]
    fn each_rule_takes_what_it_means_and_nothing_else() {
        let hex = "0a".repeat(32);
        for (rule, good, bad) in [
            (
                "uuid4",
                json!("3e5c3c36-6c0e-4f8e-8f0e-0a1b2c3d4e5f"),
                json!("3e5c3c36-6c0e-1f8e-8f0e-0a1b2c3d4e5f"),
            ),
            ("hex64", json!(hex), json!(hex.to_uppercase())),
            ("hex32", json!(format!("0x{hex}")), json!(hex)),
            ("range:5..8", json!(8), json!(9)),
            ("range:-2..-1", json!(-2), json!("-2")),
            ("epoch_now", json!(NOW - 10), json!(NOW + 11)),
            (
                "iso8601",
                json!("2026-11-20T21:44:47.527Z"),
                json!("2026-13-20T21:44:47.527Z"),
            ),
            ("nonempty_string", json!("a"), json!("")),
            ("template:a-{{v}}", json!("a-x"), json!("a-{{v}}")),
            (
                "contains:{a={{v}},n=1,t=iso8601}",
                json!([{}, {"a": "x", "n": 1, "t": "2026-11-20T21:44:47Z"}]),
                json!([{"a": "x", "n": 2, "t": "2026-11-20T21:44:47Z"}, {"a": "x"}]),
            ),
        ] {
            assert!(passes(rule, good.clone()), "{rule} {good}");
            assert!(!passes(rule, bad.clone()), "{rule} {bad}");
        }
    }

    #[test]
    fn an_access_token_must_be_ours_of_now_and_say_no_more() {
        let wallet = Wallet::from_bytes([0xab; 20]);
        let rule = format!("jwt:sub={wallet},lifetime=3600");
        let secret = "golden-test-jwt-secret-0001";
        let now = i128::from(NOW);
        let passes_at =
            |issued, lasts, flaw| passes(&rule, json!(token(wallet, issued, lasts, secret, flaw)));
        assert!(passes_at(now, 3600, None));
        assert!(!passes_at(now, 3601, None));
        assert!(!passes_at(now - 1, 3600, None));
        for flaw in [Flaw::AlgNone, Flaw::NoExpiry, Flaw::WrongSecret] {
            assert!(!passes_at(now, 3600, Some(flaw)), "{flaw:?}");
        }
        let other = Wallet::from_bytes([0xac; 20]);
        assert!(!passes(&rule, json!(token(other, now, 3600, secret, None))));
    }

    #[test]
    fn an_unknown_rule_is_not_understood() {
        for rule in [
            "",
            "moon",
            "uuid4:",
            "range",
            "range:a..b",
            "range:5",
            "jwt:moon=1",
            "agora:host:ttl=90",
            "agora:publisher",
            "contains:a=b",
            "template",
        ] {
            assert!(!passes(rule, json!(5)), "{rule}");
        }
    }
}
