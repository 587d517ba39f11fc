//! Inputs that a builder must refuse. The record describes them in the words of its id and note;
//! this makes the input of those words and looks who refuses it.

use std::num::NonZeroU32;

use serde_json::Value;
use session_core::media::agora::{
    AgoraIssuer, AppCertificate, AppId, Privileges, Service, ServiceBody,
};
use session_core::media::{Channel, MediaGrant, MediaTokenIssuer, MediaUid, Role, Ttl};
use session_core::types::{Seconds, Timestamp};

use super::build::{check_example, is_unbuildable, uid_of_account};
use super::input::{Input, Rtc};
use crate::members::Members;
use crate::report::{Difference, Verdict};

pub(super) fn check(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let id = members.text("id")?;
    let note = members.optional_text("note")?.unwrap_or_default();
    let required = members.text("required")?;
    members.finish()?;
    let (subject, quality) = subject_of(id, note)
        .ok_or_else(|| Difference::not_understood(format!("{id}: what is to be refused")))?;
    let fate = subject.fate(quality, note)?;
    let got = match fate {
        Fate::Accepted => "accepted",
        Fate::Refused | Fate::Inexpressible => "an error",
    };
    let is_right = match required.split([',', ':', ' ']).next().unwrap_or_default() {
        "accept" => fate == Fate::Accepted,
        "error" => fate != Fate::Accepted,
        "n/a" => fate == Fate::Inexpressible,
        _ => return Err(Difference::not_understood(format!("required: {required}"))),
    };
    if is_right {
        Ok(())
    } else {
        Err(Difference::between("/required", required, got))
    }
}

/// What becomes of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Accepted,
    Refused,
    /// The types cannot hold it, so that nobody need refuse it.
    Inexpressible,
}

/// Which part of the input is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Account,
    AppId,
    Certificate,
    Channel,
    IssueTs,
    Role,
    Salt,
    Services,
    Ttl,
    Uid,
}

/// How an id begins, or a note names it. The more specific come first.
const SUBJECTS: [(&str, &str, Subject); 16] = [
    ("app-id", "app id", Subject::AppId),
    ("app-certificate", "app certificate", Subject::Certificate),
    ("certificate", "certificate", Subject::Certificate),
    ("cert", "certificate", Subject::Certificate),
    ("token-expire", "token_expire", Subject::Ttl),
    ("privilege-expire", "privilege_expire", Subject::Ttl),
    ("privilege", "privilege", Subject::Ttl),
    ("expire", "expire", Subject::Ttl),
    ("ttl", "ttl", Subject::Ttl),
    ("uid", "uid", Subject::Uid),
    ("account", "account", Subject::Account),
    ("channel", "channel", Subject::Channel),
    ("salt", "salt", Subject::Salt),
    ("issue-ts", "issue_ts", Subject::IssueTs),
    ("role", "role", Subject::Role),
    ("no-services", "service", Subject::Services),
];

/// The subject of a case, and what its id says of it.
fn subject_of<'a>(id: &'a str, note: &str) -> Option<(Subject, &'a str)> {
    let by_id = SUBJECTS.iter().find_map(|(prefix, _, subject)| {
        let rest = id.strip_prefix(prefix)?;
        match rest.strip_prefix('-') {
            Some(quality) => Some((*subject, quality)),
            None => rest.is_empty().then_some((*subject, "")),
        }
    });
    let note = note.to_lowercase();
    let by_note = || {
        let found = SUBJECTS.iter().find(|(_, words, _)| note.contains(words));
        found.map(|(_, _, subject)| (*subject, id))
    };
    by_id.or_else(by_note)
}

impl Subject {
    fn fate(self, quality: &str, note: &str) -> Result<Fate, Difference> {
        match self {
            Self::AppId => app_id_fate(&credential(quality, note)?),
            Self::Certificate => certificate_fate(&credential(quality, note)?),
            Self::Channel => {
                let channel = label(quality, note)?;
                let is_refused = Channel::parse(&channel).is_err() && format_agrees(&channel, "1")?;
                Ok(fate_of(!is_refused))
            }
            Self::Account => {
                let account = label(quality, note)?;
                let is_refused =
                    uid_of_account(&account).is_none() && format_agrees("room", &account)?;
                Ok(fate_of(!is_refused))
            }
            Self::Ttl => Ok(number(quality, note)?.fate(|seconds| {
                u64::try_from(seconds).is_ok_and(|s| Ttl::new(Seconds::new(s)).is_ok())
            })),
            Self::Uid => Ok(number(quality, note)?
                .fate(|uid| u32::try_from(uid).is_ok_and(|uid| MediaUid::new(uid).is_some()))),
            Self::Salt => Ok(number(quality, note)?.fate(|salt| {
                u32::try_from(salt).is_ok_and(|salt| NonZeroU32::new(salt).is_some())
            })),
            Self::IssueTs => issue_ts_fate(number(quality, note)?),
            Self::Role => Ok(match quality {
                "publisher" | "subscriber" | "1" | "2" => Fate::Accepted,
                _ => Fate::Inexpressible,
            }),
            Self::Services => {
                let input = Input {
                    services: Vec::new(),
                    ..sample()
                };
                Ok(fate_of(!is_unbuildable(&input.token()?, &input)?))
            }
        }
    }
}

