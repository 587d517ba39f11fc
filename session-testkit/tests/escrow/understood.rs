//! The words of the core against the contract itself: what `session_core::escrow` encodes is
//! understood, what the contract answers and logs is read back, and what it says will be credited is.

use std::collections::BTreeSet;

use proptest::prelude::*;
use revm::primitives::{Address, U256};
use serde_json::json;
use session_core::crypto::LocalSigner;
use session_core::escrow::Side;
use session_core::escrow::abi::Uint64;
use session_core::escrow::call::{Call, FUNCTIONS};
use session_core::escrow::event::{EVENTS, Event};
use session_core::escrow::payout::{Ending, credited};
use session_core::escrow::returned::Returned;
use session_core::escrow::statement::{Statement, StatementSignature};
use session_core::escrow::{
    Booking, BookingKey, BookingStatus, ContractOutcome, EscrowId, Outcome, Slot, Terms,
};
use session_core::types::{BookingId, SlotId, Timestamp, TokenAmount, Wallet};
use session_testkit::contracts::{Build, Contract};

use super::chain::CHAIN_ID;
use super::payouts;
use super::twins::Done;
use super::world::{ORACLE, PRICE, Plan, START, STRANGER, World};

fn wallet(address: Address) -> Wallet {
    Wallet::from_bytes(address.into())
}

fn send(world: &mut World, from: Address, call: &Call) -> Done {
    let escrow = world.escrow;
    world.chain.send(from, escrow, &call.encode(), 0).unwrap()
}

/// What a read returns. It is written back as it was read.
fn read<T: Returned>(world: &mut World, call: &Call) -> T {
    let data = send(world, STRANGER, call).data;
    let value = T::from_returndata(&data).unwrap();
    assert_eq!(value.to_returndata().unwrap(), data);
    value
}

/// What the escrow logged, as far as the core knows it. It is written back as it was read.
fn events(world: &World, done: &Done) -> Vec<Event> {
    let logs = done.logs.iter().filter(|log| log.address == world.escrow);
    let events = logs.filter_map(|log| {
        let topics: Vec<_> = log.data.topics().iter().map(|topic| topic.0).collect();
        let event = Event::decode(&topics, &log.data.data).unwrap()?;
        assert_eq!(event.encode(), (topics, log.data.data.to_vec()));
        Some(event)
    });
    events.collect()
}

#[test]
fn the_core_knows_functions_and_events_as_they_were_compiled() {
    let artefact = Contract::SessionEscrowV2.artefact(Build::Normal);
    for function in FUNCTIONS {
        let compiled = artefact.functions.get(function.signature);
        assert_eq!(compiled, Some(&function.selector), "{}", function.signature);
    }
    let compiled: BTreeSet<_> = artefact.events.iter().cloned().collect();
    for event in EVENTS {
        let (name, _) = event.signature.split_once('(').unwrap();
        let members = event.members.iter().enumerate().map(|(at, member)| {
            let indexed = if at < event.indexed { " indexed" } else { "" };
            format!("{member}{indexed}")
        });
        let members: Vec<_> = members.collect();
        let event = format!("{name}({})", members.join(","));
        assert!(compiled.contains(&event), "{event}");
    }
}

