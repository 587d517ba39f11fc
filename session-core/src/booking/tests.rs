//! The rules of booked sessions, decision by decision.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::attest::{AttestationView, ConcludeAttestation};
use super::consider::{Consider, Considered, TrackBooking, Trigger};
use super::decision::DecidedBy;
use super::join::JoinSession;
use super::testing::{GUEST, HOST, ORACLE, answers, at, key, reading, session};
use super::view::SessionView;
use super::{
    AttemptClass, BookedSession, BookingRefusal, LeaveSession, ProveLife, STAYS_MAX, Settlement,
};
use crate::attestation::{Done, MetricsSchema, Stay, Waiting};
use crate::changeset::{Changeset, Fact, Fence, Key, Loaded, Record, Row, Version, Write};
use crate::escrow::{BookingStatus, ContractOutcome, EscrowReading, Outcome, Side};
use crate::media::Channel;
use crate::outage::{Service, Span};
use crate::outbox::{Effect, Intent, IntentState};
use crate::policy::Policy;
use crate::ports::Sent;
use crate::room::testing::FRESH;
use crate::service::{Answers, Command, Context, Decision, Verdict};
use crate::types::{Wallet, Word};

/// The session begins at second 10,000 and lasts 1,800; no-shows are decided 60 seconds later.
const START: u64 = 10_000;
const END: u64 = 11_800;
const DUE: u64 = 11_860;

fn policy() -> Policy {
    Policy::default()
}

fn decided<C: Command>(
    command: &C,
    view: &C::View,
    now: u64,
    said: &Answers,
) -> Decision<C::Reply, C::Refusal> {
    let policy = policy();
    let cx = Context {
        now: at(now),
        alive_since: None,
        policy: &policy,
        fresh: &FRESH,
    };
    match command.decide(view, &cx, said) {
        Verdict::Done(decision) => decision,
        Verdict::Need(question) => panic!("asked {question:?}"),
    }
}

fn loaded<T: Record>(row: T) -> Loaded<T> {
    Loaded::present(row.key(), Version::new(3), row)
}

fn view(session: Option<BookedSession>) -> SessionView {
    SessionView {
        row: session.map_or_else(|| Loaded::absent(Key::BookedSession(key())), loaded),
        service: None,
    }
}

/// The session as a changeset leaves it.
fn written(changeset: &Changeset) -> Option<BookedSession> {
    changeset.rows.iter().find_map(|write| match write {
        Write::Insert(Row::BookedSession(session)) | Write::Update(Row::BookedSession(session)) => {
            Some(session.clone())
        }
        _ => None,
    })
}

fn facts(changeset: &Changeset) -> Vec<&'static str> {
    changeset
        .journal
        .iter()
        .map(|entry| entry.fact.name())
        .collect()
}

fn stay(joined: u64, left: Option<u64>) -> Stay {
    Stay {
        joined_at: at(joined),
        left_at: left.map(at),
        last_seen_at: None,
    }
}

/// A session that somebody is to look at now.
fn watched(host: &[Stay], guest: &[Stay]) -> BookedSession {
    let mut session = session();
    session.host.stays = host.to_vec();
    session.guest.stays = guest.to_vec();
    session.look_at = Some(at(0));
    session
}

fn look(
    session: BookedSession,
    now: u64,
    reading: EscrowReading,
) -> Decision<Considered, BookingRefusal> {
    let consider = Consider {
        key: key(),
        trigger: Trigger::Due(Fence::new(1)),
    };
    decided(&consider, &view(Some(session)), now, &answers(reading))
}

fn by_hand(
    session: Option<BookedSession>,
    now: u64,
    force: Option<Outcome>,
) -> Decision<Considered, BookingRefusal> {
    let consider = Consider {
        key: key(),
        trigger: Trigger::Manual { force },
    };
    let reading = reading(now, BookingStatus::Booked);
    decided(&consider, &view(session), now, &answers(reading))
}

fn booked(now: u64) -> EscrowReading {
    reading(now, BookingStatus::Booked)
}

/// What a worker wrote down that did not decide, and when it looks again.
fn noted(session: BookedSession, now: u64, reading: EscrowReading) -> (&'static str, Option<u64>) {
    let decision = look(session, now, reading);
    let Ok(Considered::Noted(class)) = decision.reply else {
        panic!("{:?}", decision.reply);
    };
    assert!(decision.changeset.intents.is_empty());
    let look_at = written(&decision.changeset).unwrap().look_at;
    (
        class.name(),
        look_at.map(|look_at| look_at.unix() - 1_000_000),
    )
}

