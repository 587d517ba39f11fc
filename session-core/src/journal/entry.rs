//! Entries: facts and their instants.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::attestation::Done;
use crate::booking::EvidenceSource;
use crate::crypto::digest256;
use crate::escrow::{BookingKey, Outcome};
use crate::ledger::{AccountKey, AccountKind, Action, Owner, Reference, Transfer, seconds_account};
use crate::media::MediaUid;
use crate::room::{Closing, Departure, Seat, SeatState, Visibility};
use crate::types::{
    ConnectionId, EntryId, EvidenceId, Id128, RoomId, Seconds, Timestamp, Wallet, Word,
};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fact {
    /// Evidence was attached to a booking.
    EvidenceAttached {
        /// Which booking.
        booking: BookingKey,
        /// A digest of the booking and of what was attached.
        evidence: EvidenceId,
        /// By whom.
        by: EvidenceSource,
    },
    /// Somebody took a seat.
    Joined {
        /// The stay.
        connection: ConnectionId,
        /// Where.
        room: RoomId,
        /// Who.
        wallet: Wallet,
        /// The place in the room.
        slot: u8,
        /// The number in the channel.
        uid: MediaUid,
    },
    /// Somebody's stay ended.
    Left {
        /// The stay.
        connection: ConnectionId,
        /// Where.
        room: RoomId,
        /// Who.
        wallet: Wallet,
        /// How.
        why: Departure,
        /// Seconds charged for the whole stay.
        charged: Seconds,
    },
    /// A party signed an outcome.
    OutcomeStated {
        /// Of which booking.
        booking: BookingKey,
        /// Who.
        wallet: Wallet,
        /// What.
        outcome: Outcome,
        /// On which metrics.
        metrics_hash: Word,
        /// Until which block time it can be used.
        deadline: u64,
    },
    /// No server was alive.
    Outage {
        /// Since the last beat.
        from: Timestamp,
        /// Until the next.
        to: Timestamp,
    },
    /// A room closed.
    RoomClosed {
        /// Which.
        room: RoomId,
        /// Why.
        why: Closing,
    },
    /// A room was created.
    RoomCreated {
        /// Which.
        room: RoomId,
        /// By whom.
        host: Wallet,
        /// Whether it is listed.
        visibility: Visibility,
    },
    /// What came of a booked session was decided.
    SessionDecided {
        /// Of which booking.
        booking: BookingKey,
        /// What.
        outcome: Outcome,
        /// The hash of what it was decided on.
        metrics_hash: Word,
        /// The how manyth time it is sent, from 1.
        round: u32,
    },
    /// A party came to its booked session.
    SessionJoined {
        /// The stay.
        connection: ConnectionId,
        /// Which booking.
        booking: BookingKey,
        /// Who.
        wallet: Wallet,
        /// The number in the channel.
        uid: MediaUid,
    },
    /// A party's stay in its booked session ended.
    SessionLeft {
        /// The stay.
        connection: ConnectionId,
        /// Which booking.
        booking: BookingKey,
        /// Who.
        wallet: Wallet,
        /// When: of a silent party, when it was last heard.
        left_at: Timestamp,
        /// How.
        why: Departure,
    },
    /// The contract takes the outcome of a booked session no more.
    SessionMissed {
        /// Which booking.
        booking: BookingKey,
        /// What it would have been.
        outcome: Outcome,
    },
    /// Nothing is left for us to do about a booked session.
    SessionSettled {
        /// Which booking.
        booking: BookingKey,
        /// Why.
        done: Done,
        /// How often we had decided.
        round: u32,
    },
    /// A wallet proved that it holds its key.
    SignedIn {
        /// Who.
        wallet: Wallet,
        /// The nonce it signed.
        nonce: [u8; 32],
    },
    /// Value moved.
    Transferred {
        /// Which transfer.
        transfer: Transfer,
        /// The debited account's balance afterwards; `None` for an account without a row.
        debit_balance: Option<i64>,
        /// The credited account's balance afterwards.
        credit_balance: Option<i64>,
    },
}

