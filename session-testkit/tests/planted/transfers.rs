//! Faults of the ledger.

use session_core::changeset::{Changeset, Receipt, Rejection, apply};
use session_core::ledger::{Action, Guard, LedgerError};

use crate::faulty::{Fault, SOUND};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "tells of a repeat that nothing moved",
        caught_by: &[
            "a_repeat_gets_the_first_answer",
            "one_identifier_moves_once",
        ],
        delta: |world, _, delta| {
            for (id, amount) in &mut delta.receipt.moved {
                if world.transfers().any(|known| known.id == *id) {
                    *amount = 0;
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "takes a contradiction for a repeat",
        caught_by: &["an_identifier_with_other_content_is_refused"],
        changeset: |world, changeset| {
            for order in &mut changeset.transfers {
                if let Some(known) = world.transfers().find(|t| t.id == order.transfer.id) {
                    order.transfer = *known;
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "keeps a transfer of nothing",
        caught_by: &["a_refused_identifier_stays_free"],
        delta: |_, changeset, delta| {
            for order in &changeset.transfers {
                if delta.receipt.moved.get(&order.transfer.id) == Some(&0) {
                    delta.transfers.push(order.transfer);
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "knows no guards",
        caught_by: &["guards_bound_what_moves"],
        changeset: |_, changeset| drop_guards(changeset),
        ..SOUND
    },
    Fault {
        name: "says yes to whoever has not enough",
        caught_by: &["what_may_not_owe_never_does"],
        verdict: |changeset, verdict| {
            forgiven(changeset, verdict, |why| {
                matches!(why, LedgerError::Insufficient(_))
            })
        },
        ..SOUND
    },
    Fault {
        name: "looks at each transfer as if it were the only one",
        caught_by: &["transfers_of_a_changeset_see_each_other"],
        apply: |world, changeset| {
            for order in &changeset.transfers {
                let alone = Changeset {
                    transfers: vec![*order],
                    ..Changeset::default()
                };
                apply(world, &alone)?;
            }
            apply(world, changeset)
        },
        ..SOUND
    },
    Fault {
        name: "says yes to a second resolution",
        caught_by: &[
            "a_reservation_is_resolved_once",
            "a_reservation_is_resolved_by_one",
        ],
        verdict: |changeset, verdict| {
            forgiven(changeset, verdict, |why| {
                matches!(why, LedgerError::NotReserved(_))
            })
        },
        ..SOUND
    },
    Fault {
        name: "knows no deadlines",
        caught_by: &["a_late_reservation_can_only_be_voided"],
        changeset: |_, changeset| {
            for order in &mut changeset.transfers {
                if let Action::Post { .. } = order.transfer.action {
                    order.transfer.at = session_core::types::Timestamp::EPOCH;
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "says yes at the greatest sum",
        caught_by: &["sums_stop_at_the_limit"],
        verdict: |changeset, verdict| {
            forgiven(changeset, verdict, |why| {
                matches!(why, LedgerError::Overflow(_))
            })
        },
        ..SOUND
    },
    Fault {
        name: "says yes to a malformed transfer",
        caught_by: &["a_malformed_transfer_is_refused"],
        verdict: |changeset, verdict| {
            forgiven(changeset, verdict, |why| {
                matches!(why, LedgerError::Malformed(_))
            })
        },
        ..SOUND
    },
    Fault {
        name: "looks at guards before it begins to write",
        caught_by: &["guards_hold_at_the_instant_of_the_commit"],
        looked_at: Some(drop_guards),
        ..SOUND
    },
];

fn drop_guards(changeset: &mut Changeset) {
    for order in &mut changeset.transfers {
        if let Some(Guard::AtLeast(_)) = order.guard {
            order.guard = None;
        }
    }
}

/// A refusal that is not told, as if all had moved.
fn forgiven(
    changeset: &Changeset,
    verdict: Result<Receipt, Rejection>,
    is_forgiven: fn(&LedgerError) -> bool,
) -> Result<Receipt, Rejection> {
    match verdict {
        Err(Rejection::Ledger(why)) if is_forgiven(&why) => {
            let transfers = changeset.transfers.iter();
            let moved = transfers.map(|order| (order.transfer.id, order.transfer.amount));
            Ok(Receipt {
                moved: moved.collect(),
            })
        }
        other => other,
    }
}