fn fate_of(is_accepted: bool) -> Fate {
    if is_accepted {
        Fate::Accepted
    } else {
        Fate::Refused
    }
}

/// Where it is accepted, a token made with it must say it as it was given.
fn app_id_fate(text: &str) -> Result<Fate, Difference> {
    if AppId::parse(text).is_err() {
        return Ok(Fate::Refused);
    }
    round_trip(&Input {
        app_id: text.to_owned(),
        ..sample()
    })
}

fn certificate_fate(text: &str) -> Result<Fate, Difference> {
    if AppCertificate::parse(text).is_err() {
        return Ok(Fate::Refused);
    }
    round_trip(&Input {
        app_certificate: text.to_owned(),
        ..sample()
    })
}

fn round_trip(input: &Input) -> Result<Fate, Difference> {
    let token = input
        .token()?
        .to_text(&input.certificate()?, Default::default());
    check_example("/required", input, &token.map_err(Difference::new)?)?;
    Ok(Fate::Accepted)
}

fn issue_ts_fate(number: Number) -> Result<Fate, Difference> {
    let input = sample();
    let issuer = AgoraIssuer::new(input.token()?.app_id, input.certificate()?);
    Ok(number.fate(|at| {
        let Ok(at) = u64::try_from(at) else {
            return false;
        };
        let parts = (Channel::parse("room"), MediaUid::new(1));
        let (Ok(channel), Some(uid)) = parts else {
            return false;
        };
        let issued_at = Timestamp::from_unix(at);
        let (ttl, salt) = (Ttl::MIN, NonZeroU32::MIN);
        let grant = MediaGrant {
            connection: None,
            channel,
            uid,
            role: Role::Subscriber,
            issued_at,
            ttl,
            salt,
        };
        issuer.issue(&grant).is_ok()
    }))
}

/// Whether the format itself refuses a text that is longer than its 16 bits of length can say.
fn format_agrees(channel: &str, account: &str) -> Result<bool, Difference> {
    let fits = channel.len().max(account.len()) <= usize::from(u16::MAX);
    let rtc = Rtc {
        channel: channel.to_owned(),
        account: account.to_owned(),
        privileges: Privileges::from([(1, 60)]),
    };
    let input = Input {
        services: vec![rtc.into()],
        ..sample()
    };
    Ok(fits || is_unbuildable(&input.token()?, &input)?)
}

/// A number of the words, whatever its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Integer(i128),
    /// A fraction, or something that is no number at all.
    Other,
}

impl Number {
    fn fate(self, is_accepted: impl FnOnce(i128) -> bool) -> Fate {
        match self {
            Self::Integer(integer) => fate_of(is_accepted(integer)),
            Self::Other => Fate::Inexpressible,
        }
    }
}

/// The number that an id or a note names.
fn number(quality: &str, note: &str) -> Result<Number, Difference> {
    let named = match quality {
        "fraction" | "float" | "infinity" | "nan" | "null" | "string" | "text" => {
            return Ok(Number::Other);
        }
        "zero" => Some(0),
        "max" | "u32max" => Some(i128::from(u32::MAX)),
        "u64max" => Some(i128::from(u64::MAX)),
        other => other.parse().ok().or_else(|| power_of_two(other)),
    };
    if let Some(named) = named {
        return Ok(Number::Integer(named));
    }
    let words = note.split(|c: char| !(c.is_ascii_digit() || c == '-' || c == '.'));
    let literals: Vec<&str> = words
        .map(|word| word.trim_end_matches(['.', '-']))
        .filter(|word| word.contains(|c: char| c.is_ascii_digit()))
        .collect();
    match literals.as_slice() {
        [one, ..] => Ok(one.parse().map_or(Number::Other, Number::Integer)),
        [] if quality == "negative" => Ok(Number::Integer(-1)),
        [] => Err(Difference::not_understood(format!(
            "{quality}: which number"
        ))),
    }
}

/// `2^n`, and one more or less.
fn power_of_two(text: &str) -> Option<i128> {
    let rest = text.strip_prefix("2^")?;
    let (exponent, offset) = match rest.split_once(['+', '-']) {
        None => (rest, 0),
        Some((exponent, one)) if rest.contains('+') => (exponent, one.parse().ok()?),
        Some((exponent, one)) => (exponent, -one.parse::<i128>().ok()?),
    };
    let exponent: u32 = exponent.parse().ok().filter(|&exponent| exponent <= 100)?;
    (1_i128 << exponent).checked_add(offset)
}