#[test]
fn a_worker_looks_no_sooner_than_it_is_worth_it() {
    let together = || watched(&[stay(START, None)], &[stay(START, None)]);
    let alone = || watched(&[stay(START, None)], &[]);
    for (session, now, expected) in [
        (alone(), 9_000, ("not_started", Some(DUE))),
        (alone(), 10_500, ("session_in_progress", Some(DUE))),
        // The overlap is reached, but whoever is in may stay.
        (together(), 10_700, ("session_in_progress", Some(END))),
    ] {
        assert_eq!(noted(session, now, booked(now)), expected);
    }
    // Our clock is ahead of the chain's: looked at again before long.
    let mut early = booked(10_100);
    early.slot.grace_mins = 40;
    let mut absent = watched(&[], &[]);
    absent.agreement.slot.grace_mins = 40;
    assert_eq!(noted(absent, DUE, early), ("grace_not_over", Some(12_400)));
    let mut not_due = watched(&[], &[]);
    not_due.look_at = Some(at(DUE + 1));
    let decision = look(not_due, DUE, booked(DUE));
    assert_eq!(decision.reply, Ok(Considered::Nothing));
    assert!(decision.changeset.rows.is_empty());
}

#[test]
fn what_is_decided_and_what_is_sent_are_written_together() {
    let session = watched(&[stay(START, Some(11_000))], &[stay(START, Some(11_000))]);
    let decision = look(session, 11_020, booked(11_020));
    let Ok(Considered::Decided { outcome, intent }) = decision.reply else {
        panic!("{:?}", decision.reply);
    };
    assert_eq!(outcome, Outcome::Completed);
    assert_eq!(decision.awaits, None);
    let changeset = &decision.changeset;
    let after = written(changeset).unwrap();
    assert_eq!(after.settlement, Settlement::Attesting);
    assert_eq!((after.round, after.look_at), (1, None));
    let made = after.decision.unwrap();
    assert_eq!(made.metrics.as_ref().unwrap().schema, MetricsSchema::Plain);
    assert_eq!(made.verify(&key(), &after.agreement), Ok(()));
    let [sent] = changeset.intents.as_slice() else {
        panic!("{:?}", changeset.intents);
    };
    assert_eq!((sent.key, sent.due_at), (intent, at(11_020)));
    let Effect::Attest(attestation) = &sent.effect else {
        panic!("{:?}", sent.effect);
    };
    assert_eq!(attestation.metrics_hash, made.metrics_hash);
    assert_eq!(facts(changeset), ["session_decided"]);
}

#[test]
fn nobody_decides_on_a_chain_that_contradicts_itself() {
    let mut other = booked(DUE);
    other.slot.duration_mins = 31;
    let mut tomorrow = booked(DUE);
    tomorrow.chain_now = at(DUE + 301);
    for nonsense in [other, tomorrow] {
        let session = watched(&[], &[]);
        assert_eq!(
            noted(session.clone(), DUE, nonsense),
            ("contradiction", Some(DUE + 30))
        );
        let consider = Consider {
            key: key(),
            trigger: Trigger::Manual { force: None },
        };
        let by_hand = decided(&consider, &view(Some(session)), DUE, &answers(nonsense));
        assert_eq!(by_hand.reply, Err(BookingRefusal::Contradiction));
        assert!(by_hand.changeset.is_empty());
    }
    // A slot's own status moves on, and contradicts nothing.
    let mut settled = booked(DUE);
    settled.slot.status = crate::escrow::SlotStatus::Settled;
    assert!(
        look(watched(&[], &[]), DUE, settled)
            .reply
            .is_ok_and(|considered| matches!(considered, Considered::Decided { .. }))
    );
}

#[test]
fn without_the_right_to_attest_nothing_is_decided() {
    let mut keyless = booked(DUE);
    keyless.attester = None;
    assert_eq!(
        noted(watched(&[], &[]), DUE, keyless),
        ("no_key", Some(DUE + 60))
    );
    let mut rotated = booked(DUE);
    rotated.oracle = Wallet::from_bytes([9; 20]);
    let (class, look_at) = noted(watched(&[], &[]), DUE, rotated);
    assert_eq!((class, look_at), ("not_oracle", Some(DUE + 60)));
}

