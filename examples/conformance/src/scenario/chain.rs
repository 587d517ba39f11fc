//! The chain of a scenario: its bookings, who was there before the first step, and what must reach
//! it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use session_axum::{Bookings, Escrow};
use session_core::attestation::Stay;
use session_core::booking::BookedSession;
use session_core::changeset::Draft;
use session_core::crypto::Secret;
use session_core::escrow::{
    BookingKey, BookingStatus, Capabilities, EscrowId, Outcome, Side, Slot, SlotStatus,
};
use session_core::media::MediaUid;
use session_core::types::{BookingId, ConnectionId, Timestamp, TokenAmount, U256, Wallet};
use session_testkit::bench::Bench;
use session_testkit::escrows::FakeEscrows;

use super::record::Account;
use crate::members::{Members, integer_of};
use crate::report::{Difference, Verdict, shown};

/// The contract of every scenario.
const ESCROW: Wallet = Wallet::from_bytes([0xe5; 20]);
/// The parties of every booking of the mock escrow.
const MOCK_HOST: Wallet = last_bytes(0xde, 0xad);
const MOCK_GUEST: Wallet = last_bytes(0, 1);

const fn last_bytes(last_but_one: u8, last: u8) -> Wallet {
    let mut bytes = [0; 20];
    bytes[18] = last_but_one;
    bytes[19] = last;
    Wallet::from_bytes(bytes)
}

/// An environment of the record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Profile {
    /// The chain answers from the given bookings.
    #[default]
    Live,
    /// Every booking exists.
    Mock,
    /// Without a key to attest with.
    NoKey,
    /// Without a token of the operator's services.
    NoToken,
    /// As live, in production.
    Prod,
}

impl Profile {
    pub(super) fn read(name: &str) -> Option<Self> {
        Some(match name {
            "live" => Self::Live,
            "mock" => Self::Mock,
            "nokey" => Self::NoKey,
            "notoken" => Self::NoToken,
            "prod" => Self::Prod,
            _ => return None,
        })
    }
}

/// What is on the chain before the first step.
#[derive(Debug, Default)]
pub(super) struct GivenChain {
    bookings: Vec<GivenBooking>,
    presence: Vec<GivenPresence>,
    /// Whether every read fails.
    is_down: bool,
}

#[derive(Debug)]
struct GivenBooking {
    id: BookingId,
    status: BookingStatus,
    guest: String,
    slot: Option<GivenSlot>,
}

#[derive(Debug)]
struct GivenSlot {
    host: String,
    start_offset: i64,
    duration_mins: u32,
    grace_mins: u32,
    min_overlap_mins: u32,
}

#[derive(Debug)]
struct GivenPresence {
    id: BookingId,
    rows: Vec<GivenStay>,
}

#[derive(Debug)]
struct GivenStay {
    account: String,
    joined_offset: i64,
    left_offset: Option<i64>,
}

impl GivenChain {
    pub(super) fn read(members: &Members<'_>) -> Result<Self, Difference> {
        let booking = |value: &Value| GivenBooking::read(value);
        let presence = |value: &Value| GivenPresence::read(value);
        Ok(Self {
            bookings: members
                .list("bookings")?
                .iter()
                .map(booking)
                .collect::<Result<_, _>>()?,
            presence: members
                .list("presence")?
                .iter()
                .map(presence)
                .collect::<Result<_, _>>()?,
            // A failure is a failure, however it is described: nobody reads anything.
            is_down: members
                .optional("chain")
                .is_some_and(|chain| !is_nothing(chain)),
        })
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

impl GivenBooking {
    fn read(value: &Value) -> Result<Self, Difference> {
        let members = Members::of(value)?;
        let code: u8 = members.integer("status")?;
        let slot = members.optional("slot").filter(|slot| !slot.is_null());
        let booking = Self {
            id: booking_id(members.text("booking_id")?)?,
            status: BookingStatus::from_code(code)
                .ok_or_else(|| Difference::not_understood(format!("status {code}")))?,
            guest: members.text("guest")?.to_owned(),
            slot: slot.map(GivenSlot::read).transpose()?,
        };
        members.finish()?;
        Ok(booking)
    }
}

impl GivenSlot {
    fn read(value: &Value) -> Result<Self, Difference> {
        let members = Members::of(value)?;
        let slot = Self {
            host: members.text("host")?.to_owned(),
            start_offset: members.integer("start_offset_s")?,
            duration_mins: members.integer("durationMins")?,
            grace_mins: members.integer("graceMins")?,
            min_overlap_mins: members.integer("minOverlapMins")?,
        };
        members.finish()?;
        Ok(slot)
    }
}

impl GivenPresence {
    fn read(value: &Value) -> Result<Self, Difference> {
        let members = Members::of(value)?;
        let row = |value: &Value| {
            let members = Members::of(value)?;
            let left = members
                .optional("left_offset_s")
                .filter(|left| !left.is_null());
            let stay = GivenStay {
                account: members.text("account")?.to_owned(),
                joined_offset: members.integer("joined_offset_s")?,
                left_offset: left.map(|_| members.integer("left_offset_s")).transpose()?,
            };
            members.finish()?;
            Ok(stay)
        };
        let presence = Self {
            id: booking_id(members.text("booking_id")?)?,
            rows: members
                .list("rows")?
                .iter()
                .map(row)
                .collect::<Result<_, _>>()?,
        };
        members.finish()?;
        Ok(presence)
    }
}

fn booking_id(text: &str) -> Result<BookingId, Difference> {
    text.parse()
        .map_err(|error| Difference::not_understood(format!("booking {text}: {error}")))
}

/// What must reach the chain with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChainEffect {
    booking: BookingId,
    outcome: Outcome,
}

impl ChainEffect {
    pub(super) fn read(value: &Value) -> Result<Self, Difference> {
        let members = Members::of(value)?;
        let attest = Members::of(members.value("attest")?)?;
        let code: u8 = attest.integer("outcome")?;
        let outcome = Outcome::ALL
            .into_iter()
            .find(|outcome| outcome.code() == code);
        let effect = Self {
            booking: booking_id(attest.text("booking_id")?)?,
            outcome: outcome
                .ok_or_else(|| Difference::not_understood(format!("outcome {code}")))?,
        };
        attest.finish()?;
        members.finish()?;
        Ok(effect)
    }

