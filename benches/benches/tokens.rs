//! What tokens and signing in cost in the core, each token beside its raw counterpart: the keyed hashes that its format
//! needs, over the same bytes and with the same library, and nothing else.
//!
//! Read ratios within one run, never figures of two runs: machines are shared and noisy.

use std::hint::black_box;
use std::num::NonZeroU32;

use criterion::{Criterion, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit, Mac};
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib;
use session_core::auth::{AccessClaims, JwtKeys};
use session_core::crypto::{LocalSigner, Secret, eip191};
use session_core::media::agora::{
    AccessToken006, AccessToken007, Admission, AgoraIssuer, AppCertificate, AppId, Compression,
    Duplicates, LegacyAgoraIssuer, Privileges, ReadToken, ReadToken006, Service, ServiceBody,
};
use session_core::media::livekit::{
    ApiCredentials, ApiKey, ApiKeys, ApiSecret, LiveKitIssuer, ServerUrl,
};
use session_core::media::{Channel, MediaGrant, MediaTokenIssuer, MediaUid, Role, Ttl};
use session_core::types::{Seconds, Timestamp, Wallet};
use sha2::Sha256;

type Failure = Box<dyn std::error::Error>;

const APP_ID: &str = "970ca35de60c44645bbae8a215061b33";
const CERTIFICATE: &str = "5cfd2fd1755d40ecb72977518be15d3b";
const API_SECRET: &str = "verify-secret-verify-secret-verify-secret";
const JWT_SECRET: &[u8] = b"a secret of thirty-two bytes, ok";
const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);

fn grant() -> Result<MediaGrant, Failure> {
    Ok(MediaGrant {
        connection: None,
        channel: Channel::parse("heaven-free-3e5c3c36-6c0e-4f8e-8f0e-0a1b2c3d4e5f")?,
        uid: MediaUid::new(57_005).ok_or("uid 0")?,
        role: Role::Publisher,
        issued_at: NOW,
        ttl: Ttl::FREE_ROOM,
        salt: NonZeroU32::MIN,
    })
}

/// The token that the issuer makes of the grant, by the format.
fn access_token(grant: &MediaGrant) -> Result<AccessToken007, Failure> {
    let expire = grant.ttl.get();
    Ok(AccessToken007 {
        app_id: AppId::parse(APP_ID)?,
        issue_ts: u32::try_from(grant.issued_at.unix())?,
        expire,
        salt: grant.salt.get(),
        services: vec![Service {
            privileges: Privileges::from([(1, expire), (2, expire), (3, expire), (4, expire)]),
            body: ServiceBody::Rtc {
                channel: grant.channel.to_string(),
                account: grant.uid.to_string(),
            },
        }],
    })
}

/// One keyed hash, as any program would call the library.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(message);
            mac.finalize().into_bytes().into()
        }
        // Keys of any length are taken.
        Err(_) => [0; 32],
    }
}

/// The three keyed hashes of a token of version 007.
fn hmacs_007(token: &AccessToken007, info: &[u8]) -> [u8; 32] {
    let of_second = hmac(&token.issue_ts.to_le_bytes(), CERTIFICATE.as_bytes());
    let key = hmac(&token.salt.to_le_bytes(), &of_second);
    hmac(&key, info)
}

fn agora_build(c: &mut Criterion) -> Result<(), Failure> {
    let grant = grant()?;
    let certificate = AppCertificate::parse(CERTIFICATE)?;
    let issuer = AgoraIssuer::new(AppId::parse(APP_ID)?, certificate.clone());
    let token = access_token(&grant)?;
    let info = token.signing_info()?;
    let payload = token.payload(&certificate)?;
    if token.to_text(&certificate, Compression::Deflated)? != issuer.issue(&grant)? {
        return Err("the format and the issuer make different tokens".into());
    }

    let mut group = c.benchmark_group("agora_007_build");
    group.bench_function("raw: three hmacs", |b| {
        b.iter(|| hmacs_007(black_box(&token), black_box(&info)));
    });
    group.bench_function("stored", |b| {
        b.iter(|| black_box(&token).to_text(&certificate, Compression::Stored));
    });
    group.bench_function("raw: deflate", |b| {
        b.iter(|| compress_to_vec_zlib(black_box(&payload), 6));
    });
    group.bench_function("deflated", |b| {
        b.iter(|| black_box(&token).to_text(&certificate, Compression::Deflated));
    });
    group.bench_function("issue", |b| b.iter(|| issuer.issue(black_box(&grant))));
    group.finish();
    Ok(())
}

fn agora_verify(c: &mut Criterion) -> Result<(), Failure> {
    let certificate = AppCertificate::parse(CERTIFICATE)?;
    let token = access_token(&grant()?)?;
    let info = token.signing_info()?;
    let payload = token.payload(&certificate)?;
    let packed = compress_to_vec_zlib(&payload, 6);

    let mut group = c.benchmark_group("agora_007_verify");
    group.bench_function("raw: three hmacs", |b| {
        b.iter(|| hmacs_007(black_box(&token), black_box(&info)));
    });
    for (name, compression) in [
        ("stored", Compression::Stored),
        ("deflated", Compression::Deflated),
    ] {
        let text = token.to_text(&certificate, compression)?;
        verified_007(&text, &certificate)?;
        group.bench_function(name, |b| {
            b.iter(|| verified_007(black_box(&text), &certificate).is_ok());
        });
    }
    group.bench_function("unpacked", |b| {
        b.iter(|| {
            let read = ReadToken::from_payload(black_box(&payload), Duplicates::Refused);
            read.map(|read| read.verify(&certificate, NOW, Seconds::ZERO).is_ok())
        });
    });
    group.bench_function("raw: inflate", |b| {
        b.iter(|| decompress_to_vec_zlib(black_box(&packed)));
    });
    group.finish();
    Ok(())
}

