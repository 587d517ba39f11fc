//! Sealing: what a worker does with entries that are in no block yet.

use alloc::vec::Vec;

use super::{Chain, Entry};
use crate::changeset::{Draft, Fence, Key, Loaded};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Never, Ports, Verdict};
use crate::types::ChainId;

/// A worker sees to it that there is a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenChain;

impl Command for OpenChain {
    type View = Loaded<Chain>;
    /// Whether it began.
    type Reply = bool;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let reads = [Read::Row(Key::Chain(()))];
        let snapshot = Snapshot::load(ports.store(), &reads).await?;
        Ok(snapshot.row(Key::Chain(())))
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let begins = view.value().is_none();
        if begins {
            draft.insert(Chain::new(ChainId::from_random(cx.fresh.id), cx.now));
        }
        Verdict::Done(Decision::granted(draft, begins))
    }
}

/// A worker that has claimed the chain seals the entries that are in no block yet, the oldest
/// first.
///
/// Each entry gets into one block: the block expects the chain at the version that was read with
/// the entries, so of two that saw the same ones only one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealBlock {
    /// The claim.
    pub fence: Fence,
}

/// What [`SealBlock`] needs to see.
#[derive(Debug, Clone)]
pub struct SealView {
    chain: Loaded<Chain>,
    unsealed: Vec<Loaded<Entry>>,
}

impl Command for SealBlock {
    type View = SealView;
    /// How many entries were sealed.
    type Reply = usize;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, cx: &Context<'_>) -> Result<SealView, StoreError> {
        let unsealed = Read::UnsealedEntries(cx.policy.journal.block_entries_max);
        let reads = [Read::Row(Key::Chain(())), unsealed.clone()];
        let snapshot = Snapshot::load(ports.store(), &reads).await?;
        Ok(SealView {
            chain: snapshot.row(Key::Chain(())),
            unsealed: snapshot.list(&unsealed),
        })
    }

    fn decide(&self, view: &SealView, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let policy = &cx.policy.journal;
        let mut draft = Draft::new();
        let Some(chain) = view.chain.value() else {
            return Verdict::Done(Decision::granted(draft, 0));
        };
        draft.expect_claimed(Key::Chain(()), self.fence);
        let entries: Vec<&Entry> = view.unsealed.iter().filter_map(Loaded::value).collect();
        let later = cx.now.after(policy.seal_every_seconds);
        if entries.is_empty() {
            let looked = Chain {
                seal_at: later,
                ..chain.clone()
            };
            draft.update(&view.chain, looked);
            return Verdict::Done(Decision::granted(draft, 0));
        }
        let block = chain.seal(&entries, cx.now);
        let is_full = u32::try_from(entries.len()).is_ok_and(|n| n >= policy.block_entries_max);
        let seal_at = if is_full { cx.now } else { later };
        draft.update(&view.chain, chain.after(&block, seal_at));
        draft.insert(block);
        Verdict::Done(Decision::granted(draft, entries.len()))
    }
}