impl Fact {
    /// That a stay ended; `None` while it lasts.
    #[must_use]
    pub fn left(seat: &Seat) -> Option<Self> {
        let SeatState::Gone { why, .. } = seat.state else {
            return None;
        };
        Some(Self::Left {
            connection: seat.connection,
            room: seat.room,
            wallet: seat.wallet,
            why,
            charged: seat.charged,
        })
    }

    /// Whose credit it tells a change of: the wallet whose seconds it debits, else the one whose
    /// seconds it credits.
    #[must_use]
    pub fn moves_credit_of(&self) -> Option<Wallet> {
        self.credit_change().map(|change| change.wallet)
    }

    /// The change of credit that it tells of.
    #[must_use]
    pub fn credit_change(&self) -> Option<CreditChange> {
        let Self::Transferred {
            transfer,
            debit_balance,
            credit_balance,
        } = self
        else {
            return None;
        };
        let credit_of = |key: AccountKey| match key.owner {
            Owner::Wallet(wallet) if key == seconds_account(wallet, AccountKind::Wallet) => {
                Some(wallet)
            }
            Owner::Wallet(_) | Owner::House => None,
        };
        if transfer.action != Action::Posted {
            return None;
        }
        let amount = i128::from(transfer.amount);
        let change = |wallet, delta_seconds, balance: Option<i64>| CreditChange {
            wallet,
            delta_seconds,
            balance_after_seconds: balance,
        };
        match (credit_of(transfer.debit), credit_of(transfer.credit)) {
            (Some(wallet), _) => Some(change(wallet, 0 - amount, *debit_balance)),
            (None, Some(wallet)) => Some(change(wallet, amount, *credit_balance)),
            (None, None) => None,
        }
    }

    /// The stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::EvidenceAttached { .. } => "evidence_attached",
            Self::Joined { .. } => "joined",
            Self::Left { .. } => "left",
            Self::OutcomeStated { .. } => "outcome_stated",
            Self::Outage { .. } => "outage",
            Self::RoomClosed { .. } => "room_closed",
            Self::RoomCreated { .. } => "room_created",
            Self::SessionDecided { .. } => "session_decided",
            Self::SessionJoined { .. } => "session_joined",
            Self::SessionLeft { .. } => "session_left",
            Self::SessionMissed { .. } => "session_missed",
            Self::SessionSettled { .. } => "session_settled",
            Self::SignedIn { .. } => "signed_in",
            Self::Transferred { .. } => "transferred",
        }
    }
}

/// A change of a wallet's credit, as a fact tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these three are a change")]
pub struct CreditChange {
    /// Whose.
    pub wallet: Wallet,
    /// By how much; negative for a charge.
    pub delta_seconds: i128,
    /// What there was afterwards.
    pub balance_after_seconds: Option<i64>,
}

/// A fact and its instant. Appended, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Derived from the content, so that a repeat is the same entry.
    pub id: EntryId,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub fact: Fact,
}

impl Entry {
    /// An entry of this fact at this instant.
    #[must_use]
    pub fn new(at: Timestamp, fact: Fact) -> Self {
        let mut entry = Self {
            id: EntryId::from_bytes([0; 16]),
            at,
            fact,
        };
        entry.id = Self::id_of(&entry.digest());
        entry
    }