#[test]
fn the_contract_and_the_core_understand_each_other() {
    let mut world = World::new(Contract::SessionEscrowV2);
    let signers = [1, 2].map(|byte| LocalSigner::from_bytes(&[byte; 32]).unwrap());
    let [host, guest] = [&signers[0], &signers[1]].map(LocalSigner::wallet);
    world.host = Address::from(host.to_bytes());
    world.guest = Address::from(guest.to_bytes());
    let payer = world.guest;
    world.fund(payer, U256::from(PRICE));
    let booking = BookingId::new(world.booked(Plan::USUAL));

    let read_booking: Booking = read(&mut world, &Call::GetBooking { booking });
    assert_eq!(read_booking.slot, SlotId::new(U256::ONE));
    assert_eq!(read_booking.guest, guest);
    assert_eq!(read_booking.amount, TokenAmount::new(U256::from(PRICE)));
    assert_eq!(read_booking.status, BookingStatus::Booked);
    let slot = read_booking.slot;
    let read_slot: Slot = read(&mut world, &Call::GetSlot { slot });
    assert_eq!(read_slot.host, host);
    assert_eq!(read_slot.start_time, Timestamp::from_unix(START));
    assert_eq!(read_slot.end(), Timestamp::from_unix(Plan::USUAL.end()));
    let oracle: Wallet = read(&mut world, &Call::Oracle);
    assert_eq!(oracle, wallet(ORACLE));
    let terms: Terms = read(&mut world, &Call::GetBookingTerms { booking });

    let statement = Statement {
        key: BookingKey {
            escrow: EscrowId {
                chain_id: CHAIN_ID,
                address: wallet(world.escrow),
            },
            booking,
        },
        outcome: Outcome::Completed,
        metrics_hash: [0x44; 32],
        deadline: Uint64::new(START + 60).unwrap(),
    };
    let [host_signature, guest_signature]: [StatementSignature; 2] =
        [&signers[0], &signers[1]].map(|signer| statement.sign(signer));
    world.chain.set_now(START);
    let call = Call::AttestMutual {
        booking,
        outcome: ContractOutcome::Completed,
        metrics_hash: statement.metrics_hash,
        deadline: statement.deadline,
        host_signature,
        guest_signature,
    };
    let done = send(&mut world, STRANGER, &call);
    let finalizable_at = Uint64::new(START).unwrap();
    let (outcome, metrics_hash) = (ContractOutcome::Completed, statement.metrics_hash);
    assert_eq!(
        events(&world, &done),
        [
            Event::MutuallyAttested {
                booking,
                outcome,
                metrics_hash
            },
            Event::Attested {
                booking,
                outcome,
                metrics_hash,
                finalizable_at
            },
        ]
    );
    let attested: Booking = read(&mut world, &Call::GetBooking { booking });
    assert_eq!(attested.status, BookingStatus::Attested);
    assert_eq!(attested.attested_at, Timestamp::from_unix(START));

    let done = send(&mut world, STRANGER, &Call::Finalize { booking });
    let ending = Ending::Final(Outcome::Completed);
    let paid = credited(attested.amount, &terms, ending).unwrap();
    assert_eq!(
        events(&world, &done),
        [Event::Finalized {
            booking,
            outcome,
            host_paid: paid.host,
            guest_refund: paid.guest,
            fee_paid: paid.treasury,
        }]
    );
    let owed: TokenAmount = read(&mut world, &Call::Owed { account: host });
    assert_eq!(owed, paid.host);
    let withdrawing = world.host;
    let done = send(&mut world, withdrawing, &Call::WithdrawOwed);
    assert_eq!(
        events(&world, &done),
        [Event::OwedWithdrawn {
            from: host,
            to: host,
            amount: owed
        }]
    );
}

fn endings() -> impl Strategy<Value = Ending> {
    let outcome = || proptest::sample::select(&Outcome::ALL[..]);
    let side = prop_oneof![Just(Side::Host), Just(Side::Guest)];
    prop_oneof![
        Just(Ending::CancelledByHost),
        Just(Ending::CancelledByGuestEarly),
        Just(Ending::CancelledByGuestLate),
        Just(Ending::Unattested),
        outcome().prop_map(Ending::Final),
        (outcome(), side, proptest::option::of(outcome())).prop_map(
            |(attested, challenger, resolved)| Ending::Disputed {
                attested,
                challenger,
                resolved
            }
        ),
    ]
}

proptest! {
    #![proptest_config(super::solvency::config())]

    /// Of any amount on any terms, whatever the end.
    #[test]
    fn what_the_core_says_is_credited(
        amount in any::<u128>(),
        shift in 0..128_u32,
        fee in 0..=2_000_u16,
        penalty in 0..=10_000_u16,
        bond in 1..=u64::MAX,
        ending in endings(),
    ) {
        // Small amounts are those that round.
        let amount = amount >> shift;
        let mut case = match ending {
            Ending::CancelledByHost => json!({"kind": "host_cancel"}),
            Ending::CancelledByGuestEarly => json!({"kind": "guest_cancel_early"}),
            Ending::CancelledByGuestLate => json!({"kind": "guest_cancel_late"}),
            Ending::Unattested => json!({"kind": "unattested"}),
            Ending::Final(outcome) => json!({"kind": "final", "outcome": outcome.name()}),
            Ending::Disputed { attested, challenger, resolved } => json!({
                "kind": "dispute",
                "attested": attested.name(),
                "challenger": if challenger == Side::Host { "host" } else { "guest" },
                "resolved": resolved.map(Outcome::name),
            }),
        };
        case["amount"] = json!(amount.to_string());
        case["fee_bps"] = json!(fee);
        case["late_cancel_penalty_bps"] = json!(penalty);
        case["challenge_bond"] = json!(bond.to_string());

        let (mut world, id) = payouts::settled(Contract::SessionEscrowV1, &case);
        let booking = BookingId::new(id);
        let terms: Terms = read(&mut world, &Call::GetBookingTerms { booking });
        let amount = TokenAmount::new(U256::from(amount));
        let said = credited(amount, &terms, ending).unwrap();
        let said = [said.host, said.guest, said.treasury].map(TokenAmount::get);
        prop_assert_eq!(world.credits(), said);
    }
}
