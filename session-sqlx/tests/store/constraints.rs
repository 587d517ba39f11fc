//! The schema refuses by itself what the core would never write.

use session_core::auth::{Challenge, ChallengeKey};
use session_core::changeset::{Draft, Row};
use session_core::idempotency::{IdempotencyKey, IdempotencyRecord};
use session_core::journal::Chain;
use session_core::ledger::{AccountKey, AccountKind, Action, Owner, Reason, Reference, Transfer};
use session_core::media::{Channel, MediaUid};
use session_core::outage::Service;
use session_core::outbox::{Effect, Intent, IntentClass};
use session_core::ports::{Read, Store};
use session_core::types::{ChainId, IntentKey, TransferId, Unit};
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::common::{
    Opened, at, booked, event, fresh, host, revocation, room, room_id, seat, wallet,
};

/// One row of each kind: room 1 with seats 1 and 2, room 2, a wallet with 100 seconds of which 10
/// are held, and a transfer that the reservation is.
async fn furnished() -> (Opened, SqliteConnection) {
    let opened = fresh().await;
    let mut draft = Draft::new();
    draft.insert(room(1));
    draft.insert(room(2));
    draft.insert(event(1));
    draft.insert(revocation(1));
    draft.insert(booked(1));
    draft.insert(host(1));
    draft.insert(seat(1));
    draft.insert(seat(2));
    draft.insert(Service {
        last_beat_at: at(1),
        outages: Vec::new(),
    });
    draft.insert(Challenge {
        key: ChallengeKey {
            wallet: wallet(1),
            nonce: [1; 32],
        },
        issued_at: at(1),
        forget_at: at(302),
    });
    draft.insert(IdempotencyRecord {
        key: IdempotencyKey::parse(wallet(1), "c", "k").unwrap(),
        fingerprint: [1; 16],
        answer: "{}".to_owned(),
        expires_at: at(9),
    });
    let channel = Channel::free_room(room_id(1));
    let effect = Effect::RemoveFromChannel {
        connection: None,
        channel,
        uid: MediaUid::new(1).unwrap(),
    };
    let key = IntentKey::derive("test", &[]);
    draft.intent(Intent::new(key, IntentClass::Repeatable, effect, at(1)));
    draft.transfer(transfer(
        "grant",
        AccountKind::GrantBase,
        100,
        Action::Posted,
    ));
    let pending = Action::Pending { deadline: at(50) };
    let hold = Transfer {
        debit: account(AccountKind::Wallet),
        credit: account(AccountKind::Refundable),
        ..transfer("hold", AccountKind::Wallet, 10, pending)
    };
    draft.transfer(hold);
    opened.store.commit(&draft.finish()).await.unwrap();
    let unsealed = opened
        .store
        .read(&[Read::UnsealedEntries(1)])
        .await
        .unwrap();
    let chain = Chain::new(ChainId::from_random([1; 16]), at(1));
    let mut draft = Draft::new();
    for stored in &unsealed[0] {
        if let Row::Entry(entry) = &stored.row {
            draft.insert(chain.seal(&[entry], at(2)));
        }
    }
    draft.insert(chain);
    opened.store.commit(&draft.finish()).await.unwrap();
    let hand = opened.file.by_hand().await;
    (opened, hand)
}

fn account(kind: AccountKind) -> AccountKey {
    AccountKey::new(Owner::Wallet(wallet(1)), kind, Unit::Seconds)
}

fn transfer(cause: &str, from: AccountKind, amount: u64, action: Action) -> Transfer {
    Transfer {
        id: TransferId::derive(cause, &[]),
        debit: account(from),
        credit: account(AccountKind::Wallet),
        amount,
        action,
        reason: Reason::GrantBase,
        reference: Reference::None,
        at: at(1),
    }
}

