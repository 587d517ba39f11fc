//! A history that is as it should be, and every way to bend one value of it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde_json::Value;

use super::*;
use crate::changeset::{Changeset, Draft, Fact, Key, Loaded, Record, World, apply};
use crate::crypto::LocalSigner;
use crate::journal::Chain;
use crate::ledger::{AccountKey, AccountKind, Action, Owner, Reason, Reference, Transfer, usage};
use crate::outage::{Service, Span};
use crate::room::testing::{at, room, room_id, seat, wallet};
use crate::room::{Closing, Departure, Room, Seat, SeatState};
use crate::types::{Id128, Seconds, TransferId, Unit};

fn commit(world: &mut World, changeset: &Changeset) {
    let delta = apply(world, changeset).unwrap();
    world.absorb(&delta);
}

fn loaded<T: Record>(world: &World, key: Key) -> Loaded<T> {
    match world.row(&key) {
        Some((version, row)) => Loaded::present(key, *version, T::from_row(row.clone()).unwrap()),
        None => Loaded::absent(key),
    }
}

fn grant(n: u8) -> Transfer {
    let account = |kind| AccountKey::new(Owner::Wallet(wallet(n)), kind, Unit::Seconds);
    Transfer {
        id: TransferId::derive("grant", &[&[n]]),
        debit: account(AccountKind::GrantBase),
        credit: account(AccountKind::Wallet),
        amount: 1800,
        action: Action::Posted,
        reason: Reason::GrantBase,
        reference: Reference::None,
        at: at(0),
    }
}

fn joined(seat: &Seat) -> Fact {
    Fact::Joined {
        connection: seat.connection,
        room: seat.room,
        wallet: seat.wallet,
        slot: seat.slot,
        uid: seat.uid,
    }
}

/// Charges a stay up to an instant.
fn charge(world: &mut World, n: u8, until: u64) {
    let found: Loaded<Seat> = loaded(world, Key::Seat(seat(n).connection));
    let before = found.value().unwrap().clone();
    let owed = at(until).since(before.metered_to);
    let mut draft = Draft::new();
    let version = found.version().unwrap();
    draft.transfer(usage(
        before.wallet,
        before.connection,
        version,
        owed,
        at(until),
    ));
    let after = Seat {
        metered_to: at(until),
        last_seen_at: at(until),
        charged: before.charged.saturating_add(owed),
        ..before
    };
    draft.update(&found, after);
    commit(world, &draft.finish());
}

/// Seals what is in no block.
fn seal(world: &mut World, now: u64) {
    let chain: Loaded<Chain> = loaded(world, Key::Chain(()));
    let entries: Vec<Loaded<crate::journal::Entry>> = world
        .unsealed()
        .into_iter()
        .map(|id| loaded(world, Key::Entry(id)))
        .collect();
    let entries: Vec<_> = entries.iter().filter_map(Loaded::value).collect();
    let before = chain.value().unwrap();
    let block = before.seal(&entries, at(now));
    let mut draft = Draft::new();
    draft.update(&chain, before.after(&block, at(now)));
    draft.insert(block);
    commit(world, &draft.finish());
}

/// Wallet 1 hosts a room in which wallets 1 and 2 sit; 2 leaves; 3 hosts another that nobody joins
/// and that closes. Two blocks, and some entries in none.
fn history() -> World {
    let mut world = World::new();
    let mut draft = Draft::new();
    draft.insert(Chain::new(ChainId::from_bytes([5; 16]), at(0)));
    for n in 1..=3 {
        draft.transfer(grant(n));
    }
    let open = Room {
        live_seats: 2,
        unjoined_until: None,
        ..room(2)
    };
    draft.journal(
        open.created_at,
        Fact::RoomCreated {
            room: open.id,
            host: open.host,
            visibility: open.visibility,
        },
    );
    draft.insert(open);
    for n in 1..=2 {
        draft.journal(at(0), joined(&seat(n)));
        draft.insert(seat(n));
    }
    commit(&mut world, &draft.finish());
    charge(&mut world, 1, 30);
    charge(&mut world, 2, 20);
    seal(&mut world, 31);

    charge(&mut world, 2, 45);
    let found: Loaded<Seat> = loaded(&world, Key::Seat(seat(2).connection));
    let mut gone = found.value().unwrap().clone();
    gone.state = SeatState::Gone {
        at: at(45),
        why: Departure::Left,
    };
    let mut draft = Draft::new();
    draft.journal(at(45), Fact::left(&gone).unwrap());
    draft.update(&found, gone);
    let found: Loaded<Room> = loaded(&world, Key::Room(room_id()));
    let with_one = Room {
        live_seats: 1,
        ..found.value().unwrap().clone()
    };
    draft.update(&found, with_one);
    commit(&mut world, &draft.finish());
    seal(&mut world, 50);

    let mut draft = Draft::new();
    let other = Room {
        id: crate::types::RoomId::from_random([0x77; 16]),
        host: wallet(3),
        unjoined_until: None,
        ..room(0)
    };
    draft.journal(
        other.created_at,
        Fact::RoomCreated {
            room: other.id,
            host: other.host,
            visibility: other.visibility,
        },
    );
    draft.journal(
        at(60),
        Fact::RoomClosed {
            room: other.id,
            why: Closing::Unjoined,
        },
    );
    draft.insert(other.closed(at(60), Closing::Unjoined));
    commit(&mut world, &draft.finish());
    charge(&mut world, 1, 65);
    world
}

