//! What committing a changeset means, case by case.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::auth::{Challenge, ChallengeKey};
use crate::journal::Chain;
use crate::ledger::{
    Account, AccountKey, AccountKind, Action, Guard, LedgerError, Owner, Reason, Reference,
    Transfer,
};
use crate::media::{Channel, MediaUid};
use crate::outage::Service;
use crate::outbox::{Effect, IntentClass};
use crate::room::{Closing, EventNumber, Room, RoomState, Visibility};
use crate::types::{ChainId, IntentKey, RoomId, Timestamp, TransferId, Unit, Wallet};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

fn wallet(n: u8) -> Wallet {
    Wallet::from_bytes([n; 20])
}

fn room(n: u8, host: u8) -> Room {
    Room {
        id: RoomId::from_random([n; 16]),
        host: wallet(host),
        visibility: Visibility::Open,
        ai_enabled: false,
        created_at: at(100),
        state: RoomState::Active,
        unjoined_until: Some(at(220)),
        live_seats: 0,
        last_event: EventNumber::NONE,
    }
}

fn service(last_beat_at: u64) -> Service {
    Service {
        last_beat_at: at(last_beat_at),
        outages: Vec::new(),
    }
}

fn account(n: u8, kind: AccountKind) -> AccountKey {
    AccountKey::new(Owner::Wallet(wallet(n)), kind, Unit::Seconds)
}

fn grant(n: u8, amount: u64) -> Transfer {
    Transfer {
        id: TransferId::derive("grant", &[&[n]]),
        debit: account(n, AccountKind::GrantBase),
        credit: account(n, AccountKind::Wallet),
        amount,
        action: Action::Posted,
        reason: Reason::GrantBase,
        reference: Reference::None,
        at: at(100),
    }
}

fn intent(uid: u32) -> Intent {
    let effect = Effect::RemoveFromChannel {
        connection: None,
        channel: Channel::parse("c").unwrap(),
        uid: MediaUid::new(uid).unwrap(),
    };
    Intent::new(
        IntentKey::derive("i", &[]),
        IntentClass::Repeatable,
        effect,
        at(100),
    )
}

fn committed(world: &mut World, draft: Draft) -> Receipt {
    let delta = apply(world, &draft.finish()).unwrap();
    world.absorb(&delta);
    delta.receipt
}

fn loaded<T: Record>(world: &World, key: Key) -> Loaded<T> {
    match world.row(&key) {
        Some((version, row)) => Loaded::present(key, *version, T::from_row(row.clone()).unwrap()),
        None => Loaded::absent(key),
    }
}

fn world_with(rows: impl IntoIterator<Item = Room>) -> World {
    let mut world = World::new();
    for row in rows {
        let mut draft = Draft::new();
        draft.insert(row);
        committed(&mut world, draft);
    }
    world
}

#[test]
fn a_row_counts_its_writes() {
    let mut world = world_with([room(1, 1)]);
    let key = Key::Room(room(1, 1).id);
    assert_eq!(
        loaded::<Room>(&world, key.clone()).version(),
        Some(Version::FIRST)
    );
    let mut draft = Draft::new();
    draft.update(
        &loaded(&world, key.clone()),
        room(1, 1).closed(at(101), Closing::Emptied),
    );
    committed(&mut world, draft);
    assert_eq!(loaded::<Room>(&world, key).version(), Some(Version::new(2)));
}

#[test]
fn what_has_changed_since_it_was_read_is_a_conflict() {
    let mut world = world_with([room(1, 1)]);
    let key = Key::Room(room(1, 1).id);
    let stale: Loaded<Room> = loaded(&world, key.clone());
    let absent = Loaded::<Room>::absent(key.clone());
    let mut draft = Draft::new();
    draft.update(&stale, room(1, 1));
    committed(&mut world, draft.clone());

    let conflict = Err(Rejection::Conflict(key));
    assert_eq!(apply(&world, &draft.finish()), conflict);
    for expectation in [stale, absent] {
        let mut relying = Draft::new();
        relying.expect(&expectation);
        relying.insert(service(1));
        assert_eq!(apply(&world, &relying.finish()), conflict);
    }
}

#[test]
fn a_write_must_expect_what_it_replaces() {
    let world = world_with([room(1, 1)]);
    let key = Key::Room(room(1, 1).id);
    for write in [
        Write::Insert(room(2, 2).into()),
        Write::Update(room(1, 1).into()),
        Write::Delete(key),
    ] {
        let changeset = Changeset {
            rows: vec![write.clone()],
            ..Changeset::default()
        };
        let rejection = apply(&world, &changeset).unwrap_err();
        assert!(matches!(rejection, Rejection::Malformed(_)), "{write:?}");
        assert!(!rejection.is_conflict());
    }
}