    /// The digest of the content, which blocks are made of. Its first 16 bytes are the identifier.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        digest256("journal entry 1", &[&self.canonical_bytes()])
    }

    /// The identifier that goes with a digest.
    #[must_use]
    pub fn id_of(digest: &[u8; 32]) -> EntryId {
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        EntryId::from_bytes(id)
    }

    /// Whether the identifier is that of the content.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        self.id == Self::id_of(&self.digest())
    }

    /// The content in one fixed form: numbers big-endian and of fixed width, texts with their
    /// length before them. The identifier is a digest of these bytes.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut out = Canonical(Vec::with_capacity(USUAL_BYTES));
        out.time(self.at).text(self.fact.name());
        match &self.fact {
            Fact::EvidenceAttached {
                booking,
                evidence,
                by,
            } => {
                out.booking(booking).id(*evidence).byte(source_code(*by));
            }
            Fact::Joined {
                connection,
                room,
                wallet,
                slot,
                uid,
            } => {
                out.id(*connection)
                    .id(*room)
                    .bytes(&wallet.to_bytes())
                    .byte(*slot);
                out.number(u64::from(uid.get()));
            }
            Fact::Left {
                connection,
                room,
                wallet,
                why,
                charged,
            } => {
                out.id(*connection).id(*room).bytes(&wallet.to_bytes());
                out.byte(departure_code(*why)).number(charged.get());
            }
            Fact::OutcomeStated {
                booking,
                wallet,
                outcome,
                metrics_hash,
                deadline,
            } => {
                out.booking(booking).bytes(&wallet.to_bytes());
                out.byte(outcome.code()).bytes(&metrics_hash.to_bytes());
                out.number(*deadline);
            }
            Fact::Outage { from, to } => {
                out.time(*from).time(*to);
            }
            Fact::RoomClosed { room, why } => {
                out.id(*room).byte(closing_code(*why));
            }
            Fact::RoomCreated {
                room,
                host,
                visibility,
            } => {
                out.id(*room)
                    .bytes(&host.to_bytes())
                    .byte(visibility_code(*visibility));
            }
            Fact::SessionDecided {
                booking,
                outcome,
                metrics_hash,
                round,
            } => {
                out.booking(booking).byte(outcome.code());
                out.bytes(&metrics_hash.to_bytes());
                out.number(u64::from(*round));
            }
            Fact::SessionJoined {
                connection,
                booking,
                wallet,
                uid,
            } => {
                out.id(*connection).booking(booking);
                out.bytes(&wallet.to_bytes()).number(u64::from(uid.get()));
            }
            Fact::SessionLeft {
                connection,
                booking,
                wallet,
                left_at,
                why,
            } => {
                out.id(*connection).booking(booking);
                out.bytes(&wallet.to_bytes()).time(*left_at);
                out.byte(departure_code(*why));
            }
            Fact::SessionMissed { booking, outcome } => {
                out.booking(booking).byte(outcome.code());
            }
            Fact::SessionSettled {
                booking,
                done,
                round,
            } => {
                out.booking(booking).byte(done_code(*done));
                out.number(u64::from(*round));
            }
            Fact::SignedIn { wallet, nonce } => {
                out.bytes(&wallet.to_bytes()).bytes(nonce);
            }
            Fact::Transferred {
                transfer,
                debit_balance,
                credit_balance,
            } => {
                out.transfer(transfer)
                    .balance(*debit_balance)
                    .balance(*credit_balance);
            }
        }
        out.0
    }
}

/// Part of what is hashed: a code never changes, and a new way to leave gets a new one.
const fn departure_code(why: Departure) -> u8 {
    match why {
        Departure::Exhausted => 0,
        Departure::Left => 1,
        Departure::RoomClosed => 2,
        Departure::Silent => 3,
    }
}

/// As [`departure_code`].
const fn done_code(done: Done) -> u8 {
    match done {
        Done::Submitted => 0,
        Done::AlreadyAttested => 1,
        Done::AlreadySettled => 2,
        Done::BookingNotFound => 3,
    }
}

/// As [`departure_code`].
const fn source_code(source: EvidenceSource) -> u8 {
    match source {
        EvidenceSource::Host => 0,
        EvidenceSource::Guest => 1,
        EvidenceSource::Service => 2,
    }
}

/// As [`departure_code`].
const fn closing_code(why: Closing) -> u8 {
    match why {
        Closing::Emptied => 0,
        Closing::HostLeft => 1,
        Closing::Unjoined => 2,
    }
}

/// As [`departure_code`].
const fn visibility_code(visibility: Visibility) -> u8 {
    match visibility {
        Visibility::Open => 0,
        Visibility::Private => 1,
    }
}

/// Room for a transfer between two wallets, the longest of usual entries.
const USUAL_BYTES: usize = 320;

struct Canonical(Vec<u8>);