/// The app id or certificate that an id or a note describes.
fn credential(quality: &str, note: &str) -> Result<String, Difference> {
    let good = "0123456789abcdef0123456789abcdef";
    let text = match quality {
        "empty" => String::new(),
        "0x" | "prefix" => format!("0x{good}"),
        "lower" => good.to_owned(),
        "mixed" => format!("{}{}", &good[..16], good[16..].to_uppercase()),
        "newline" | "lf" => format!("{good}\n"),
        "crlf" => format!("{good}\r\n"),
        "nonhex" | "not-hex" => format!("{}g", &good[1..]),
        "nul" => format!("{}\0", &good[1..]),
        "blank" | "space" => format!("{} ", &good[1..]),
        "leading-space" => format!(" {good}"),
        "trailing-space" => format!("{good} "),
        "unicode" => format!("{}é", &good[2..]),
        "upper" => good.to_uppercase(),
        other => good.chars().cycle().take(length(other, note)?).collect(),
    };
    Ok(text)
}

/// The channel or account that an id or a note describes.
fn label(quality: &str, note: &str) -> Result<String, Difference> {
    let text = match quality {
        "empty" => String::new(),
        "star" | "wildcard" => "*".to_owned(),
        "newline" => "room\n".to_owned(),
        "nul" => "room\0".to_owned(),
        "slash" => "ro/om".to_owned(),
        "unicode" => "комната".to_owned(),
        other => "a".repeat(length(other, note)?),
    };
    Ok(text)
}

/// The longest text that is made of a case's words, in bytes.
const TEXT_MAX_BYTES: usize = 1 << 24;

fn length(quality: &str, note: &str) -> Result<usize, Difference> {
    let length = match number(quality, note)? {
        Number::Integer(length) => usize::try_from(length).ok(),
        Number::Other => None,
    };
    let length = length.filter(|&length| length <= TEXT_MAX_BYTES);
    length.ok_or_else(|| Difference::not_understood(format!("{quality}: how long")))
}

/// An input that nobody refuses.
fn sample() -> Input {
    let body = ServiceBody::Rtc {
        channel: "room".to_owned(),
        account: "1".to_owned(),
    };
    Input {
        app_id: "970ca35de60c44645bbae8a215061b33".to_owned(),
        app_certificate: "5cfd2fd1755d40ecb72977518be15d3b".to_owned(),
        issue_ts: 1_700_000_000,
        salt: 1,
        expire: 60,
        services: vec![Service {
            privileges: Privileges::from([(1, 60)]),
            body,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(id: &str, note: &str, required: &str) -> Verdict {
        check(&json!({"id": id, "note": note, "required": required}))
    }

    #[test]
    fn inputs_are_made_of_ids_never_seen_before() {
        for (id, note) in [
            ("app-id-0", "nothing"),
            ("cert-33", "certificate of 33"),
            ("cert-newline", "read from a file"),
            ("certificate-space", ""),
            ("ttl-86401", "a second more than a day"),
            ("ttl-zero", "0"),
            ("ttl-nan", "NaN"),
            ("ttl-timestamp", "token_expire 1795210936"),
            ("privilege-2^32", ""),
            ("uid-2^32+1", ""),
            ("uid-zero", ""),
            ("channel-64", "channel of 64 bytes"),
            ("channel-empty", ""),
            ("channel-star", "wildcard"),
            ("account-65536", ""),
            ("salt-zero", ""),
            ("issue-ts-2^32", ""),
            ("way-too-long", "an app id of 40 characters"),
            ("role-host", ""),
        ] {
            assert_eq!(verdict(id, note, "error"), Ok(()), "{id}");
            assert!(verdict(id, note, "accept").is_err(), "{id}");
        }
    }

    #[test]
    fn what_is_good_must_be_accepted() {
        for id in [
            "app-id-32",
            "app-id-upper",
            "cert-mixed",
            "ttl-86400",
            "uid-u32max",
            "channel-63",
            "issue-ts-u32max",
            "salt-2^32-1",
        ] {
            assert_eq!(
                verdict(id, "", "accept, keep the case as given"),
                Ok(()),
                "{id}"
            );
            assert!(verdict(id, "", "error: whatever").is_err(), "{id}");
            assert!(verdict(id, "", "n/a").is_err(), "{id}");
        }
    }

    #[test]
    fn what_is_not_understood_fails() {
        assert!(verdict("moon-phase", "waxing", "error").is_err());
        assert!(verdict("app-id-odd", "somehow", "error").is_err());
        assert!(verdict("app-id-31", "", "perhaps").is_err());
    }
}
