//! Faults of telling and sealing.

use session_core::changeset::{Expect, Key, Put, Record, Row, World, Write, apply};
use session_core::journal::Block;
use session_core::ports::Read;
use session_core::types::{EntryId, Timestamp};

use crate::faulty::{Fault, SOUND};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "keeps what is sealed among what is in no block",
        caught_by: &[
            "unsealed_entries_come_oldest_first",
            "what_is_told_is_in_no_block_until_one_names_it",
            "a_block_takes_only_what_is_in_none",
            "an_entry_gets_into_one_of_several_blocks",
            "one_of_several_sealers_goes_on",
            "any_changeset_gets_the_verdict_of_apply",
        ],
        after: |delta, world| {
            for block in delta.puts.values().filter_map(block) {
                for entry in &block.entries {
                    world.put_unsealed(told_at(world, *entry), *entry);
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "seals what is in a block already",
        caught_by: &[
            "a_block_takes_only_what_is_in_none",
            "a_fact_that_is_sealed_is_not_told_anew",
            "an_entry_gets_into_one_of_several_blocks",
        ],
        seen: |world, changeset| {
            let mut seen = world.clone();
            for write in &changeset.rows {
                if let Write::Insert(Row::Block(block)) = write {
                    for entry in &block.entries {
                        if world.row(&Key::Entry(*entry)).is_some() {
                            seen.put_unsealed(told_at(world, *entry), *entry);
                        }
                    }
                }
            }
            seen
        },
        ..SOUND
    },
    Fault {
        name: "seals what nobody told",
        caught_by: &["a_block_takes_only_what_is_in_none"],
        seen: |world, changeset| {
            let mut seen = world.clone();
            for entry in &changeset.journal {
                seen.put_unsealed(entry.at, entry.id);
            }
            seen
        },
        ..SOUND
    },
    Fault {
        name: "seals once where a changeset seals twice",
        caught_by: &["a_block_takes_only_what_is_in_none"],
        apply: |world, changeset| {
            let mut once = changeset.clone();
            for write in &mut once.rows {
                if let Write::Insert(Row::Block(block)) = write {
                    block.entries.sort();
                    block.entries.dedup();
                }
            }
            apply(world, &once)
        },
        ..SOUND
    },
    Fault {
        name: "lists what is in no block newest first",
        caught_by: &["unsealed_entries_come_oldest_first"],
        lists: |reads, lists| {
            for (read, list) in reads.iter().zip(lists) {
                if matches!(read, Read::UnsealedEntries(_)) {
                    list.reverse();
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "lists what is in no block by name",
        caught_by: &["unsealed_entries_come_oldest_first"],
        lists: |reads, lists| {
            for (read, list) in reads.iter().zip(lists) {
                if matches!(read, Read::UnsealedEntries(_)) {
                    list.sort_by_key(|stored| stored.row.key());
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "lets a block be updated",
        caught_by: &["a_block_is_inserted_and_never_changed"],
        apply: |world, changeset| {
            let mut rest = changeset.clone();
            rest.rows
                .retain(|write| !matches!(write, Write::Update(Row::Block(_))));
            let mut delta = apply(world, &rest)?;
            for write in &changeset.rows {
                if let Write::Update(row @ Row::Block(_)) = write
                    && let Some((version, _)) = world.row(&row.key())
                {
                    let (version, row) = (version.next(), row.clone());
                    delta.puts.insert(row.key(), Put { version, row });
                }
            }
            Ok(delta)
        },
        ..SOUND
    },
    Fault {
        name: "lets a block be removed",
        caught_by: &["a_block_is_inserted_and_never_changed"],
        apply: |world, changeset| {
            let is_removal = |write: &&Write| matches!(write, Write::Delete(Key::Block(_)));
            let mut rest = changeset.clone();
            rest.rows.retain(|write| !is_removal(&write));
            let mut delta = apply(world, &rest)?;
            for write in changeset.rows.iter().filter(is_removal) {
                if let Write::Delete(key) = write {
                    delta.deletes.insert(key.clone());
                }
            }
            Ok(delta)
        },
        ..SOUND
    },
    Fault {
        name: "passes over writes and expectations of entries",
        caught_by: &["an_entry_is_told_and_never_written"],
        changeset: |_, changeset| {
            changeset.rows.retain(|write| match write {
                Write::Delete(key) => !is_entry(key),
                Write::Insert(row) | Write::Update(row) => !is_entry(&row.key()),
            });
            changeset.expect.retain(|expect| match expect {
                Expect::Absent(key) | Expect::At(key, _) | Expect::Claimed(key, _) => {
                    !is_entry(key)
                }
            });
        },
        ..SOUND
    },
    Fault {
        name: "counts how often a fact is told",
        caught_by: &["an_entry_stays_at_its_first_version"],
        delta: |world, changeset, delta| {
            for entry in &changeset.journal {
                if let Some((version, row)) = world.row(&entry.key()) {
                    let (version, row) = (version.next(), row.clone());
                    delta.puts.insert(entry.key(), Put { version, row });
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "takes a fact that is told again out of its block",
        caught_by: &[
            "a_fact_that_is_sealed_is_not_told_anew",
            "a_fact_told_by_many_is_told_once",
            "any_changeset_gets_the_verdict_of_apply",
        ],
        delta: |_, changeset, delta| delta.journal.extend(changeset.journal.clone()),
        ..SOUND
    },
    Fault {
        name: "keeps facts apart from what is in no block",
        caught_by: &["what_is_told_is_in_no_block_until_one_names_it"],
        apply: |world, changeset| {
            let mut delta = apply(world, changeset)?;
            // Those of what moves are forgotten.
            delta
                .journal
                .retain(|entry| entry.fact.name() != "transferred");
            Ok(delta)
        },
        ..SOUND
    },
    Fault {
        name: "keeps small numbers of an entry",
        caught_by: &["an_entry_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Entry(entry) = &mut stored.row {
                entry.at = entry.at.min(Timestamp::from_unix(u32::MAX.into()));
            }
        },
        ..SOUND
    },
    Fault {
        name: "keeps a few hundred names of a block",
        caught_by: &["a_block_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Block(block) = &mut stored.row {
                block.entries.truncate(900);
            }
        },
        ..SOUND
    },
    Fault {
        name: "keeps the names of a block in their own order",
        caught_by: &["a_block_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Block(block) = &mut stored.row {
                block.entries.sort();
            }
        },
        ..SOUND
    },
    Fault {
        name: "forgets the head of the chain",
        caught_by: &["the_chain_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Chain(chain) = &mut stored.row {
                chain.head = [0; 32];
            }
        },
        ..SOUND
    },
];

const fn is_entry(key: &Key) -> bool {
    matches!(key, Key::Entry(_))
}

fn block(put: &Put) -> Option<&Block> {
    match &put.row {
        Row::Block(block) => Some(block),
        _ => None,
    }
}

fn told_at(world: &World, entry: EntryId) -> Timestamp {
    match world.row(&Key::Entry(entry)) {
        Some((_, Row::Entry(entry))) => entry.at,
        _ => Timestamp::EPOCH,
    }
}
