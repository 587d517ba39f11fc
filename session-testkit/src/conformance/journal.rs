//! C13, and what other promises say of the journal: entries, blocks, and the chain.

use session_core::changeset::{
    Changeset, Entry, Expect, Fact, Fence, Key, Record, Rejection, Write,
};
use session_core::journal::{Block, BlockNumber, Chain};
use session_core::ledger::Action;
use session_core::ports::{Read, StoredRow};
use session_core::room::{Closing, Departure, Visibility};
use session_core::types::{ChainId, EntryId, Id128, Seconds, Timestamp};

use super::broken::{Broken, same};
use super::isolation::{RIVALS, one_wins};
use super::rows::{
    at, at_version, both, chain, challenge, connection, deleting, entry, grant, inserting, plain,
    relying, room_id, sealing, spendable, telling, transfer, transferring, updating, wallet,
};
use super::sessions::told_of_sessions;
use super::stage::{MALFORMED, Stage, stored};

/// What is in no block, oldest first.
async fn unsealed(stage: &Stage) -> Result<Vec<EntryId>, Broken> {
    let found = stage.list(Read::UnsealedEntries(u32::MAX)).await?;
    let names = found.into_iter().map(|stored| match stored.row.key() {
        Key::Entry(id) => Ok(id),
        other => Err(Broken::new(format!("{other} is no entry"))),
    });
    names.collect()
}

fn conflict(block: &Block) -> Rejection {
    Rejection::Conflict(Key::Block(block.number))
}

/// R6.
pub(super) async fn an_entry_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    let (by, room, wallet) = (connection(1), room_id(1), wallet(1));
    let pending = Action::Pending { deadline: at(1100) };
    let mut moved = transfer("told", spendable(1), super::rows::revenue(), 9);
    moved.action = pending;
    let facts = [
        Fact::Joined {
            connection: by,
            room,
            wallet,
            slot: u8::MAX,
            uid: std::num::NonZeroU32::MAX.into(),
        },
        Fact::Left {
            connection: by,
            room,
            wallet,
            why: Departure::RoomClosed,
            charged: Seconds::new(i64::MAX.unsigned_abs()),
        },
        Fact::Outage {
            from: Timestamp::EPOCH,
            to: Timestamp::MAX,
        },
        Fact::RoomClosed {
            room,
            why: Closing::Unjoined,
        },
        Fact::RoomCreated {
            room,
            host: wallet,
            visibility: Visibility::Private,
        },
        Fact::SignedIn {
            wallet,
            nonce: [0xff; 32],
        },
        Fact::Transferred {
            transfer: moved,
            debit_balance: Some(i64::MIN),
            credit_balance: None,
        },
    ];
    for fact in facts.into_iter().chain(told_of_sessions()) {
        for at in [at(7), Timestamp::EPOCH, Timestamp::MAX] {
            let entry = Entry::new(at, fact.clone());
            let what = format!("{} at {at}", entry.fact.name());
            stage.granted(&what, &telling([entry.clone()])).await?;
            let found = stage.row(&entry.key()).await?;
            same(&what, &found, &Some(stored(1, entry)))?;
        }
    }
    Ok(())
}

/// R6.
pub(super) async fn a_block_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    let entries: Vec<Entry> = (0..SEALED_AT_ONCE).map(entry).collect();
    stage
        .granted("a thousand facts", &telling(entries.clone()))
        .await?;
    // In another order than that of their names, and that of their instants.
    let names: Vec<EntryId> = entries.iter().rev().map(|entry| entry.id).collect();
    let large = Block {
        number: BlockNumber::new(i64::MAX.unsigned_abs()),
        previous: [0xff; 32],
        sealed_at: Timestamp::MAX,
        root: [0xa5; 32],
        hash: [0x0f; 32],
        ..sealing(1, names)
    };
    for block in [large, sealing(1, [])] {
        let what = format!("block {}", block.number);
        stage.granted(&what, &inserting([block.clone()])).await?;
        let found = stage.row(&block.key()).await?;
        same(&what, &found, &Some(stored(1, block)))?;
    }
    Ok(())
}

/// As many as a block holds by default.
const SEALED_AT_ONCE: u32 = 1000;

/// R6.
pub(super) async fn the_chain_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    let states = [
        chain(0),
        Chain {
            id: ChainId::from_bytes([0xff; 16]),
            blocks: BlockNumber::new(i64::MAX.unsigned_abs()),
            head: [0xff; 32],
            seal_at: Timestamp::MAX,
        },
    ];
    stage
        .granted("a chain", &inserting([states[0].clone()]))
        .await?;
    stage
        .granted("its next state", &updating(1, states[1].clone()))
        .await?;
    let found = stage.row(&Key::Chain(())).await?;
    same("the chain", &found, &Some(stored(2, states[1].clone())))
}