#[derive(Default)]
struct Seen(Vec<Found>);

impl Visitor for Seen {
    fn visit(&mut self, found: Found) {
        self.0.push(found);
    }
}

fn shown(world: &World) -> Vec<Found> {
    let mut seen = Seen::default();
    world.show(&mut seen);
    seen.0
}

fn audit(shown: &[Found]) -> Report {
    let mut audit = Audit::new(&Policy::default());
    for found in shown {
        audit.visit(found.clone());
    }
    audit.finish()
}

#[test]
fn a_history_that_happened_is_clean_and_counted() {
    let world = history();
    let report = audit(&shown(&world));
    assert_eq!(report.complaints, []);
    assert_eq!(report.invariants.len(), 11);
    assert_eq!(
        (report.entries, report.unsealed, report.blocks.get()),
        (13, 3, 2)
    );
    assert_eq!((report.transfers, report.accounts), (7, 6));
    assert_eq!((report.rooms, report.seats), (2, 2));
    let nothing = audit(&shown(&World::new()));
    assert!(nothing.is_clean(), "{:?}", nothing.complaints);
}

#[test]
fn anything_that_is_left_out_or_comes_twice_is_found() {
    let shown = shown(&history());
    for n in 0..shown.len() {
        // Without its totals nobody knows whether something else is missing.
        if matches!(shown[n], Found::Totals { .. }) {
            continue;
        }
        let mut without = shown.clone();
        without.remove(n);
        assert!(!audit(&without).is_clean(), "without {:?}", shown[n]);
        // A chain that is shown twice is one chain.
        if matches!(shown[n], Found::Row(_, Row::Chain(_))) {
            continue;
        }
        let mut twice = shown.clone();
        twice.insert(n, shown[n].clone());
        assert!(!audit(&twice).is_clean(), "twice {:?}", shown[n]);
    }
}

/// What is not proved: when a worker looks, when somebody was last heard and metered, what a client
/// was told of its credit and of the others, and what a host asked for.
const NOT_PROVED: [&str; 10] = [
    "/ai_enabled",
    "/check_at",
    "/exhausted_at",
    "/last_event",
    "/last_seen_at",
    "/lease_until",
    "/low_raised",
    "/metered_to",
    "/seal_at",
    "/unjoined_until",
];

#[test]
fn any_value_that_is_bent_is_found() {
    let shown = shown(&history());
    let mut bent = 0;
    for (n, found) in shown.iter().enumerate() {
        for (path, other) in bendings(found) {
            if NOT_PROVED.iter().any(|name| path.starts_with(name)) {
                continue;
            }
            let mut history = shown.clone();
            history[n] = other;
            let report = audit(&history);
            assert!(!report.is_clean(), "{path} of {found:?}");
            bent += 1;
        }
    }
    assert!(bent > 200, "{bent}");
}

/// The same thing with one value changed, for each of its values.
fn bendings(found: &Found) -> Vec<(String, Found)> {
    fn each<T: Serialize + serde::de::DeserializeOwned + PartialEq>(value: &T) -> Vec<(String, T)> {
        let json = serde_json::to_value(value).unwrap();
        let mut leaves = Vec::new();
        paths(&json, String::new(), &mut leaves);
        let mut bent = Vec::new();
        for path in leaves {
            for to in others(json.pointer(&path).unwrap()) {
                let mut other = json.clone();
                *other.pointer_mut(&path).unwrap() = to;
                match serde_json::from_value::<T>(other) {
                    Ok(other) if other != *value => bent.push((path.clone(), other)),
                    _ => {}
                }
            }
        }
        bent
    }
    match found {
        Found::Transfer(transfer) => each(transfer)
            .into_iter()
            .map(|(path, other)| (path, Found::Transfer(other)))
            .collect(),
        Found::Unsealed(id) => each(id)
            .into_iter()
            .map(|(path, other)| (path, Found::Unsealed(other)))
            .collect(),
        Found::Row(version, row) => each(row)
            .into_iter()
            .map(|(path, other)| {
                let (_, path) = path[1..].split_once('/').unwrap();
                (format!("/{path}"), Found::Row(*version, other))
            })
            .collect(),
        Found::Totals {
            entries,
            entry_sum,
            transfers,
        } => [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
            .map(|(more, sum, moved)| {
                let other = Found::Totals {
                    entries: entries + more,
                    entry_sum: entry_sum + sum,
                    transfers: transfers + moved,
                };
                ("/totals".to_string(), other)
            })
            .into(),
        Found::Unreadable { .. } => Vec::new(),
    }
}

fn paths(json: &Value, at: String, leaves: &mut Vec<String>) {
    match json {
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                paths(item, format!("{at}/{n}"), leaves);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                paths(member, format!("{at}/{name}"), leaves);
            }
        }
        _ => leaves.push(at),
    }
}

