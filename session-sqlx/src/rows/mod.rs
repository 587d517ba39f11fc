//! The kinds of rows: one file for each with its columns, its statements, its reading and its
//! writing; here what all of them share.

pub(crate) mod account;
pub(crate) mod block;
pub(crate) mod booked_session;
pub(crate) mod chain;
pub(crate) mod challenge;
pub(crate) mod entry;
pub(crate) mod host;
pub(crate) mod idempotency;
pub(crate) mod intent;
pub(crate) mod revocation;
pub(crate) mod room;
pub(crate) mod room_event;
pub(crate) mod seat;
pub(crate) mod service;

use session_core::changeset::{Key, Row, Version};
use session_core::ports::StoreError;
use session_core::types::{ChainId, Id128, RoomId, Wallet, encode_hex};

use crate::columns::Columns;
use crate::statement::Table;
use crate::value::{Value, Values};

/// The kinds of rows, in the order of [`Key`], and one more way to find some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Account,
    Block,
    BookedSession,
    Chain,
    Challenge,
    Entry,
    Host,
    Idempotency,
    Intent,
    Revocation,
    Room,
    RoomEvent,
    Seat,
    Service,
    /// Entries that were found because they are in no block.
    Unsealed,
}

impl Kind {
    pub(crate) const fn of(key: &Key) -> Self {
        match key {
            Key::Account(_) => Self::Account,
            Key::Block(_) => Self::Block,
            Key::BookedSession(_) => Self::BookedSession,
            Key::Chain(()) => Self::Chain,
            Key::Challenge(_) => Self::Challenge,
            Key::Entry(_) => Self::Entry,
            Key::Host(_) => Self::Host,
            Key::Idempotency(_) => Self::Idempotency,
            Key::Intent(_) => Self::Intent,
            Key::Revocation(_) => Self::Revocation,
            Key::Room(_) => Self::Room,
            Key::RoomEvent(_) => Self::RoomEvent,
            Key::Seat(_) => Self::Seat,
            Key::Service(()) => Self::Service,
        }
    }

    /// The kind of a number: its place among the kinds.
    pub(crate) fn of_number(number: usize) -> Option<Self> {
        let all = [
            Self::Account,
            Self::Block,
            Self::BookedSession,
            Self::Chain,
            Self::Challenge,
            Self::Entry,
            Self::Host,
            Self::Idempotency,
            Self::Intent,
            Self::Revocation,
            Self::Room,
            Self::RoomEvent,
            Self::Seat,
            Self::Service,
            Self::Unsealed,
        ];
        all.get(number).copied()
    }

    pub(crate) const fn table(self) -> &'static Table {
        match self {
            Self::Account => &account::TABLE,
            Self::Block => &block::TABLE,
            Self::BookedSession => &booked_session::TABLE,
            Self::Chain => &chain::TABLE,
            Self::Challenge => &challenge::TABLE,
            Self::Entry | Self::Unsealed => &entry::TABLE,
            Self::Host => &host::TABLE,
            Self::Idempotency => &idempotency::TABLE,
            Self::Intent => &intent::TABLE,
            Self::Revocation => &revocation::TABLE,
            Self::Room => &room::TABLE,
            Self::RoomEvent => &room_event::TABLE,
            Self::Seat => &seat::TABLE,
            Self::Service => &service::TABLE,
        }
    }

    /// The row that the columns of this kind hold.
    pub(crate) fn decode(self, tuple: &[Value]) -> Result<(Version, Row), StoreError> {
        let columns = &Columns::new(self.table().columns, tuple);
        let row = match self {
            Self::Account => account::decode(columns)?.into(),
            Self::Block => block::decode(columns)?.into(),
            Self::BookedSession => booked_session::decode(columns)?.into(),
            Self::Chain => chain::decode(columns)?.into(),
            Self::Challenge => challenge::decode(columns)?.into(),
            Self::Entry | Self::Unsealed => entry::decode(columns)?.into(),
            Self::Host => host::decode(columns)?.into(),
            Self::Idempotency => idempotency::decode(columns)?.into(),
            Self::Intent => intent::decode(columns)?.into(),
            Self::Revocation => revocation::decode(columns)?.into(),
            Self::Room => room::decode(columns)?.into(),
            Self::RoomEvent => room_event::decode(columns)?.into(),
            Self::Seat => seat::decode(columns)?.into(),
            Self::Service => service::decode(columns)?.into(),
        };
        Ok((columns.version()?, row))
    }
}

