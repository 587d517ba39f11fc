//! Agora tokens against what the vendor's own packages built, read and verified.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::Value;
use session_core::media::agora::{
    AccessToken007, AgoraIssuer, AppCertificate, AppId, BuildError, Compression, Duplicates,
    PAYLOAD_MAX_BYTES, Permissions, Privileges, ReadToken, Service, ServiceBody, VerifyError,
};
use session_core::media::{Channel, InvalidChannel, MediaUid, Ttl};
use session_core::types::{Seconds, Timestamp, encode_hex};

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/agora.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The cases of a section, which must be as many as the file itself counts.
fn cases(section: &str) -> Vec<Value> {
    let vectors = vectors();
    let cases = vectors[section].as_array().unwrap().clone();
    assert_eq!(vectors["counts"][section], cases.len());
    cases
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
}

fn number<N: TryFrom<i64>>(value: &Value) -> N
where
    N::Error: std::fmt::Debug,
{
    N::try_from(
        value
            .as_i64()
            .unwrap_or_else(|| panic!("not a number: {value}")),
    )
    .unwrap()
}

fn by_number<V>(value: &Value, read: impl Fn(&Value) -> V) -> std::collections::BTreeMap<u16, V> {
    let members = value.as_object().unwrap().iter();
    members
        .map(|(key, value)| (key.parse().unwrap(), read(value)))
        .collect()
}

fn service(input: &Value) -> Service {
    let member = |name: &str| text(&input[name]).to_owned();
    let privileges: Privileges = by_number(&input["privileges"], number);
    let body = match text(&input["name"]) {
        "rtc" => ServiceBody::Rtc {
            channel: member("channel"),
            account: member("account"),
        },
        "rtm" => ServiceBody::Rtm {
            user_id: member("user_id"),
        },
        "streaming" => ServiceBody::Streaming {
            channel: member("channel"),
            account: member("account"),
        },
        "fpa" => ServiceBody::Fpa,
        "chat" => ServiceBody::Chat {
            user_id: member("user_id"),
        },
        "fcdn" => ServiceBody::Fcdn {
            channel: member("channel"),
            account: member("account"),
        },
        "apaas" => ServiceBody::Apaas {
            room_uuid: member("room_uuid"),
            user_uuid: member("user_uuid"),
            role: number(&input["role"]),
        },
        "rtm2" => ServiceBody::Rtm2 {
            user_id: member("user_id"),
            permissions: permissions(&input["permissions"]),
        },
        other => panic!("a service that this test does not know: {other}"),
    };
    assert_eq!(number::<u16>(&input["type"]), body.type_number());
    Service { privileges, body }
}

fn permissions(input: &Value) -> Permissions {
    let names = |value: &Value| {
        let names = value.as_array().unwrap().iter();
        names.map(|name| text(name).to_owned()).collect()
    };
    by_number(input, |resource| by_number(resource, names))
}

fn services(input: &Value) -> Vec<Service> {
    input.as_array().unwrap().iter().map(service).collect()
}

fn token(input: &Value) -> AccessToken007 {
    AccessToken007 {
        app_id: AppId::parse(text(&input["app_id"])).unwrap(),
        issue_ts: number(&input["issue_ts"]),
        expire: number(&input["expire"]),
        salt: number(&input["salt"]),
        services: services(&input["services"]),
    }
}

fn certificate(input: &Value) -> AppCertificate {
    AppCertificate::parse(text(&input["app_certificate"])).unwrap()
}

fn assert_read_back(read: &ReadToken, token: &AccessToken007, id: &str) {
    assert_eq!(read.app_id, token.app_id.as_str(), "{id}");
    assert_eq!(read.issue_ts, token.issue_ts, "{id}");
    assert_eq!(read.expire, token.expire, "{id}");
    assert_eq!(read.salt, token.salt, "{id}");
    assert_eq!(read.services, token.services, "{id}");
    assert_eq!(
        usize::from(read.service_count),
        token.services.len(),
        "{id}"
    );
    assert_eq!(read.unknown_service_type, None, "{id}");
    assert_eq!(read.trailing_bytes, Some(0), "{id}");
}

#[test]
fn every_build_vector_gives_the_vendors_bytes() {
    for case in cases("build") {
        let id = text(&case["id"]);
        let (token, certificate) = (token(&case["input"]), certificate(&case["input"]));
        let expect = |name: &str| text(&case["expect"][name]).to_owned();
        let key = token.signing_key(&certificate);
        assert_eq!(encode_hex(&*key), expect("signing_key_hex"), "{id}");
        let info = token.signing_info().unwrap();
        assert_eq!(encode_hex(&info), expect("signing_info_hex"), "{id}");
        let signature = token.signature(&certificate).unwrap();
        assert_eq!(encode_hex(&signature), expect("signature_hex"), "{id}");
        let payload = token.payload(&certificate).unwrap();
        assert_eq!(encode_hex(&payload), expect("inflated_hex"), "{id}");
    }
}