/// Other values for a value, some of which may be refused where they are put.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![Value::from(1_000_000)],
        Value::Bool(is) => vec![Value::from(!is)],
        Value::Number(number) => {
            let number = number.as_i64().unwrap();
            vec![
                Value::from(number + 1),
                Value::from(number - 1),
                Value::Null,
            ]
        }
        Value::String(text) => {
            let mut others: Vec<Value> = [
                "wallet",
                "revenue",
                "sats",
                "posted",
                "none",
                "active",
                "open",
                "private",
                "left",
                "silent",
                "emptied",
                "host_left",
                "grant_base",
                "debit_usage",
                "admin_adjust",
            ]
            .map(Value::from)
            .into();
            // Another digit somewhere in an identifier or an account.
            for (from, to) in [('1', '2'), ('0', '1'), ('a', 'b'), ('5', '6'), ('7', '8')] {
                if let Some(place) = text.rfind(from) {
                    let mut other = text.clone();
                    other.replace_range(place..=place, &to.to_string());
                    others.push(Value::from(other));
                }
            }
            others
        }
        Value::Array(_) | Value::Object(_) => Vec::new(),
    }
}

#[test]
fn a_journal_that_was_written_anew_with_fitting_hashes_has_another_head() {
    let honest = audit(&shown(&history()));
    let mut world = history();
    let mut draft = Draft::new();
    draft.journal(
        at(10),
        Fact::Outage {
            from: at(1),
            to: at(2),
        },
    );
    commit(&mut world, &draft.finish());
    seal(&mut world, 70);
    let other = audit(&shown(&world));
    assert!(other.is_clean());
    assert_ne!(honest.head, other.head);
}

/// A worker of a server that is ahead charges to the end of a lease; one that is behind ends the
/// stay.
#[test]
fn a_charge_of_a_later_instant_than_the_end_is_no_charge_after_it() {
    let mut world = history();
    let found: Loaded<Seat> = loaded(&world, Key::Seat(seat(1).connection));
    let before = found.value().unwrap().clone();
    let mut draft = Draft::new();
    let (owed, version) = (Seconds::new(5), found.version().unwrap());
    draft.transfer(usage(
        before.wallet,
        before.connection,
        version,
        owed,
        at(95),
    ));
    let gone = Seat {
        metered_to: at(70),
        charged: before.charged.saturating_add(owed),
        state: SeatState::Gone {
            at: at(72),
            why: Departure::Left,
        },
        ..before
    };
    draft.journal(at(72), Fact::left(&gone).unwrap());
    draft.update(&found, gone);
    let found: Loaded<Room> = loaded(&world, Key::Room(room_id()));
    let closed = found.value().unwrap().closed(at(72), Closing::HostLeft);
    let (room, why) = (closed.id, Closing::HostLeft);
    draft.journal(at(72), Fact::RoomClosed { room, why });
    draft.update(&found, closed);
    commit(&mut world, &draft.finish());
    seal(&mut world, 99);
    assert_eq!(audit(&shown(&world)).complaints, []);
    let story = bundle(&world).unwrap().verify().unwrap();
    assert_eq!(story.stays[&seat(1).connection].charged, Seconds::new(70));
}

/// Whoever may write to what is unsealed puts a sealed entry there in the place of another.
#[test]
fn an_entry_in_two_places_for_one_in_none_is_found() {
    let mut world = history();
    for n in 0..2 {
        let mut draft = Draft::new();
        let (from, to) = (at(n), at(n + 1));
        draft.journal(at(70 + n), Fact::Outage { from, to });
        commit(&mut world, &draft.finish());
        if n == 0 {
            seal(&mut world, 71);
        }
    }
    let mut shown = shown(&world);
    let outages = |found: &Found| matches!(found, Found::Row(_, Row::Entry(entry)) if matches!(entry.fact, Fact::Outage { .. }));
    let places: Vec<usize> = (0..shown.len()).filter(|n| outages(&shown[*n])).collect();
    let [sealed, unsealed] = places[..] else {
        panic!("{places:?}");
    };
    assert!(audit(&shown).is_clean());
    shown[unsealed] = shown[sealed].clone();
    if let Found::Row(_, Row::Entry(entry)) = &shown[sealed] {
        shown[unsealed - 1] = Found::Unsealed(entry.id);
    }
    assert!(!audit(&shown).is_clean());
}

