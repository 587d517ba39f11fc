//! Bugs that are planted on purpose, and the invariant that finds each.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use session_core::booking::{BookedSession, Settlement};
use session_core::changeset::{
    Changeset, Expect, Fact, Fence, Key, Lane, Receipt, Rejection, Row, World, Write, apply,
};
use session_core::escrow::{BookingKey, EscrowReading, Outcome};
use session_core::ledger::{Order, usage};
use session_core::media::Ttl;
use session_core::outbox::{Intent, IntentState, Outcome as Effected};
use session_core::ports::{
    Attestation, Claim, Claimed, CommitError, Effects, Escrows, PortError, Read, Sent, Store,
    StoreError, StoredRow,
};
use session_core::service::Ports;
use session_core::types::{ConnectionId, EntryId, Id128, Seconds, TransferId, Wallet, Word};
use session_testkit::sim::{Backend, Choices, Honest, Plan, Wrap, run, systems};

/// What a backend does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    AcknowledgesBeforeItWrites,
    AcknowledgesWithoutWriting,
    ChargesPastALeave,
    DropsAnEntry,
    ForgetsAnswers,
    ForgetsSubmissions,
    ForgetsUniques,
    HalfAChangeset,
    HidesTheBeat,
    LostUpdate,
    MixesUpHashes,
    SealsTwice,
    ShortLease,
    SkipsTheFence,
    StaleReads,
    TransferTwice,
}

/// A backend with a bug.
#[derive(Debug)]
pub(crate) struct Planted {
    bug: Bug,
    honest: Honest,
    before: World,
    waiting: Vec<Changeset>,
    left: Vec<(Wallet, ConnectionId)>,
    calls: u64,
}

impl Planted {
    pub(crate) fn on_its_own(bug: Bug) -> Box<dyn Backend> {
        Self::around(bug, World::new())
    }

    pub(crate) fn around(bug: Bug, world: World) -> Box<dyn Backend> {
        Box::new(Self {
            bug,
            before: world.clone(),
            honest: Honest::around(world),
            waiting: Vec::new(),
            left: Vec::new(),
            calls: 0,
        })
    }

    /// Some calls are right, so that a run gets somewhere.
    fn now_and_then(&mut self) -> bool {
        self.calls += 1;
        self.calls.is_multiple_of(5)
    }

    /// On the rows alone that the changeset names, so that nobody else is seen to hold anything.
    fn commit_alone(&mut self, changeset: &Changeset) -> Result<Receipt, Rejection> {
        let world = self.honest.world();
        let mut named = World::new();
        for key in changeset.keys() {
            if let Some((version, row)) = world.row(&key) {
                named.put_row(*version, row.clone());
            }
            if let Some(work) = world.work(&key) {
                named.put_work(key, *work);
            }
        }
        let ids = changeset.transfer_ids();
        for transfer in world
            .transfers()
            .filter(|transfer| ids.contains(&transfer.id))
        {
            named.put_transfer(*transfer);
        }
        for entry in world.unsealed() {
            if let Some((_, Row::Entry(entry))) = world.row(&Key::Entry(entry)) {
                named.put_unsealed(entry.at, entry.id);
            }
        }
        let delta = apply(&named, changeset)?;
        self.honest.world_mut().absorb(&delta);
        Ok(delta.receipt)
    }

    /// Of these entries one that no sum and no stay is made of: of others the audit first says that
    /// they tell again what was told.
    fn stands_alone(&self, entries: &[EntryId]) -> Option<EntryId> {
        let world = self.honest.world();
        let is_other = |entry: &&EntryId| {
            let row = world.row(&Key::Entry(**entry));
            row.is_some_and(|(_, row)| {
                matches!(row, Row::Entry(entry) if matches!(entry.fact, Fact::Outage { .. } | Fact::SignedIn { .. }))
            })
        };
        entries.iter().find(is_other).copied()
    }

    /// As decided on the world before the last commit.
    fn commit_late(&mut self, changeset: &Changeset) -> Result<Receipt, Rejection> {
        let delta =
            apply(&self.before, changeset).or_else(|_| apply(self.honest.world(), changeset))?;
        self.before = self.honest.world().clone();
        self.honest.world_mut().absorb(&delta);
        Ok(delta.receipt)
    }
}

