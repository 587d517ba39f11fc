//! Statements of PostgreSQL that do in one message what elsewhere takes several: each message is
//! a trip to the server and back, and costs more than what it carries.

use crate::journal::{ENTER_APPENDED, appended};
use crate::rows::{
    account, block, booked_session, chain, challenge, entry, host, idempotency, intent, revocation,
    room, room_event, seat, service,
};
use crate::statement::text;

/// Rows of every kind, each with the number of its [`Kind`](crate::rows::Kind): by name, `$1` to
/// `$15`; active rooms of hosts, `$16`; live seats of wallets, `$17`, and in rooms, `$18`; nonces
/// of wallets, `$19`; the newest active open rooms, `$20`; the oldest entries that are in no
/// block, `$21`. One statement sees one instant.
pub(super) const FIND: &str = text!(
    STAY,
    " UNION ALL SELECT 1::bigint, ",
    block::TABLE.packed,
    " FROM unnest($6::bigint[]) AS named (number) JOIN block ON block.number = named.number \
    UNION ALL SELECT 3::bigint, ",
    chain::TABLE.packed,
    " FROM unnest($7::bigint[]) AS named (id) JOIN chain ON chain.id = named.id \
    UNION ALL SELECT 4::bigint, ",
    challenge::TABLE.packed,
    " FROM unnest($8::text[], $9::text[]) AS named (wallet, nonce) JOIN challenge \
    ON challenge.wallet = named.wallet AND challenge.nonce = named.nonce \
    UNION ALL SELECT 5::bigint, ",
    entry::TABLE.packed,
    " FROM unnest($10::text[]) AS named (id) JOIN journal ON journal.id = named.id \
    UNION ALL SELECT 7::bigint, ",
    idempotency::TABLE.packed,
    " FROM unnest($11::text[], $12::text[], $13::text[]) AS named (caller, command, key) \
    JOIN idempotency ON idempotency.caller = named.caller \
    AND idempotency.command = named.command AND idempotency.key = named.key \
    UNION ALL SELECT 8::bigint, ",
    intent::TABLE.packed,
    " FROM unnest($14::text[]) AS named (key) JOIN intent ON intent.key = named.key \
    UNION ALL SELECT 10::bigint, ",
    room::TABLE.packed,
    " FROM unnest($15::text[]) AS named (id) JOIN room ON room.id = named.id \
    UNION ALL SELECT 10::bigint, ",
    room::TABLE.packed,
    " FROM unnest($16::text[]) AS named (host) JOIN room \
    ON room.host = named.host AND room.closed_at IS NULL \
    UNION ALL SELECT 12::bigint, ",
    seat::TABLE.packed,
    " FROM unnest($17::text[]) AS named (wallet) JOIN seat \
    ON seat.wallet = named.wallet AND seat.gone_at IS NULL \
    UNION ALL SELECT 12::bigint, ",
    seat::TABLE.packed,
    " FROM unnest($18::text[]) AS named (room) JOIN seat \
    ON seat.room = named.room AND seat.gone_at IS NULL \
    UNION ALL SELECT 4::bigint, ",
    challenge::TABLE.packed,
    " FROM unnest($19::text[]) AS named (wallet) JOIN challenge \
    ON challenge.wallet = named.wallet \
    UNION ALL SELECT 10::bigint, ",
    room::TABLE.packed,
    " FROM (SELECT * FROM room WHERE closed_at IS NULL AND visibility = 'open' \
    ORDER BY created_at DESC, id LIMIT $20::bigint) AS room \
    UNION ALL SELECT 14::bigint, ",
    entry::TABLE.packed,
    entry::OLDEST_UNSEALED,
    "$21::bigint) AS oldest JOIN journal ON journal.id = oldest.entry"
);

