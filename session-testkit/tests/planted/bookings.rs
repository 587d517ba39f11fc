//! Faults with booked sessions and hosts.

use session_core::booking::{Attendance, BookedSession};
use session_core::changeset::{Expect, Fact, Key, Lane, Row, Write};
use session_core::escrow::BookingStatus;
use session_core::escrow::Side;
use session_core::outbox::Effect;
use session_core::ports::{BookedSessions, Claim, Read, StoredRow};

use crate::faulty::{Fault, SOUND, claim_rightly};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "keeps a hundred stays",
        caught_by: &["a_booked_session_comes_back_as_it_was"],
        row: |_, stored| each_attendance(stored, |attendance| attendance.stays.truncate(100)),
        ..SOUND
    },
    Fault {
        name: "ends a note where it has a zero byte",
        caught_by: &["a_booked_session_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::BookedSession(session) = &mut stored.row {
                for note in session
                    .attempts
                    .iter_mut()
                    .filter_map(|it| it.note.as_mut())
                {
                    note.truncate(note.find('\0').unwrap_or(note.len()));
                }
            }
        },
        ..SOUND
    },
    Fault {
        name: "keeps no decision that the parties signed",
        caught_by: &["a_booked_session_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::BookedSession(session) = &mut stored.row {
                session.decision = session.decision.take().filter(|it| it.metrics.is_some());
            }
        },
        ..SOUND
    },
    Fault {
        name: "keeps the greatest signed number for a greater one",
        caught_by: &["what_counts_beyond_63_bits_comes_back_or_is_refused"],
        row: |_, stored| {
            each_attendance(stored, |attendance| {
                if let Some(statement) = &mut attendance.statement {
                    statement.deadline = statement.deadline.min(i64::MAX.unsigned_abs());
                }
            });
        },
        ..SOUND
    },
    Fault {
        name: "keeps what is to be attested without what the parties signed",
        caught_by: &["an_intent_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Intent(intent) = &mut stored.row
                && let Effect::Attest(attestation) = &mut intent.effect
            {
                attestation.mutual = None;
            }
        },
        ..SOUND
    },
    Fault {
        name: "takes every host for one that accepts bookings",
        caught_by: &["a_host_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Host(host) = &mut stored.row {
                host.accepting_bookings = true;
            }
        },
        ..SOUND
    },
    Fault {
        name: "keeps a round of the journal in 16 bits",
        caught_by: &["an_entry_comes_back_as_it_was"],
        row: |_, stored| {
            if let Row::Entry(entry) = &mut stored.row
                && let Fact::SessionDecided { round, .. } = &mut entry.fact
            {
                *round &= 0xffff;
            }
        },
        ..SOUND
    },
    Fault {
        name: "lists sessions that begin first first",
        caught_by: &[
            "booked_sessions_come_last_first",
            "booked_sessions_come_page_by_page",
        ],
        lists: |reads, lists| each_page(reads, lists, |_, list| list.reverse()),
        ..SOUND
    },
    Fault {
        name: "lists sessions of one instant by their numbers",
        caught_by: &["booked_sessions_come_last_first"],
        lists: |reads, lists| {
            each_page(reads, lists, |_, list| {
                list.sort_by_key(|stored| {
                    let place = session(stored).map(|it| (it.agreement.slot.start_time, it.key));
                    std::cmp::Reverse(place)
                });
            });
        },
        ..SOUND
    },
    Fault {
        name: "lists sessions of hosts alone",
        caught_by: &[
            "a_session_is_listed_by_what_it_came_to",
            "booked_sessions_come_last_first",
        ],
        lists: |reads, lists| {
            each_page(reads, lists, |page, list| {
                list.retain(|stored| party(page, stored) == Some(Side::Host));
            });
        },
        ..SOUND
    },
    Fault {
        name: "lists a session twice of whoever is both",
        caught_by: &["booked_sessions_come_last_first"],
        lists: |reads, lists| {
            each_page(reads, lists, |page, list| {
                let both = |stored: &StoredRow| {
                    session(stored).is_some_and(|it| it.agreement.guest == page.wallet)
                        && party(page, stored) == Some(Side::Host)
                };
                let twice = list.iter().find(|stored| both(stored)).cloned();
                list.extend(twice);
            });
        },
        ..SOUND
    },
    Fault {
        name: "begins a page at the next instant",
        caught_by: &["booked_sessions_come_page_by_page"],
        lists: |reads, lists| {
            each_page(reads, lists, |page, list| {
                let Some((before, _)) = page.before else {
                    return;
                };
                list.retain(|stored| {
                    session(stored).is_some_and(|it| it.agreement.slot.start_time < before)
                });
            });
        },
        ..SOUND
    },
    Fault {
        name: "answers pages of sessions with the rows of the last one",
        caught_by: &["booked_sessions_come_page_by_page"],
        lists: |reads, lists| {
            let pages = reads.iter().zip(&*lists).rev();
            let last = pages
                .filter(|(read, _)| matches!(read, Read::BookedSessionsOf(_)))
                .map(|(_, list)| list.clone())
                .next();
            each_page(reads, lists, |_, list| {
                if let Some(last) = &last {
                    list.clone_from(last);
                }
            });
        },
        ..SOUND
    },
    Fault {
        name: "takes a status of nothing for no status",
        caught_by: &["a_session_is_listed_by_what_it_came_to"],
        lists: |reads, lists| {
            each_page(reads, lists, |page, list| {
                if page.status == Some(BookingStatus::None) {
                    list.clear();
                }
            });
        },
        ..SOUND
    },
    Fault {
        name: "lets a host change that somebody relied on",
        caught_by: &["every_kind_of_row_can_be_relied_on"],
        changeset: |_, changeset| {
            let written = changeset.written();
            changeset.expect.retain(|expect| {
                let (Expect::At(key, _) | Expect::Absent(key) | Expect::Claimed(key, _)) = expect;
                !matches!(key, Key::Host(_)) || written.contains(key)
            });
        },
        ..SOUND
    },
    Fault {
        name: "takes a session that is relied on for one that is there",
        caught_by: &["every_kind_of_row_can_be_relied_on"],
        verdict: |changeset, verdict| {
            let unwritten = |key: &Key| {
                !changeset.rows.iter().any(|write| {
                    matches!(write, Write::Insert(row) | Write::Update(row) if row.key() == *key)
                })
            };
            for expect in &changeset.expect {
                if let Expect::Absent(key @ Key::BookedSession(_)) = expect
                    && unwritten(key)
                {
                    return Err(session_core::changeset::Rejection::Conflict(key.clone()));
                }
            }
            verdict
        },
        ..SOUND
    },
    Fault {
        name: "hands out sessions to whoever delivers",
        caught_by: &["what_is_due_is_handed_out_in_its_lane"],
        claim: |world, claim| {
            let lane = match claim.lane {
                Lane::Attest => Lane::Deliver,
                Lane::Deliver => Lane::Attest,
                lane => lane,
            };
            claim_rightly(world, &Claim { lane, ..*claim })
        },
        ..SOUND
    },
    Fault {
        name: "looks at settled sessions for ever",
        caught_by: &["what_is_due_no_more_leaves_its_queue"],
        delta: |_, _, delta| {
            delta
                .work
                .retain(|key, work| work.is_some() || !matches!(key, Key::BookedSession(_)));
        },
        ..SOUND
    },
];

fn session(stored: &StoredRow) -> Option<&BookedSession> {
    match &stored.row {
        Row::BookedSession(session) => Some(session),
        _ => None,
    }
}

fn party(page: &BookedSessions, stored: &StoredRow) -> Option<Side> {
    session(stored)?.agreement.side(page.wallet)
}

fn each_attendance(stored: &mut StoredRow, change: fn(&mut Attendance)) {
    if let Row::BookedSession(session) = &mut stored.row {
        change(&mut session.host);
        change(&mut session.guest);
    }
}

fn each_page(
    reads: &[Read],
    lists: &mut [Vec<StoredRow>],
    change: impl Fn(&BookedSessions, &mut Vec<StoredRow>),
) {
    for (read, list) in reads.iter().zip(lists) {
        if let Read::BookedSessionsOf(page) = read {
            change(page, list);
        }
    }
}