impl Backend for Planted {
    fn world(&self) -> &World {
        self.honest.world()
    }

    fn read(&mut self, reads: &[Read]) -> Vec<Vec<StoredRow>> {
        if self.bug == Bug::StaleReads && self.now_and_then() {
            return reads.iter().map(|read| self.before.find(read)).collect();
        }
        let mut found = self.honest.read(reads);
        // The beat itself reads one row.
        if self.bug == Bug::HidesTheBeat && reads.len() > 1 {
            for (read, rows) in reads.iter().zip(&mut found) {
                if *read == Read::Row(Key::Service(())) {
                    rows.clear();
                }
            }
        }
        found
    }

    fn commit(&mut self, changeset: &Changeset) -> Result<Receipt, Rejection> {
        let mut changeset = changeset.clone();
        match self.bug {
            Bug::AcknowledgesBeforeItWrites => {
                for waiting in std::mem::take(&mut self.waiting) {
                    let _ = self.honest.commit(&waiting);
                }
                let delta = apply(self.honest.world(), &changeset)?;
                if self.now_and_then() {
                    self.waiting.push(changeset);
                    return Ok(delta.receipt);
                }
            }
            Bug::AcknowledgesWithoutWriting => {
                let delta = apply(self.honest.world(), &changeset)?;
                if self.now_and_then() {
                    return Ok(delta.receipt);
                }
            }
            Bug::ChargesPastALeave => {
                for (wallet, connection) in std::mem::take(&mut self.left) {
                    let at = session_core::types::Timestamp::from_unix(1_800_000_000);
                    let version = session_core::changeset::Version::new(u64::MAX);
                    let transfer = usage(wallet, connection, version, Seconds::new(1), at);
                    let more = Changeset {
                        transfers: vec![Order {
                            transfer,
                            guard: None,
                        }],
                        ..Changeset::default()
                    };
                    let _ = self.honest.commit(&more);
                }
                self.left.extend(
                    changeset
                        .journal
                        .iter()
                        .filter_map(|entry| match entry.fact {
                            Fact::Left {
                                wallet, connection, ..
                            } => Some((wallet, connection)),
                            _ => None,
                        }),
                );
            }
            Bug::DropsAnEntry => {
                if self.now_and_then() {
                    changeset.journal.pop();
                }
            }
            Bug::ForgetsAnswers => changeset.idempotency = None,
            Bug::ForgetsSubmissions => {
                let is_submitted = |write: &Write| matches!(write, Write::Update(Row::Intent(intent)) if intent.state == IntentState::Submitted);
                changeset.rows.retain(|write| !is_submitted(write));
            }
            Bug::ForgetsUniques => return self.commit_alone(&changeset),
            Bug::HalfAChangeset => {
                if self.now_and_then() {
                    changeset.transfers.clear();
                }
            }
            Bug::LostUpdate => return self.commit_late(&changeset),
            Bug::MixesUpHashes => sessions(&mut changeset, |session| {
                if let Some(decision) = &mut session.decision {
                    decision.metrics_hash = Word::ZERO;
                }
            }),
            Bug::SealsTwice => {
                let receipt = self.honest.commit(&changeset)?;
                for write in &changeset.rows {
                    if let Write::Insert(Row::Block(block)) = write
                        && block.number.get() % 2 == 1
                        && let Some(entry) = self.stands_alone(&block.entries)
                    {
                        let at = block.sealed_at;
                        self.honest.world_mut().put_unsealed(at, entry);
                    }
                }
                return Ok(receipt);
            }
            Bug::SkipsTheFence => {
                for expect in &mut changeset.expect {
                    if let Expect::Claimed(key, fence) = expect {
                        let now = self.honest.world().work(key);
                        *fence = now.map_or(Fence::default(), |work| work.fence);
                    }
                }
            }
            Bug::StaleReads => self.before = self.honest.world().clone(),
            Bug::TransferTwice => {
                let mut again: Vec<Order> = changeset.transfers.clone();
                for order in &mut again {
                    let id = order.transfer.id.to_bytes();
                    order.transfer.id = TransferId::derive("again", &[&id]);
                }
                changeset.transfers.extend(again);
                // Where there is too little for both, it happens once.
                if let Ok(receipt) = self.honest.commit(&changeset) {
                    return Ok(receipt);
                }
                changeset.transfers.truncate(changeset.transfers.len() / 2);
            }
            Bug::HidesTheBeat | Bug::ShortLease => {}
        }
        self.honest.commit(&changeset)
    }