/// Statements that each break one rule, and what the refusal names.
const FORBIDDEN: &[(&str, &str)] = &[
    // Accounts.
    (
        "UPDATE account SET debits_posted = 91 WHERE kind = 'wallet'",
        "account_never_negative",
    ),
    (
        "UPDATE account SET debits_pending = 101 WHERE kind = 'wallet'",
        "account_never_negative",
    ),
    (
        "UPDATE account SET credits_posted = 9 WHERE kind = 'wallet'",
        "account_never_negative",
    ),
    (
        "UPDATE account SET debits_posted = 1 WHERE kind = 'refundable'",
        "account_never_negative",
    ),
    (
        "INSERT INTO account VALUES ('pool', 'sats', 'house', 0, 1, 0, 0, 1)",
        "account_never_negative",
    ),
    (
        "UPDATE account SET credits_posted = -1",
        "credits_posted >= 0",
    ),
    (
        "UPDATE account SET debits_posted = -1",
        "debits_posted >= 0",
    ),
    (
        "UPDATE account SET credits_pending = -1",
        "credits_pending >= 0",
    ),
    (
        "UPDATE account SET debits_pending = -1",
        "debits_pending >= 0",
    ),
    ("UPDATE account SET version = 0", "version >= 1"),
    ("UPDATE account SET kind = 'purse'", "kind IN"),
    ("UPDATE account SET kind = 'revenue'", "kind IN"),
    ("UPDATE account SET unit = 'eggs'", "unit IN"),
    ("UPDATE account SET owner = 'nobody'", "owner = 'house'"),
    (
        "UPDATE account SET credits_posted = 'much'",
        "cannot store TEXT",
    ),
    ("UPDATE account SET credits_posted = NULL", "NOT NULL"),
    ("INSERT INTO account SELECT * FROM account", "UNIQUE"),
    // Transfers.
    ("UPDATE transfer SET amount = 0", "amount > 0"),
    ("UPDATE transfer SET amount = -5", "amount > 0"),
    (
        "UPDATE transfer SET debit_kind = credit_kind",
        "transfer_between_two",
    ),
    ("UPDATE transfer SET debit_kind = 'purse'", "debit_kind IN"),
    (
        "UPDATE transfer SET credit_kind = 'purse'",
        "credit_kind IN",
    ),
    ("UPDATE transfer SET unit = 'eggs'", "unit IN"),
    ("UPDATE transfer SET action = 'moved'", "action IN"),
    ("UPDATE transfer SET reason = 'theft'", "reason IN"),
    (
        "UPDATE transfer SET deadline = NULL WHERE action = 'pending'",
        "transfer_deadline",
    ),
    (
        "UPDATE transfer SET deadline = 9 WHERE action = 'posted'",
        "transfer_deadline",
    ),
    (
        "UPDATE transfer SET deadline = 0 WHERE action = 'pending'",
        "transfer_deadline",
    ),
    (
        "UPDATE transfer SET resolves = id WHERE action = 'posted'",
        "transfer_resolves",
    ),
    (
        "UPDATE transfer SET action = 'post', deadline = NULL",
        "transfer_resolves",
    ),
    (
        "INSERT INTO transfer SELECT substr(transfer.id, 2) || n.value, debit_kind, debit_owner, \
        credit_kind, credit_owner, unit, amount, 'void', NULL, transfer.id, reason, connection, decided_at \
        FROM transfer CROSS JOIN json_each('[\"x\", \"y\"]') AS n WHERE action = 'pending'",
        "UNIQUE constraint failed: transfer.resolves",
    ),
    (
        "UPDATE transfer SET action = 'void', deadline = NULL, \
        resolves = '00000000000000000000000000000000' WHERE action = 'pending'",
        "FOREIGN KEY",
    ),
    (
        "INSERT INTO transfer SELECT * FROM transfer",
        "UNIQUE constraint failed: transfer.id",
    ),
    // Challenges and answers.
    ("INSERT INTO challenge SELECT * FROM challenge", "UNIQUE"),
    ("UPDATE challenge SET nonce = 'short'", "length(nonce) = 64"),
    (
        "UPDATE challenge SET wallet = 'house'",
        "length(wallet) = 42",
    ),
    (
        "INSERT INTO idempotency SELECT * FROM idempotency",
        "UNIQUE",
    ),
    ("UPDATE idempotency SET key = ''", "length(key) BETWEEN"),
    (
        "UPDATE idempotency SET answer = 'yes'",
        "json_valid(answer)",
    ),
    // Intents.
    ("UPDATE intent SET state = 'lost'", "state"),
    ("UPDATE intent SET class = 'often'", "class IN"),
    ("UPDATE intent SET effect = '{'", "json_valid(effect)"),
    ("UPDATE intent SET attempts = -1", "attempts BETWEEN"),
    ("INSERT INTO intent SELECT * FROM intent", "UNIQUE"),
    // Rooms.
    (
        "INSERT INTO room SELECT replace(id, '0', 'f'), host, visibility, ai_enabled, created_at, \
        closed_at, closed_why, unjoined_until, live_seats, version, last_event FROM room",
        "UNIQUE constraint failed: room.host",
    ),
    (
        "UPDATE room SET host = (SELECT max(host) FROM room)",
        "UNIQUE constraint failed: room.host",
    ),
    ("UPDATE room SET visibility = 'hidden'", "visibility IN"),
    ("UPDATE room SET ai_enabled = 2", "ai_enabled IN"),
    ("UPDATE room SET live_seats = -1", "live_seats BETWEEN"),
    ("UPDATE room SET live_seats = 256", "live_seats BETWEEN"),
    (
        "UPDATE room SET closed_at = 2000, live_seats = 0",
        "room_closed_for_a_reason",
    ),
    (
        "UPDATE room SET closed_why = 'emptied'",
        "room_closed_for_a_reason",
    ),
    (
        "UPDATE room SET closed_at = 2000, closed_why = 'boredom', live_seats = 0",
        "closed_why IN",
    ),
    (
        "UPDATE room SET closed_at = 2000, closed_why = 'emptied'",
        "room_closed_is_empty",
    ),
    (
        "UPDATE room SET unjoined_until = 2000",
        "room_joined_waits_for_nobody",
    ),
    ("DELETE FROM room", "FOREIGN KEY"),
    // Seats.
    (
        "UPDATE seat SET wallet = (SELECT max(wallet) FROM seat)",
        "UNIQUE constraint failed: seat.wallet",
    ),
    (
        "UPDATE seat SET slot = 3",
        "UNIQUE constraint failed: seat.room, seat.slot",
    ),
    (
        "UPDATE seat SET uid = 3",
        "UNIQUE constraint failed: seat.room, seat.uid",
    ),
    (
        "UPDATE seat SET room = 'ffffffff-ffff-4fff-bfff-ffffffffffff'",
        "FOREIGN KEY",
    ),
    ("UPDATE seat SET uid = 0", "uid BETWEEN"),
    ("UPDATE seat SET uid = 4294967296", "uid BETWEEN"),
    ("UPDATE seat SET slot = 256", "slot BETWEEN"),
    (
        "UPDATE seat SET metered_to = joined_at - 1, charged = 0",
        "metered_to >= joined_at",
    ),
    (
        "UPDATE seat SET last_seen_at = joined_at - 1",
        "last_seen_at >= joined_at",
    ),
    (
        "UPDATE seat SET charged = metered_to - joined_at + 1",
        "seat_charged_at_most_presence",
    ),
    ("UPDATE seat SET charged = -1", "charged >= 0"),
    ("UPDATE seat SET gone_at = 2000", "seat_gone_for_a_reason"),
    (
        "UPDATE seat SET gone_why = 'left'",
        "seat_gone_for_a_reason",
    ),
    (
        "UPDATE seat SET gone_at = 2000, gone_why = 'bored'",
        "gone_why IN",
    ),
    (
        "UPDATE seat SET gone_at = joined_at - 1, gone_why = 'left'",
        "gone_at >= joined_at",
    ),
    (
        "UPDATE seat SET undelivered = '['",
        "json_valid(undelivered)",
    ),
    // The shared beat, queues, the journal.
    ("INSERT INTO service VALUES (2, 1, '[]', 1)", "id = 1"),
    ("INSERT INTO service SELECT * FROM service", "UNIQUE"),
    ("UPDATE service SET outages = ''", "json_valid(outages)"),
    ("UPDATE work SET lane = 'fast'", "lane IN"),
    ("UPDATE work SET fence = -1", "fence >= 0"),
    ("INSERT INTO work SELECT * FROM work", "UNIQUE"),
    ("INSERT INTO journal SELECT * FROM journal", "UNIQUE"),
    ("UPDATE journal SET fact = 'it was so'", "json_valid(fact)"),
    ("UPDATE journal SET id = 'first'", "length(id) = 32"),
    ("UPDATE journal SET version = 2", "version = 1"),
    (
        "UPDATE journal SET id = 'ffffffffffffffffffffffffffffffff' \
        WHERE id IN (SELECT entry FROM unsealed)",
        "FOREIGN KEY",
    ),
    (
        "DELETE FROM journal WHERE id IN (SELECT entry FROM unsealed)",
        "FOREIGN KEY",
    ),
    // Blocks, and what is in none.
    (
        "INSERT INTO unsealed VALUES (1, 'ffffffffffffffffffffffffffffffff')",
        "FOREIGN KEY",
    ),
    (
        "INSERT INTO unsealed SELECT decided_at + 1, entry FROM unsealed",
        "UNIQUE constraint failed: unsealed.entry",
    ),
    ("UPDATE unsealed SET decided_at = -1", "decided_at >= 0"),
    ("INSERT INTO block SELECT * FROM block", "UNIQUE"),
    ("UPDATE block SET number = 0", "number >= 1"),
    ("UPDATE block SET previous = ''", "length(previous) = 64"),
    ("UPDATE block SET root = ''", "length(root) = 64"),
    ("UPDATE block SET hash = ''", "length(hash) = 64"),
    ("UPDATE block SET entries = '{}'", "json_type(entries)"),
    ("UPDATE block SET entries = '['", "json_valid(entries)"),
    ("UPDATE block SET version = 2", "version = 1"),
    (
        "INSERT INTO chain SELECT 2, chain, blocks, head, seal_at, version FROM chain",
        "id = 1",
    ),
    ("INSERT INTO chain SELECT * FROM chain", "UNIQUE"),
    ("UPDATE room SET last_event = -1", "last_event >= 0"),
    ("INSERT INTO room_event SELECT * FROM room_event", "UNIQUE"),
    ("UPDATE room_event SET number = 0", "number >= 1"),
    ("UPDATE room_event SET kind = 'entered'", "kind IN"),
    ("UPDATE room_event SET what = '{'", "json_valid(what)"),
    ("UPDATE room_event SET room = 'none'", "FOREIGN KEY"),
    ("INSERT INTO revocation SELECT * FROM revocation", "UNIQUE"),
    ("UPDATE revocation SET id = ''", "length(id) = 32"),
    ("UPDATE revocation SET what = 'key'", "what IN"),
    (
        "INSERT INTO booked_session SELECT * FROM booked_session",
        "UNIQUE",
    ),
    ("UPDATE booked_session SET key = ''", "length(key) > 0"),
    ("UPDATE booked_session SET host = 'me'", "length(host) = 42"),
    (
        "UPDATE booked_session SET guest = 'you'",
        "length(guest) = 42",
    ),
    ("UPDATE booked_session SET status = 'lost'", "status IN"),
    ("UPDATE booked_session SET starts_at = -1", "starts_at >= 0"),
    (
        "UPDATE booked_session SET record = '{'",
        "json_valid(record)",
    ),
    ("UPDATE booked_session SET version = 0", "version >= 1"),
    ("INSERT INTO host SELECT * FROM host", "UNIQUE"),
    ("UPDATE host SET wallet = 'me'", "length(wallet) = 42"),
    (
        "UPDATE host SET accepting_bookings = 2",
        "accepting_bookings IN",
    ),
    ("UPDATE host SET changed_at = -1", "changed_at >= 0"),
    ("UPDATE host SET version = 0", "version >= 1"),
    ("UPDATE work SET due_at = -1", "due_at >= 0"),
    ("UPDATE work SET leased_until = -1", "leased_until >= 0"),
    ("UPDATE work SET row_key = ''", "length(row_key) > 0"),
    ("UPDATE journal SET wallet = 'me'", "length(wallet) = 42"),
    ("UPDATE chain SET chain = 'mine'", "length(chain) = 36"),
    ("UPDATE chain SET blocks = -1", "blocks >= 0"),
    ("UPDATE chain SET head = ''", "length(head) = 64"),
];

