//! What holds for every Agora token, and for every text that is none.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core::num::NonZeroU32;
use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use session_core::media::agora::{
    AccessToken007, AgoraIssuer, AppCertificate, AppId, Compression, Duplicates, Permissions,
    Privileges, ReadToken, Service, ServiceBody,
};
use session_core::media::{Channel, MediaGrant, MediaTokenIssuer, MediaUid, Role, Ttl};
use session_core::types::{Seconds, Timestamp};

fn privileges() -> impl Strategy<Value = Privileges> {
    btree_map(any::<u16>(), any::<u32>(), 0..6)
}

fn permissions() -> impl Strategy<Value = Permissions> {
    let by_permission = btree_map(any::<u16>(), vec(any::<String>(), 0..3), 0..3);
    btree_map(any::<u16>(), by_permission, 0..3)
}

fn body() -> impl Strategy<Value = ServiceBody> {
    let pair = || (any::<String>(), any::<String>());
    prop_oneof![
        pair().prop_map(|(channel, account)| ServiceBody::Rtc { channel, account }),
        any::<String>().prop_map(|user_id| ServiceBody::Rtm { user_id }),
        pair().prop_map(|(channel, account)| ServiceBody::Streaming { channel, account }),
        Just(ServiceBody::Fpa),
        any::<String>().prop_map(|user_id| ServiceBody::Chat { user_id }),
        pair().prop_map(|(channel, account)| ServiceBody::Fcdn { channel, account }),
        (pair(), any::<i16>()).prop_map(|((room_uuid, user_uuid), role)| ServiceBody::Apaas {
            room_uuid,
            user_uuid,
            role,
        }),
        (any::<String>(), permissions()).prop_map(|(user_id, permissions)| ServiceBody::Rtm2 {
            user_id,
            permissions,
        }),
        Just(ServiceBody::ConvoAi),
        Just(ServiceBody::Stt),
    ]
}

fn service() -> impl Strategy<Value = Service> {
    (privileges(), body()).prop_map(|(privileges, body)| Service { privileges, body })
}

fn token() -> impl Strategy<Value = AccessToken007> {
    let numbers = any::<[u32; 3]>();
    ("[0-9a-fA-F]{32}", numbers, vec(service(), 1..8)).prop_map(
        |(app_id, [issue_ts, expire, salt], services)| AccessToken007 {
            app_id: AppId::parse(&app_id).unwrap(),
            issue_ts,
            expire,
            salt,
            services,
        },
    )
}

fn certificate() -> impl Strategy<Value = AppCertificate> {
    "[0-9a-fA-F]{32}".prop_map(|text| AppCertificate::parse(&text).unwrap())
}

fn grant() -> impl Strategy<Value = MediaGrant> {
    let channel = "[a-zA-Z0-9 !#$%&()+:;<=.>?@^_{}|~,-]{1,63}";
    let uid = any::<NonZeroU32>().prop_map(MediaUid::from);
    let role = prop_oneof![Just(Role::Publisher), Just(Role::Subscriber)];
    let ttl = (1..=86_400_u64).prop_map(|raw| Ttl::new(Seconds::new(raw)).unwrap());
    (channel, uid, role, any::<u32>(), ttl, any::<NonZeroU32>()).prop_map(
        |(channel, uid, role, issued_at, ttl, salt)| MediaGrant {
            connection: None,
            channel: Channel::parse(&channel).unwrap(),
            uid,
            role,
            issued_at: Timestamp::from_unix(u64::from(issued_at)),
            ttl,
            salt,
        },
    )
}

/// Reads in both modes, for tests that only ask that this ends well or badly, but ends.
fn read(text: &str) {
    for duplicates in [Duplicates::LastCounts, Duplicates::Refused] {
        let _ = ReadToken::parse(text, duplicates);
    }
}

