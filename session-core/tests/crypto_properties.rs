//! What holds for every signature and every access token, and for every text that is none.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::*;
use session_core::auth::{AccessClaims, JwtKeys};
use session_core::crypto::{LocalSigner, Secret, Signature, eip191, hmac_sha256};
use session_core::types::{Timestamp, Wallet};

fn signer() -> impl Strategy<Value = LocalSigner> {
    any::<[u8; 32]>().prop_filter_map("a key of the group", |bytes| {
        LocalSigner::from_bytes(&bytes).ok()
    })
}

fn keys(secret: &[u8]) -> JwtKeys {
    JwtKeys::new(Secret::new(secret), Vec::new()).unwrap()
}

fn claims() -> impl Strategy<Value = AccessClaims> {
    (
        any::<[u8; 20]>(),
        0..=253_402_300_799_u64,
        0..=253_402_300_799_u64,
    )
        .prop_map(|(wallet, iat, exp)| AccessClaims {
            sub: Wallet::from_bytes(wallet),
            iat: Timestamp::from_unix(iat),
            exp: Timestamp::from_unix(exp),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_signature_recovers_to_its_signer_and_to_nobody_over_another_hash(
        signer in signer(),
        hash in any::<[u8; 32]>(),
        other in any::<[u8; 32]>(),
    ) {
        let signature = signer.sign_prehash(&hash);
        prop_assert!(signature.is_low_s());
        prop_assert_eq!(signature.recover(&hash), Ok(signer.wallet()));
        prop_assert_eq!(Signature::parse(&signature.to_string()), Ok(signature));
        prop_assume!(hash != other);
        prop_assert_ne!(signature.recover(&other), Ok(signer.wallet()));
    }

    #[test]
    fn a_personal_message_is_signed_whatever_it_says(signer in signer(), message in any::<String>()) {
        // Without white space around it, which does not count.
        let message = message.trim_matches(|c: char| c == '\u{feff}' || c.is_whitespace());
        let signature = signer.sign_prehash(&eip191::digest(message.as_bytes()));
        prop_assert!(eip191::signed_by(message, &signature, signer.wallet()));
        let [spaced, longer] = [format!("\n {message}\t"), format!("{message}x")];
        prop_assert!(eip191::signed_by(&spaced, &signature, signer.wallet()));
        prop_assert!(!eip191::signed_by(&longer, &signature, signer.wallet()));
    }

    #[test]
    fn recovering_any_numbers_ends(
        rs in any::<[[u8; 32]; 2]>(),
        v in prop::sample::select(vec![0, 1, 27, 28]),
        hash in any::<[u8; 32]>(),
    ) {
        let mut bytes = [v; 65];
        bytes[..32].copy_from_slice(&rs[0]);
        bytes[32..64].copy_from_slice(&rs[1]);
        let _ = Signature::from_bytes(bytes).unwrap().recover(&hash);
    }

    #[test]
    fn parsing_any_text_as_a_signature_ends(text in any::<String>(), digits in "0x[0-9a-g]{126,134}") {
        let _ = Signature::parse(&text);
        let _ = Signature::parse(&digits);
    }

    #[test]
    fn an_access_token_is_read_back_until_it_ends(
        secret in vec(any::<u8>(), 1..100),
        claims in claims(),
        now in any::<u64>(),
    ) {
        let token = keys(&secret).sign(&claims);
        let now = Timestamp::from_unix(now);
        let verified = keys(&secret).verify(&token, now);
        prop_assert_eq!(verified.ok(), (claims.exp >= now).then_some(claims));
    }

    #[test]
    fn another_key_verifies_no_access_token(
        right in vec(any::<u8>(), 1..100),
        wrong in vec(any::<u8>(), 1..100),
        claims in claims(),
    ) {
        // HMAC pads a key with zeros, so that one with more of them is the same key.
        let bare = |key: &[u8]| {
            let end = key.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            key[..end].to_vec()
        };
        prop_assume!(bare(&right) != bare(&wrong));
        let token = keys(&right).sign(&claims);
        prop_assert!(keys(&wrong).verify(&token, Timestamp::EPOCH).is_err());
    }

    #[test]
    fn verifying_any_text_as_an_access_token_ends(
        text in any::<String>(),
        parts in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{43}",
        bytes in vec(any::<u8>(), 0..200),
        json in "\\{(\"(alg|typ|sub|exp|iat)\":(\"HS256\"|[0-9]{1,30}|-1|null|\\[\\]),?){0,4}\\}",
    ) {
        let now = Timestamp::from_unix(1_760_000_000);
        prop_assert!(keys(b"key").verify(&text, now).is_err());
        prop_assert!(keys(b"key").verify(&parts, now).is_err());
        // Under a right MAC, so that what is inside is looked at.
        for inside in [&bytes[..], json.as_bytes()] {
            let part = URL_SAFE_NO_PAD.encode(inside);
            for header in [part.as_str(), "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"] {
                let signed = format!("{header}.{part}");
                let mac = URL_SAFE_NO_PAD.encode(hmac_sha256(b"key", signed.as_bytes()));
                let token = format!("{signed}.{mac}");
                prop_assert!(keys(b"key").verify(&token, now).is_err());
            }
        }
    }
}
