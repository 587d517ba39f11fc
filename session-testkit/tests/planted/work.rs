//! Faults of handing out work.

use session_core::changeset::{Delta, Expect, Fence, Key, Lane, Work, World};
use session_core::ports::{Claim, Claimed};
use session_core::types::Seconds;

use crate::faulty::{Fault, Gap, SOUND, claim_rightly};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "hands out rows a second late",
        caught_by: &["what_is_due_is_handed_out_in_its_lane"],
        claim: |world, claim| {
            let now = claim.now.before(Seconds::new(1));
            claim_rightly(world, &Claim { now, ..*claim })
        },
        ..SOUND
    },
    Fault {
        name: "has one queue for all lanes",
        caught_by: &["what_is_due_is_handed_out_in_its_lane"],
        claim: |world, claim| {
            let lanes = Lane::ALL.into_iter();
            lanes
                .flat_map(|lane| claim_rightly(world, &Claim { lane, ..*claim }))
                .collect()
        },
        ..SOUND
    },
    Fault {
        name: "hands out the row that is due last first",
        caught_by: &["the_longest_due_come_first"],
        claim: |world, claim| {
            let mut claimed = claim_rightly(world, claim);
            claimed.reverse();
            claimed
        },
        ..SOUND
    },
    Fault {
        name: "hands out a row that somebody has",
        caught_by: &["a_claimed_row_is_left_alone_for_its_lease"],
        claim: |world, claim| {
            let claimed = claim_rightly(world, claim);
            place(world, &claimed, |work| work.leased_until = None);
            claimed
        },
        ..SOUND
    },
    Fault {
        name: "keeps a row for a second after its lease",
        caught_by: &["a_claimed_row_is_left_alone_for_its_lease"],
        claim: |world, claim| {
            let lease = claim.lease.saturating_add(Seconds::new(1));
            claim_rightly(world, &Claim { lease, ..*claim })
        },
        ..SOUND
    },
    Fault {
        name: "takes a claim for a write",
        caught_by: &["a_claim_raises_the_fence_and_not_the_version"],
        claim: |world, claim| {
            let claimed = claim_rightly(world, claim);
            for Claimed { key, .. } in &claimed {
                if let Some((version, row)) = world.row(key).cloned() {
                    world.put_row(version.next(), row);
                }
            }
            claimed
        },
        ..SOUND
    },
    Fault {
        name: "gives every claim the same fence",
        caught_by: &["a_claim_raises_the_fence_and_not_the_version"],
        claim: |world, claim| {
            let mut claimed = claim_rightly(world, claim);
            place(world, &claimed, |work| work.fence = Fence::new(1));
            for one in &mut claimed {
                one.fence = Fence::new(1);
            }
            claimed
        },
        ..SOUND
    },
    Fault {
        name: "does not look at fences",
        caught_by: &[
            "an_outcome_under_a_lost_claim_is_fenced",
            "an_outcome_and_a_takeover_exclude_each_other",
        ],
        changeset: |_, changeset| {
            changeset
                .expect
                .retain(|expect| !matches!(expect, Expect::Claimed(..)));
        },
        ..SOUND
    },
    Fault {
        name: "begins to count claims at one",
        caught_by: &["who_writes_a_row_down_holds_fence_zero"],
        delta: |world, _, delta| {
            for (key, place) in &mut delta.work {
                if let (Some(work), None) = (place, world.work(key)) {
                    work.fence = Fence::new(1);
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "lets a claim go on after its outcome",
        caught_by: &["the_holders_commit_ends_its_claim"],
        delta: |world, _, delta| {
            queue_moves(world, delta, |before, after| before.due == after.due);
        },
        ..SOUND
    },
    Fault {
        name: "lets a claim go on after its row was put off",
        caught_by: &["a_moved_due_time_ends_the_claim"],
        delta: |world, _, delta| {
            queue_moves(world, delta, |before, after| before.due != after.due);
        },
        ..SOUND
    },
    Fault {
        name: "forgets how often a row was claimed when it is put off",
        caught_by: &["a_moved_due_time_ends_the_claim"],
        delta: |_, _, delta| {
            for work in delta.work.values_mut().flatten() {
                work.fence = Fence::default();
            }
        },
        ..SOUND
    },
    Fault {
        name: "ends a claim at any write of its row",
        caught_by: &["any_other_write_leaves_the_claim_alone"],
        delta: |world, _, delta| requeue_written(world, delta),
        ..SOUND
    },
    Fault {
        name: "leaves what is gone in its queue",
        caught_by: &["what_is_due_no_more_leaves_its_queue"],
        delta: |_, _, delta| delta.work.retain(|_, place| place.is_some()),
        ..SOUND
    },
    Fault {
        name: "looks who is due, and writes down later who has it",
        caught_by: &[
            "workers_at_once_get_different_rows",
            "a_claim_does_not_undo_a_moved_due_time",
            "an_outcome_and_a_takeover_exclude_each_other",
        ],
        gap: Gap::InClaims,
        ..SOUND
    },
    Fault {
        name: "holds rows for ever until a claim has ended",
        caught_by: &["a_claim_that_nobody_waits_for_comes_up_again"],
        gap: Gap::InClaimsForEver,
        ..SOUND
    },
];

fn place(world: &mut World, claimed: &[Claimed], change: fn(&mut Work)) {
    for Claimed { key, .. } in claimed {
        let mut work = *world.work(key).expect("it was claimed");
        change(&mut work);
        world.put_work(key.clone(), work);
    }
}

/// Keeps the lease of rows that are queued anew.
fn queue_moves(world: &World, delta: &mut Delta, is_kept: fn(&Work, &Work) -> bool) {
    for (key, place) in &mut delta.work {
        if let (Some(after), Some(before)) = (place, world.work(key))
            && is_kept(before, after)
        {
            after.leased_until = before.leased_until;
        }
    }
}

fn requeue_written(world: &World, delta: &mut Delta) {
    let keys: Vec<Key> = delta.puts.keys().cloned().collect();
    for key in keys {
        if let Some(work) = world.work(&key) {
            let again = Work {
                leased_until: None,
                ..*work
            };
            delta.work.entry(key).or_insert(Some(again));
        }
    }
}
