//! Signatures, access tokens and media tokens against what the original made.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use miniz_oxide::inflate::decompress_to_vec_zlib;
use serde_json::Value;
use session_core::auth::{AccessClaims, InvalidToken, JwtKeys};
use session_core::crypto::{InvalidSignature, Secret, Signature, eip191};
use session_core::media::agora::{AgoraIssuer, AppCertificate, AppId, Duplicates, ReadToken};
use session_core::media::{Channel, MediaGrant, MediaTokenIssuer, MediaUid, Role, Ttl, raw_uid_of};
use session_core::types::{RoomId, Seconds, Timestamp, Wallet, encode_hex};

fn unit(section: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/golden-rooms.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    vectors["unit"][section].clone()
}

fn cases(section: &str) -> Vec<Value> {
    let cases = unit(section).as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("not a number: {value}"))
}

fn wallet(value: &Value) -> Wallet {
    text(value).parse().unwrap()
}

#[test]
fn a_signature_is_accepted_where_the_original_accepted_it() {
    for case in cases("signature_cases") {
        let is_valid = Signature::parse(text(&case["signature"])).is_ok_and(|signature| {
            eip191::signed_by(text(&case["message"]), &signature, wallet(&case["wallet"]))
        });
        assert_eq!(Value::from(is_valid), case["valid"], "{}", case["name"]);
    }
}

#[test]
fn the_recorded_high_twin_is_told_from_its_low_one() {
    let case = |name: &str| {
        let cases = cases("signature_cases");
        let case = cases.iter().find(|case| case["name"] == name).unwrap();
        Signature::parse(text(&case["signature"])).unwrap()
    };
    assert!(case("utf8 text, v 27/28").is_low_s());
    assert!(!case("high-s twin of the signature").is_low_s());
    assert_eq!(
        case("zero signature").recover(&[1; 32]),
        Err(InvalidSignature)
    );
}

fn jwt_keys(vector: &Value) -> JwtKeys {
    JwtKeys::new(Secret::new(text(&vector["secret"])), vec![]).unwrap()
}

#[test]
fn an_access_token_is_the_recorded_one_byte_for_byte() {
    let vector = unit("jwt");
    let now = Timestamp::from_unix(number(&vector["now"]));
    let claims = AccessClaims::issued_to(wallet(&vector["wallet"]), now);
    let token = jwt_keys(&vector).sign(&claims);
    assert_eq!(token, text(&vector["token"]));
    assert_eq!(jwt_keys(&vector).verify(&token, now), Ok(claims));
}

#[test]
fn the_recorded_token_is_valid_when_the_original_took_it() {
    let vector = unit("jwt");
    for case in cases("jwt_verify") {
        let now = Timestamp::from_unix(number(&case["now"]));
        let verified = jwt_keys(&vector).verify(text(&vector["token"]), now);
        assert_eq!(
            Value::from(verified.is_ok()),
            case["valid"],
            "{}",
            case["name"]
        );
        assert!(matches!(verified, Ok(_) | Err(InvalidToken::Expired)));
    }
}

#[test]
fn any_changed_character_of_the_recorded_token_is_refused() {
    let vector = unit("jwt");
    let keys = jwt_keys(&vector);
    let now = Timestamp::from_unix(number(&vector["now"]));
    let token = text(&vector["token"]);
    for index in 0..token.len() {
        for other in ["A", "B", "_", "=", ".", " "] {
            let mut changed = token.to_owned();
            changed.replace_range(index..=index, other);
            if changed != token {
                assert!(keys.verify(&changed, now).is_err(), "{changed}");
            }
        }
        assert!(keys.verify(&token[..index], now).is_err(), "{index}");
    }
}

#[test]
fn uids_are_derived_as_recorded() {
    for case in cases("agora_uid") {
        let wallet = wallet(&case["wallet"]);
        let raw = raw_uid_of(wallet);
        assert_eq!(u64::from(raw), number(&case["uid"]), "{wallet}");
        assert_eq!(MediaUid::derive(wallet), MediaUid::new(raw), "{wallet}");
    }
}

#[test]
fn channels_are_named_as_recorded() {
    for case in cases("channels") {
        let channel = Channel::parse(text(&case["channel"])).unwrap();
        if let Some(id) = case.get("free_room_id") {
            let room: RoomId = text(id).parse().unwrap();
            assert_eq!(Channel::free_room(room), channel);
        }
    }
}

/// A role by its recorded name, which is also how a grant is stored.
fn role(value: &Value) -> Role {
    serde_json::from_value(value.clone()).unwrap()
}

fn grant(case: &Value) -> MediaGrant {
    let narrow = |name: &str| u32::try_from(number(&case[name])).unwrap();
    assert_eq!(case["token_expire"], case["privilege_expire"]);
    MediaGrant {
        connection: None,
        channel: Channel::parse(text(&case["channel"])).unwrap(),
        uid: MediaUid::new(narrow("uid")).unwrap(),
        role: role(&case["role"]),
        issued_at: Timestamp::from_unix(number(&case["issue_ts"])),
        ttl: Ttl::new(Seconds::new(number(&case["token_expire"]))).unwrap(),
        salt: narrow("salt").try_into().unwrap(),
    }
}

fn inflated(token: &str) -> String {
    let packed = STANDARD.decode(token.strip_prefix("007").unwrap()).unwrap();
    encode_hex(&decompress_to_vec_zlib(&packed).unwrap())
}

#[test]
fn the_issuer_gives_the_bytes_of_the_reference_tokens() {
    for case in cases("agora_tokens") {
        let certificate = AppCertificate::parse(text(&case["app_certificate"])).unwrap();
        let app_id = AppId::parse(text(&case["app_id"])).unwrap();
        let grant = grant(&case);
        let token = AgoraIssuer::new(app_id, certificate.clone())
            .issue(&grant)
            .unwrap();
        assert_eq!(inflated(&token), text(&case["uncompressed_hex"]));
        let reference = text(&case["token_reference"]);
        assert_eq!(inflated(reference), text(&case["uncompressed_hex"]));

        let read = ReadToken::parse(reference, Duplicates::Refused).unwrap();
        assert_eq!(
            ReadToken::parse(&token, Duplicates::Refused),
            Ok(read.clone())
        );
        let last = grant.ends_at().before(Seconds::new(1));
        assert_eq!(read.verify(&certificate, last, Seconds::ZERO), Ok(()));
        assert!(
            read.verify(&certificate, grant.ends_at(), Seconds::ZERO)
                .is_err()
        );
    }
}