#[test]
fn every_token_of_the_vendor_is_read_and_verified() {
    for case in cases("build") {
        let id = text(&case["id"]);
        let example = text(&case["expect"]["example_token"]);
        let read = ReadToken::parse(example, Duplicates::Refused).unwrap();
        assert_read_back(&read, &token(&case["input"]), id);
        let issued = Timestamp::from_unix(u64::from(read.issue_ts));
        let verified = read.verify(&certificate(&case["input"]), issued, Seconds::ZERO);
        assert_eq!(verified, Ok(()), "{id}");
    }
}

#[test]
fn either_compression_is_read_as_the_same_token() {
    for case in cases("build") {
        let id = text(&case["id"]);
        let (token, certificate) = (token(&case["input"]), certificate(&case["input"]));
        for compression in [Compression::Deflated, Compression::Stored] {
            let text = token.to_text(&certificate, compression).unwrap();
            let read = ReadToken::parse(&text, Duplicates::Refused).unwrap();
            assert_read_back(&read, &token, id);
            assert_eq!(read.verify_signature(&certificate), Ok(()), "{id}");
        }
    }
}

#[test]
fn every_parse_vector_meets_its_expectation() {
    for case in cases("parse") {
        let id = text(&case["id"]);
        let read = ReadToken::parse(text(&case["token"]), Duplicates::LastCounts);
        assert_eq!(
            Value::from(read.is_ok()),
            case["expect"]["parsed"],
            "{id}: {read:?}"
        );
        let Ok(read) = read else { continue };
        let verified = read.verify_signature(&certificate(&case));
        let is_valid = &case["expect"]["signature_valid"];
        assert_eq!(
            &Value::from(verified.is_ok()),
            is_valid,
            "{id}: {verified:?}"
        );
        if id == "app-id-5-chars" {
            assert_eq!(verified, Err(VerifyError::AppId), "the arithmetic is right");
        }
        if let Some(fields) = case["expect"].get("fields") {
            assert_fields(&read, fields, id);
        }
    }
}

fn assert_fields(read: &ReadToken, fields: &Value, id: &str) {
    assert_eq!(read.app_id, text(&fields["app_id"]), "{id}");
    assert_eq!(read.issue_ts, number::<u32>(&fields["issue_ts"]), "{id}");
    assert_eq!(read.expire, number::<u32>(&fields["expire"]), "{id}");
    assert_eq!(read.salt, number::<u32>(&fields["salt"]), "{id}");
    assert_eq!(read.services, services(&fields["services"]), "{id}");
    assert_eq!(
        read.service_count,
        number::<u16>(&fields["service_count"]),
        "{id}"
    );
    assert_eq!(
        Value::from(read.trailing_bytes),
        fields["trailing_bytes"],
        "{id}"
    );
    let unknown = fields.get("unknown_service_type").map(number::<u16>);
    assert_eq!(read.unknown_service_type, unknown, "{id}");
    let is_truncated = fields.get("services_truncated") == Some(&Value::Bool(true));
    assert_eq!(read.is_incomplete(), is_truncated, "{id}");
}

#[test]
fn strict_reading_refuses_the_duplicated_privilege_and_nothing_else() {
    for case in cases("parse") {
        let id = text(&case["id"]);
        let lenient = ReadToken::parse(text(&case["token"]), Duplicates::LastCounts);
        let strict = ReadToken::parse(text(&case["token"]), Duplicates::Refused);
        if id == "privilege-duplicated" {
            assert!(strict.is_err());
        } else {
            assert_eq!(strict, lenient, "{id}");
        }
    }
}