impl Canonical {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn byte(&mut self, byte: u8) -> &mut Self {
        self.bytes(&[byte])
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    fn time(&mut self, at: Timestamp) -> &mut Self {
        self.number(at.unix())
    }

    fn id(&mut self, id: impl Id128) -> &mut Self {
        self.bytes(&id.to_bytes())
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    fn booking(&mut self, key: &BookingKey) -> &mut Self {
        self.number(key.escrow.chain_id)
            .bytes(&key.escrow.address.to_bytes())
            .bytes(&key.booking.to_word())
    }

    fn balance(&mut self, balance: Option<i64>) -> &mut Self {
        match balance {
            None => self.byte(0),
            Some(balance) => self.byte(1).bytes(&balance.to_be_bytes()),
        }
    }

    fn transfer(&mut self, transfer: &Transfer) -> &mut Self {
        use crate::ledger::Action;
        use alloc::string::String;
        self.id(transfer.id)
            .text(&String::from(transfer.debit))
            .text(&String::from(transfer.credit))
            .number(transfer.amount)
            .text(transfer.reason.name());
        match transfer.action {
            Action::Posted => self.byte(0),
            Action::Pending { deadline } => self.byte(1).time(deadline),
            Action::Post { of } => self.byte(2).id(of),
            Action::Void { of } => self.byte(3).id(of),
        };
        match transfer.reference {
            Reference::None => self.byte(0),
            Reference::Connection(connection) => self.byte(1).id(connection),
        };
        self.time(transfer.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::encode_hex;

    /// Journals that were written before hold these.
    #[test]
    fn what_is_hashed_of_rooms_and_stays_is_what_it_always_was() {
        let bytes = |fact| encode_hex(&Entry::new(Timestamp::from_unix(9), fact).canonical_bytes());
        let room = RoomId::from_bytes([1; 16]);
        let ones = "01010101010101010101010101010101";
        let twos = "02020202020202020202020202020202";
        let wallet = Wallet::from_bytes([3; 20]);
        let threes = "0303030303030303030303030303030303030303";
        let left = |why| Fact::Left {
            connection: ConnectionId::from_bytes([2; 16]),
            room,
            wallet,
            why,
            charged: Seconds::new(75),
        };
        for (why, code) in [
            (Departure::Exhausted, "00"),
            (Departure::Left, "01"),
            (Departure::RoomClosed, "02"),
            (Departure::Silent, "03"),
        ] {
            let head = "000000000000000900000000000000046c656674";
            let told = alloc::format!("{head}{twos}{ones}{threes}{code}000000000000004b");
            assert_eq!(bytes(left(why)), told);
        }
        for (why, code) in [
            (Closing::Emptied, "00"),
            (Closing::HostLeft, "01"),
            (Closing::Unjoined, "02"),
        ] {
            let head = "0000000000000009000000000000000b726f6f6d5f636c6f736564";
            let told = alloc::format!("{head}{ones}{code}");
            assert_eq!(bytes(Fact::RoomClosed { room, why }), told);
        }
        for (visibility, code) in [(Visibility::Open, "00"), (Visibility::Private, "01")] {
            let host = wallet;
            let head = "0000000000000009000000000000000c726f6f6d5f63726561746564";
            let told = alloc::format!("{head}{ones}{threes}{code}");
            let fact = Fact::RoomCreated {
                room,
                host,
                visibility,
            };
            assert_eq!(bytes(fact), told);
        }
    }

    /// As for rooms and stays: codes included, which are those of the contract for outcomes.
    #[test]
    fn what_is_hashed_of_booked_sessions_is_what_it_always_was() {
        let bytes = |fact| encode_hex(&Entry::new(Timestamp::from_unix(9), fact).canonical_bytes());
        let booking: BookingKey = "42431/0xe5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5/258"
            .parse()
            .unwrap();
        // The chain in 8 bytes, the contract in 20, the booking in 32.
        let booked = "000000000000a5bf\
            e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5\
            0000000000000000000000000000000000000000000000000000000000000102";
        let (connection, twos) = (ConnectionId::from_bytes([2; 16]), "02".repeat(16));
        let (wallet, threes) = (Wallet::from_bytes([3; 20]), "03".repeat(20));
        let (metrics_hash, fours) = (Word::new([4; 32]), "04".repeat(32));
        let (evidence, fives) = (EvidenceId::from_bytes([5; 16]), "05".repeat(16));
        let uid = MediaUid::new(7).unwrap();

        for (by, code) in [
            (EvidenceSource::Host, "00"),
            (EvidenceSource::Guest, "01"),
            (EvidenceSource::Service, "02"),
        ] {
            let head = "0000000000000009000000000000001165766964656e63655f6174746163686564";
            let told = alloc::format!("{head}{booked}{fives}{code}");
            let fact = Fact::EvidenceAttached {
                booking,
                evidence,
                by,
            };
            assert_eq!(bytes(fact), told);
        }
        for (outcome, code) in [
            (Outcome::Completed, "01"),
            (Outcome::NoShowHost, "02"),
            (Outcome::NoShowGuest, "03"),
        ] {
            let head = "0000000000000009000000000000000e6f7574636f6d655f737461746564";
            let deadline = "fffffffffffffffe";
            let told = alloc::format!("{head}{booked}{threes}{code}{fours}{deadline}");
            let fact = Fact::OutcomeStated {
                booking,
                wallet,
                outcome,
                metrics_hash,
                deadline: u64::MAX - 1,
            };
            assert_eq!(bytes(fact), told);

            let head = "0000000000000009000000000000000f73657373696f6e5f64656369646564";
            let told = alloc::format!("{head}{booked}{code}{fours}0000000000000006");
            let fact = Fact::SessionDecided {
                booking,
                outcome,
                metrics_hash,
                round: 6,
            };
            assert_eq!(bytes(fact), told);

            let head = "0000000000000009000000000000000e73657373696f6e5f6d6973736564";
            let told = alloc::format!("{head}{booked}{code}");
            assert_eq!(bytes(Fact::SessionMissed { booking, outcome }), told);
        }
        let head = "0000000000000009000000000000000e73657373696f6e5f6a6f696e6564";
        let told = alloc::format!("{head}{twos}{booked}{threes}0000000000000007");
        let fact = Fact::SessionJoined {
            connection,
            booking,
            wallet,
            uid,
        };
        assert_eq!(bytes(fact), told);
        for (why, code) in [(Departure::Left, "01"), (Departure::Silent, "03")] {
            let head = "0000000000000009000000000000000c73657373696f6e5f6c656674";
            let told = alloc::format!("{head}{twos}{booked}{threes}0000000000000008{code}");
            let fact = Fact::SessionLeft {
                connection,
                booking,
                wallet,
                left_at: Timestamp::from_unix(8),
                why,
            };
            assert_eq!(bytes(fact), told);
        }
        for (done, code) in [
            (Done::Submitted, "00"),
            (Done::AlreadyAttested, "01"),
            (Done::AlreadySettled, "02"),
            (Done::BookingNotFound, "03"),
        ] {
            let head = "0000000000000009000000000000000f73657373696f6e5f736574746c6564";
            let told = alloc::format!("{head}{booked}{code}0000000000000006");
            let fact = Fact::SessionSettled {
                booking,
                done,
                round: 6,
            };
            assert_eq!(bytes(fact), told);
        }
    }

    #[test]
    fn an_entry_is_named_by_its_content() {
        let fact = |to| Fact::Outage {
            from: Timestamp::from_unix(1),
            to: Timestamp::from_unix(to),
        };
        let entry = Entry::new(Timestamp::from_unix(9), fact(2));
        assert_eq!(entry, Entry::new(Timestamp::from_unix(9), fact(2)));
        assert_ne!(entry.id, Entry::new(Timestamp::from_unix(9), fact(3)).id);
        assert_ne!(entry.id, Entry::new(Timestamp::from_unix(8), fact(2)).id);
        assert_eq!(
            encode_hex(&entry.canonical_bytes()),
            "000000000000000900000000000000066f757461676500000000000000010000000000000002"
        );
    }
}
