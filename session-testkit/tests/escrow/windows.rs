//! Every window, one second before its edge, on it and one second behind it.

use super::abi::{Refusal, Word};
use super::twins::Done;
use super::world::{
    ATTESTED, COMPLETED, CREATE_SLOT, DAWN, NO_SHOW_GUEST, NO_SHOW_HOST, ORACLE, OWNER, PRICE,
    Plan, START, STRANGER, World, seconds,
};

type Answer = Result<Done, Refusal>;

/// Calls at one second before an instant, at it and one second after it, each on a branch of its
/// own. `None` is an answer that was no refusal.
#[track_caller]
fn around(
    world: &World,
    instant: u64,
    wanted: [Option<&str>; 3],
    mut call: impl FnMut(&mut World) -> Answer,
) {
    for (now, wanted) in (instant - 1..).zip(wanted) {
        let mut world = world.clone();
        world.chain.set_now(now);
        let said = match call(&mut world) {
            Ok(_) => None,
            Err(Refusal::Said(why)) => Some(why),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(
            said.as_deref(),
            wanted,
            "at {now}, and the edge is {instant}"
        );
    }
}

/// Slots of every shape that moves a window: grace and overlap from nothing to the whole session and
/// beyond.
fn plans() -> impl Iterator<Item = Plan> {
    [
        (30, 5, 10),
        (30, 0, 0),
        (30, 30, 30),
        (30, 45, 15),
        (1, 0, 1),
        (1, 121, 0),
        (240, 10, 120),
        (240, 119, 240),
        (60, 120, 1),
    ]
    .into_iter()
    .map(|(duration, grace, overlap)| Plan {
        duration,
        grace,
        overlap,
        ..Plan::USUAL
    })
}

#[test]
fn completed_is_attested_from_the_overlap_to_two_hours_after_the_end() {
    for mut world in World::each() {
        for plan in plans() {
            let booking = world.booked(plan);
            let opens = plan.start + plan.overlap * 60;
            let closes = plan.end() + 7_200;
            let attest = |world: &mut World| world.attest(booking, COMPLETED);
            around(&world, opens, [Some("OVERLAP_NOT_MET"), None, None], attest);
            around(&world, closes, [None, None, Some("TOO_LATE")], attest);
        }
    }
}

#[test]
fn a_no_show_is_attested_from_the_grace_to_the_end_and_the_grace() {
    for mut world in World::each() {
        for plan in plans() {
            let booking = world.booked(plan);
            let opens = plan.start + plan.grace * 60;
            let closes = plan.end() + plan.grace * 60;
            for outcome in [NO_SHOW_HOST, NO_SHOW_GUEST] {
                let attest = |world: &mut World| world.attest(booking, outcome);
                around(&world, opens, [Some("GRACE_NOT_OVER"), None, None], attest);
                around(
                    &world,
                    closes,
                    [None, None, Some("NO_SHOW_TOO_LATE")],
                    attest,
                );
            }
        }
    }
}

#[test]
fn a_grace_without_limit_is_waited_for() {
    for mut world in World::each() {
        let plan = Plan {
            grace: u64::from(u32::MAX),
            ..Plan::USUAL
        };
        let booking = world.booked(plan);
        let opens = plan.start + plan.grace * 60;
        let attest = |world: &mut World| world.attest(booking, NO_SHOW_HOST);
        around(&world, opens, [Some("GRACE_NOT_OVER"), None, None], attest);
        let closes = opens + 1_800;
        around(
            &world,
            closes,
            [None, None, Some("NO_SHOW_TOO_LATE")],
            attest,
        );
    }
}

#[test]
fn a_slot_begins_and_is_booked_more_than_a_minute_ahead() {
    for mut world in World::each() {
        let (host, guest) = (world.host, world.guest);
        let slot = world.slot(Plan::USUAL);
        let late = START - 60;
        let book = |world: &mut World| world.call(guest, "book(uint256)", &[slot]);
        around(
            &world,
            late,
            [None, Some("TOO_LATE"), Some("TOO_LATE")],
            book,
        );
        let soon = Some("START_TOO_SOON");
        around(&world, late, [None, soon, soon], |world| {
            world.call(host, CREATE_SLOT, &Plan::USUAL.words())
        });
    }
}

#[test]
fn a_guest_cancels_without_penalty_up_to_the_cut_off_and_with_it_up_to_the_start() {
    for mut world in World::each() {
        let (host, guest) = (world.host, world.guest);
        let cancel = "cancelBookingAsGuest(uint256)";
        let log = "SessionBookingCancelled(uint256,uint8,uint256,uint256,uint256,uint256)";
        for cutoff in [0, 1, 60, 1_440] {
            let booking = world.booked(Plan {
                cutoff,
                ..Plan::USUAL
            });
            let mut penalties = Vec::new();
            // The cut-off of zero is the start, from which on nothing is cancelled any more.
            let edge = START - cutoff * 60;
            let instants = [edge - 1, edge, edge + 1];
            for now in instants.into_iter().filter(|now| *now < START) {
                let mut world = world.clone();
                world.chain.set_now(now);
                let done = world.call(guest, cancel, &[booking]).unwrap();
                penalties.push(done.log(log)[2] > 0.word());
            }
            let wanted: &[bool] = if cutoff == 0 {
                &[false]
            } else {
                &[false, false, true]
            };
            assert_eq!(penalties, wanted, "{cutoff}");
            let started = Some("ALREADY_STARTED");
            for (who, cancel) in [(guest, cancel), (host, "cancelBookingAsHost(uint256)")] {
                around(&world, START, [None, started, started], |world| {
                    world.call(who, cancel, &[booking])
                });
            }
        }
    }
}

#[test]
fn a_cut_off_longer_than_the_time_ahead_has_a_penalty_at_once() {
    for mut world in World::each() {
        let guest = world.guest;
        let plan = Plan {
            start: DAWN + 3_600,
            cutoff: 10_080,
            ..Plan::USUAL
        };
        let booking = world.booked(plan);
        world
            .call(guest, "cancelBookingAsGuest(uint256)", &[booking])
            .unwrap();
        assert_eq!(world.owed(guest), (PRICE - PRICE / 5).word());
    }
}

#[test]
fn an_unattested_refund_opens_when_the_buffer_is_over() {
    for contract in session_testkit::contracts::Contract::ESCROWS {
        for buffer in [0, 86_400, 2_592_000] {
            let mut world = World::with(contract, |settings| {
                settings.no_attest_buffer = seconds(buffer);
            });
            let booking = world.booked(Plan::USUAL);
            let opens = Plan::USUAL.end() + buffer;
            for party in [world.host, world.guest] {
                around(&world, opens, [Some("TOO_EARLY"), None, None], |world| {
                    world.call(party, "claimIfUnattested(uint256)", &[booking])
                });
            }
        }
    }
}

#[test]
fn a_challenge_closes_in_the_second_in_which_finalisation_opens() {
    for contract in session_testkit::contracts::Contract::ESCROWS {
        for window in [1, 86_400, 2_592_000] {
            let mut world = World::with(contract, |settings| {
                settings.challenge_window = seconds(window);
            });
            let guest = world.guest;
            let booking = world.attested(Plan::USUAL, COMPLETED, START + 1_234);
            let edge = START + 1_234 + window;
            assert_eq!(world.booking(booking).finalizable_at(), edge);
            let over = Some("WINDOW_OVER");
            around(&world, edge, [None, over, over], |world| {
                world.call(guest, "challenge(uint256)", &[booking])
            });
            around(&world, edge, [Some("TOO_EARLY"), None, None], |world| {
                world.call(STRANGER, "finalize(uint256)", &[booking])
            });
        }
    }
}

#[test]
fn without_a_window_nothing_is_challenged_and_all_finalised_in_the_same_second() {
    for contract in session_testkit::contracts::Contract::ESCROWS {
        let mut world = World::with(contract, |settings| {
            settings.challenge_window = seconds(0);
        });
        let guest = world.guest;
        let booking = world.attested(Plan::USUAL, COMPLETED, START + 1_234);
        assert_eq!(world.booking(booking).status(), ATTESTED);
        world.refuses("WINDOW_OVER", guest, "challenge(uint256)", &[booking]);
        world
            .call(STRANGER, "finalize(uint256)", &[booking])
            .unwrap();
    }
}

#[test]
fn a_dispute_times_out_when_its_time_is_over_and_can_be_resolved_after_that() {
    for contract in session_testkit::contracts::Contract::ESCROWS {
        for timeout in [0, 604_800, 15_552_000] {
            let mut world = World::with(contract, |settings| {
                settings.dispute_timeout = seconds(timeout);
            });
            let guest = world.guest;
            let booking = world.attested(Plan::USUAL, COMPLETED, START + 1_234);
            world.chain.set_now(START + 2_000);
            world.call(guest, "challenge(uint256)", &[booking]).unwrap();
            assert_eq!(world.booking(booking).disputed_at(), START + 2_000);
            let edge = START + 2_000 + timeout;
            around(&world, edge, [Some("TOO_EARLY"), None, None], |world| {
                world.call(STRANGER, "finalizeDisputeByTimeout(uint256)", &[booking])
            });
            around(&world, edge, [None, None, None], |world| {
                let resolved = [booking, NO_SHOW_HOST.word()];
                world.call(OWNER, "resolveDispute(uint256,uint8)", &resolved)?;
                // In the same second.
                world.call(STRANGER, "finalize(uint256)", &[booking])
            });
        }
    }
}

#[test]
fn between_the_last_attestation_and_the_refund_nothing_happens() {
    for mut world in World::each() {
        let (host, guest) = (world.host, world.guest);
        let booking = world.booked(Plan::USUAL);
        for now in [Plan::USUAL.end() + 7_201, Plan::USUAL.end() + 86_399] {
            world.chain.set_now(now);
            for outcome in [COMPLETED, NO_SHOW_HOST, NO_SHOW_GUEST] {
                assert!(world.attest(booking, outcome).is_err());
            }
            for (who, signature) in [
                (guest, "cancelBookingAsGuest(uint256)"),
                (host, "cancelBookingAsHost(uint256)"),
                (guest, "claimIfUnattested(uint256)"),
                (host, "claimIfUnattested(uint256)"),
                (guest, "challenge(uint256)"),
                (ORACLE, "finalizeDisputeByTimeout(uint256)"),
                (STRANGER, "finalize(uint256)"),
            ] {
                assert!(world.call(who, signature, &[booking]).is_err());
            }
        }
    }
}