#[tokio::test]
async fn the_schema_refuses_what_breaks_an_invariant() {
    let (_opened, mut hand) = furnished().await;
    for (statement, named) in FORBIDDEN {
        let outcome = sqlx::query(AssertSqlSafe(*statement))
            .execute(&mut hand)
            .await;
        let refusal = outcome.expect_err(statement).to_string();
        assert!(refusal.contains(named), "{statement}: {refusal}");
    }
}

/// A table without rows would let every update pass; so would a test that looked at none.
#[tokio::test]
async fn every_table_has_a_row_to_break() {
    let (_opened, mut hand) = furnished().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    )
    .fetch_all(&mut hand)
    .await
    .unwrap();
    assert_eq!(tables.len(), 18, "{tables:?}");
    for table in tables {
        let count = AssertSqlSafe(["SELECT count(*) FROM ", &table].concat());
        let rows: i64 = sqlx::query_scalar(count)
            .fetch_one(&mut hand)
            .await
            .unwrap();
        assert!(rows > 0, "{table}");
    }
}

/// What is gone or closed holds nothing any more.
#[tokio::test]
async fn what_only_one_may_have_is_free_again_afterwards() {
    let (_opened, mut hand) = furnished().await;
    for statement in [
        "UPDATE seat SET gone_at = 2000, gone_why = 'left'",
        "UPDATE seat SET wallet = (SELECT max(wallet) FROM seat), slot = 3, uid = 3",
        "UPDATE room SET closed_at = 2000, closed_why = 'emptied', live_seats = 0",
        "UPDATE room SET host = (SELECT max(host) FROM room)",
    ] {
        sqlx::query(statement)
            .execute(&mut hand)
            .await
            .expect(statement);
    }
}
