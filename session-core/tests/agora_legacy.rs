//! Agora tokens of version 006: what the vendor's own package built, what holds for every token,
//! and for every text that is none.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core::num::NonZeroU32;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;
use session_core::media::agora::{
    AccessToken006, Admission, AppCertificate, AppId, Duplicates, LegacyAgoraIssuer, Privileges,
    ReadToken006,
};
use session_core::media::{Channel, MediaGrant, MediaTokenIssuer, MediaUid, Role, Ttl};
use session_core::types::{Seconds, Timestamp, encode_hex};

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

#[test]
fn every_legacy_vector_gives_the_vendors_text_and_is_read_back() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/agora.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = vectors["legacy_006"].as_array().unwrap();
    assert_eq!(vectors["counts"]["legacy_006"], cases.len());
    for case in cases {
        let (id, input, expect) = (text(&case["id"]), &case["input"], &case["expect"]);
        let certificate = AppCertificate::parse(text(&input["app_certificate"])).unwrap();
        let privileges = input["privileges"].as_object().unwrap().iter();
        let token = AccessToken006 {
            app_id: AppId::parse(text(&input["app_id"])).unwrap(),
            admission: Admission {
                channel: text(&input["channel"]).to_owned(),
                account: text(&input["account"]).to_owned(),
            },
            salt: number(&input["salt"]),
            ts: number(&input["ts"]),
            privileges: privileges
                .map(|(key, value)| (key.parse().unwrap(), number(value)))
                .collect(),
        };
        assert_eq!(
            token.to_text(&certificate).unwrap(),
            text(&expect["token"]),
            "{id}"
        );
        assert_eq!(
            encode_hex(&token.message().unwrap()),
            text(&expect["message_hex"]),
            "{id}"
        );
        assert_eq!(
            encode_hex(&token.signature(&certificate).unwrap()),
            text(&expect["signature_hex"]),
            "{id}"
        );

        let read = ReadToken006::parse(text(&expect["token"]), Duplicates::Refused).unwrap();
        assert_eq!(read.channel_crc32, number(&expect["crc32_channel"]), "{id}");
        assert_eq!(read.account_crc32, number(&expect["crc32_account"]), "{id}");
        assert_read_back(&read, &token);
        let verified = read.verify_signature(&certificate, &token.admission);
        assert_eq!(verified, Ok(()), "{id}");
    }
}

fn assert_read_back(read: &ReadToken006, token: &AccessToken006) {
    assert_eq!(read.app_id, token.app_id.as_str());
    assert_eq!((read.salt, read.ts), (token.salt, token.ts));
    assert_eq!(read.privileges, token.privileges);
    assert_eq!(read.trailing_bytes, 0);
}

fn token() -> impl Strategy<Value = AccessToken006> {
    let privileges = btree_map(any::<u16>(), any::<u32>(), 0..6);
    let admission = (any::<String>(), any::<String>());
    ("[0-9a-fA-F]{32}", any::<[u32; 2]>(), admission, privileges).prop_map(
        |(app_id, [salt, ts], (channel, account), privileges)| AccessToken006 {
            app_id: AppId::parse(&app_id).unwrap(),
            admission: Admission { channel, account },
            salt,
            ts,
            privileges,
        },
    )
}

fn certificate() -> impl Strategy<Value = AppCertificate> {
    "[0-9a-fA-F]{32}".prop_map(|text| AppCertificate::parse(&text).unwrap())
}

fn grant() -> impl Strategy<Value = MediaGrant> {
    let role = prop_oneof![Just(Role::Publisher), Just(Role::Subscriber)];
    let numbers = (any::<NonZeroU32>(), 0..=4_294_880_895_u64, 1..=86_400_u64);
    ("[a-z0-9-]{1,63}", role, numbers, any::<NonZeroU32>()).prop_map(
        |(channel, role, (uid, issued_at, ttl), salt)| MediaGrant {
            connection: None,
            channel: Channel::parse(&channel).unwrap(),
            uid: MediaUid::from(uid),
            role,
            issued_at: Timestamp::from_unix(issued_at),
            ttl: Ttl::new(Seconds::new(ttl)).unwrap(),
            salt,
        },
    )
}