    /// The same where ours answers something else: another outcome, or an error and nothing sent.
    pub(super) fn as_ours(self, statuses: &[u16], json: Option<&Value>) -> Option<Self> {
        if statuses.iter().any(|status| *status >= 400) {
            return None;
        }
        let named = json.and_then(|json| json.get("outcome")?.as_str());
        let outcome = named.and_then(|name| name.parse().ok());
        Some(Self {
            outcome: outcome.unwrap_or(self.outcome),
            ..self
        })
    }
}

/// The chain of a scenario.
#[derive(Debug)]
pub(super) struct Chain {
    escrow: EscrowId,
    escrows: Arc<FakeEscrows>,
    /// How much has reached it before the step.
    seen: usize,
    is_down: bool,
}

impl Chain {
    /// What the server is told of it.
    pub(super) fn bookings(&self, profile: Profile, token: &str) -> Bookings {
        let bookings = Bookings::at(Escrow {
            id: self.escrow,
            capabilities: Capabilities::default(),
        });
        let bookings = match profile {
            Profile::NoToken => bookings,
            Profile::Live | Profile::Mock | Profile::NoKey | Profile::Prod => {
                bookings.with_service_token(Secret::new(token.to_owned()))
            }
        };
        let bookings = match profile {
            Profile::NoKey => bookings,
            Profile::Live | Profile::Mock | Profile::NoToken | Profile::Prod => {
                bookings.with_oracle_key()
            }
        };
        match profile {
            Profile::Prod => bookings,
            Profile::Live | Profile::Mock | Profile::NoKey | Profile::NoToken => {
                bookings.allowing_force()
            }
        }
    }

    /// Puts up the chain of a scenario.
    pub(super) fn of(bench: &Bench, chain_id: u64, profile: Profile) -> Self {
        let clock = bench.clock.clone();
        let escrows = if profile == Profile::Mock {
            FakeEscrows::every_booking(clock, MOCK_HOST, MOCK_GUEST)
        } else {
            FakeEscrows::new(clock)
        };
        // The recorded chain had no windows: the server's own checks are what was recorded.
        escrows.set_lenient(true);
        if profile == Profile::NoKey {
            escrows.set_attester(None);
        }
        Self {
            escrow: EscrowId {
                chain_id,
                address: ESCROW,
            },
            escrows: Arc::new(escrows),
            seen: 0,
            is_down: false,
        }
    }

    pub(super) fn port(&self) -> Arc<FakeEscrows> {
        self.escrows.clone()
    }

    /// Puts on the chain and into the store what is given.
    pub(super) async fn prepare(
        &mut self,
        given: &GivenChain,
        accounts: &BTreeMap<String, Account>,
        bench: &Bench,
    ) -> Verdict {
        let now = bench.ports.clock.now();
        for booking in &given.bookings {
            self.put(booking, accounts, now)?;
        }
        for presence in &given.presence {
            self.attend(presence, accounts, now, bench).await?;
        }
        self.escrows.set_down(given.is_down);
        self.is_down = given.is_down;
        Ok(())
    }

    /// Whether nobody can read it.
    pub(super) const fn is_down(&self) -> bool {
        self.is_down
    }