#[test]
fn every_invalid_build_vector_is_answered_as_required() {
    const GOOD: &str = "970ca35de60c44645bbae8a215061b33";
    let ttl = |raw| Ttl::new(Seconds::new(raw));
    let with_channel = |length: usize| {
        let services = vec![Service {
            privileges: Privileges::from([(1, 60)]),
            body: ServiceBody::Rtc {
                channel: "a".repeat(length),
                account: "1".to_owned(),
            },
        }];
        low_level(services)
    };
    for case in cases("invalid_build") {
        let id = text(&case["id"]);
        let required = text(&case["required"]);
        match id {
            "app-id-31" => assert!(AppId::parse(&GOOD[1..]).is_err()),
            "app-id-33" => assert!(AppId::parse(&format!("{GOOD}0")).is_err()),
            "app-id-nonhex" => assert!(AppId::parse(&format!("{}g", &GOOD[1..])).is_err()),
            "app-id-newline" => assert!(AppId::parse(&format!("{GOOD}\n")).is_err()),
            "app-id-upper" => {
                assert_eq!(required, "accept, keep the case as given");
                let upper = GOOD.to_uppercase();
                assert_eq!(AppId::parse(&upper).unwrap().as_str(), upper);
                continue;
            }
            "cert-empty" => assert!(AppCertificate::parse("").is_err()),
            "cert-31" => assert!(AppCertificate::parse(&GOOD[1..]).is_err()),
            "cert-nonhex" => assert!(AppCertificate::parse(&format!("z{}", &GOOD[1..])).is_err()),
            // A ttl is an integer without a sign, in memory and where it is read.
            "ttl-negative" => assert!(serde_json::from_str::<Ttl>("-1").is_err()),
            "ttl-2^32" => assert!(ttl(1 << 32).is_err()),
            "ttl-fraction" => {
                assert_eq!(
                    required,
                    "n/a: integer type; the official one drops the fraction"
                );
                assert!(serde_json::from_str::<Ttl>("60.7").is_err());
                continue;
            }
            "uid-negative" => assert!(serde_json::from_str::<MediaUid>("-1").is_err()),
            "channel-65536" => {
                assert_eq!(Channel::parse(&"a".repeat(65_536)), Err(InvalidChannel));
                assert_eq!(with_channel(65_536), Err(BuildError::TextTooLong));
            }
            "channel-65535" => {
                assert_eq!(Channel::parse(&"a".repeat(65_535)), Err(InvalidChannel));
                assert_eq!(with_channel(65_535), Err(BuildError::PayloadTooLong));
            }
            "no-services" => assert_eq!(low_level(vec![]), Err(BuildError::NoServices)),
            other => panic!("a case that this test does not know: {other}"),
        }
        assert!(required.starts_with("error"), "{id}: {required}");
    }
}

fn low_level(services: Vec<Service>) -> Result<String, BuildError> {
    AccessToken007 {
        app_id: AppId::parse("970ca35de60c44645bbae8a215061b33").unwrap(),
        issue_ts: 1_700_000_000,
        expire: 60,
        salt: 1,
        services,
    }
    .to_text(
        &AppCertificate::parse("5cfd2fd1755d40ecb72977518be15d3b").unwrap(),
        Compression::Deflated,
    )
}

/// Cases tagged as misuse or over the limits can be packed, and cannot be asked of the issuer.
#[test]
fn misuse_that_the_format_allows_cannot_be_granted() {
    let mut seen = Vec::new();
    for case in cases("build") {
        let id = text(&case["id"]).to_owned();
        let tags = case["tags"].as_array().unwrap();
        let is_misuse = ["misuse", "over-limit"]
            .map(Value::from)
            .iter()
            .any(|tag| tags.contains(tag));
        let input = &case["input"]["services"][0];
        match id.as_str() {
            "rtc-channel-unicode" | "rtc-channel-star" => {
                assert!(Channel::parse(text(&input["channel"])).is_err());
            }
            // The issuer takes one life, which it gives to the token and to every privilege.
            "rtc-privilege-0" | "rtc-privilege-mixed-0" => {
                assert!(Ttl::new(Seconds::ZERO).is_err());
            }
            "rtc-expire-u32max" => {
                assert!(Ttl::new(Seconds::new(number(&case["input"]["expire"]))).is_err());
            }
            "rtc-uid-0" | "rtc-account-empty" => assert_eq!(MediaUid::new(0), None),
            _ => {
                assert!(!is_misuse, "a misuse that this test does not know: {id}");
                continue;
            }
        }
        seen.push(id);
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}

#[test]
fn the_longest_payload_of_the_vectors_is_far_from_the_limit() {
    let longest = cases("build")
        .iter()
        .map(|case| text(&case["expect"]["inflated_hex"]).len() / 2)
        .max()
        .unwrap();
    assert!(longest > 1024, "{longest}");
    assert!(longest < PAYLOAD_MAX_BYTES / 4, "{longest}");
}

#[test]
fn the_certificate_of_a_vector_is_in_no_debug_output() {
    for case in cases("build") {
        let secret = text(&case["input"]["app_certificate"]);
        let certificate = certificate(&case["input"]);
        let issuer = AgoraIssuer::new(token(&case["input"]).app_id, certificate.clone());
        for shown in [format!("{certificate:?}"), format!("{issuer:#?}")] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