proptest! {
    #[test]
    fn what_was_built_is_read_back(token in token(), certificate in certificate()) {
        let text = token.to_text(&certificate).unwrap();
        prop_assert_eq!(&token.to_text(&certificate).unwrap(), &text);
        let read = ReadToken006::parse(&text, Duplicates::Refused).unwrap();
        assert_read_back(&read, &token);
        prop_assert_eq!(read.verify_signature(&certificate, &token.admission), Ok(()));
        let before = Timestamp::from_unix(u64::from(token.ts).saturating_sub(1));
        let is_valid = read.verify(&certificate, &token.admission, before).is_ok();
        prop_assert_eq!(is_valid, token.ts > 0);
    }

    #[test]
    fn one_changed_byte_ends_verification(
        token in token(),
        certificate in certificate(),
        index in any::<prop::sample::Index>(),
        flip in 1..=u8::MAX,
    ) {
        let text = token.to_text(&certificate).unwrap();
        // The project, which stands as it is, and then what the base64 holds.
        let (head, encoded) = text.split_at(35);
        let mut bytes = [head.as_bytes(), &STANDARD.decode(encoded).unwrap()].concat();
        *index.get_mut(&mut bytes) ^= flip;
        let (head, content) = bytes.split_at(35);
        let verified = std::str::from_utf8(head).is_ok_and(|head| {
            let text = format!("{head}{}", STANDARD.encode(content));
            ReadToken006::parse(&text, Duplicates::LastCounts)
                .is_ok_and(|read| read.verify_signature(&certificate, &token.admission).is_ok())
        });
        prop_assert!(!verified);
    }

    #[test]
    fn another_channel_account_or_certificate_verifies_nothing(
        token in token(),
        [right, wrong] in [certificate(), certificate()],
        other in "[a-z]{1,8}",
    ) {
        let text = token.to_text(&right).unwrap();
        let read = ReadToken006::parse(&text, Duplicates::Refused).unwrap();
        let Admission { channel, account } = token.admission.clone();
        for admission in [
            Admission { channel: format!("{channel}{other}"), account: account.clone() },
            Admission { channel: channel.clone(), account: format!("{account}{other}") },
        ] {
            prop_assert!(read.verify_signature(&right, &admission).is_err());
        }
        // Two draws of 32 digits are never the same.
        prop_assert!(read.verify_signature(&wrong, &token.admission).is_err());
    }

    #[test]
    fn an_issued_token_says_what_was_granted_and_no_more(
        grant in grant(),
        app_id in "[0-9a-fA-F]{32}",
        certificate in certificate(),
    ) {
        let issuer = LegacyAgoraIssuer::new(AppId::parse(&app_id).unwrap(), certificate.clone());
        let text = issuer.issue(&grant).unwrap();
        let read = ReadToken006::parse(&text, Duplicates::Refused).unwrap();
        let admission = Admission {
            channel: grant.channel.to_string(),
            account: grant.uid.get().to_string(),
        };
        prop_assert_eq!(read.verify(&certificate, &admission, grant.issued_at), Ok(()));
        prop_assert!(read.verify(&certificate, &admission, grant.ends_at()).is_err());
        let granted: &[u16] = match grant.role {
            Role::Publisher => &[1, 2, 3, 4],
            Role::Subscriber => &[1],
        };
        let privileges: Privileges = granted.iter().map(|&one| (one, read.ts)).collect();
        prop_assert_eq!(&read.privileges, &privileges);
        prop_assert_eq!(u64::from(read.ts), grant.ends_at().unix());
    }

    #[test]
    fn reading_any_text_ends(
        text in any::<String>(),
        encoded in "006[0-9a-f]{32}[A-Za-z0-9+/]{0,200}={0,2}",
        bytes in vec(any::<u8>(), 0..400),
    ) {
        for duplicates in [Duplicates::LastCounts, Duplicates::Refused] {
            let wrapped = format!("006{}{}", "a".repeat(32), STANDARD.encode(&bytes));
            for text in [&text, &format!("006{text}"), &encoded, &wrapped] {
                let _ = ReadToken006::parse(text, duplicates);
            }
        }
    }
}