    fn key(&self, booking: BookingId) -> BookingKey {
        BookingKey {
            escrow: self.escrow,
            booking,
        }
    }

    fn put(
        &self,
        given: &GivenBooking,
        accounts: &BTreeMap<String, Account>,
        now: Timestamp,
    ) -> Verdict {
        let nobody = Wallet::from_bytes([0; 20]);
        let slot = match &given.slot {
            None => slot_of(nobody, Timestamp::EPOCH, [0; 3]),
            Some(slot) => slot_of(
                wallet(accounts, &slot.host)?,
                offset(now, slot.start_offset)?,
                [slot.duration_mins, slot.grace_mins, slot.min_overlap_mins],
            ),
        };
        let guest = wallet(accounts, &given.guest)?;
        self.escrows
            .put(self.key(given.id), slot, guest, given.status);
        Ok(())
    }

    /// Writes the stays as a server before this one would have.
    async fn attend(
        &self,
        given: &GivenPresence,
        accounts: &BTreeMap<String, Account>,
        now: Timestamp,
        bench: &Bench,
    ) -> Verdict {
        use session_core::ports::Escrows as _;
        let key = self.key(given.id);
        let reading = self.escrows.read(&key).await.map_err(Difference::new)?;
        let mut session = BookedSession::of(key, &reading);
        for (row, number) in given.rows.iter().zip(1_u8..) {
            let wallet = wallet(accounts, &row.account)?;
            let side = session.agreement.side(wallet).ok_or_else(|| {
                Difference::not_understood(format!("{} is no party", row.account))
            })?;
            let attendance = match side {
                Side::Host => &mut session.host,
                Side::Guest => &mut session.guest,
            };
            attendance.uid = MediaUid::derive(wallet).or(MediaUid::new(1));
            attendance.connection = Some(ConnectionId::from_random([number; 16]));
            attendance.stays.push(Stay {
                joined_at: offset(now, row.joined_offset)?,
                left_at: row.left_offset.map(|left| offset(now, left)).transpose()?,
                last_seen_at: None,
            });
        }
        let mut draft = Draft::new();
        draft.insert(session);
        let committed = bench.ports.store.commit(&draft.finish()).await;
        committed.map(drop).map_err(Difference::new)
    }

    /// What has reached the chain with a step, against what must have.
    pub(super) fn unlike(&mut self, expected: Option<ChainEffect>) -> Vec<Difference> {
        let accepted = self.escrows.accepted();
        let new: Vec<ChainEffect> = accepted[self.seen..]
            .iter()
            .map(|accepted| ChainEffect {
                booking: accepted.attestation.booking.booking,
                outcome: accepted.attestation.outcome,
            })
            .collect();
        self.seen = accepted.len();
        let expected: Vec<ChainEffect> = expected.into_iter().collect();
        if new == expected {
            Vec::new()
        } else {
            let told = |effects: &[ChainEffect]| {
                let each = effects
                    .iter()
                    .map(|effect| format!("{} {}", effect.booking, effect.outcome));
                each.collect::<Vec<_>>().join(", ")
            };
            vec![Difference::between(
                "/chain_effect",
                told(&expected),
                told(&new),
            )]
        }
    }
}

fn slot_of(host: Wallet, start_time: Timestamp, minutes: [u32; 3]) -> Slot {
    let [duration_mins, grace_mins, min_overlap_mins] = minutes;
    Slot {
        host,
        start_time,
        duration_mins,
        price: TokenAmount::new(U256::from(25_000_000)),
        grace_mins,
        min_overlap_mins,
        cancel_cutoff_mins: 0,
        status: SlotStatus::Booked,
    }
}

fn wallet(accounts: &BTreeMap<String, Account>, name: &str) -> Result<Wallet, Difference> {
    let known = accounts.get(name).map(|account| account.wallet);
    let unknown = || Difference::not_understood(format!("account {name}"));
    known.or_else(|| name.parse().ok()).ok_or_else(unknown)
}

fn offset(now: Timestamp, seconds: i64) -> Result<Timestamp, Difference> {
    let now = i128::from(now.unix());
    let at = u64::try_from(now + i128::from(seconds));
    at.map(Timestamp::from_unix)
        .map_err(|_| Difference::not_understood(format!("offset {seconds}")))
}

/// The chain's number, as the configuration writes it.
pub(super) fn chain_id(value: Option<&Value>) -> Result<u64, Difference> {
    match value {
        None => Ok(42431),
        Some(Value::String(text)) => text
            .parse()
            .map_err(|_| Difference::not_understood(format!("chain_id {text}"))),
        Some(number) => integer_of(number)
            .and_then(|number| u64::try_from(number).ok())
            .ok_or_else(|| Difference::not_understood(format!("chain_id {}", shown(number)))),
    }
}
