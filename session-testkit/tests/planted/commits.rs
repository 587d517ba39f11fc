//! Faults of committing.

use session_core::changeset::{
    Changeset, Delta, Expect, Key, Put, Record, Rejection, Row, Version, World, Write, apply,
};

use crate::faulty::{Fault, Gap, SOUND};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "does not count the writes of a row",
        caught_by: &["a_row_counts_its_writes"],
        delta: |_, _, delta| {
            for put in delta.puts.values_mut() {
                put.version = Version::FIRST;
            }
        },
        ..SOUND
    },
    Fault {
        name: "removes nothing",
        caught_by: &["rows_of_one_changeset_are_written_together"],
        delta: |_, _, delta| delta.deletes.clear(),
        ..SOUND
    },
    Fault {
        name: "lets the last one win",
        caught_by: &[
            "a_write_on_a_stale_reading_is_a_conflict",
            "an_update_is_not_lost",
        ],
        changeset: |world, changeset| {
            for expect in &mut changeset.expect {
                if let Expect::At(key, version) = expect
                    && let Some((found, _)) = world.row(key)
                {
                    *version = *found;
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "forgets what was only relied on",
        caught_by: &[
            "what_was_only_relied_on_is_checked_too",
            "no_write_skew_over_rows",
        ],
        changeset: |_, changeset| forget_reliance(changeset),
        ..SOUND
    },
    Fault {
        name: "looks at what was relied on before it begins to write",
        caught_by: &[
            "no_write_skew_over_rows",
            "no_write_skew_over_absent_rows",
            "no_write_skew_between_a_row_and_an_absence",
            "an_account_that_is_relied_on_stays",
        ],
        looked_at: Some(forget_reliance),
        ..SOUND
    },
    Fault {
        name: "looks for absent rows before it begins to write",
        caught_by: &["no_write_skew_over_absent_rows"],
        looked_at: Some(|changeset| {
            let written = changeset.clone();
            let is_absence = |e: &Expect| matches!(e, Expect::Absent(_));
            changeset
                .expect
                .retain(|expect| !is_absence(expect) || is_written(&written, expect));
        }),
        ..SOUND
    },
    Fault {
        name: "writes what it decided on an older state",
        caught_by: &[
            "an_update_is_not_lost",
            "counting_together_loses_nothing",
            "a_set_is_guarded_by_its_parent",
            "one_of_many_takes_a_unique_value",
            "one_identifier_moves_once",
            "guards_hold_at_the_instant_of_the_commit",
            "a_reservation_is_resolved_by_one",
            "a_request_is_answered_once",
            "an_entry_gets_into_one_of_several_blocks",
            "one_of_several_sealers_goes_on",
            "an_outcome_and_a_takeover_exclude_each_other",
        ],
        gap: Gap::BeforeWriting,
        ..SOUND
    },
    Fault {
        name: "names the last row that has changed",
        caught_by: &["the_first_row_that_has_changed_is_named"],
        changeset: |_, changeset| changeset.expect.reverse(),
        ..SOUND
    },
    Fault {
        name: "keeps no versions of accounts",
        caught_by: &[
            "every_kind_of_row_can_be_relied_on",
            "an_account_that_is_relied_on_stays",
        ],
        changeset: |_, changeset| {
            let is_account = |e: &Expect| matches!(e, Expect::At(Key::Account(_), _));
            changeset.expect.retain(|expect| !is_account(expect));
        },
        ..SOUND
    },
    Fault {
        name: "writes over what nobody read",
        caught_by: &["a_write_must_expect_what_it_replaces"],
        changeset: |world, changeset| {
            for write in changeset.rows.clone() {
                let key = key_of(&write);
                changeset.expect.push(match world.row(&key) {
                    Some((version, _)) => Expect::At(key, *version),
                    None => Expect::Absent(key),
                });
            }
        },
        ..SOUND
    },
    Fault {
        name: "writes a row twice, the last time for good",
        caught_by: &["a_row_is_written_once_in_a_changeset"],
        changeset: |_, changeset| {
            let rows = std::mem::take(&mut changeset.rows);
            for write in rows {
                changeset
                    .rows
                    .retain(|other| key_of(other) != key_of(&write));
                changeset.rows.push(write);
            }
        },
        ..SOUND
    },
    Fault {
        name: "passes over writes of accounts",
        caught_by: &["accounts_change_by_transfers_alone"],
        changeset: |_, changeset| {
            let is_account = |write: &Write| matches!(key_of(write), Key::Account(_));
            changeset.rows.retain(|write| !is_account(write));
        },
        ..SOUND
    },
    Fault {
        name: "begins an intent anew",
        caught_by: &["an_intent_stays_as_far_as_it_has_come"],
        delta: |_, changeset, delta| {
            for intent in changeset.intents.clone() {
                let (version, row) = (Version::FIRST, Row::Intent(intent.clone()));
                delta.puts.insert(intent.key(), Put { version, row });
            }
        },
        ..SOUND
    },
    Fault {
        name: "takes a fact told twice for a mistake",
        caught_by: &[
            "a_fact_told_twice_is_no_error",
            "a_fact_told_by_many_is_told_once",
        ],
        apply: |world, changeset| {
            let mut facts = changeset.journal.iter();
            match facts.find(|entry| world.journal().any(|known| known == *entry)) {
                Some(_) => Err(Rejection::Malformed("a fact is known")),
                None => apply(world, changeset),
            }
        },
        ..SOUND
    },
    Fault {
        name: "does not look who has what only one may have",
        caught_by: &[
            "a_host_has_one_active_room",
            "a_place_a_number_and_a_wallet_are_taken_once",
            "a_holder_keeps_what_it_has",
            "one_of_many_takes_a_unique_value",
        ],
        seen: named_rows,
        ..SOUND
    },
    Fault {
        name: "never frees a place",
        caught_by: &["what_is_given_up_is_free"],
        apply: |world, changeset| {
            let delta = apply(world, changeset)?;
            for put in delta.puts.values() {
                let Row::Seat(seat) = &put.row else { continue };
                let was_taken = world.rows().any(|(key, _, row)| match row {
                    Row::Seat(other) => {
                        *key != put.row.key() && (other.room, other.slot) == (seat.room, seat.slot)
                    }
                    _ => false,
                });
                if let (true, Some(unique)) = (was_taken, put.row.uniques().get(1)) {
                    return Err(Rejection::Taken(*unique));
                }
            }
            Ok(delta)
        },
        ..SOUND
    },
    Fault {
        name: "looks row by row who has what",
        caught_by: &["a_value_changes_hands_within_a_changeset"],
        apply: |world, changeset| {
            for write in &changeset.rows {
                let alone = Changeset {
                    rows: vec![write.clone()],
                    expect: changeset.expect.clone(),
                    ..Changeset::default()
                };
                apply(world, &alone)?;
            }
            apply(world, changeset)
        },
        ..SOUND
    },
    Fault {
        name: "lets rows of one changeset share",
        caught_by: &["two_rows_of_a_changeset_cannot_share"],
        apply: |world, changeset| {
            let mut delta = apply(
                world,
                &Changeset {
                    rows: Vec::new(),
                    ..changeset.clone()
                },
            )?;
            for write in &changeset.rows {
                let alone = Changeset {
                    rows: vec![write.clone()],
                    expect: changeset.expect.clone(),
                    ..Changeset::default()
                };
                let one = apply(world, &alone)?;
                delta.puts.extend(one.puts);
                delta.deletes.extend(one.deletes);
                delta.work.extend(one.work);
            }
            Ok(delta)
        },
        ..SOUND
    },
    Fault {
        name: "keeps no answers",
        caught_by: &[
            "an_answer_is_kept_with_its_effect",
            "a_request_is_answered_once",
        ],
        changeset: |_, changeset| changeset.idempotency = None,
        ..SOUND
    },
    Fault {
        name: "keeps the last answer",
        caught_by: &[
            "a_second_answer_is_a_conflict",
            "a_request_is_answered_once",
        ],
        seen: |world, changeset| {
            let mut seen = world.clone();
            let mut delta = Delta::default();
            delta
                .deletes
                .extend(changeset.idempotency.iter().map(Record::key));
            seen.absorb(&delta);
            seen
        },
        ..SOUND
    },
    Fault {
        name: "takes the keys of all commands for one",
        caught_by: &["a_key_is_of_one_caller_and_one_command"],
        apply: |world, changeset| {
            let same = |row: &Row| match (row, &changeset.idempotency) {
                (Row::Idempotency(known), Some(record)) => {
                    (known.key.caller, &known.key.key) == (record.key.caller, &record.key.key)
                }
                _ => false,
            };
            match world.rows().find(|(_, _, row)| same(row)) {
                Some((key, ..)) => Err(Rejection::Conflict(key.clone())),
                None => apply(world, changeset),
            }
        },
        ..SOUND
    },
    Fault {
        name: "never forgets an answer",
        caught_by: &["a_forgotten_answer_can_be_given_anew"],
        delta: |_, _, delta| {
            delta
                .deletes
                .retain(|key| !matches!(key, Key::Idempotency(_)))
        },
        ..SOUND
    },
    Fault {
        name: "moves value before it looks at the rest",
        caught_by: &[
            "a_failed_expectation_leaves_no_trace",
            "a_malformed_part_leaves_no_trace",
            "a_value_that_is_taken_leaves_no_trace",
            "a_second_answer_leaves_no_trace",
        ],
        part: Some(|changeset| Changeset {
            transfers: changeset.transfers.clone(),
            ..Changeset::default()
        }),
        ..SOUND
    },
    Fault {
        name: "writes rows before it looks at transfers",
        caught_by: &["a_refused_transfer_leaves_no_trace"],
        part: Some(|changeset| Changeset {
            transfers: Vec::new(),
            ..changeset.clone()
        }),
        ..SOUND
    },
    Fault {
        name: "credits one more where many rows are written",
        caught_by: &["any_changeset_gets_the_verdict_of_apply"],
        delta: |_, _, delta| {
            let is_rare = delta.puts.len() > 3;
            for put in delta.puts.values_mut().filter(|_| is_rare) {
                if let Row::Account(account) = &mut put.row {
                    account.credits_posted = account.credits_posted.saturating_add(1);
                }
            }
        },
        ..SOUND
    },
];

fn key_of(write: &Write) -> Key {
    match write {
        Write::Delete(key) => key.clone(),
        Write::Insert(row) | Write::Update(row) => row.key(),
    }
}

fn is_written(changeset: &Changeset, expect: &Expect) -> bool {
    match expect {
        Expect::Absent(key) | Expect::At(key, _) => {
            changeset.rows.iter().any(|write| key_of(write) == *key)
        }
        Expect::Claimed(..) => true,
    }
}

fn forget_reliance(changeset: &mut Changeset) {
    let written = changeset.clone();
    changeset
        .expect
        .retain(|expect| is_written(&written, expect));
}

/// What a store of tables loads that forgets to ask who holds what the changeset wants.
fn named_rows(world: &World, changeset: &Changeset) -> World {
    let mut seen = World::new();
    for key in changeset.keys() {
        if let Some((version, row)) = world.row(&key) {
            seen.put_row(*version, row.clone());
        }
        if let Some(work) = world.work(&key) {
            seen.put_work(key, *work);
        }
    }
    for transfer in world.transfers() {
        seen.put_transfer(*transfer);
    }
    seen
}