/// R3.
pub(super) async fn unsealed_entries_come_oldest_first(stage: &Stage) -> Result<(), Broken> {
    // Several are of one instant, and the longer number is not the later.
    let mut entries: Vec<Entry> = [900, 1000, 900, 20, 900, 1000, 3]
        .into_iter()
        .zip(1..)
        .map(|(unix, n)| {
            let (from, to) = (at(n), at(99));
            Entry::new(at(unix), Fact::Outage { from, to })
        })
        .collect();
    for half in entries.chunks(4) {
        stage.granted("facts", &telling(half.to_vec())).await?;
    }
    entries.sort_by_key(|entry| (entry.at, entry.id));
    let oldest_first: Vec<StoredRow> = entries
        .iter()
        .map(|entry| stored(1, entry.clone()))
        .collect();
    let all = entries.len();
    for (max, shown) in [(50, all), (u32::MAX, all), (7, all), (6, 6), (1, 1), (0, 0)] {
        let found = stage.list(Read::UnsealedEntries(max)).await?;
        let what = format!("the oldest {max} of {all} entries that are in no block");
        same(what, &found, &oldest_first[..shown].to_vec())?;
    }
    let sealed = sealing(1, [entries[0].id, entries[3].id]);
    stage.granted("a block", &inserting([sealed])).await?;
    let mut left = oldest_first;
    left.remove(3);
    left.remove(0);
    let found = stage.list(Read::UnsealedEntries(3)).await?;
    same("the oldest 3 of those left", &found, &left[..3].to_vec())
}

/// C3.
pub(super) async fn an_entry_stays_at_its_first_version(stage: &Stage) -> Result<(), Broken> {
    let entry = entry(1);
    for _ in 0..3 {
        stage.granted("a fact", &telling([entry.clone()])).await?;
        let found = stage.row(&entry.key()).await?;
        same("its entry", &found, &Some(stored(1, entry.clone())))?;
    }
    let sealed = sealing(1, [entry.id]);
    stage.granted("its block", &inserting([sealed])).await?;
    let found = stage.row(&entry.key()).await?;
    same("its entry, sealed", &found, &Some(stored(1, entry)))
}

/// C4.
pub(super) async fn an_entry_is_told_and_never_written(stage: &Stage) -> Result<(), Broken> {
    let (told, new) = (entry(1), entry(2));
    stage.granted("a fact", &telling([told.clone()])).await?;
    let mut other = told.clone();
    other.at = at(7);
    for (what, changeset) in [
        ("an entry inserted", inserting([new.clone()])),
        ("an entry inserted once more", inserting([told.clone()])),
        ("an entry updated", updating(1, other)),
        ("an entry removed", deleting(1, told.key())),
    ] {
        stage.refused(what, &changeset, MALFORMED).await?;
        // Whatever it says that it saw.
        let rows = changeset.rows.clone();
        let writing = Changeset {
            rows,
            ..Changeset::default()
        };
        stage.refused(what, &writing, MALFORMED).await?;
    }
    for expect in [
        Expect::Absent(new.key()),
        Expect::Absent(told.key()),
        at_version(told.key(), 1),
        at_version(told.key(), 2),
        Expect::Claimed(told.key(), Fence::default()),
    ] {
        let what = format!("{expect:?}");
        let relying = relying(expect, inserting([challenge(1)]));
        stage.refused(&what, &relying, MALFORMED).await?;
    }
    // What does not hold before it is found before it.
    let stale = at_version(challenge(9).key(), 1);
    let mut late = relying(stale, Changeset::default());
    late.expect.push(at_version(told.key(), 1));
    late.rows.push(Write::Insert(challenge(1).into()));
    let first = Rejection::Conflict(challenge(9).key());
    stage
        .refused("an entry expected late", &late, first)
        .await?;
    let found = stage.row(&told.key()).await?;
    same("the entry", &found, &Some(stored(1, told.clone())))?;
    same("another", &stage.row(&new.key()).await?, &None)?;
    same(
        "what is in no block",
        &unsealed(stage).await?,
        &vec![told.id],
    )?;
    let version = stage.version(&challenge(1).key()).await?;
    same("what was refused with it", &version, &None)
}

