//! What signing in costs in the core, without a store or a server.
//!
//! Read ratios within one run, never figures of two runs: machines are shared and noisy.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use session_core::crypto::{LocalSigner, eip191};

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
    group.finish();
}

criterion_group!(benches, sign_in);
criterion_main!(benches);