#[test]
fn accounts_change_by_transfers_alone() {
    let key = account(1, AccountKind::Wallet);
    let mut draft = Draft::new();
    draft.insert(Account::empty(key));
    assert!(matches!(
        apply(&World::new(), &draft.finish()),
        Err(Rejection::Malformed(_))
    ));
}

#[test]
fn a_row_is_written_once_in_a_changeset() {
    let mut draft = Draft::new();
    draft.insert(service(1));
    draft.insert(service(2));
    assert!(matches!(
        apply(&World::new(), &draft.finish()),
        Err(Rejection::Malformed(_))
    ));
}

#[test]
fn a_unique_value_has_one_holder_until_it_is_freed() {
    let mut world = world_with([room(1, 1)]);
    let taken = Rejection::Taken(Unique::ActiveRoomOf(wallet(1)));
    let mut draft = Draft::new();
    draft.insert(room(2, 1));
    assert_eq!(apply(&world, &draft.clone().finish()), Err(taken.clone()));
    assert!(taken.is_conflict());

    // In one changeset the first room closes and the second takes its place.
    let key = Key::Room(room(1, 1).id);
    draft.update(
        &loaded(&world, key),
        room(1, 1).closed(at(101), Closing::Unjoined),
    );
    committed(&mut world, draft);
    let holder = world.holder(&Unique::ActiveRoomOf(wallet(1)));
    assert_eq!(holder, Some(&Key::Room(room(2, 1).id)));

    let mut both = Draft::new();
    both.insert(room(3, 3));
    both.insert(room(4, 3));
    let taken = Rejection::Taken(Unique::ActiveRoomOf(wallet(3)));
    assert_eq!(apply(&world, &both.finish()), Err(taken));
}

#[test]
fn a_transfer_writes_both_accounts_and_its_own_entry_once() {
    let mut world = World::new();
    let mut draft = Draft::new();
    draft.transfer(grant(1, 1800));
    let receipt = committed(&mut world, draft.clone());
    assert_eq!(receipt.moved[&grant(1, 1800).id], 1800);
    let spendable: Loaded<Account> = loaded(&world, Key::Account(account(1, AccountKind::Wallet)));
    assert_eq!(spendable.value().unwrap().available(), 1800);
    assert_eq!(world.journal().count(), 1);

    let before = world.clone();
    let receipt = committed(&mut world, draft);
    assert_eq!(
        receipt.moved[&grant(1, 1800).id],
        1800,
        "the repeat gets the first answer"
    );
    assert_eq!(world, before);
}

#[test]
fn a_refused_changeset_writes_nothing() {
    let mut draft = Draft::new();
    draft.insert(service(1));
    let over = Transfer {
        debit: account(1, AccountKind::Wallet),
        credit: account(2, AccountKind::Wallet),
        ..grant(1, 1)
    };
    draft.transfer(over);
    let rejection = apply(&World::new(), &draft.finish()).unwrap_err();
    assert_eq!(
        rejection,
        Rejection::Ledger(LedgerError::Insufficient(over.debit))
    );
    assert!(rejection.is_conflict(), "credit may have come meanwhile");
}

#[test]
fn several_transfers_of_one_changeset_see_each_other() {
    let mut world = World::new();
    let mut draft = Draft::new();
    draft.transfer(grant(1, 10));
    draft.transfer(Transfer {
        id: TransferId::derive("move", &[]),
        debit: account(1, AccountKind::Wallet),
        credit: account(2, AccountKind::Wallet),
        ..grant(1, 10)
    });
    committed(&mut world, draft);
    let first = loaded::<Account>(&world, Key::Account(account(1, AccountKind::Wallet)));
    assert_eq!(first.value().unwrap().available(), 0);
    assert_eq!(
        first.version(),
        Some(Version::FIRST),
        "one write of the account"
    );
}

