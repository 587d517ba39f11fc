//! A memory store with one fault, and where its state is kept.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use session_core::changeset::{Changeset, Delta, Key, Receipt, Rejection, Work, World, apply};
use session_core::ports::{
    Claim, Claimed, CommitError, Read, Store, StoreError, StoreErrorKind, StoredRow,
};
use session_core::types::Timestamp;
use session_testkit::conformance::Database;

/// One way to do it wrong. Whatever is not named is done right.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// Checks that have to find it.
    pub(crate) caught_by: &'static [&'static str],
    /// What is there before anything was committed.
    pub(crate) first: fn(&mut World),
    pub(crate) ping: bool,
    /// What is done to all that was read.
    pub(crate) lists: fn(&[Read], &mut Vec<Vec<StoredRow>>),
    /// What is done to each row that was read.
    pub(crate) row: fn(&Read, &mut StoredRow),
    /// What becomes of a changeset before it is looked at.
    pub(crate) changeset: fn(&World, &mut Changeset),
    /// The world in which it is looked at.
    pub(crate) seen: fn(&World, &Changeset) -> World,
    /// How it is looked at.
    pub(crate) apply: fn(&World, &Changeset) -> Result<Delta, Rejection>,
    /// A part of it that is written before the whole is looked at.
    pub(crate) part: Option<fn(&Changeset) -> Changeset>,
    /// What becomes of that which is to be written.
    pub(crate) delta: fn(&World, &Changeset, &mut Delta),
    /// What becomes of the world once it is written.
    pub(crate) after: fn(&Delta, &mut World),
    /// What is answered.
    pub(crate) verdict: fn(&Changeset, Result<Receipt, Rejection>) -> Result<Receipt, Rejection>,
    /// What is no longer looked at when it is written, because it was before.
    pub(crate) looked_at: Option<fn(&mut Changeset)>,
    pub(crate) claim: fn(&mut World, &Claim) -> Vec<Claimed>,
    pub(crate) gap: Gap,
    pub(crate) handles: Handles,
}

/// Where others may come in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    None,
    /// Between looking and writing.
    BeforeWriting,
    /// Between the rows and the rest.
    BetweenHalves,
    /// Between the lists of a read.
    BetweenLists,
    /// Between looking for what is due and writing down who has it.
    InClaims,
    /// In claims, which hold the rows for ever until they are done.
    InClaimsForEver,
    /// In every call: nobody else is served until it is over.
    Busy,
}

/// What handles have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handles {
    Everything,
    /// Everything, as long as there is one.
    UntilTheLast,
    Nothing,
}

/// Every part of a memory store as it should be.
pub(crate) const SOUND: Fault = Fault {
    name: "none",
    caught_by: &[],
    first: |_| {},
    ping: true,
    lists: |_, _| {},
    row: |_, _| {},
    changeset: |_, _| {},
    seen: |world, _| world.clone(),
    apply,
    part: None,
    delta: |_, _, _| {},
    after: |_, _| {},
    verdict: |_, verdict| verdict,
    looked_at: None,
    claim: claim_rightly,
    gap: Gap::None,
    handles: Handles::Everything,
};

pub(crate) fn claim_rightly(world: &mut World, claim: &Claim) -> Vec<Claimed> {
    let until = claim.now.after(claim.lease);
    let claimed = world.claim(claim.lane, claim.now, until, claim.rows_max);
    let claimed = claimed.into_iter();
    claimed.map(|(key, fence)| Claimed { key, fence }).collect()
}