/// C4.
pub(super) async fn a_block_is_inserted_and_never_changed(stage: &Stage) -> Result<(), Broken> {
    let (one, other) = (entry(1), entry(2));
    stage
        .granted("facts", &telling([one.clone(), other.clone()]))
        .await?;
    let block = sealing(1, [one.id]);
    stage
        .granted("a block", &inserting([block.clone()]))
        .await?;
    let forged = Block {
        hash: [0xee; 32],
        ..sealing(1, [other.id])
    };
    for (what, changeset) in [
        ("a block as it is", updating(1, block.clone())),
        ("another block in its place", updating(1, forged.clone())),
        ("a block removed", deleting(1, block.key())),
    ] {
        stage.refused(what, &changeset, MALFORMED).await?;
    }
    let again = inserting([forged]);
    stage
        .refused("a second block of a number", &again, conflict(&block))
        .await?;
    let found = stage.row(&block.key()).await?;
    same("the block", &found, &Some(stored(1, block)))?;
    same(
        "what is in no block",
        &unsealed(stage).await?,
        &vec![other.id],
    )
}

/// C9.
pub(super) async fn a_fact_that_is_sealed_is_not_told_anew(stage: &Stage) -> Result<(), Broken> {
    let (one, other) = (entry(1), entry(2));
    stage.granted("a fact", &telling([one.clone()])).await?;
    stage
        .granted("the same fact again", &telling([one.clone(), one.clone()]))
        .await?;
    same(
        "what is in no block",
        &unsealed(stage).await?,
        &vec![one.id],
    )?;
    let block = sealing(1, [one.id]);
    stage.granted("a block", &inserting([block])).await?;
    let both_told = telling([one.clone(), other.clone()]);
    stage
        .granted("a fact that is sealed, and one that is new", &both_told)
        .await?;
    same(
        "what is in no block",
        &unsealed(stage).await?,
        &vec![other.id],
    )?;
    let again = sealing(2, [one.id]);
    let refusal = conflict(&again);
    stage
        .refused("a second block of it", &inserting([again]), refusal)
        .await
}

/// C13.
pub(super) async fn what_is_told_is_in_no_block_until_one_names_it(
    stage: &Stage,
) -> Result<(), Broken> {
    let told: Vec<Entry> = (1..=3).map(entry).collect();
    stage
        .granted(
            "facts, and what moves",
            &both(telling(told.clone()), transferring([plain(grant(1, 5))])),
        )
        .await?;
    let found = unsealed(stage).await?;
    same("how many are in no block", &found.len(), &4)?;
    let moved = found
        .into_iter()
        .find(|id| told.iter().all(|entry| entry.id != *id))
        .ok_or_else(|| Broken::new("what moved is told of"))?;
    // A repeat moves nothing, and so there is nothing to tell.
    stage
        .granted("the same transfer", &transferring([plain(grant(1, 5))]))
        .await?;
    same("how many after a repeat", &unsealed(stage).await?.len(), &4)?;
    let first = sealing(1, [told[2].id, moved]);
    stage.granted("a block of two", &inserting([first])).await?;
    let left = vec![told[0].id, told[1].id];
    same("what is left", &unsealed(stage).await?, &left)?;
    stage
        .granted("a block of nothing", &inserting([sealing(2, [])]))
        .await?;
    same("what is still left", &unsealed(stage).await?, &left)?;
    let mut last = inserting([sealing(3, [told[1].id]), sealing(4, [told[0].id])]);
    last.journal.push(entry(4));
    stage
        .granted("two blocks, and a fact besides", &last)
        .await?;
    let besides = vec![entry(4).id];
    same("what was told besides", &unsealed(stage).await?, &besides)
}

/// C13.
pub(super) async fn a_block_takes_only_what_is_in_none(stage: &Stage) -> Result<(), Broken> {
    let [sealed, open, other, unknown] = [1, 2, 3, 4].map(entry);
    let told = [&sealed, &open, &other].map(Clone::clone);
    stage.granted("three facts", &telling(told)).await?;
    stage
        .granted("a block", &inserting([sealing(1, [sealed.id])]))
        .await?;
    let wrong = [
        (
            "an entry that is in a block",
            sealing(2, [open.id, sealed.id]),
        ),
        (
            "an entry that is nowhere",
            sealing(2, [unknown.id, open.id]),
        ),
        ("an entry twice", sealing(2, [open.id, other.id, open.id])),
    ];
    for (what, block) in wrong {
        let beside = both(inserting([challenge(1)]), inserting([block.clone()]));
        stage.refused(what, &beside, conflict(&block)).await?;
    }
    let shared = inserting([sealing(2, [open.id]), sealing(3, [open.id])]);
    stage
        .refused(
            "two blocks of one entry",
            &shared,
            conflict(&sealing(3, [])),
        )
        .await?;
    // What it tells comes after what it seals.
    let mut at_once = inserting([sealing(2, [unknown.id])]);
    at_once.journal.push(unknown.clone());
    stage
        .refused(
            "an entry of the same changeset",
            &at_once,
            conflict(&sealing(2, [])),
        )
        .await?;
    let left = vec![open.id, other.id];
    same("what is in no block", &unsealed(stage).await?, &left)?;
    for key in [
        Key::Block(BlockNumber::new(2)),
        Key::Block(BlockNumber::new(3)),
        unknown.key(),
        challenge(1).key(),
    ] {
        same(&key, &stage.row(&key).await?, &None)?;
    }
    let right = sealing(2, [other.id, open.id]);
    stage
        .granted("a block of what is left", &inserting([right]))
        .await?;
    same("what is left after it", &unsealed(stage).await?, &vec![])
}

