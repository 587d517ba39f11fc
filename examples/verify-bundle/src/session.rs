//! What the bundle of a booked session tells. Instants are told in seconds from the start.

use session_core::attestation::{Judgement, Stay, Window};
use session_core::booking::OutcomeStatement;
use session_core::booking::bundle::{SessionBundle, SignedSessionBundle};
use session_core::booking::{DecidedBy, Decision};
use session_core::types::{Timestamp, Wallet, Word};

/// Checks a bundle, and tells it.
///
/// # Errors
/// Why it does not hold.
pub(crate) fn check(text: &str) -> Result<(), Box<dyn std::error::Error>> {
    let signed = SignedSessionBundle::parse(text)?;
    let hash = signed.verify()?;
    println!("signed by {}", signed.signer);
    tell(&signed.bundle, hash);
    Ok(())
}

fn tell(bundle: &SessionBundle, hash: Option<Word>) {
    let (agreement, slot) = (&bundle.agreement, &bundle.agreement.slot);
    println!("booking {} of slot {}", bundle.booking, agreement.slot_id);
    println!(
        "from {} ({}) for {} seconds, grace {}, together at least {}",
        slot.start_time,
        slot.start_time.to_rfc3339(),
        slot.duration(),
        slot.grace(),
        slot.min_overlap()
    );
    let from_start = FromStart(slot.start_time);
    let (host, guest) = (&bundle.host_statement, &bundle.guest_statement);
    tell_party("host", slot.host, &bundle.host, host.as_ref(), &from_start);
    let stays = &bundle.guest;
    tell_party("guest", agreement.guest, stays, guest.as_ref(), &from_start);
    match (&bundle.decision, hash) {
        (Some(decision), Some(hash)) => {
            tell_decision(bundle, decision, &from_start);
            let code = decision.outcome.code();
            println!("the contract must show outcome {code} and {hash}");
        }
        _ => println!("nothing is decided"),
    }
    println!(
        "booking {}, settlement {}",
        bundle.status.name().to_lowercase(),
        bundle.settlement.name()
    );
}

fn tell_party(
    side: &str,
    wallet: Wallet,
    stays: &[Stay],
    statement: Option<&OutcomeStatement>,
    from_start: &FromStart,
) {
    println!("{side} is {wallet}");
    for stay in stays {
        print!("{side} joined at {}", from_start.of(stay.joined_at));
        if let Some(seen_at) = stay.last_seen_at {
            print!(", last seen at {}", from_start.of(seen_at));
        }
        if let Some(left_at) = stay.left_at {
            print!(", left at {}", from_start.of(left_at));
        }
        println!();
    }
    if let Some(said) = statement {
        println!(
            "{side} signed {} on {} until {}",
            said.outcome, said.metrics_hash, said.deadline
        );
    }
}

fn tell_decision(bundle: &SessionBundle, decision: &Decision, from_start: &FromStart) {
    let (outcome, at) = (decision.outcome, from_start.of(decision.decided_at));
    let (DecidedBy::Presence, Some(metrics)) = (&decision.by, &decision.metrics) else {
        println!("decided at {at}: {outcome}, signed by both");
        return;
    };
    for outage in &decision.outages {
        let (from, to) = (from_start.of(outage.from), from_start.of(outage.to));
        println!("outage from {from} to {to}");
    }
    let judgement = decision.judgement(&bundle.agreement);
    tell_presence(&judgement, from_start);
    println!(
        "decided at {at}: {outcome}, by row {} of the table",
        judgement.row
    );
    let window = Window::of(&bundle.agreement.slot, outcome);
    println!(
        "the contract takes that from {} to {}; the block was of {}",
        from_start.of(window.earliest),
        from_start.of(window.latest),
        from_start.of(decision.chain_now)
    );
    println!("text {}", metrics.text);
}

fn tell_presence(judgement: &Judgement, from_start: &FromStart) {
    for (side, presence) in [("host", &judgement.host), ("guest", &judgement.guest)] {
        for interval in &presence.intervals {
            let (from, to) = (from_start.of(interval.from), from_start.of(interval.to));
            let source = interval.source.name();
            println!("{side} was there from {from} to {to} ({source})");
        }
        println!("{side} was there for {} seconds", presence.seconds());
    }
    let measures = &judgement.measures;
    println!(
        "together {} seconds, the host alone {}, the guest alone {}",
        measures.overlap_seconds, measures.host_alone_seconds, measures.guest_alone_seconds
    );
}

/// Tells instants in seconds from the start of a session; negative ones were before it.
struct FromStart(Timestamp);

impl FromStart {
    fn of(&self, at: Timestamp) -> i128 {
        i128::from(at.unix()).saturating_sub(i128::from(self.0.unix()))
    }
}