#[test]
fn what_came_too_late_is_told_once_and_for_all() {
    let late = 12_101;
    let decision = look(watched(&[], &[]), late, booked(late));
    let after = written(&decision.changeset).unwrap();
    assert_eq!(
        after.settlement,
        Settlement::WindowMissed {
            outcome: Outcome::NoShowHost,
            at: at(late),
        }
    );
    assert_eq!(facts(&decision.changeset), ["session_missed"]);
    // Not even by hand.
    let by_hand = by_hand(Some(after.clone()), late, None);
    assert_eq!(
        by_hand.reply,
        Err(BookingRefusal::TooLate(Outcome::NoShowHost))
    );
    // Looked at once more, in case that the chain's clock had been wrong.
    assert_eq!(after.look_at, Some(at(late + 120)));
    let again = look(after.clone(), late + 120, booked(late + 120));
    assert_eq!(written(&again.changeset).unwrap().look_at, None);
    assert!(facts(&again.changeset).is_empty());
    let right = look(after, late + 120, booked(12_100));
    assert!(matches!(right.reply, Ok(Considered::Decided { .. })));
}

#[test]
fn by_hand_nobody_waits_for_a_minute() {
    let gone = || Some(watched(&[stay(START, Some(END))], &[]));
    let early = by_hand(gone(), END - 1, None).reply;
    let waits = BookingRefusal::Waiting {
        reason: Waiting::OverlapNotMet,
        retry_at: at(END),
    };
    assert_eq!(early, Err(waits));
    let granted = by_hand(gone(), END, None);
    assert!(granted.reply.is_ok());
    assert!(granted.awaits.is_some());
    let leased = &granted.changeset.intents[0];
    assert_eq!(leased.due_at, at(END + 30), "workers leave it alone");
    assert_eq!(
        by_hand(gone(), START + 299, None).reply,
        Err(BookingRefusal::Waiting {
            reason: Waiting::GraceNotOver,
            retry_at: at(START + 899),
        })
    );
    let after = written(&granted.changeset);
    assert_eq!(by_hand(after, END, None).reply, Err(BookingRefusal::Busy));
    let forced = by_hand(None, START, Some(Outcome::NoShowGuest));
    let after = written(&forced.changeset).unwrap();
    assert_eq!(after.decision.unwrap().by, DecidedBy::Force);
}

/// A session whose decision is on its way, and the intent.
fn attesting() -> (BookedSession, Intent) {
    let decision = look(watched(&[], &[]), DUE, booked(DUE));
    let session = written(&decision.changeset).unwrap();
    let mut intent = decision.changeset.intents[0].clone();
    intent.state = IntentState::Submitted;
    (session, intent)
}

fn attested(session: &BookedSession, now: u64) -> EscrowReading {
    let mut reading = reading(now, BookingStatus::Attested);
    let decision = session.decision.as_ref().unwrap();
    reading.booking.oracle_outcome = ContractOutcome::NoShowHost;
    reading.booking.metrics_hash = decision.metrics_hash.to_bytes();
    reading.booking.finalizable_at = at(now + 86_400);
    reading
}

fn conclude(
    (session, intent): &(BookedSession, Intent),
    now: u64,
    reading: Option<EscrowReading>,
) -> (Option<BookedSession>, Option<Intent>, Changeset) {
    let command = ConcludeAttestation {
        key: intent.key,
        booking: key(),
        fence: Some(Fence::new(4)),
        sent: Some(Sent {
            transaction: Some(Word::new([8; 32])),
            trouble: Some("execution reverted: 0x".to_string()),
        }),
        reading,
        unread: None,
    };
    let view = AttestationView::of(loaded(intent.clone()), loaded(session.clone()));
    let decision = decided(&command, &view, now, &Answers::default());
    let after = written(&decision.changeset);
    (after, decision.reply.unwrap(), decision.changeset)
}

