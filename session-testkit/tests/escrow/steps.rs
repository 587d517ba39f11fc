//! Any sequence of calls by anybody, with jumps of the clock between them: what a step says.

use proptest::prelude::*;

use super::world::{ATTESTED, BOOKED, DISPUTED, RESOLVED};

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Jump,
    JumpToEdge,
    SetPrice,
    CreateSlot,
    CreatePriced,
    CancelSlot,
    Book,
    Ask,
    TakeBack,
    Accept,
    CancelAsGuest,
    CancelAsHost,
    Attest,
    AttestMutual,
    Claim,
    Challenge,
    Resolve,
    TimeOut,
    Finalize,
    Withdraw,
    Give,
    Sweep,
    ChangeSetting,
}

impl Kind {
    /// Each as often as it is here: what brings a life on comes more often than what ends it.
    const WEIGHTED: [Self; 42] = [
        Self::Jump,
        Self::Jump,
        Self::JumpToEdge,
        Self::JumpToEdge,
        Self::JumpToEdge,
        Self::JumpToEdge,
        Self::JumpToEdge,
        Self::SetPrice,
        Self::CreateSlot,
        Self::CreateSlot,
        Self::CreateSlot,
        Self::CreatePriced,
        Self::CancelSlot,
        Self::Book,
        Self::Book,
        Self::Book,
        Self::Book,
        Self::Ask,
        Self::Ask,
        Self::TakeBack,
        Self::Accept,
        Self::Accept,
        Self::CancelAsGuest,
        Self::CancelAsHost,
        Self::Attest,
        Self::Attest,
        Self::Attest,
        Self::AttestMutual,
        Self::AttestMutual,
        Self::Claim,
        Self::Challenge,
        Self::Challenge,
        Self::Challenge,
        Self::Resolve,
        Self::Resolve,
        Self::TimeOut,
        Self::Finalize,
        Self::Finalize,
        Self::Withdraw,
        Self::Give,
        Self::Sweep,
        Self::ChangeSetting,
    ];

    /// What a booking must have come to for this step.
    pub(crate) const fn begins_with(self) -> &'static [u64] {
        match self {
            Self::Challenge => &[ATTESTED],
            Self::Resolve | Self::TimeOut => &[DISPUTED],
            Self::Finalize => &[ATTESTED, RESOLVED],
            _ => &[BOOKED],
        }
    }
}

/// A step: what is done, by whom, to which, and with which number. All three are taken modulo what
/// there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) who: u8,
    pub(crate) which: u8,
    pub(crate) value: u64,
}

pub(crate) fn steps(count: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<Step>> {
    let kind = proptest::sample::select(&Kind::WEIGHTED[..]);
    let step = (kind, any::<u8>(), any::<u8>(), any::<u64>());
    let step = step.prop_map(|(kind, who, which, value)| Step {
        kind,
        who,
        which,
        value,
    });
    proptest::collection::vec(step, count)
}