#[test]
fn a_guarded_transfer_says_in_the_receipt_how_much_moved() {
    let mut world = World::new();
    let mut draft = Draft::new();
    draft.transfer(grant(1, 10));
    committed(&mut world, draft);
    let use_up = |n: u8| Transfer {
        id: TransferId::derive("use", &[&[n]]),
        debit: account(1, AccountKind::Wallet),
        credit: account(2, AccountKind::Wallet),
        ..grant(1, 8)
    };
    for (n, moved) in [(1, 8), (2, 2), (3, 0)] {
        let mut draft = Draft::new();
        draft.guarded_transfer(use_up(n), Guard::UpTo);
        let receipt = committed(&mut world, draft);
        assert_eq!(receipt.moved[&use_up(n).id], moved);
    }
    let mut draft = Draft::new();
    draft.guarded_transfer(use_up(4), Guard::AtLeast(1));
    let refused = LedgerError::Insufficient(use_up(4).debit);
    assert_eq!(
        apply(&world, &draft.finish()),
        Err(Rejection::Ledger(refused))
    );
}

#[test]
fn an_intent_is_written_once_and_never_with_another_effect() {
    let mut world = World::new();
    let mut draft = Draft::new();
    draft.intent(intent(1));
    committed(&mut world, draft.clone());
    let before = world.clone();
    committed(&mut world, draft);
    assert_eq!(world, before);
    let mut other = Draft::new();
    other.intent(intent(2));
    assert!(matches!(
        apply(&world, &other.finish()),
        Err(Rejection::Malformed(_))
    ));
}

#[test]
fn due_rows_are_claimed_once_longest_due_first() {
    let late = Room {
        unjoined_until: Some(at(230)),
        ..room(2, 2)
    };
    let mut world = world_with([
        late.clone(),
        room(1, 1),
        room(3, 3).closed(at(1), Closing::Emptied),
    ]);
    assert_eq!(world.claim(Lane::Rooms, at(219), at(249), 9), vec![]);
    assert_eq!(world.claim(Lane::Seats, at(999), at(1029), 9), vec![]);
    let first = Key::Room(room(1, 1).id);
    let claimed = world.claim(Lane::Rooms, at(240), at(270), 1);
    assert_eq!(claimed, vec![(first.clone(), Fence::new(1))]);
    let second = world.claim(Lane::Rooms, at(240), at(270), 9);
    assert_eq!(second, vec![(Key::Room(late.id), Fence::new(1))]);
    assert_eq!(world.claim(Lane::Rooms, at(269), at(299), 9), vec![]);
    let taken_over = world.claim(Lane::Rooms, at(270), at(300), 1);
    assert_eq!(taken_over, vec![(first, Fence::new(2))]);
}

#[test]
fn an_earlier_holder_cannot_write_after_a_takeover() {
    let mut world = world_with([room(1, 1)]);
    let key = Key::Room(room(1, 1).id);
    let paused = world.claim(Lane::Rooms, at(240), at(270), 1)[0].1;
    let current = world.claim(Lane::Rooms, at(270), at(300), 1)[0].1;
    let close = |fence| {
        let mut draft = Draft::new();
        draft.expect_claimed(key.clone(), fence);
        draft.update(
            &loaded(&world, key.clone()),
            room(1, 1).closed(at(270), Closing::Unjoined),
        );
        draft.finish()
    };
    assert_eq!(
        apply(&world, &close(paused)),
        Err(Rejection::Fenced(key.clone()))
    );
    let delta = apply(&world, &close(current)).unwrap();
    world.absorb(&delta);
    assert_eq!(world.work(&key), None, "a closed room is due no more");
    assert_eq!(
        apply(&world, &close_again(&world, &key)),
        Err(Rejection::Fenced(key.clone()))
    );
}

fn close_again(world: &World, key: &Key) -> Changeset {
    let mut draft = Draft::new();
    draft.expect_claimed(key.clone(), Fence::new(2));
    draft.update(&loaded(world, key.clone()), room(1, 1));
    draft.finish()
}

#[test]
fn a_write_that_does_not_move_the_due_time_leaves_a_claim_alone() {
    let mut world = world_with([room(1, 1)]);
    let key = Key::Room(room(1, 1).id);
    world.claim(Lane::Rooms, at(240), at(270), 1);
    let write = |claimed: Option<Fence>| {
        let mut draft = Draft::new();
        if let Some(fence) = claimed {
            draft.expect_claimed(key.clone(), fence);
        }
        draft.update(
            &loaded(&world, key.clone()),
            Room {
                ai_enabled: true,
                ..room(1, 1)
            },
        );
        apply(&world, &draft.finish()).unwrap().work
    };
    assert!(write(None).is_empty());
    let ended = write(Some(Fence::new(1)));
    assert_eq!(
        ended[&key].unwrap().leased_until,
        None,
        "the holder's own commit ends it"
    );
}