/// The same and what is asked for seldom, which would cost the others a plan: by name revocations,
/// `$22`, and events of rooms, `$23` and `$24`; page by page events of rooms, `$25` to `$27`, last
/// stays in rooms, `$28` and `$29`, revoked tokens, `$30` to `$32`, and changes of credit, `$33` to
/// `$36`; booked sessions by name, `$37`, and page by page of wallets, `$38` to `$42`; hosts, `$43`.
pub(super) const FIND_MORE: &str = text!(
    FIND,
    " UNION ALL SELECT 9::bigint, ",
    revocation::TABLE.packed,
    " FROM unnest($22::text[]) AS named (id) JOIN revocation ON revocation.id = named.id \
    UNION ALL SELECT 11::bigint, ",
    room_event::TABLE.packed,
    " FROM unnest($23::text[], $24::bigint[]) AS named (room, number) JOIN room_event \
    ON room_event.room = named.room AND room_event.number = named.number \
    UNION ALL SELECT 11::bigint, ",
    room_event::TABLE.packed,
    " FROM unnest($25::text[], $26::bigint[], $27::bigint[]",
    room_event::AFTER_REST,
    " UNION ALL SELECT 12::bigint, ",
    seat::TABLE.packed,
    " FROM unnest($28::text[], $29::text[]",
    seat::LAST_IN_REST,
    " UNION ALL SELECT 9::bigint, ",
    revocation::TABLE.packed,
    " FROM unnest($30::bigint[], $31::text[], $32::bigint[]",
    revocation::TOKENS_AFTER_REST,
    " UNION ALL SELECT 5::bigint, ",
    entry::TABLE.packed,
    " FROM unnest($33::text[], $34::bigint[], $35::text[], $36::bigint[]",
    entry::CREDIT_BEFORE_REST,
    " UNION ALL SELECT 2::bigint, ",
    booked_session::TABLE.packed,
    " FROM unnest($37::text[]) AS named (key) JOIN booked_session \
    ON booked_session.key = named.key \
    UNION ALL SELECT 2::bigint, ",
    booked_session::TABLE.packed,
    " FROM unnest($38::text[], $39::text[], $40::bigint[], $41::text[], $42::bigint[]",
    booked_session::OF_WALLET_REST,
    " UNION ALL SELECT 6::bigint, ",
    host::TABLE.packed,
    " FROM unnest($43::text[]) AS named (wallet) JOIN host ON host.wallet = named.wallet"
);

/// What a heartbeat reads: accounts, `$1` to `$3`, seats, `$4`, and the shared beat, `$5`.
pub(super) const STAY: &str = text!(
    "SELECT 0::bigint AS kind, ",
    account::TABLE.packed,
    " AS columns FROM unnest($1::text[], $2::text[], $3::text[]) AS named (kind, unit, owner) \
    JOIN account ON account.kind = named.kind AND account.unit = named.unit \
    AND account.owner = named.owner \
    UNION ALL SELECT 12::bigint, ",
    seat::TABLE.packed,
    " FROM unnest($4::text[]) AS named (connection) JOIN seat \
    ON seat.connection = named.connection \
    UNION ALL SELECT 13::bigint, ",
    service::TABLE.packed,
    " FROM unnest($5::bigint[]) AS named (id) JOIN service ON service.id = named.id"
);

/// What heartbeats write: seats, `$1` to `$10`; accounts, `$11` to `$19`; transfers, `$20` to
/// `$32`; journal entries, `$33` to `$37`. Divides by zero, and so writes nothing at all, unless
/// it finds `$38` seats and `$39` accounts at the versions that are replaced.
///
/// Accounts are locked before seats, as everywhere: two that lock in different orders would wait
/// for each other. So the seats ask how many accounts there were.
pub(super) const BEAT: &str = text!(
    "WITH paid AS (UPDATE account SET credits_posted = new.credits_posted, \
    debits_posted = new.debits_posted, credits_pending = new.credits_pending, \
    debits_pending = new.debits_pending, version = new.version \
    FROM unnest($11::text[], $12::text[], $13::text[], $14::bigint[], $15::bigint[], \
    $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[]) AS new (kind, unit, owner, \
    credits_posted, debits_posted, credits_pending, debits_pending, version, replaced) \
    WHERE account.kind = new.kind AND account.unit = new.unit AND account.owner = new.owner \
    AND account.version = new.replaced RETURNING 1), \
    metered AS (",
    seat::METER.postgres,
    " AND (SELECT count(*) FROM paid) = $39::bigint RETURNING 1), \
    moved AS (INSERT INTO transfer (id, debit_kind, debit_owner, credit_kind, credit_owner, unit, \
    amount, action, deadline, resolves, reason, connection, decided_at) \
    SELECT * FROM unnest($20::text[], $21::text[], $22::text[], $23::text[], $24::text[], \
    $25::text[], $26::bigint[], $27::text[], $28::bigint[], $29::text[], $30::text[], \
    $31::text[], $32::bigint[])), \
    ",
    appended!(33, 34, 35, 36, 37),
    ", entered AS (",
    ENTER_APPENDED,
    ") SELECT 1 / (CASE WHEN (SELECT count(*) FROM metered) = $38::bigint \
    AND (SELECT count(*) FROM paid) = $39::bigint THEN 1 ELSE 0 END)"
);