proptest! {
    #[test]
    fn what_was_built_is_read_back(
        mut token in token(),
        certificate in certificate(),
        is_stored in any::<bool>(),
    ) {
        let compression = if is_stored { Compression::Stored } else { Compression::Deflated };
        let text = token.to_text(&certificate, compression).unwrap();
        let read = ReadToken::parse(&text, Duplicates::Refused).unwrap();
        prop_assert_eq!(read.verify_signature(&certificate), Ok(()));
        prop_assert_eq!(&read.app_id, token.app_id.as_str());
        prop_assert_eq!(read.issue_ts, token.issue_ts);
        prop_assert_eq!(read.expire, token.expire);
        prop_assert_eq!(read.salt, token.salt);
        token.services.sort_by_key(|service| service.body.type_number());
        prop_assert_eq!(&read.services, &token.services);
        prop_assert_eq!(read.trailing_bytes, Some(0));
        prop_assert!(!read.is_incomplete());
    }

    #[test]
    fn one_changed_byte_of_the_payload_ends_verification(
        token in token(),
        certificate in certificate(),
        index in any::<prop::sample::Index>(),
        flip in 1..=u8::MAX,
    ) {
        let mut payload = token.payload(&certificate).unwrap();
        *index.get_mut(&mut payload) ^= flip;
        let verified = ReadToken::from_payload(&payload, Duplicates::LastCounts)
            .map(|read| read.verify_signature(&certificate).is_ok());
        prop_assert_ne!(verified, Ok(true));
    }

    #[test]
    fn another_certificate_verifies_nothing(
        token in token(),
        right in "[0-9a-f]{32}",
        wrong in "[0-9a-f]{32}",
    ) {
        prop_assume!(right != wrong);
        let [right, wrong] = [right, wrong].map(|text| AppCertificate::parse(&text).unwrap());
        let payload = token.payload(&right).unwrap();
        let read = ReadToken::from_payload(&payload, Duplicates::Refused).unwrap();
        prop_assert!(read.verify_signature(&wrong).is_err());
    }

    #[test]
    fn the_order_in_which_services_are_added_matters_only_among_equals(
        mut token in token(),
        certificate in certificate(),
    ) {
        let given = token.payload(&certificate);
        token.services.sort_by_key(|service| service.body.type_number());
        prop_assert_eq!(token.payload(&certificate), given);
    }

    #[test]
    fn an_issued_token_says_what_was_granted_and_no_more(
        grant in grant(),
        app_id in "[0-9a-fA-F]{32}",
        certificate in certificate(),
    ) {
        let issuer = AgoraIssuer::new(AppId::parse(&app_id).unwrap(), certificate.clone());
        let text = issuer.issue(&grant).unwrap();
        prop_assert_eq!(&issuer.issue(&grant).unwrap(), &text);

        let read = ReadToken::parse(&text, Duplicates::Refused).unwrap();
        prop_assert_eq!(read.verify(&certificate, grant.issued_at, Seconds::ZERO), Ok(()));
        prop_assert_eq!(read.app_id, app_id);
        prop_assert_eq!(read.expire, grant.ttl.get());
        let granted: &[u16] = match grant.role {
            Role::Publisher => &[1, 2, 3, 4],
            Role::Subscriber => &[1],
        };
        let privileges = granted.iter().map(|&privilege| (privilege, grant.ttl.get())).collect();
        let body = ServiceBody::Rtc {
            channel: grant.channel.to_string(),
            account: grant.uid.get().to_string(),
        };
        prop_assert_eq!(read.services, [Service { privileges, body }]);
    }

    #[test]
    fn reading_any_text_ends(text in any::<String>(), encoded in "007[A-Za-z0-9+/]{0,200}={0,2}") {
        read(&text);
        read(&format!("007{text}"));
        read(&encoded);
    }

    #[test]
    fn reading_any_bytes_in_a_right_wrapping_ends(bytes in vec(any::<u8>(), 0..400)) {
        read(&format!("007{}", STANDARD.encode(&bytes)));
        read(&format!("007{}", STANDARD.encode(compress_to_vec_zlib(&bytes, 6))));
        let _ = ReadToken::from_payload(&bytes, Duplicates::LastCounts);
    }

    #[test]
    fn reading_a_damaged_token_ends(
        token in token(),
        certificate in certificate(),
        cut in any::<prop::sample::Index>(),
        junk in vec(any::<u8>(), 0..8),
    ) {
        let mut payload = token.payload(&certificate).unwrap();
        let start = cut.index(payload.len());
        let end = payload.len().min(start + junk.len());
        payload.splice(start..end, junk);
        read(&format!("007{}", STANDARD.encode(compress_to_vec_zlib(&payload, 1))));
        payload.truncate(start);
        let cut = ReadToken::from_payload(&payload, Duplicates::LastCounts);
        prop_assert!(cut.is_err());
    }
}

/// The largest payloads that are mostly services: the reader's memory stays in proportion.
#[test]
fn a_payload_full_of_the_smallest_services_is_read() {
    let count: u16 = 16_000;
    let mut payload = std::vec![0; 4];
    payload.extend_from_slice(&[0; 12]);
    payload.extend_from_slice(&count.to_le_bytes());
    for _ in 0..count {
        payload.extend_from_slice(&[4, 0, 0, 0]);
    }
    let read = ReadToken::from_payload(&payload, Duplicates::Refused).unwrap();
    assert_eq!(read.services.len(), usize::from(count));
    assert_eq!(read.trailing_bytes, Some(0));
}