fn verified_007(text: &str, certificate: &AppCertificate) -> Result<(), Failure> {
    ReadToken::parse(text, Duplicates::Refused)?.verify(certificate, NOW, Seconds::ZERO)?;
    Ok(())
}

fn agora_legacy(c: &mut Criterion) -> Result<(), Failure> {
    let grant = grant()?;
    let certificate = AppCertificate::parse(CERTIFICATE)?;
    let issuer = LegacyAgoraIssuer::new(AppId::parse(APP_ID)?, certificate.clone());
    let admission = Admission {
        channel: grant.channel.to_string(),
        account: grant.uid.to_string(),
    };
    let end = u32::try_from(grant.ends_at().unix())?;
    let token = AccessToken006 {
        app_id: AppId::parse(APP_ID)?,
        admission: admission.clone(),
        salt: grant.salt.get(),
        ts: end,
        privileges: Privileges::from([(1, end), (2, end), (3, end), (4, end)]),
    };
    let signed = [
        APP_ID.as_bytes(),
        admission.channel.as_bytes(),
        admission.account.as_bytes(),
        &token.message()?,
    ]
    .concat();
    let text = issuer.issue(&grant)?;

    let mut group = c.benchmark_group("agora_006");
    group.bench_function("raw: one hmac", |b| {
        b.iter(|| hmac(CERTIFICATE.as_bytes(), black_box(&signed)));
    });
    group.bench_function("build", |b| {
        b.iter(|| black_box(&token).to_text(&certificate))
    });
    group.bench_function("verify", |b| {
        b.iter(|| {
            let read = ReadToken006::parse(black_box(&text), Duplicates::Refused);
            read.map(|read| read.verify(&certificate, &admission, NOW).is_ok())
        });
    });
    group.finish();
    Ok(())
}

fn livekit(c: &mut Criterion) -> Result<(), Failure> {
    let grant = grant()?;
    let credentials = ApiCredentials {
        key: ApiKey::parse("APIverify00001")?,
        secret: ApiSecret::parse(API_SECRET)?,
    };
    let url = ServerUrl::parse("wss://media.example")?;
    let issuer = LiveKitIssuer::new(credentials.clone(), url);
    let keys = ApiKeys::new(vec![credentials])?;
    let token = issuer.issue(&grant)?;
    let (signed, _) = token.rsplit_once('.').ok_or("no parts")?;
    keys.verify(&token, NOW, Seconds::ZERO)?;

    let mut group = c.benchmark_group("livekit");
    group.bench_function("raw: one hmac", |b| {
        b.iter(|| hmac(API_SECRET.as_bytes(), black_box(signed.as_bytes())));
    });
    group.bench_function("issue", |b| b.iter(|| issuer.issue(black_box(&grant))));
    group.bench_function("verify", |b| {
        b.iter(|| keys.verify(black_box(&token), NOW, Seconds::ZERO));
    });
    group.finish();
    Ok(())
}

fn access(c: &mut Criterion) -> Result<(), Failure> {
    let keys = JwtKeys::new(Secret::new(JWT_SECRET), Vec::new())?;
    let claims = AccessClaims::issued_to(Wallet::from_bytes([1; 20]), NOW);
    let token = keys.sign(&claims);
    let (signed, _) = token.rsplit_once('.').ok_or("no parts")?;
    keys.verify(&token, NOW)?;

    let mut group = c.benchmark_group("access_token");
    group.bench_function("raw: one hmac", |b| {
        b.iter(|| hmac(JWT_SECRET, black_box(signed.as_bytes())));
    });
    group.bench_function("sign", |b| b.iter(|| keys.sign(black_box(&claims))));
    group.bench_function("verify", |b| b.iter(|| keys.verify(black_box(&token), NOW)));
    group.finish();
    Ok(())
}

fn sign_in(c: &mut Criterion) -> Result<(), Failure> {
    let signer = LocalSigner::from_bytes(&[5; 32])?;
    let nonce = "11".repeat(32);
    let digest = eip191::digest(nonce.as_bytes());
    let signature = signer.sign_prehash(&digest);
    let mut group = c.benchmark_group("sign_in");
    group.bench_function("recover", |b| {
        b.iter(|| signature.recover(black_box(&digest)));
    });
    group.bench_function("signed_by", |b| {
        b.iter(|| eip191::signed_by(black_box(&nonce), &signature, signer.wallet()));
    });
    group.finish();
    Ok(())
}

/// Everything; a failure to prepare is a failure of the run.
fn all(c: &mut Criterion) {
    for bench in [
        agora_build,
        agora_verify,
        agora_legacy,
        livekit,
        access,
        sign_in,
    ] {
        if let Err(why) = bench(c) {
            panic!("not measured: {why}");
        }
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