    fn claim(&mut self, claim: &Claim) -> Vec<Claimed> {
        let mut claim = *claim;
        if self.bug == Bug::ShortLease {
            claim.lease = Seconds::new(2);
        }
        self.honest.claim(&claim)
    }
}

/// A store between the driver and the simulated one.
#[derive(Debug)]
struct Between {
    store: Arc<dyn Store>,
    changes: fn(&mut Changeset),
    hides: Option<Lane>,
}

#[async_trait]
impl Store for Between {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        self.store.read(reads).await
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        let mut changeset = changeset.clone();
        (self.changes)(&mut changeset);
        self.store.commit(&changeset).await
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        if self.hides == Some(claim.lane) {
            return Ok(Vec::new());
        }
        self.store.claim_due(claim).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

/// Does everything twice.
#[derive(Debug)]
struct Twice(Arc<dyn Effects>);

#[async_trait]
impl Effects for Twice {
    async fn perform(&self, intent: &Intent) -> Effected {
        self.0.perform(intent).await;
        self.0.perform(intent).await
    }

    async fn ask(&self, intent: &Intent) -> Effected {
        self.0.ask(intent).await
    }
}

/// Escrows between the core and the simulated ones.
#[derive(Debug)]
struct Meddling {
    escrows: Arc<dyn Escrows>,
    reads: fn(&mut EscrowReading),
    sends: fn(&mut Attestation),
}

#[async_trait]
impl Escrows for Meddling {
    async fn read(&self, booking: &BookingKey) -> Result<EscrowReading, PortError> {
        let mut reading = self.escrows.read(booking).await?;
        (self.reads)(&mut reading);
        Ok(reading)
    }

