//! LiveKit tokens: what the vendor's own package signed, what holds for every token, and for every
//! text that is none.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::num::NonZeroU32;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use session_core::crypto::hmac_sha256;
use session_core::media::livekit::{
    ApiCredentials, ApiKey, ApiKeys, ApiSecret, BuildError, LiveKitIssuer, SDK_DEFAULT_TTL,
    ServerUrl, TokenClaims, TrackSource, VerifyError, VideoGrant,
};
use session_core::media::{Channel, MediaGrant, MediaTokenIssuer, MediaUid, Role, Ttl};
use session_core::types::{Seconds, Timestamp};

fn vectors(section: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/livekit.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    vectors[section].as_array().unwrap().clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn pair(key: &str, secret: &str) -> ApiCredentials {
    ApiCredentials {
        key: ApiKey::parse(key).unwrap(),
        secret: ApiSecret::parse(secret).unwrap(),
    }
}

fn ttl(seconds: u64) -> Ttl {
    Ttl::new(Seconds::new(seconds)).unwrap()
}

/// What the input of a case says, by the format. Two cases set what their input does not name.
fn claims(case: &Value) -> TokenClaims {
    let input = &case["input"];
    let options = &input["options"];
    let life = match &options["ttl"] {
        // What the vendor's package makes of no life, and of none at all.
        Value::Null => SDK_DEFAULT_TTL,
        Value::Number(number) if number.as_u64() == Some(0) => SDK_DEFAULT_TTL,
        Value::String(text) if text == "10m" => ttl(600),
        number => ttl(number.as_u64().unwrap()),
    };
    let now = Timestamp::from_unix(input["now"].as_u64().unwrap());
    let key = ApiKey::parse(text(&input["api_key"])).unwrap();
    let mut claims = TokenClaims::new(key, now, life);
    let optional = |value: &Value| value.as_str().map(ToOwned::to_owned);
    claims.sub = optional(&options["identity"]);
    claims.name = optional(&options["name"]);
    claims.metadata = optional(&options["metadata"]);
    if let Some(attributes) = options["attributes"].as_object() {
        let attributes = attributes.iter();
        claims.attributes = attributes
            .map(|(name, value)| (name.clone(), text(value).to_owned()))
            .collect();
    }
    if let Some(video) = input.get("video") {
        claims.video = Some(serde_json::from_value(video.clone()).unwrap());
    }
    claims.kind = optional(&case["expect"]["claims"]["kind"]);
    claims.sha256 = optional(&case["expect"]["claims"]["sha256"]);
    claims
}

#[test]
fn every_token_vector_gives_the_vendors_header_and_claims() {
    let cases = vectors("tokens");
    assert_eq!(cases.len(), 20);
    for case in &cases {
        let (id, input) = (text(&case["id"]), &case["input"]);
        let credentials = pair(text(&input["api_key"]), text(&input["api_secret"]));
        let claims = claims(case);
        let signed = claims.sign(&credentials.secret);
        if case.get("official_error").is_some() {
            assert_eq!(signed, Err(BuildError::NoIdentity), "{id}");
            continue;
        }
        let token = signed.unwrap();
        let part = |index| -> Value {
            let part = token.split('.').nth(index).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let expect = &case["expect"];
        assert_eq!(
            [part(0), part(1)],
            [expect["header"].clone(), expect["claims"].clone()]
        );

        let keys = ApiKeys::new(vec![credentials]).unwrap();
        let now = Timestamp::from_unix(input["now"].as_u64().unwrap());
        for token in [&token, text(&expect["jwt"])] {
            let verified = keys.verify(token, now, Seconds::ZERO);
            assert_eq!(verified.as_ref(), Ok(&claims), "{id}");
        }
    }
}

#[test]
fn every_verify_vector_is_accepted_or_refused_as_recorded() {
    let cases = vectors("verify");
    assert_eq!(cases.len(), 12);
    for case in &cases {
        let id = text(&case["id"]);
        let credentials = pair(text(&case["api_key"]), text(&case["api_secret"]));
        let keys = ApiKeys::new(vec![credentials]).unwrap();
        let now = Timestamp::from_unix(case["verify_at"].as_u64().unwrap());
        for (leeway, verdict) in [(0, "expect_strict"), (60, "livekit_server")] {
            let verified = keys.verify(text(&case["token"]), now, Seconds::new(leeway));
            let is_accepted = text(&case[verdict]).starts_with("accept");
            assert_eq!(verified.is_ok(), is_accepted, "{id}: {verified:?}");
        }
    }
}

fn issuer() -> LiveKitIssuer {
    LiveKitIssuer::new(
        pair("APIkey", "secret"),
        ServerUrl::parse("wss://media.example").unwrap(),
    )
}

fn verify(token: &str, now: Timestamp) -> Result<TokenClaims, VerifyError> {
    ApiKeys::new(vec![pair("APIkey", "secret")])
        .unwrap()
        .verify(token, now, Seconds::ZERO)
}

fn video() -> impl Strategy<Value = VideoGrant> {
    let texts = option::of(any::<[String; 2]>());
    let sources = vec(
        prop::sample::select(vec![
            TrackSource::Camera,
            TrackSource::Microphone,
            TrackSource::ScreenShare,
            TrackSource::ScreenShareAudio,
        ]),
        0..5,
    );
    (texts, any::<[Option<bool>; 12]>(), sources).prop_map(|(texts, flags, sources)| {
        let mut video = VideoGrant::default();
        [video.room, video.destination_room] =
            texts.map(|texts| texts.map(Some)).unwrap_or_default();
        video.can_publish_sources = sources;
        [
            video.room_join,
            video.can_publish,
            video.can_subscribe,
            video.can_publish_data,
            video.can_update_own_metadata,
            video.hidden,
            video.recorder,
            video.room_admin,
            video.room_create,
            video.room_list,
            video.room_record,
            video.ingress_admin,
        ] = flags;
        video
    })
}

fn any_claims() -> impl Strategy<Value = TokenClaims> {
    let life = (1..=253_402_200_000_u64, 1..=86_400_u64);
    let texts = any::<[Option<String>; 5]>();
    let attributes = btree_map(any::<String>(), any::<String>(), 0..4);
    ("[!-~]{1,40}", life, texts, attributes, option::of(video())).prop_map(
        |(key, (issued_at, life), texts, attributes, video)| {
            let key = ApiKey::parse(&key).unwrap();
            let mut claims = TokenClaims::new(key, Timestamp::from_unix(issued_at), ttl(life));
            [
                claims.jti,
                claims.name,
                claims.metadata,
                claims.kind,
                claims.sha256,
            ] = texts;
            claims.sub = Some("somebody".to_owned());
            claims.attributes = attributes;
            claims.video = video;
            claims
        },
    )
}

fn grant() -> impl Strategy<Value = MediaGrant> {
    let role = prop_oneof![Just(Role::Publisher), Just(Role::Subscriber)];
    let numbers = (any::<NonZeroU32>(), 1..=253_402_200_000_u64, 1..=86_400_u64);
    ("[a-zA-Z0-9 !#$%&()+:;<=.>?@^_{}|~,-]{1,63}", role, numbers).prop_map(
        |(channel, role, (uid, issued_at, life))| MediaGrant {
            connection: None,
            channel: Channel::parse(&channel).unwrap(),
            uid: MediaUid::from(uid),
            role,
            issued_at: Timestamp::from_unix(issued_at),
            ttl: ttl(life),
            salt: NonZeroU32::MIN,
        },
    )
}

proptest! {
    #[test]
    fn what_was_signed_is_read_back_until_it_ends(
        claims in any_claims(),
        secret in "[!-~]{1,80}",
        now in any::<u64>(),
    ) {
        let credentials = pair(claims.iss.as_str(), &secret);
        let token = claims.sign(&credentials.secret).unwrap();
        prop_assert_eq!(&claims.sign(&credentials.secret).unwrap(), &token);
        let keys = ApiKeys::new(vec![credentials]).unwrap();
        let issued_at = claims.nbf.unwrap();
        let verified = keys.verify(&token, issued_at, Seconds::ZERO);
        prop_assert_eq!(verified.as_ref(), Ok(&claims));
        let now = Timestamp::from_unix(now);
        let is_within = issued_at <= now && now < claims.exp;
        prop_assert_eq!(keys.verify(&token, now, Seconds::ZERO).is_ok(), is_within);
    }

    #[test]
    fn one_changed_byte_ends_verification(
        claims in any_claims(),
        index in any::<prop::sample::Index>(),
        other in any::<char>(),
    ) {
        let credentials = pair(claims.iss.as_str(), "secret");
        let token = claims.sign(&credentials.secret).unwrap();
        let keys = ApiKeys::new(vec![credentials]).unwrap();
        let at = index.index(token.len());
        prop_assume!(!token[at..].starts_with(other));
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        let cut = format!("{}{}", &token[..at], &token[at + 1..]);
        for text in [&changed, &cut, &token[..at], &format!("{token}{other}")] {
            prop_assert!(keys.verify(text, claims.nbf.unwrap(), Seconds::ZERO).is_err());
        }
    }

    #[test]
    fn another_secret_verifies_nothing(
        claims in any_claims(),
        [right, wrong] in ["[!-~]{1,80}", "[!-~]{1,80}"],
    ) {
        prop_assume!(right != wrong);
        let token = claims.sign(&pair("key", &right).secret).unwrap();
        let keys = ApiKeys::new(vec![pair(claims.iss.as_str(), &wrong)]).unwrap();
        let verified = keys.verify(&token, claims.nbf.unwrap(), Seconds::ZERO);
        prop_assert_eq!(verified, Err(VerifyError::Signature));
    }

    #[test]
    fn an_issued_token_says_what_was_granted_and_no_more(grant in grant()) {
        let token = issuer().issue(&grant).unwrap();
        prop_assert_eq!(&issuer().issue(&grant).unwrap(), &token);
        let claims = verify(&token, grant.issued_at).unwrap();
        prop_assert!(verify(&token, grant.ends_at()).is_err());
        let uid = grant.uid.get().to_string();
        prop_assert_eq!(claims.identity(), Some(uid.as_str()));
        prop_assert_eq!(issuer().endpoint(&grant).unwrap().identity, uid);
        prop_assert_eq!((claims.nbf, claims.exp), (Some(grant.issued_at), grant.ends_at()));

        // As JSON, in which nothing is by default.
        let payload = token.split('.').nth(1).unwrap();
        let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
        let said: Value = serde_json::from_slice(&payload).unwrap();
        let mut video = json!({
            "room": grant.channel,
            "roomJoin": true,
            "canPublish": grant.role == Role::Publisher,
            "canSubscribe": true,
            "canPublishData": grant.role == Role::Publisher,
        });
        if grant.role == Role::Publisher {
            video["canPublishSources"] = json!(["microphone"]);
        }
        prop_assert_eq!(&said["video"], &video);
        prop_assert_eq!(said.as_object().unwrap().len(), 5);
    }

    #[test]
    fn verifying_any_text_ends(
        text in any::<String>(),
        parts in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{43}",
        bytes in vec(any::<u8>(), 0..200),
        json in "\\{(\"(iss|exp|nbf|sub|video)\":(\"APIkey\"|[0-9]{1,30}|-1|null|\\[\\]),?){0,4}\\}",
    ) {
        let now = Timestamp::MAX;
        prop_assert!(verify(&text, now).is_err());
        prop_assert!(verify(&parts, now).is_err());
        // Under a right MAC, so that what is inside is looked at.
        for inside in [&bytes[..], json.as_bytes()] {
            let part = URL_SAFE_NO_PAD.encode(inside);
            for header in [part.as_str(), "eyJhbGciOiJIUzI1NiJ9"] {
                let signed = format!("{header}.{part}");
                let mac = URL_SAFE_NO_PAD.encode(hmac_sha256(b"secret", signed.as_bytes()));
                let token = format!("{signed}.{mac}");
                prop_assert!(verify(&token, now).is_err());
            }
        }
    }
}
