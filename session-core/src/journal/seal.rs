//! Sealing: what a worker does with entries that are in no block yet.

use alloc::vec::Vec;

use super::{Chain, Entry};
use crate::changeset::{Draft, Fence, Key, Loaded};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Never, Ports, Verdict};
use crate::types::ChainId;

/// A worker sees to it that there is a chain, and that it is looked at in time: a server whose
/// clock is far ahead may have put the next look off for as long. (A claim of such a server that
/// died under it holds as long, in this lane as in every other.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TendChain;

impl Command for TendChain {
    type View = Loaded<Chain>;
    /// Whether there was something to mend.
    type Reply = bool;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let reads = [Read::Row(Key::Chain(()))];
        let snapshot = Snapshot::load(ports.store(), &reads).await?;
        Ok(snapshot.row(Key::Chain(())))
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let Some(chain) = view.value() else {
            draft.insert(Chain::new(ChainId::from_random(cx.fresh.id), cx.now));
            return Verdict::Done(Decision::granted(draft, true));
        };
        let every = cx.policy.journal.seal_every_seconds;
        let latest = cx.now.after(every).after(cx.policy.outage.skew_max_seconds);
        let is_put_off = chain.seal_at > latest;
        if is_put_off {
            let due_now = Chain {
                seal_at: cx.now,
                ..chain.clone()
            };
            draft.update(view, due_now);
        }
        Verdict::Done(Decision::granted(draft, is_put_off))
    }
}

/// A worker that has claimed the chain seals the entries that are in no block yet, the oldest
/// first.
///
/// Each entry gets into one block: the block expects the chain at the version that was read with
/// the entries, so of two that saw the same ones only one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealBlock {
    /// The fence of the claim on the chain.
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
        let unsealed = Read::UnsealedEntries(cx.policy.journal.block_entries());
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
        let is_full = u32::try_from(entries.len()).is_ok_and(|n| n >= policy.block_entries());
        let seal_at = if is_full { cx.now } else { later };
        draft.update(&view.chain, chain.after(&block, seal_at));
        draft.insert(block);
        Verdict::Done(Decision::granted(draft, entries.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changeset::{Row, Write};
    use crate::policy::Policy;
    use crate::room::testing::{at, cx, loaded};
    use crate::types::{Id128, Timestamp};

    fn chain(seal_at: Timestamp) -> Loaded<Chain> {
        loaded(Chain::new(ChainId::from_bytes([1; 16]), seal_at))
    }

    /// The chain as a decision leaves it, where it writes it.
    fn written<C: Command>(command: &C, view: &C::View, policy: &Policy) -> Option<Chain> {
        let verdict = command.decide(view, &cx(policy, 100), &Answers::default());
        let Verdict::Done(decision) = verdict else {
            panic!("asked");
        };
        let mut rows = decision.changeset.rows.into_iter();
        rows.find_map(|write| match write {
            Write::Insert(Row::Chain(chain)) | Write::Update(Row::Chain(chain)) => Some(chain),
            _ => None,
        })
    }

    #[test]
    fn a_chain_begins_once_and_is_not_put_off_by_a_clock_gone_wrong() {
        let policy = Policy::default();
        let tended = |view| written(&TendChain, &view, &policy).map(|chain| chain.seal_at);
        assert_eq!(tended(Loaded::absent(Key::Chain(()))), Some(at(100)));
        // Five seconds until the next look, sixty by which clocks may differ.
        assert_eq!(tended(chain(at(165))), None);
        assert_eq!(tended(chain(at(166))), Some(at(100)));
    }

    #[test]
    fn a_full_block_is_followed_at_once_and_any_other_after_a_while() {
        let fact = |n| crate::journal::Fact::Outage {
            from: at(n),
            to: at(n),
        };
        let mut policy = Policy::default();
        policy.journal.block_entries_max = 2;
        let command = SealBlock {
            fence: Fence::new(1),
        };
        for (entries, sealed, looks_at) in [(0, 0, 105), (1, 1, 105), (2, 1, 100)] {
            let view = SealView {
                chain: chain(at(90)),
                unsealed: (0..entries)
                    .map(|n| loaded(Entry::new(at(n), fact(n))))
                    .collect(),
            };
            let after = written(&command, &view, &policy).unwrap();
            assert_eq!((after.blocks.get(), after.seal_at), (sealed, at(looks_at)));
        }
    }
}