#[test]
fn what_the_chain_shows_decides_what_came_of_an_attempt() {
    let sent = attesting();
    let (session, intent, changeset) = conclude(&sent, DUE, Some(attested(&sent.0, DUE)));
    let session = session.unwrap();
    assert_eq!(intent.unwrap().state, IntentState::Confirmed);
    assert_eq!(
        session.settlement,
        Settlement::Settled {
            done: Done::Submitted,
            at: at(DUE),
        }
    );
    assert_eq!(session.transaction, Some(Word::new([8; 32])));
    assert_eq!(session.finalizable_at, Some(at(DUE + 86_400)));
    assert_eq!(facts(&changeset), ["session_settled"]);

    let mut other = attested(&sent.0, DUE);
    other.booking.metrics_hash = [1; 32];
    let mut rotated = booked(DUE);
    rotated.oracle = Wallet::from_bytes([9; 20]);
    let mut contradicting = booked(DUE);
    contradicting.slot.grace_mins = 6;
    for (reading, class, state, settled) in [
        (Some(other), "already_attested", IntentState::Failed, true),
        (
            Some(reading(DUE, BookingStatus::Cancelled)),
            "already_settled",
            IntentState::Failed,
            true,
        ),
        (Some(booked(DUE)), "retry", IntentState::Pending, false),
        (Some(booked(10_299)), "early", IntentState::Pending, false),
        (Some(rotated), "not_oracle", IntentState::Pending, false),
        (
            Some(contradicting),
            "chain_unavailable",
            IntentState::Unknown,
            false,
        ),
        (None, "chain_unavailable", IntentState::Unknown, false),
        (
            Some(booked(12_101)),
            "window_missed",
            IntentState::Failed,
            true,
        ),
    ] {
        let (session, intent, _) = conclude(&sent, DUE, reading);
        let (session, intent) = (session.unwrap(), intent.unwrap());
        let last = session.attempts.last().unwrap();
        assert_eq!(last.class.name(), class);
        assert_eq!(intent.state, state, "{class}");
        assert_eq!(session.settlement.is_terminal(), settled, "{class}");
        // What was decided stays, whatever came of it.
        assert_eq!(session.decision, sent.0.decision, "{class}");
    }
}

#[test]
fn attempts_come_closer_as_the_window_closes() {
    let mut sent = attesting();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let (session, intent, _) = conclude(&sent, DUE, Some(booked(DUE)));
        sent = (session.unwrap(), intent.unwrap());
        pauses.push(sent.1.due_at.since(at(DUE)).get());
    }
    // 240 seconds are left: an eighth of them at most.
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    let last_second = conclude(&sent, DUE, Some(booked(12_100)));
    assert_eq!(last_second.1.unwrap().due_at, at(DUE + 1));
}

#[test]
fn what_the_chain_takes_back_is_sent_again_to_the_letter() {
    let sent = attesting();
    let (session, ..) = conclude(&sent, DUE, Some(attested(&sent.0, DUE)));
    let settled = session.unwrap();
    assert_eq!(settled.look_at, Some(at(DUE + 120)));
    let still = look(settled.clone(), DUE + 120, attested(&settled, DUE + 120));
    let still = written(&still.changeset).unwrap();
    assert_eq!(
        still.look_at,
        Some(at(19_000)),
        "the last second for anything"
    );
    let last = look(still, 19_000, attested(&settled, 19_000));
    assert_eq!(written(&last.changeset).unwrap().look_at, None);
    assert!(facts(&last.changeset).is_empty(), "it was settled before");

    let now = DUE + 120;
    let again = look(settled.clone(), now, booked(now));
    let after = written(&again.changeset).unwrap();
    assert_eq!((after.round, after.settlement), (2, Settlement::Attesting));
    assert_eq!(after.decision, settled.decision);
    assert_ne!(again.changeset.intents[0].key, sent.1.key);
    assert_eq!(again.changeset.intents[0].effect, sent.1.effect);
    // The first round is over, whatever its worker finds now.
    let stale = (after, sent.1);
    let (session, intent, _) = conclude(&stale, now, Some(booked(now)));
    assert_eq!(session, None);
    assert_eq!(intent.unwrap().state, IntentState::Failed);
}

#[test]
fn signatures_that_the_contract_does_not_take_leave_it_to_the_policy() {
    let (mut session, intent) = attesting();
    let statement = super::OutcomeStatement {
        outcome: Outcome::NoShowHost,
        metrics_hash: Word::ZERO,
        deadline: u64::MAX,
        signature: "0x".to_string(),
        at: at(0),
    };
    if let Some(decision) = &mut session.decision {
        decision.by = DecidedBy::Statements {
            host: statement.clone(),
            guest: statement,
        };
    }
    let mut sent = (session, intent);
    for attempt in 0..40 {
        // A chain that cannot be read says nothing against them.
        let reading = (attempt % 2 == 0).then(|| booked(DUE));
        let (session, intent, _) = conclude(&sent, DUE, reading);
        sent = (session.unwrap(), intent.unwrap());
        assert_eq!(sent.0.settlement, Settlement::Attesting);
    }
    // Ten minutes before nothing could be attested any more.
    let (early, ..) = conclude(&sent, 18_399, Some(booked(18_399)));
    assert!(!early.unwrap().mutual_failed);
    let (session, intent, _) = conclude(&sent, 18_400, Some(booked(18_400)));
    let session = session.unwrap();
    assert_eq!(intent.unwrap().state, IntentState::Failed);
    assert!(session.mutual_failed);
    let look_at = session.look_at;
    assert_eq!((session.decision, look_at), (None, Some(at(18_400))));
}