#[test]
fn what_is_due_for_long_while_servers_are_alive_is_found() {
    let due = 30;
    let beaten = |last_beat: u64, outage_ended: Option<u64>| {
        let mut world = history();
        let found: Loaded<Chain> = loaded(&world, Key::Chain(()));
        let later = Chain {
            seal_at: at(due),
            ..found.value().unwrap().clone()
        };
        let mut draft = Draft::new();
        draft.update(&found, later);
        let outages = outage_ended.map(|end| Span {
            from: at(0),
            to: at(end),
        });
        draft.insert(Service {
            last_beat_at: at(last_beat),
            outages: outages.into_iter().collect(),
        });
        commit(&mut world, &draft.finish());
        audit(&shown(&world)).invariants["resolved"]
    };
    let bound = OVERDUE_MAX.get();
    assert_eq!(beaten(due + bound, None), 0);
    assert_eq!(beaten(due + bound + 1, None), 1);
    assert_eq!(beaten(500 + bound, Some(500)), 0, "they are just back");
    assert_eq!(beaten(500 + bound + 1, Some(500)), 1);
}

fn bundle(world: &World) -> Result<Bundle, BundleError> {
    let mut export = RoomExport::new(room_id());
    world.show(&mut export);
    export.finish()
}

#[test]
fn a_bundle_tells_the_story_of_its_room_and_nothing_else() {
    let mut world = history();
    let told = bundle(&world).unwrap();
    assert_eq!((told.blocks.len(), told.unsealed), (2, 1));
    seal(&mut world, 70);
    let told = bundle(&world).unwrap();
    assert_eq!((told.blocks.len(), told.unsealed), (3, 0));
    let story = told.verify().unwrap();
    assert_eq!(story.created, Some((at(0), wallet(1))));
    let stay = &story.stays[&seat(2).connection];
    assert_eq!(stay.charged, Seconds::new(45));
    assert_eq!(stay.left, Some((at(45), Departure::Left)));
    assert_eq!(story.stays[&seat(1).connection].charged, Seconds::new(65));
    let text = told.text().unwrap();
    assert!(!text.contains(&wallet(3).to_string()), "{text}");

    assert_eq!(bundle(&World::new()), Err(BundleError::Nothing));
}

#[test]
fn a_bundle_in_which_anything_is_bent_is_refused() {
    let mut world = history();
    seal(&mut world, 70);
    let key = LocalSigner::from_bytes(&[3; 32]).unwrap();
    let signed = bundle(&world).unwrap().signed(&key).unwrap();
    signed.verify().unwrap();
    let json = serde_json::to_value(&signed).unwrap();
    let mut leaves = Vec::new();
    paths(&json, String::new(), &mut leaves);
    let mut bent = 0;
    for path in leaves {
        for to in others(json.pointer(&path).unwrap()) {
            let mut other = json.clone();
            *other.pointer_mut(&path).unwrap() = to;
            let Ok(other) = serde_json::from_value::<SignedBundle>(other) else {
                continue;
            };
            if other == signed {
                continue;
            }
            bent += 1;
            assert!(other.verify().is_err(), "{path}");
            // Whoever can sign cannot make it fit either. How many entries are in no block is the
            // server's word alone.
            if path != "/bundle/unsealed" && path != "/signer" && path != "/signature" {
                assert!(other.bundle.verify().is_err(), "{path}");
            }
        }
    }
    assert!(bent > 200, "{bent}");
}

#[test]
fn a_text_that_says_more_than_was_signed_is_no_bundle() {
    let mut world = history();
    seal(&mut world, 70);
    let key = LocalSigner::from_bytes(&[3; 32]).unwrap();
    let signed = bundle(&world).unwrap().signed(&key).unwrap();
    let text = serde_json::to_string(&signed).unwrap();
    assert_eq!(SignedBundle::parse(&text), Ok(signed.clone()));
    for (from, to) in [
        ("\"at\":", "\"note\":\"anything\",\"at\":"),
        ("\"amount\":", "\"also\":1,\"amount\":"),
        ("\"signer\":", "\"also\":1,\"signer\":"),
        ("\"form\":", "\"also\":1,\"form\":"),
    ] {
        let other = text.replacen(from, to, 1);
        assert_ne!(other, text, "{from}");
        let parsed = SignedBundle::parse(&other);
        assert_eq!(parsed, Err(BundleError::Form), "{to}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(SignedBundle::parse(&deep), Err(BundleError::Form));
    let loud = SignedBundle {
        signature: signed.signature.to_uppercase().replace("0X", "0x"),
        ..signed
    };
    assert_eq!(loud.verify(), Err(BundleError::Signature(key.wallet())));
}
