//! What the core itself costs, without a store or a server.
//!
//! Read ratios within one run, never figures of two runs: machines are shared and noisy.
//! `token/hmacs` is the raw counterpart of `token/build_stored`: the three keyed hashes that the
//! format needs, and nothing else.

use std::hint::black_box;
use std::num::NonZeroU32;

use criterion::{Criterion, criterion_group, criterion_main};
use session_core::auth::{AccessClaims, JwtKeys};
use session_core::crypto::{LocalSigner, Secret, eip191, hmac_sha256};
use session_core::media::agora::{AgoraIssuer, AppCertificate, AppId};
use session_core::media::{Channel, MediaGrant, MediaTokenIssuer, MediaUid, Role, Ttl};
use session_core::types::{Timestamp, Wallet};

const CERTIFICATE: &str = "5cfd2fd1755d40ecb72977518be15d3b";

fn tokens(c: &mut Criterion) {
    let (Ok(id), Ok(certificate), Ok(channel), Some(uid)) = (
        AppId::parse("970ca35de60c44645bbae8a215061b33"),
        AppCertificate::parse(CERTIFICATE),
        Channel::parse("heaven-free-3e5c3c36-6c0e-4f8e-8f0e-0a1b2c3d4e5f"),
        MediaUid::new(57005),
    ) else {
        return;
    };
    let issuer = AgoraIssuer::new(id, certificate);
    let grant = MediaGrant {
        channel,
        uid,
        role: Role::Publisher,
        issued_at: Timestamp::from_unix(1_700_000_000),
        ttl: Ttl::FREE_ROOM,
        salt: NonZeroU32::MIN,
    };
    let mut group = c.benchmark_group("token");
    group.bench_function("issue", |b| b.iter(|| issuer.issue(black_box(&grant))));
    group.bench_function("hmacs", |b| {
        let signing_info = [7; 140];
        b.iter(|| {
            let first = hmac_sha256(&1_700_000_000u32.to_le_bytes(), CERTIFICATE.as_bytes());
            let second = hmac_sha256(&1u32.to_le_bytes(), &first);
            hmac_sha256(&second, black_box(&signing_info))
        });
    });
    group.finish();
}

fn sign_in(c: &mut Criterion) {
    let Ok(signer) = LocalSigner::from_bytes(&[5; 32]) else {
        return;
    };
    let nonce = "11".repeat(32);
    let digest = eip191::digest(nonce.as_bytes());
    let signature = signer.sign_prehash(&digest);
    let mut group = c.benchmark_group("sign_in");
    group.bench_function("recover", |b| {
        b.iter(|| signature.recover(black_box(&digest)))
    });
    group.bench_function("signed_by", |b| {
        b.iter(|| eip191::signed_by(black_box(&nonce), &signature, signer.wallet()));
    });
    let Ok(keys) = JwtKeys::new(Secret::new(*b"sixteen bytes or more"), Vec::new()) else {
        return;
    };
    let now = Timestamp::from_unix(1_700_000_000);
    let token = keys.sign(&AccessClaims::issued_to(Wallet::from_bytes([1; 20]), now));
    group.bench_function("jwt_verify", |b| {
        b.iter(|| keys.verify(black_box(&token), now))
    });
    group.finish();
}

criterion_group!(benches, tokens, sign_in);
criterion_main!(benches);