fn join(
    session: Option<BookedSession>,
    wallet: Wallet,
    now: u64,
) -> Decision<super::SessionJoined, BookingRefusal> {
    let join = JoinSession {
        key: key(),
        wallet,
        channel: Channel::booked(&key(), true),
    };
    decided(&join, &view(session), now, &answers(booked(now)))
}

#[test]
fn coming_and_going_hundreds_of_times_continues_the_last_stay() {
    let mut session = session();
    for n in 0..STAYS_MAX as u64 + 3 {
        let joined = join(Some(session), HOST, START + 2 * n);
        session = written(&joined.changeset).unwrap();
        let leave = LeaveSession {
            key: key(),
            wallet: HOST,
        };
        let left = decided(
            &leave,
            &view(Some(session)),
            START + 2 * n + 1,
            &Answers::default(),
        );
        session = written(&left.changeset).unwrap();
    }
    assert_eq!(session.host.stays.len(), STAYS_MAX);
    let last = session.host.stays.last().unwrap();
    let (first, end) = (last.joined_at, last.left_at.unwrap());
    assert_eq!(first, at(START + 2 * (STAYS_MAX as u64 - 1)));
    assert_eq!(end, at(START + 2 * (STAYS_MAX as u64 + 2) + 1));
}

#[test]
fn a_uid_that_is_taken_or_zero_is_drawn() {
    let twin = Wallet::from_bytes({
        let mut bytes = [0x77; 20];
        bytes[16..].copy_from_slice(&[0xa1; 4]);
        bytes
    });
    let mut session = session();
    session.agreement.guest = twin;
    let mut here = booked(START);
    here.booking.guest = twin;
    let joining = |session: BookedSession, wallet| {
        let join = JoinSession {
            key: key(),
            wallet,
            channel: Channel::booked(&key(), true),
        };
        let decision = decided(&join, &view(Some(session)), START, &answers(here));
        (
            written(&decision.changeset).unwrap(),
            decision.reply.unwrap().grant.uid,
        )
    };
    let (session, host) = joining(session, HOST);
    let (_, guest) = joining(session, twin);
    assert_eq!(host.get(), 0xa1a1_a1a1);
    assert_eq!(guest.get(), FRESH.uid);
}

#[test]
fn our_outage_is_not_their_silence() {
    let mut session = watched(&[], &[stay(START, None)]);
    session.guest.stays[0].last_seen_at = Some(at(START));
    session.guest.connection = Some(crate::types::ConnectionId::from_random([4; 16]));
    let beat = |outages: Vec<Span>| {
        Some(Service {
            last_beat_at: at(START + 200),
            outages,
        })
    };
    let outage = Span {
        from: at(START + 10),
        to: at(START + 150),
    };
    let prove = ProveLife {
        key: key(),
        wallet: GUEST,
    };
    let heard = |outages| {
        let mut view = view(Some(session.clone()));
        view.service = beat(outages);
        let decision = decided(&prove, &view, START + 200, &Answers::default());
        written(&decision.changeset).unwrap().guest.stays.len()
    };
    assert_eq!(heard(Vec::new()), 2, "silent for longer than it may be");
    assert_eq!(heard(alloc::vec![outage]), 1);
    let short = Span {
        from: at(START + 95),
        to: at(START + 100),
    };
    assert_eq!(heard(alloc::vec![short]), 2, "silent before it already");
}