/// C11.
pub(super) async fn an_entry_gets_into_one_of_several_blocks(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        let told: Vec<Entry> = (0..=RIVALS).map(|k| entry(n + k)).collect();
        stage.granted("facts", &telling(told.clone())).await?;
        // All want the first, and each one more, in another order than the others.
        let blocks: Vec<Block> = (0..RIVALS)
            .zip(&told[1..])
            .map(|(k, own)| {
                let mut names = [told[0].id, own.id];
                names.rotate_left(k as usize % 2);
                sealing(n + k, names)
            })
            .collect();
        let reasons: Vec<Rejection> = blocks.iter().map(conflict).collect();
        let sealing_all = blocks.iter().map(|block| inserting([block.clone()]));
        let verdicts = stage.commit_at_once(sealing_all).await?;
        let winner = one_wins("several blocks of one entry", &verdicts, &reasons)?;
        let mut left: Vec<EntryId> = told[1..].iter().map(|entry| entry.id).collect();
        left.remove(winner);
        let mut found = unsealed(stage).await?;
        left.sort();
        found.sort();
        same("what the losers wanted besides", &found, &left)?;
        let rest = sealing(n + RIVALS, left);
        stage.granted("the rest", &inserting([rest])).await?;
    }
    Ok(())
}

/// C11.
pub(super) async fn one_of_several_sealers_goes_on(stage: &Stage) -> Result<(), Broken> {
    stage.granted("a chain", &inserting([chain(0)])).await?;
    for (version, n) in (1..).zip(stage.rounds()) {
        let told: Vec<Entry> = (0..RIVALS).map(|k| entry(n + k)).collect();
        stage.granted("facts", &telling(told.clone())).await?;
        // The place is the same, what is in it is not: only the chain is in their way.
        let goes_on = |k: u32| {
            let name = told[k as usize].id;
            let next = chain(version);
            both(updating(version, next), inserting([sealing(n + k, [name])]))
        };
        let verdicts = stage.commit_at_once((0..RIVALS).map(goes_on)).await?;
        let lost = Rejection::Conflict(Key::Chain(()));
        one_wins("several who seal", &verdicts, &[lost])?;
        let left = unsealed(stage).await?;
        same("how many are left", &left.len(), &(RIVALS as usize - 1))?;
        let rest = sealing(n + RIVALS, left);
        stage.granted("the rest", &inserting([rest])).await?;
        let found = stage.version(&Key::Chain(())).await?;
        same("the chain's version", &found, &Some(version + 1))?;
    }
    Ok(())
}

/// C11.
pub(super) async fn a_fact_told_by_many_is_told_once(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        let (shared, sealed) = (entry(n), entry(n + RIVALS));
        stage.granted("a fact", &telling([sealed.clone()])).await?;
        let mut rivals: Vec<Changeset> = (0..RIVALS)
            .map(|k| {
                both(
                    inserting([challenge(n + k)]),
                    telling([shared.clone(), sealed.clone()]),
                )
            })
            .collect();
        // One seals meanwhile what the others tell once more.
        rivals.push(inserting([sealing(n, [sealed.id])]));
        for verdict in stage.commit_at_once(rivals).await? {
            verdict.map_err(|why| Broken::from(why).during("a fact told by many"))?;
        }
        let found = unsealed(stage).await?;
        same("what is in no block", &found, &vec![shared.id])?;
        let rest = sealing(n + 1, [shared.id]);
        stage.granted("its block", &inserting([rest])).await?;
        same("what is left", &unsealed(stage).await?, &vec![])?;
    }
    Ok(())
}