/// The columns that name a row, in the order in which its table has them.
pub(crate) fn name(key: &Key) -> Values {
    match key {
        Key::Account(key) => Values::new().account(key),
        Key::Block(number) => Values::new().number(number.get()),
        Key::BookedSession(key) => Values::new().text(key),
        Key::Chain(()) => Values::new().number(chain::ONLY),
        Key::Challenge(key) => Values::new().text(key.wallet).text(encode_hex(&key.nonce)),
        Key::Entry(id) => Values::new().text(id),
        Key::Host(wallet) => Values::new().text(wallet),
        Key::Idempotency(key) => Values::new()
            .text(key.caller)
            .text(&key.command)
            .text(&key.key),
        Key::Intent(key) => Values::new().text(key),
        Key::Revocation(id) => Values::new().text(id),
        Key::Room(id) => Values::new().text(id),
        Key::RoomEvent(key) => Values::new().text(key.room).number(key.number.get()),
        Key::Seat(connection) => Values::new().text(connection),
        Key::Service(()) => Values::new().number(service::ONLY),
    }
}

/// The columns of a row but for its version, those that name it first.
pub(crate) fn values(row: &Row) -> Values {
    match row {
        Row::Account(account) => account::values(account),
        Row::Block(block) => block::values(block),
        Row::BookedSession(session) => booked_session::values(session),
        Row::Chain(chain) => chain::values(chain),
        Row::Challenge(challenge) => challenge::values(challenge),
        Row::Entry(entry) => entry::values(entry),
        Row::Host(host) => host::values(host),
        Row::Idempotency(record) => idempotency::values(record),
        Row::Intent(intent) => intent::values(intent),
        Row::Revocation(revocation) => revocation::values(revocation),
        Row::Room(room) => room::values(room),
        Row::RoomEvent(event) => room_event::values(event),
        Row::Seat(seat) => seat::values(seat),
        Row::Service(service) => service::values(service),
    }
}

/// A row of this name that collides with no other row but one of the same name: what stands in for
/// an absence for as long as a transaction relies on it. Nobody ever sees it.
pub(crate) fn placeholder(key: &Key) -> Values {
    let named = name(key);
    let filled = match key {
        Key::Account(_) => named.number(0).number(0).number(0).number(0),
        Key::Block(_) => {
            let zeros = encode_hex(&[0; 32]);
            let empty = named.text(&zeros).number(0).text("[]");
            empty.text(&zeros).text(&zeros)
        }
        Key::BookedSession(_) => {
            let zero = Wallet::from_bytes([0; 20]);
            let empty = named.text(zero).text(zero);
            empty.text("none").number(0).text("{}")
        }
        Key::Chain(()) => {
            let begun = named.text(ChainId::from_bytes([0; 16])).number(0);
            begun.text(encode_hex(&[0; 32])).number(0)
        }
        Key::Challenge(_) => named.number(0).number(0),
        // Never relied on: whoever expects an entry is refused.
        Key::Entry(_) => named.number(0).text("none").text("{}").text(""),
        Key::Host(_) => named.number(0).number(0),
        Key::Idempotency(_) => named.text(encode_hex(&[0; 16])).text("{}").number(0),
        Key::Intent(_) => {
            let failed = named.text("repeatable").text("{}").text("failed");
            failed.number(0).number(0).number(0).null()
        }
        Key::Revocation(_) => named.text("nonce").number(0).number(0),
        Key::Room(_) => {
            let closed = named.text(Wallet::from_bytes([0; 20])).text("private");
            let closed = closed.number(0).number(0).number(0).text("emptied");
            closed.null().number(0).number(0)
        }
        Key::RoomEvent(_) => named.number(0).text("closed").text("{}").number(0),
        Key::Seat(_) => {
            let gone = named.text(RoomId::from_bytes([0; 16]));
            let gone = gone.text(Wallet::from_bytes([0; 20])).number(0).number(1);
            let gone = gone.number(0).number(0).number(0).number(0).number(0);
            let gone = gone.number(0).null().text("[]").number(0);
            gone.number(0).text("left")
        }
        Key::Service(()) => named.number(0).text("[]"),
    };
    filled.version(Version::FIRST)
}