    async fn attest(&self, attestation: &Attestation) -> Sent {
        let mut attestation = attestation.clone();
        (self.sends)(&mut attestation);
        self.escrows.attest(&attestation).await
    }
}

fn meddle(ports: &mut Ports, reads: fn(&mut EscrowReading), sends: fn(&mut Attestation)) {
    ports.escrows = Arc::new(Meddling {
        escrows: ports.escrows.clone(),
        reads,
        sends,
    });
}

/// Changes each booked session that is written.
fn sessions(changeset: &mut Changeset, change: fn(&mut BookedSession)) {
    for write in &mut changeset.rows {
        if let Write::Insert(Row::BookedSession(session))
        | Write::Update(Row::BookedSession(session)) = write
        {
            change(session);
        }
    }
}

/// Whoever comes has been there for ten minutes.
fn dates_back(changeset: &mut Changeset) {
    sessions(changeset, |session| {
        for stays in [&mut session.host.stays, &mut session.guest.stays] {
            if let [stay] = &mut stays[..] {
                stay.joined_at = stay.joined_at.before(Seconds::new(600));
            }
        }
    });
}

/// The decision is taken back once it is known that the chain does not have it.
fn forgets_the_decision(changeset: &mut Changeset) {
    let is_conclusion = |write: &Write| matches!(write, Write::Update(Row::Intent(intent)) if intent.attempts > 0 && !intent.is_settled());
    if changeset.rows.iter().any(is_conclusion) {
        sessions(changeset, |session| session.decision = None);
    }
}

/// A session comes on record and nobody is told to look.
fn looks_at_nothing(changeset: &mut Changeset) {
    sessions(changeset, |session| {
        if session.settlement == Settlement::Open && session.attempts.is_empty() {
            session.look_at = None;
        }
    });
}

/// The node's clock is nearly as far ahead as it is believed.
fn reads_the_future(reading: &mut EscrowReading) {
    reading.chain_now = reading.chain_now.after(Seconds::new(290));
}

/// A window is said to be missed where the attestation was merely not taken.
fn gives_up(changeset: &mut Changeset) {
    sessions(changeset, |session| {
        if let (Settlement::Attesting, Some(decision)) = (session.settlement, &session.decision) {
            session.settlement = Settlement::WindowMissed {
                outcome: decision.outcome,
                at: decision.decided_at,
            };
        }
    });
}

fn wrap(change: fn(&mut Ports)) -> Wrap {
    Arc::new(move |mut ports| {
        change(&mut ports);
        ports
    })
}

fn between(ports: &mut Ports, changes: fn(&mut Changeset), hides: Option<Lane>) {
    ports.store = Arc::new(Between {
        store: ports.store.clone(),
        changes,
        hides,
    });
}

/// A refusal closes the way behind it: what was refused is written too.
fn writes_what_was_refused(changeset: &mut Changeset) {
    let is_refusal = |record: &session_core::idempotency::IdempotencyRecord| {
        record.answer.contains("\"Err\"") && changeset.rows.is_empty()
    };
    if let Some(record) = changeset
        .idempotency
        .as_ref()
        .filter(|record| is_refusal(record))
    {
        let key = session_core::auth::ChallengeKey {
            wallet: record.key.caller,
            nonce: session_core::crypto::sha256(record.key.key.as_bytes()),
        };
        let challenge = session_core::auth::Challenge {
            key,
            issued_at: record.expires_at,
            forget_at: record.expires_at,
        };
        let row = Row::from(challenge);
        changeset.expect.push(Expect::Absent(row.key()));
        changeset.rows.push(Write::Insert(row));
    }
}

/// A departure is not told, and the room has counted it.
fn tells_of_no_departure(changeset: &mut Changeset) {
    let is_departure = |write: &Write| matches!(write, Write::Insert(Row::RoomEvent(event)) if event.what.ends().is_some());
    changeset.rows.retain(|write| !is_departure(write));
}

/// Whoever decides forgets how far the events have come.
fn forgets_how_far(changeset: &mut Changeset) {
    for write in &mut changeset.rows {
        if let Write::Update(Row::Room(room)) = write {
            room.last_event = session_core::room::EventNumber::NONE;
        }
    }
}

/// A command that seals forgets what it holds.
fn seals_under_no_claim(changeset: &mut Changeset) {
    let is_chain = |expect: &Expect| matches!(expect, Expect::Claimed(Key::Chain(()), _));
    changeset.expect.retain(|expect| !is_chain(expect));
}

/// Whether a bug is found within this many seeds; how many it took. It is told, too, which of all
/// invariants would have been the first.
fn seeds_until(of: &str, name: &str, invariant: &'static str, plan: &dyn Fn(Plan) -> Plan) -> u64 {
    // What is broken of rows goes by its own name, and is looked for by all of them.
    let is_of_rows = [
        "capacity",
        "chain",
        "conservation",
        "journaled",
        "never_negative",
        "one_seat",
    ]
    .contains(&invariant);
    let judge = if is_of_rows { "sound" } else { invariant };
    for seed in 0..1000 {
        let system = systems::named(of).unwrap();
        let base = Plan::of_choices(system, Choices::of_seed(seed)).with_steps(400);
        let outcome = run(plan(base.judged_by(judge)));
        if let Some(violation) = outcome.violation {
            assert_eq!(violation.invariant, invariant, "{name}: {violation}");
            println!("{name}: seed {seed}, {violation}");
            let base = Plan::of_seed(systems::named(of).unwrap(), seed).with_steps(400);
            match run(plan(base)).violation {
                Some(first) => println!("{name}: of all, {first}"),
                None => println!("{name}: of all, none"),
            }
            return seed + 1;
        }
    }
    panic!("{name}: nothing found in 1000 seeds");
}

macro_rules! found {
    ($($name:ident: $system:literal, $invariant:literal, $plan:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let plan: &dyn Fn(Plan) -> Plan = &$plan;
                seeds_until($system, stringify!($name), $invariant, plan);
            }
        )*
    };
}

fn on(bug: Bug) -> impl Fn(Plan) -> Plan {
    move |plan| plan.on(Planted::on_its_own(bug))
}

fn with(change: fn(&mut Ports)) -> impl Fn(Plan) -> Plan {
    move |plan| plan.with_ports(wrap(change))
}