#[test]
fn a_booking_that_nobody_came_to_is_tracked_once() {
    let track = TrackBooking { key: key() };
    let first = decided(&track, &view(None), 0, &answers(booked(0)));
    assert_eq!(first.reply, Ok(true));
    let session = written(&first.changeset).unwrap();
    assert_eq!(session.look_at, Some(at(DUE)));
    let again = decided(&track, &view(Some(session)), 0, &Answers::default());
    assert_eq!(again.reply, Ok(false));
    let settled = decided(
        &track,
        &view(None),
        0,
        &answers(reading(0, BookingStatus::Finalized)),
    );
    assert_eq!(settled.reply, Ok(false));
    assert!(settled.changeset.is_empty());
    let nothing = decided(
        &track,
        &view(None),
        0,
        &answers(reading(0, BookingStatus::None)),
    );
    assert_eq!(nothing.reply, Err(BookingRefusal::BookingNotFound));
}

#[test]
fn attempts_that_come_to_the_same_are_one_that_counts() {
    let mut session = watched(&[], &[]);
    for n in 0..40 {
        session.look_at = Some(at(0));
        let decision = look(session, 9_000 + n, booked(9_000 + n));
        session = written(&decision.changeset).unwrap();
    }
    let [one] = session.attempts.as_slice() else {
        panic!("{:?}", session.attempts);
    };
    assert_eq!(
        (one.class, one.times),
        (AttemptClass::Waiting(Waiting::NotStarted), 40)
    );
    assert_eq!(one.at, at(9_039));
}

#[test]
fn sides_are_told_apart_and_nobody_else_is_one() {
    let agreement = session().agreement;
    assert_eq!(agreement.side(HOST), Some(Side::Host));
    assert_eq!(agreement.side(GUEST), Some(Side::Guest));
    assert_eq!(agreement.side(ORACLE), None);
    let boxed: Box<BookedSession> = Box::new(session());
    assert!(!boxed.is_attended());
    assert!(matches!(
        Fact::SessionMissed {
            booking: key(),
            outcome: Outcome::Completed
        }
        .name(),
        "session_missed"
    ));
}

#[test]
fn a_booking_is_gone_where_many_looks_in_a_row_do_not_find_it() {
    let mut session = watched(&[], &[]);
    for n in 1..super::NOT_FOUND_IN_A_ROW {
        let gone = look(session, DUE, reading(DUE, BookingStatus::None));
        session = written(&gone.changeset).unwrap();
        assert_eq!(session.settlement, Settlement::Open, "{n}");
        session.look_at = Some(at(0));
    }
    let gone = look(session, DUE, reading(DUE, BookingStatus::None));
    assert_eq!(facts(&gone.changeset), ["session_settled"]);
    let session = written(&gone.changeset).unwrap();
    assert!(session.settlement.is_terminal());
    // And is there again, where only the chain had lost it.
    let back = look(session, DUE + 120, booked(DUE + 120));
    assert!(matches!(back.reply, Ok(Considered::Decided { .. })));
}

#[test]
fn coming_in_postpones_no_look() {
    let mut session = session();
    session.look_at = Some(at(START));
    let joined = join(Some(session), HOST, START - 60);
    assert_eq!(
        written(&joined.changeset).unwrap().look_at,
        Some(at(START)),
        "for what both parties signed"
    );
}

#[test]
fn without_a_key_a_window_that_closed_is_noticed_all_the_same() {
    let mut keyless = booked(12_101);
    keyless.attester = None;
    let decision = look(watched(&[], &[]), 12_101, keyless);
    assert_eq!(facts(&decision.changeset), ["session_missed"]);
}

#[test]
fn signatures_that_a_reorganisation_outlived_leave_it_to_the_policy() {
    let (mut session, _) = attesting();
    let statement = |deadline| super::OutcomeStatement {
        outcome: Outcome::Completed,
        metrics_hash: Word::ZERO,
        deadline,
        signature: "0x".to_string(),
        at: at(0),
    };
    let deadline = at(DUE).unix();
    if let Some(decision) = &mut session.decision {
        decision.by = DecidedBy::Statements {
            host: statement(deadline),
            guest: statement(deadline),
        };
    }
    session.settlement = Settlement::Settled {
        done: Done::Submitted,
        at: at(DUE),
    };
    session.look_at = Some(at(0));
    let in_time = look(session.clone(), DUE, booked(DUE));
    let again = written(&in_time.changeset).unwrap().decision;
    assert_eq!(again, session.decision);
    let late = look(session, DUE + 1, booked(DUE + 1));
    let decided = written(&late.changeset).unwrap().decision.unwrap();
    assert_eq!(decided.by, DecidedBy::Presence);
    assert_eq!(decided.outcome, Outcome::NoShowHost);
}
