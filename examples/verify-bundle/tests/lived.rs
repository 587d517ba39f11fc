//! Booked sessions that are lived through, from the first join to the attestation, and what is then
//! exported of them.

#![allow(clippy::expect_used, reason = "tests panic")]

mod common;

use std::sync::Arc;

use common::{Kept, program, script, text};
use session_core::attestation::{Evidence, EvidenceKind};
use session_core::booking::bundle::{SessionBundle, SignedSessionBundle};
use session_core::booking::{
    AttachEvidence, Consider, JoinSession, LeaveSession, StateOutcome, Trigger, session,
};
use session_core::changeset::Lane;
use session_core::crypto::LocalSigner;
use session_core::escrow::abi::Uint64;
use session_core::escrow::statement::Statement;
use session_core::escrow::{BookingKey, BookingStatus, Outcome};
use session_core::media::Channel;
use session_core::ports::Clock;
use session_core::service::{execute, work_lane};
use session_core::types::{Seconds, Wallet, Word};
use session_testkit::bench::Bench;
use session_testkit::escrows::usual_slot;
use session_testkit::fakes::InlineDispatcher;

fn signer(byte: u8) -> LocalSigner {
    LocalSigner::from_bytes(&[byte; 32]).expect("a key")
}

/// Booking 7 of key 1 with key 2, which begins now.
struct Lived {
    bench: Bench,
    key: BookingKey,
    start: u64,
}

impl Lived {
    fn new(knows_statements: bool) -> Self {
        let (mut bench, _) = Bench::in_memory(7);
        bench.ports.dispatcher = Arc::new(InlineDispatcher);
        bench.escrows.set_mutual(knows_statements);
        let key: BookingKey = "42431/0xe5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5/7"
            .parse()
            .expect("a booking");
        let now = bench.clock.now();
        let slot = usual_slot(signer(1).wallet(), now);
        let guest = signer(2).wallet();
        bench.escrows.put(key, slot, guest, BookingStatus::Booked);
        let start = now.unix();
        Self { bench, key, start }
    }

    async fn join(&self, wallet: Wallet) {
        let key = self.key;
        let channel = Channel::booked(&key, true);
        let join = JoinSession {
            key,
            wallet,
            channel,
        };
        let joined = execute(&self.bench.ports, &join).await.expect("store");
        joined.expect("the doors are open");
    }

    async fn leave(&self, wallet: Wallet) {
        let leave = LeaveSession {
            key: self.key,
            wallet,
        };
        let left = execute(&self.bench.ports, &leave).await.expect("store");
        assert!(left.is_ok());
    }

    /// Both meet for eleven minutes, and then again for one.
    async fn meet(&self) {
        let (host, guest) = (signer(1).wallet(), signer(2).wallet());
        self.join(host).await;
        self.bench.clock.advance(Seconds::new(30));
        self.join(guest).await;
        self.bench.clock.advance(Seconds::new(660));
        self.leave(guest).await;
        self.bench.clock.advance(Seconds::new(5));
        self.join(guest).await;
        self.bench.clock.advance(Seconds::new(60));
        self.leave(host).await;
        self.leave(guest).await;
    }

    async fn work(&self) {
        for _ in 0..3 {
            self.bench.clock.advance(Seconds::new(1900));
            for lane in Lane::ALL {
                let worked = work_lane(&self.bench.ports, lane).await.expect("store");
                assert_eq!(worked.failed, []);
            }
        }
    }

    async fn state(&self, byte: u8) {
        let statement = Statement {
            key: self.key,
            outcome: Outcome::Completed,
            metrics_hash: [0; 32],
            deadline: Uint64::new(self.start + 9000).expect("64 bits"),
        };
        let signer = signer(byte);
        let said = StateOutcome {
            key: self.key,
            wallet: signer.wallet(),
            outcome: statement.outcome,
            metrics_hash: Word::ZERO,
            deadline: statement.deadline.get(),
            signature: statement.sign(&signer).to_string(),
        };
        let taken = execute(&self.bench.ports, &said).await.expect("store");
        taken.expect("it is its party's");
    }

    async fn signed(&self) -> SignedSessionBundle {
        let found = session(&self.bench.ports, self.key).await.expect("store");
        let bundle = SessionBundle::of(&found.expect("it is on record"));
        bundle.signed(&signer(9)).expect("JSON")
    }

    /// What the chain holds of it, and what is told of it.
    async fn told(&self) -> (String, String) {
        let accepted = self.bench.escrows.accepted();
        assert_eq!(accepted.len(), 1);
        let hash = accepted[0].attestation.metrics_hash.to_string();
        let json = serde_json::to_string(&self.signed().await).expect("JSON");
        let file = Kept::new("lived", &json);
        let told = program(&file);
        assert!(told.status.success());
        if let Some(by_script) = script("verify.py", &file) {
            assert_eq!(text(&by_script), text(&told));
        }
        (hash, text(&told))
    }
}

#[tokio::test]
async fn what_was_lived_is_told_with_the_hash_that_the_contract_shows() {
    for knows_statements in [false, true] {
        let lived = Lived::new(knows_statements);
        let attach = AttachEvidence {
            key: lived.key,
            wallet: None,
            evidence: Evidence {
                kind: EvidenceKind::Transcript,
                hash: Word::new([5; 32]),
                uri: "https://a.example/%C3%A9".to_owned(),
            },
        };
        let attached = execute(&lived.bench.ports, &attach).await.expect("store");
        attached.expect("a reference");
        lived.meet().await;
        lived.work().await;
        let (hash, told) = lived.told().await;
        for line in [
            "guest joined at 30, left at 690",
            "guest joined at 695, left at 755",
            "host was there from 0 to 755 (left)",
            "together 720 seconds, the host alone 35, the guest alone 0",
            "completed, by row 1 of the table",
            &format!("the contract must show outcome 1 and {hash}"),
            "booking attested, settlement settled",
        ] {
            assert!(told.contains(line), "{line} of {told}");
        }
        // The full text where the contract knows statements.
        assert_eq!(told.contains("session-metrics/2"), knows_statements);
        assert_eq!(told.contains("%C3%A9"), knows_statements);
    }
}

#[tokio::test]
async fn what_both_signed_is_told_without_a_text() {
    let lived = Lived::new(true);
    lived.state(1).await;
    lived.state(2).await;
    lived.work().await;
    let (hash, told) = lived.told().await;
    assert_eq!(hash, Word::ZERO.to_string());
    assert!(told.contains("completed, signed by both"), "{told}");
    assert!(told.contains(&format!("outcome 1 and {hash}")), "{told}");
    assert!(!told.contains("was there"), "{told}");
}

#[tokio::test]
async fn what_was_forced_proves_nothing() {
    let lived = Lived::new(false);
    lived.meet().await;
    let force = Consider {
        key: lived.key,
        trigger: Trigger::Manual {
            force: Some(Outcome::Completed),
        },
    };
    let forced = execute(&lived.bench.ports, &force).await.expect("store");
    forced.expect("nothing is decided");
    let json = serde_json::to_string(&lived.signed().await).expect("JSON");
    let file = Kept::new("forced", &json);
    let mut refusals = vec![program(&file)];
    refusals.extend(script("verify.py", &file));
    for refused in refusals {
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("the outcome was forced"), "{said}");
        assert_eq!(refused.status.code(), Some(1));
    }
}
