//! Faults of reading.

use session_core::changeset::{Key, Row, Version};
use session_core::ports::{Read, StoredRow};
use session_core::types::Timestamp;

use crate::faulty::{Fault, Gap, Handles, SOUND};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "does not answer a ping",
        caught_by: &["a_store_that_answers_says_so"],
        ping: false,
        ..SOUND
    },
    Fault {
        name: "is not empty at first",
        caught_by: &["what_is_not_there_is_an_empty_list"],
        first: |world| {
            let beat = session_core::outage::Service {
                last_beat_at: Timestamp::EPOCH,
                outages: Vec::new(),
            };
            world.put_row(Version::FIRST, beat.into());
        },
        ..SOUND
    },
    Fault {
        name: "leaves out reads that find nothing",
        caught_by: &["every_read_is_answered_in_its_place"],
        lists: |_, lists| lists.retain(|list| !list.is_empty()),
        ..SOUND
    },
    Fault {
        name: "answers single rows first",
        caught_by: &["every_read_is_answered_in_its_place"],
        lists: |reads, lists| {
            let asked = reads.iter().map(|read| matches!(read, Read::Row(_)));
            let mut sorted: Vec<_> = asked.zip(std::mem::take(lists)).collect();
            sorted.sort_by_key(|(is_row, _)| !is_row);
            lists.extend(sorted.into_iter().map(|(_, list)| list));
        },
        ..SOUND
    },
    Fault {
        name: "lists rooms oldest first",
        caught_by: &["open_rooms_come_newest_first"],
        lists: |reads, lists| {
            turn(reads, lists, |read| {
                matches!(read, Read::ActiveOpenRooms(_))
            })
        },
        ..SOUND
    },
    Fault {
        name: "lists one room more than is asked for",
        caught_by: &["open_rooms_come_newest_first"],
        lists: |reads, lists| {
            for (read, list) in reads.iter().zip(lists) {
                if let (Read::ActiveOpenRooms(0), []) = (read, &list[..]) {
                    list.push(StoredRow {
                        version: Version::FIRST,
                        row: session_core::outage::Service {
                            last_beat_at: Timestamp::EPOCH,
                            outages: Vec::new(),
                        }
                        .into(),
                    });
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "lists seats by their connection",
        caught_by: &["seats_come_by_place"],
        lists: |_, lists| {
            for list in lists {
                list.sort_by_key(|stored| match &stored.row {
                    Row::Seat(seat) => Some(seat.connection),
                    _ => None,
                });
            }
        },
        ..SOUND
    },
    Fault {
        name: "lists nonces newest first",
        caught_by: &["nonces_come_oldest_first"],
        lists: |reads, lists| turn(reads, lists, |read| matches!(read, Read::ChallengesOf(_))),
        ..SOUND
    },
    Fault {
        name: "answers pages with the rows of the last one",
        caught_by: &["pages_are_answered_beside_other_reads"],
        lists: |reads, lists| {
            let pages = reads.iter().zip(&*lists);
            let last = pages.filter(|(read, _)| matches!(read, Read::RoomEvents(_)));
            let last = last.rev().map(|(_, list)| list.clone()).next();
            for (read, list) in reads.iter().zip(lists) {
                if let (Read::RoomEvents(_), Some(last)) = (read, &last) {
                    list.clone_from(last);
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "lists events last first",
        caught_by: &["events_come_by_number"],
        lists: |reads, lists| turn(reads, lists, |read| matches!(read, Read::RoomEvents(_))),
        ..SOUND
    },
    Fault {
        name: "finds the first stay in a room",
        caught_by: &["the_last_stay_in_a_room_is_found"],
        lists: |reads, lists| {
            for (read, list) in reads.iter().zip(lists) {
                if matches!(read, Read::LastSeatIn(..)) {
                    list.retain(|stored| stored.row.key() < Key::Seat(last_of_few()));
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "lists revoked tokens newest first",
        caught_by: &["revoked_tokens_come_page_by_page"],
        lists: |reads, lists| turn(reads, lists, |read| matches!(read, Read::RevokedTokens(_))),
        ..SOUND
    },
    Fault {
        name: "lists changes of credit oldest first",
        caught_by: &["changes_of_credit_come_newest_first"],
        lists: |reads, lists| {
            turn(reads, lists, |read| {
                matches!(read, Read::CreditEntriesOf(_))
            })
        },
        ..SOUND
    },
    Fault {
        name: "keeps times of an event in 32 bits",
        caught_by: &["an_event_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::RoomEvent(event) = &mut stored.row {
                event.forget_at = event.forget_at.min(in_32_bits());
            }
        },
        ..SOUND
    },
    Fault {
        name: "takes every revocation for one of a token",
        caught_by: &["a_revocation_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Revocation(revocation) = &mut stored.row {
                revocation.what = session_core::auth::Revoked::Token;
            }
        },
        ..SOUND
    },
    Fault {
        name: "keeps no outages",
        caught_by: &["the_shared_beat_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Service(service) = &mut stored.row {
                service.outages.truncate(16);
            }
        },
        ..SOUND
    },
    Fault {
        name: "keeps times of a nonce in 32 bits",
        caught_by: &["a_nonce_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Challenge(challenge) = &mut stored.row {
                challenge.forget_at = challenge.forget_at.min(in_32_bits());
            }
        },
        ..SOUND
    },
    Fault {
        name: "counts seats up to 127",
        caught_by: &["a_room_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Room(room) = &mut stored.row {
                room.live_seats = room.live_seats.min(127);
            }
        },
        ..SOUND
    },
    Fault {
        name: "forgets what nobody has delivered",
        caught_by: &["a_seat_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Seat(seat) = &mut stored.row {
                seat.undelivered.clear();
            }
        },
        ..SOUND
    },
    Fault {
        name: "cuts long keys of requests",
        caught_by: &["an_answer_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Idempotency(record) = &mut stored.row {
                record.key.key.truncate(128);
            }
        },
        ..SOUND
    },
    Fault {
        name: "takes an empty note for none",
        caught_by: &["an_intent_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Intent(intent) = &mut stored.row {
                intent.note = intent.note.take().filter(|note| !note.is_empty());
            }
        },
        ..SOUND
    },
    Fault {
        name: "reads each list at an instant of its own",
        caught_by: &["nobody_sees_a_part_of_a_commit"],
        gap: Gap::BetweenLists,
        ..SOUND
    },
    Fault {
        name: "writes in two halves",
        caught_by: &[
            "nobody_sees_a_part_of_a_commit",
            "a_commit_that_nobody_waits_for_is_whole_or_not_there",
        ],
        gap: Gap::BetweenHalves,
        ..SOUND
    },
    Fault {
        name: "has a memory for each server",
        caught_by: &["what_is_committed_is_seen_through_every_handle"],
        handles: Handles::Nothing,
        ..SOUND
    },
    Fault {
        name: "forgets everything when the last server stops",
        caught_by: &["what_is_committed_outlives_every_handle"],
        handles: Handles::UntilTheLast,
        ..SOUND
    },
    Fault {
        name: "goes on holding what a caller left behind",
        caught_by: &["callers_that_leave_take_nothing_with_them"],
        gap: Gap::Busy,
        ..SOUND
    },
    Fault {
        name: "reads an account as if nothing had happened to it",
        caught_by: &["a_transfer_moves_both_sums"],
        row: |_, stored| {
            if let Row::Account(account) = &mut stored.row {
                *account = session_core::ledger::Account::empty(account.key);
            }
        },
        ..SOUND
    },
    Fault {
        name: "makes up a row for a revenue account",
        caught_by: &["derived_accounts_get_no_row"],
        lists: |reads, lists| {
            for (read, list) in reads.iter().zip(lists) {
                let Read::Row(Key::Account(key)) = read else {
                    continue;
                };
                if key.kind.is_derived() {
                    list.push(StoredRow {
                        version: Version::FIRST,
                        row: session_core::ledger::Account::empty(*key).into(),
                    });
                }
            }
        },
        ..SOUND
    },
];

fn turn(reads: &[Read], lists: &mut [Vec<StoredRow>], is_turned: fn(&Read) -> bool) {
    for (read, list) in reads.iter().zip(lists) {
        if is_turned(read) {
            list.reverse();
        }
    }
}

const fn in_32_bits() -> Timestamp {
    Timestamp::from_unix(u32::MAX as u64)
}

/// A name that sorts among those which the checks give to stays.
fn last_of_few() -> session_core::types::ConnectionId {
    let mut bytes = [0x0c; 16];
    bytes[12..].copy_from_slice(&[0, 0, 0, 5]);
    session_core::types::ConnectionId::from_random(bytes)
}