found! {
    an_acknowledgement_before_the_commit: "free-rooms", "acknowledged",
        on(Bug::AcknowledgesBeforeItWrites);
    an_acknowledgement_without_a_commit: "free-rooms", "acknowledged",
        on(Bug::AcknowledgesWithoutWriting);
    a_charge_past_a_leave: "free-rooms", "charged_once", on(Bug::ChargesPastALeave);
    a_forgotten_answer: "free-rooms", "answered_once", on(Bug::ForgetsAnswers);
    an_effect_before_its_intent: "intents", "written_first", on(Bug::ForgetsSubmissions);
    a_wallet_in_two_rooms: "free-rooms", "one_seat", on(Bug::ForgetsUniques);
    half_a_changeset: "free-rooms", "charged_once", on(Bug::HalfAChangeset);
    a_clock_that_is_not_shared: "free-rooms", "charged_once", on(Bug::HidesTheBeat);
    a_lost_update: "free-rooms", "journaled", on(Bug::LostUpdate);
    a_claim_handed_out_twice: "free-rooms", "fenced", on(Bug::ShortLease);
    a_claim_that_is_not_named: "free-rooms", "fenced",
        with(|ports| between(ports, seals_under_no_claim, None));
    a_fence_that_is_not_looked_at: "free-rooms", "fenced", on(Bug::SkipsTheFence);
    a_stale_read: "free-rooms", "acknowledged", on(Bug::StaleReads);
    a_transfer_applied_twice: "free-rooms", "charged_once", on(Bug::TransferTwice);
    an_effect_performed_twice: "intents", "written_first",
        with(|ports| ports.effects = Arc::new(Twice(ports.effects.clone())));
    a_lease_that_is_too_long: "free-rooms", "lease_bound",
        with(|ports| ports.policy.rooms.lease = Ttl::new(Seconds::new(200)).unwrap());
    an_eviction_of_somebody_who_was_heard: "free-rooms", "silent_alone",
        with(|ports| ports.policy.rooms.silence_max_seconds = Seconds::new(5));
    an_outage_that_is_charged: "free-rooms", "charged_once",
        with(|ports| ports.policy.outage.missed_after_seconds = Seconds::new(100_000));
    a_refusal_that_writes: "free-rooms", "refusals_are_clean",
        with(|ports| between(ports, writes_what_was_refused, None));
    a_journal_entry_that_is_dropped: "free-rooms", "acknowledged", on(Bug::DropsAnEntry);
    an_entry_that_is_sealed_twice: "free-rooms", "chain", on(Bug::SealsTwice);
    a_departure_that_is_not_told: "free-rooms", "told_in_order",
        with(|ports| between(ports, tells_of_no_departure, None));
    a_room_that_forgets_its_events: "free-rooms", "told_in_order",
        with(|ports| between(ports, forgets_how_far, None));
    a_journal_that_nobody_seals: "free-rooms", "resolved",
        with(|ports| between(ports, |_| {}, Some(Lane::Seal)));
    another_hash_than_the_decided_one: "bookings", "attested_once",
        with(|ports| meddle(ports, |_| {}, |sent| sent.metrics_hash = Word::new([1; 32])));
    another_outcome_than_the_decided_one: "bookings", "attested_once",
        with(|ports| meddle(ports, |_| {}, |sent| sent.outcome = Outcome::NoShowHost));
    a_chain_that_is_thought_to_be_ahead: "bookings", "windows",
        with(|ports| meddle(ports, reads_the_future, |_| {}));
    an_attestation_that_is_given_up: "bookings", "windows",
        with(|ports| between(ports, gives_up, None));
    a_decision_that_is_taken_back: "bookings", "one_decision",
        with(|ports| between(ports, forgets_the_decision, None));
    a_stay_that_is_dated_back: "bookings", "follows",
        with(|ports| between(ports, dates_back, None));
    an_absence_that_is_told_too_early: "bookings", "follows",
        with(|ports| ports.policy.bookings.attestation.settle_delay_seconds = Seconds::ZERO);
    an_outage_that_counts_as_presence: "bookings", "follows",
        with(|ports| ports.policy.outage.missed_after_seconds = Seconds::new(100_000));
    a_session_that_nobody_looks_at: "bookings", "settled_in_time",
        with(|ports| between(ports, looks_at_nothing, None));
    sessions_that_nobody_works_on: "bookings", "settled_in_time",
        with(|ports| between(ports, |_| {}, Some(Lane::Attest)));
    a_lane_that_nobody_works_on: "free-rooms", "resolved",
        with(|ports| between(ports, |_| {}, Some(Lane::Seats)));
}
