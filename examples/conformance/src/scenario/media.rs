//! Media tokens in answers.

use serde_json::Value;
use session_core::media::agora::{Duplicates, Privileges, ReadToken, ServiceBody};
use session_core::media::{Channel, MediaUid};
use session_core::types::{Seconds, Timestamp};

use super::config::Config;
use crate::members::integer_of;

/// Where a token must let in, as far as anybody said so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) channel: Option<String>,
    pub(super) uid: Option<u32>,
}

impl Seat {
    /// What an answer says beside its token.
    pub(super) fn told_by(object: &Value) -> Self {
        let uid = ["agora_uid", "user_uid"]
            .into_iter()
            .find_map(|name| object.get(name));
        Self {
            channel: object
                .get("channel")
                .and_then(Value::as_str)
                .map(ToOwned::to_owned),
            uid: uid
                .and_then(integer_of)
                .and_then(|uid| u32::try_from(uid).ok()),
        }
    }

    /// The same, and for what it does not say what somebody else said.
    pub(super) fn or(self, other: &Self) -> Self {
        Self {
            channel: self.channel.or_else(|| other.channel.clone()),
            uid: self.uid.or(other.uid),
        }
    }
}

/// Whether a token lets exactly one participant into exactly one channel, from now on, for as long
/// as the record says. Otherwise, why not.
pub(super) fn check_token(
    token: &str,
    privileges: &[u16],
    ttl: u32,
    seat: &Seat,
    config: &Config,
    now: Timestamp,
) -> Result<(), String> {
    let read = ReadToken::parse(token, Duplicates::Refused).map_err(|error| error.to_string())?;
    read.verify(&config.app_certificate, now, Seconds::ZERO)
        .map_err(|error| error.to_string())?;
    let same = |what: &str, expected: String, got: String| {
        if expected == got {
            Ok(())
        } else {
            Err(format!("{what} is {got}, not {expected}"))
        }
    };
    same("app id", config.app_id.to_string(), read.app_id.clone())?;
    same("issue_ts", now.to_string(), read.issue_ts.to_string())?;
    same("expire", ttl.to_string(), read.expire.to_string())?;
    let [service] = read.services.as_slice() else {
        return Err("not one service".to_owned());
    };
    if read.trailing_bytes != Some(0) {
        return Err("bytes after the service".to_owned());
    }
    let expected: Privileges = privileges
        .iter()
        .map(|&privilege| (privilege, ttl))
        .collect();
    same(
        "privileges",
        format!("{expected:?}"),
        format!("{:?}", service.privileges),
    )?;
    let ServiceBody::Rtc { channel, account } = &service.body else {
        return Err("another service than voice".to_owned());
    };
    match &seat.channel {
        Some(expected) => same("channel", expected.clone(), channel.clone())?,
        None => return Err("nothing says for which channel".to_owned()),
    }
    Channel::parse(channel).map_err(|error| error.to_string())?;
    let uid = account.parse().ok().and_then(MediaUid::new);
    let uid = uid.ok_or_else(|| format!("account {account:?} is no uid above 0"))?;
    same("account", uid.to_string(), account.clone())?;
    match seat.uid {
        Some(expected) => same("uid", expected.to_string(), account.clone()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_core::media::agora::{AccessToken007, AppId, Compression, Service};
    use session_core::media::{MediaGrant, MediaTokenIssuer, Role, Ttl};
    use std::num::NonZeroU32;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn seat(channel: &str, uid: Option<u32>) -> Seat {
        Seat {
            channel: Some(channel.to_owned()),
            uid,
        }
    }

    fn check(privileges: &[u16], ttl: u32, seat: &Seat, now: Timestamp) -> Result<(), String> {
        let config = Config::read(None).unwrap();
        let grant = MediaGrant {
            connection: None,
            channel: Channel::parse("room").unwrap(),
            uid: MediaUid::new(7).unwrap(),
            role: Role::Publisher,
            issued_at: NOW,
            ttl: Ttl::new(Seconds::new(90)).unwrap(),
            salt: NonZeroU32::MIN,
        };
        let token = config.issuer().issue(&grant).unwrap();
        check_token(&token, privileges, ttl, seat, &config, now)
    }

    #[test]
    fn a_token_must_be_exactly_the_one_that_is_told_about() {
        let publisher = [1, 2, 3, 4];
        assert_eq!(check(&publisher, 90, &seat("room", Some(7)), NOW), Ok(()));
        assert_eq!(check(&publisher, 90, &seat("room", None), NOW), Ok(()));
        for (privileges, ttl, seat, now) in [
            (&[1][..], 90, seat("room", Some(7)), NOW),
            (&publisher, 89, seat("room", Some(7)), NOW),
            (&publisher, 90, seat("hall", Some(7)), NOW),
            (&publisher, 90, seat("room", Some(8)), NOW),
            (&publisher, 90, Seat::default(), NOW),
            (
                &publisher,
                90,
                seat("room", Some(7)),
                NOW.after(Seconds::new(1)),
            ),
        ] {
            assert!(
                check(privileges, ttl, &seat, now).is_err(),
                "{privileges:?} {ttl} {seat:?}"
            );
        }
    }

    /// A token of the format itself, with one thing altered.
    fn check_altered(alter: impl FnOnce(&mut AccessToken007)) -> Result<(), String> {
        let config = Config::read(None).unwrap();
        let rtc = Service {
            privileges: Privileges::from([(1, 90)]),
            body: ServiceBody::Rtc {
                channel: "room".to_owned(),
                account: "7".to_owned(),
            },
        };
        let mut token = AccessToken007 {
            app_id: config.app_id.clone(),
            issue_ts: u32::try_from(NOW.unix()).unwrap(),
            expire: 90,
            salt: 1,
            services: vec![rtc],
        };
        alter(&mut token);
        let text = token
            .to_text(&config.app_certificate, Compression::Deflated)
            .unwrap();
        check_token(&text, &[1], 90, &seat("room", None), &config, NOW)
    }

    #[test]
    fn a_token_that_lasts_longer_or_lets_in_anybody_is_refused() {
        let account = |account: &str| {
            let account = account.to_owned();
            ServiceBody::Rtc {
                channel: "room".to_owned(),
                account,
            }
        };
        assert_eq!(check_altered(|_| {}), Ok(()));
        assert!(check_altered(|token| token.expire = 91).is_err());
        assert!(check_altered(|token| token.issue_ts -= 1).is_err());
        assert!(check_altered(|token| token.services[0].privileges = [(1, 0)].into()).is_err());
        assert!(check_altered(|token| token.services.extend(token.services.clone())).is_err());
        assert!(check_altered(|token| token.services[0].body = ServiceBody::Fpa).is_err());
        for wrong in ["", "0", "07", "-1", "4294967296", "alice"] {
            assert!(check_altered(|token| token.services[0].body = account(wrong)).is_err());
        }
        let other = AppId::parse(&"0".repeat(32)).unwrap();
        assert!(check_altered(|token| token.app_id = other).is_err());
    }
}