#[derive(Debug)]
pub(crate) struct Faulty {
    fault: Fault,
    world: Mutex<World>,
    is_busy: AtomicBool,
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        let mut world = World::new();
        (fault.first)(&mut world);
        Self {
            fault,
            world: Mutex::new(world),
            is_busy: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(&self) -> Result<(), StoreError> {
        if self.fault.gap == Gap::Busy {
            if self.is_busy.swap(true, Ordering::SeqCst) {
                return Err(unavailable());
            }
            others_first().await;
            self.is_busy.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn write(&self, changeset: &Changeset) -> Result<Receipt, Rejection> {
        let fault = self.fault;
        let mut changeset = changeset.clone();
        if let Some(relax) = fault.looked_at {
            apply(&self.lock(), &changeset)?;
            others_first().await;
            relax(&mut changeset);
        }
        if let Some(part) = fault.part {
            let mut world = self.lock();
            if let Ok(delta) = apply(&world, &part(&changeset)) {
                world.absorb(&delta);
            }
        }
        let (delta, receipt) = {
            let mut world = self.lock();
            (fault.changeset)(&world, &mut changeset);
            let mut delta = (fault.apply)(&(fault.seen)(&world, &changeset), &changeset)?;
            (fault.delta)(&world, &changeset, &mut delta);
            let receipt = delta.receipt.clone();
            if !matches!(fault.gap, Gap::BeforeWriting | Gap::BetweenHalves) {
                world.absorb(&delta);
                (fault.after)(&delta, &mut world);
                return Ok(receipt);
            }
            (delta, receipt)
        };
        if fault.gap == Gap::BeforeWriting {
            others_first().await;
            self.lock().absorb(&delta);
            return Ok(receipt);
        }
        let (accounts, rows) = delta
            .puts
            .into_iter()
            .partition(|(key, _)| matches!(key, Key::Account(_)));
        let sums = Delta {
            puts: accounts,
            transfers: delta.transfers,
            ..Delta::default()
        };
        let rest = Delta {
            puts: rows,
            transfers: Vec::new(),
            ..delta
        };
        self.lock().absorb(&rest);
        others_first().await;
        self.lock().absorb(&sums);
        Ok(receipt)
    }
}

#[async_trait]
impl Store for Faulty {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        self.begin().await?;
        let mut lists = Vec::new();
        let world = self.lock().clone();
        for read in reads {
            if self.fault.gap == Gap::BetweenLists {
                lists.push(self.lock().find(read));
                others_first().await;
            } else {
                lists.push(world.find(read));
            }
        }
        for (read, list) in reads.iter().zip(&mut lists) {
            for stored in list {
                (self.fault.row)(read, stored);
            }
        }
        (self.fault.lists)(reads, &mut lists);
        Ok(lists)
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        self.begin().await?;
        let verdict = self.write(changeset).await;
        Ok((self.fault.verdict)(changeset, verdict)?)
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        self.begin().await?;
        if !matches!(self.fault.gap, Gap::InClaims | Gap::InClaimsForEver) {
            return Ok((self.fault.claim)(&mut self.lock(), claim));
        }
        let before = self.lock().clone();
        let mut after = before.clone();
        let claimed = claim_rightly(&mut after, claim);
        if self.fault.gap == Gap::InClaimsForEver {
            let mut world = self.lock();
            for Claimed { key, .. } in &claimed {
                let work = *before.work(key).expect("it is due");
                let leased_until = Some(Timestamp::MAX);
                world.put_work(
                    key.clone(),
                    Work {
                        leased_until,
                        ..work
                    },
                );
            }
        }
        others_first().await;
        let mut world = self.lock();
        for Claimed { key, .. } in &claimed {
            world.put_work(key.clone(), *after.work(key).expect("it is due"));
        }
        Ok(claimed)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.begin().await?;
        if self.fault.ping {
            Ok(())
        } else {
            Err(unavailable())
        }
    }
}

/// On one thread, everybody who is ready gets a turn: tasks that were ready together are polled in
/// either order, so that one turn of this task may be before or after theirs.
async fn others_first() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

fn unavailable() -> StoreError {
    StoreError {
        kind: StoreErrorKind::Unavailable,
        detail: "a planted fault".to_owned(),
    }
}

/// Where a faulty store keeps its state.
#[derive(Debug)]
pub(crate) struct Planted {
    fault: Fault,
    kept: Mutex<(Option<Arc<Faulty>>, Weak<Faulty>)>,
}

impl Planted {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            fault,
            kept: Mutex::new((None, Weak::new())),
        }
    }
}

#[async_trait]
impl Database for Planted {
    async fn open(&self) -> Arc<dyn Store> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Faulty::new(self.fault));
        if self.fault.handles == Handles::Nothing {
            return fresh();
        }
        let store = kept.1.upgrade().unwrap_or_else(fresh);
        kept.1 = Arc::downgrade(&store);
        if self.fault.handles == Handles::Everything {
            kept.0 = Some(store.clone());
        }
        store
    }
}