#[test]
fn a_removed_row_leaves_its_queue() {
    let key = ChallengeKey {
        wallet: wallet(1),
        nonce: [1; 32],
    };
    let mut world = World::new();
    let mut draft = Draft::new();
    draft.insert(Challenge {
        key,
        issued_at: at(100),
        forget_at: at(401),
    });
    committed(&mut world, draft);
    let name = Key::Challenge(key);
    assert!(world.work(&name).is_some());
    let mut draft = Draft::new();
    draft.delete(&loaded::<Challenge>(&world, name.clone()));
    committed(&mut world, draft);
    assert_eq!((world.row(&name), world.work(&name)), (None, None));
}

#[test]
fn a_changeset_names_every_row_it_needs() {
    let mut draft = Draft::new();
    draft.insert(room(1, 1));
    draft.transfer(grant(1, 5));
    draft.transfer(Transfer {
        id: TransferId::derive("use", &[]),
        debit: account(1, AccountKind::Wallet),
        credit: AccountKey::new(Owner::House, AccountKind::Revenue, Unit::Seconds),
        ..grant(1, 5)
    });
    draft.intent(intent(1));
    let keys = draft.finish().keys();
    let expected = [
        Key::Account(account(1, AccountKind::GrantBase)),
        Key::Account(account(1, AccountKind::Wallet)),
        Key::Intent(intent(1).key),
        Key::Room(room(1, 1).id),
    ];
    assert_eq!(
        keys,
        BTreeSet::from(expected),
        "derived accounts have no row"
    );
}

fn outage(n: u64) -> Entry {
    let fact = Fact::Outage {
        from: at(n),
        to: at(n + 1),
    };
    Entry::new(at(n), fact)
}

/// A world with a chain and these entries in no block.
fn journal_of(entries: &[Entry]) -> (World, Chain) {
    let chain = Chain::new(ChainId::from_random([1; 16]), at(100));
    let mut world = World::new();
    let mut draft = Draft::new();
    draft.insert(chain.clone());
    for entry in entries {
        draft.journal(entry.at, entry.fact.clone());
    }
    committed(&mut world, draft);
    (world, chain)
}

fn insertion(block: crate::journal::Block) -> Changeset {
    let mut draft = Draft::new();
    draft.insert(block);
    draft.finish()
}

#[test]
fn an_entry_is_sealed_once() {
    let entries = [outage(1), outage(2), outage(3)];
    let (mut world, chain) = journal_of(&entries);
    assert_eq!(world.unsealed(), entries.each_ref().map(|entry| entry.id));

    let block = chain.seal(&[&entries[0], &entries[2]], at(100));
    let key = Key::Block(block.number);
    let delta = apply(&world, &insertion(block.clone())).unwrap();
    world.absorb(&delta);
    assert_eq!(world.unsealed(), [entries[1].id]);

    let next = chain.after(&block, at(100));
    for again in [
        &[&entries[0]][..],
        &[&entries[1], &entries[1]],
        &[&outage(9)],
    ] {
        let again = next.seal(again, at(100));
        let conflict = Rejection::Conflict(Key::Block(again.number));
        assert_ne!(Key::Block(again.number), key);
        assert_eq!(apply(&world, &insertion(again)), Err(conflict));
    }
    // Appended again, it stays in its block.
    let mut draft = Draft::new();
    draft.journal(entries[0].at, entries[0].fact.clone());
    committed(&mut world, draft);
    assert_eq!(world.unsealed(), [entries[1].id]);
}

#[test]
fn entries_and_blocks_are_not_written_like_other_rows() {
    let (mut world, chain) = journal_of(&[outage(1)]);
    let block = chain.seal(&[&outage(1)], at(100));
    let delta = apply(&world, &insertion(block.clone())).unwrap();
    world.absorb(&delta);
    let of_entry: Loaded<Entry> = loaded(&world, Key::Entry(outage(1).id));
    let of_block: Loaded<crate::journal::Block> = loaded(&world, Key::Block(block.number));
    let mut drafts = vec![Draft::new(); 6];
    drafts[0].insert(outage(2));
    drafts[1].update(&of_entry, outage(1));
    drafts[2].delete(&of_entry);
    drafts[3].expect(&of_entry);
    drafts[3].insert(service(1));
    drafts[4].update(&of_block, block);
    drafts[5].delete(&of_block);
    for draft in drafts {
        let verdict = apply(&world, &draft.finish());
        assert!(
            matches!(verdict, Err(Rejection::Malformed(_))),
            "{verdict:?}"
        );
    }
}
