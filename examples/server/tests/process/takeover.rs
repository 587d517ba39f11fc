//! What a worker had claimed is taken over when its lease ends, and whoever was paused meanwhile
//! cannot write any more (`security.md` J3).

use crate::clock::until;
use crate::people::Person;
use crate::place::{On, Place};

/// The clock of a server that finds a room unjoined for long enough.
const LATER: &str = "150";
/// The clock of another one, to which the lease of that one has ended.
const LATER_STILL: &str = "185";

/// A worker dies with a claim; the claim holds until its lease ends, and then somebody else does
/// the work, once.
fn a_killed_worker_is_replaced(on: On) {
    let Some(place) = Place::new(on) else {
        return;
    };
    let mut first = place.serve(&[]);
    Person::new("host").opens(&first);
    first.process.kill();

    let mut killed = place.serve(&[
        ("SESSION_CLOCK_OFFSET_SECONDS", LATER),
        ("SESSION_FAILPOINTS", "worker.claim.after=kill@1"),
    ]);
    killed.process.wait();
    let open = "SELECT count(*) FROM room WHERE closed_at IS NULL";
    let fence = "SELECT fence FROM work WHERE lane = 'rooms' AND leased_until IS NOT NULL";
    assert_eq!((place.count(open), place.number(fence)), (1, Some(1)));

    let other = place.serve(&[("SESSION_CLOCK_OFFSET_SECONDS", LATER_STILL)]);
    until("the room is closed", &other, || place.count(open) == 0);
    let closed = "SELECT count(*) FROM room WHERE closed_why = 'unjoined'";
    assert_eq!(place.count(closed), 1);
    let told = "SELECT count(*) FROM journal WHERE kind = 'room_closed'";
    assert_eq!(place.count(told), 1);
}

#[test]
fn a_killed_workers_claim_is_taken_over_in_a_file() {
    a_killed_worker_is_replaced(On::Sqlite);
}

#[test]
fn a_killed_workers_claim_is_taken_over_in_postgres() {
    a_killed_worker_is_replaced(On::Postgres);
}

/// A worker has decided to evict a silent participant and is paused before it writes that; another
/// one takes the claim over. What the first one writes when it goes on is refused, although the
/// seat is still as it found it; the other one evicts.
fn a_paused_worker_writes_nothing(on: On) {
    let Some(place) = Place::new(on) else {
        return;
    };
    let pause = [("SESSION_FAILPOINTS", "worker.commit.before=pause@1")];
    let paused_there = "the call waits for SIGUSR1";
    let mut paused = place.serve(&pause);
    let guest = Person::new("guest");
    let room = guest.opens(&paused);
    guest.joins(&paused, &room);
    // A long time passes for the seat, in which servers were alive and nothing was heard.
    place.change(
        "UPDATE seat SET joined_at = joined_at - 1000, last_seen_at = last_seen_at - 1000, \
            metered_to = metered_to - 1000, lease_until = lease_until - 1000, \
            check_at = check_at - 1000; \
        UPDATE work SET due_at = due_at - 1000 WHERE lane = 'seats'",
    );
    paused.process.read_until(paused_there);
    let fence = "SELECT fence FROM work WHERE lane = 'seats'";
    assert_eq!(place.number(fence), Some(1));
    let mut other = place.serve(&pause);
    // The whole process stands still. Not where it may hold the lock of a file, which no timeout
    // takes away from it.
    if on != On::Sqlite {
        paused.process.signal("STOP");
    }
    // The lease ends.
    place.change("UPDATE work SET leased_until = leased_until - 1000 WHERE lane = 'seats'");
    other.process.read_until(paused_there);
    assert_eq!(place.number(fence), Some(2));

    let seen = || {
        [
            "SELECT version FROM seat",
            "SELECT charged FROM seat",
            "SELECT count(*) FROM transfer WHERE reason = 'debit_usage'",
            "SELECT count(*) FROM seat WHERE gone_why = 'silent'",
        ]
        .map(|query| place.count(query))
    };
    assert_eq!(seen(), [1, 0, 0, 0]);
    if on != On::Sqlite {
        paused.process.signal("CONT");
    }
    paused.process.signal("USR1");
    let lost = "claims ended before their work was written";
    paused.process.read_until(lost);
    assert_eq!(seen(), [1, 0, 0, 0], "the paused one wrote something");

    other.process.signal("USR1");
    let version = "SELECT version FROM seat";
    until("the seat is looked after", &other, || {
        place.count(version) > 1
    });
    let [version, charged, transfers, evicted] = seen();
    // Charged to the end of its one lease.
    assert_eq!([version, charged, transfers], [2, 90, 1]);
    // After an outage, such as a machine that stands still makes, nobody is silent.
    assert!(evicted == 1 || !place.outages().is_empty());
    assert_eq!(place.broken_rules(), Vec::<String>::new());
}

#[test]
fn a_paused_worker_writes_nothing_after_the_takeover_in_a_file() {
    a_paused_worker_writes_nothing(On::Sqlite);
}

#[test]
fn a_paused_worker_writes_nothing_after_the_takeover_in_postgres() {
    a_paused_worker_writes_nothing(On::Postgres);
}
