//! What can go wrong, by name.

use std::collections::BTreeMap;

use super::Choices;

macro_rules! faults {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$doc])* $kind,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

faults! {
    /// Asking what came of an intent gives no answer.
    AskFailed = "ask fails",
    /// An attestation is taken, and the answer is lost.
    ChainAnswerLost = "attestation's answer lost",
    /// The chain cannot be read.
    ChainDown = "chain cannot be read",
    /// An attestation never comes to the chain.
    ChainDropped = "attestation dropped",
    /// A node shows the chain as it was a while ago.
    ChainLags = "chain lags behind",
    /// An attestation is taken after its sender was answered.
    ChainLate = "attestation taken late",
    /// A node answers something that is not so.
    ChainNonsense = "chain answers nonsense",
    /// An attestation is refused that could be taken.
    ChainRefused = "attestation refused",
    /// The chain takes back its last seconds.
    ChainReorganised = "chain reorganised",
    /// The chain takes its time.
    ChainSlow = "chain slow",
    /// A client hangs up: its request is dropped where it waits.
    ClientGone = "client hangs up",
    /// A claim fails and took nothing.
    ClaimFailed = "claim fails",
    /// A claim took rows, and its reply is lost.
    ClaimReplyLost = "claim's reply lost",
    /// A clock is set back.
    ClockBack = "clock set back",
    /// A clock is set forward.
    ClockForward = "clock set forward",
    /// A clock gains or loses a second.
    ClockSlewed = "clock slewed",
    /// A commit fails and wrote nothing.
    CommitFailed = "commit fails",
    /// A commit happens after its caller is gone.
    CommitLate = "commit lands late",
    /// A commit happened, and its reply is lost.
    CommitReplyLost = "commit's reply lost",
    /// The outside did it and does not answer.
    EffectDoneUnanswered = "effect done, no answer",
    /// The outside did not do it this time.
    EffectNotDone = "effect not done",
    /// The outside refuses.
    EffectRefused = "effect refused",
    /// The outside takes its time.
    EffectSlow = "effect slow",
    /// The outside neither did it nor answers.
    EffectUnanswered = "effect not done, no answer",
    /// The source of randomness fails.
    EntropyFailed = "entropy fails",
    /// No server looks at a lane for a while.
    LaneLate = "worker late",
    /// The registry of names cannot be asked.
    NamesFailed = "names fail",
    /// The registry of names takes its time.
    NamesSlow = "names slow",
    /// The contracts take another account's word for a while.
    OracleRotated = "oracle rotated",
    /// A whole process stands still.
    ProcessPaused = "process paused",
    /// A read fails.
    ReadFailed = "read fails",
    /// A reply never reaches its client.
    ReplyLost = "reply lost",
    /// A request comes late.
    RequestDelayed = "request delayed",
    /// A request comes twice.
    RequestDuplicated = "request duplicated",
    /// A request never comes.
    RequestLost = "request lost",
    /// A request comes after one that was sent later.
    RequestReordered = "request overtaken",
    /// A server dies, with everything that it was doing.
    ServerCrashed = "server crashes",
    /// Every server dies.
    ServiceGap = "service gap",
    /// The store answers nobody for a while.
    StoreDown = "store down",
    /// One request or worker stands still while time goes on, longer than a lease.
    TaskPaused = "task paused past its lease",
    /// The mirror of verifications cannot be asked.
    VerificationsFailed = "verifications fail",
}

impl Fault {
    /// What only a chain can do: drawn for runs that have one, so that the lists of choices of the
    /// others keep their meaning.
    const OF_CHAINS: &[Self] = &[
        Self::ChainAnswerLost,
        Self::ChainDown,
        Self::ChainDropped,
        Self::ChainLags,
        Self::ChainLate,
        Self::ChainNonsense,
        Self::ChainRefused,
        Self::ChainReorganised,
        Self::ChainSlow,
        Self::OracleRotated,
    ];
}

/// How likely each fault is, in thousandths; zero for those that this run does without.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chances(BTreeMap<Fault, u32>);

impl Chances {
    /// A run with few kinds of fault, each often, finds other bugs than one with all of them: each
    /// kind is drawn for the run, and how often it comes.
    pub(crate) fn draw(choices: &mut Choices) -> Self {
        let is_of_chains = |fault: &Fault| Fault::OF_CHAINS.contains(fault);
        let common = Fault::ALL.iter().copied();
        let common: Vec<Fault> = common.filter(|fault| !is_of_chains(fault)).collect();
        let mut chances = Self::default();
        chances.draw_among(&common, choices);
        chances
    }

    /// Draws those of chains as well.
    pub(crate) fn draw_of_chains(&mut self, choices: &mut Choices) {
        self.draw_among(Fault::OF_CHAINS, choices);
    }

    fn draw_among(&mut self, faults: &[Fault], choices: &mut Choices) {
        let temper = choices.weighted(&[2, 1, 4]);
        if temper > 0 {
            for &fault in faults {
                let rates = [0, 10, 40, 120];
                let rate = choices.weighted(if temper == 1 {
                    &[8, 2, 1, 0]
                } else {
                    &[4, 3, 2, 1]
                });
                if rates[rate] > 0 {
                    self.0.insert(fault, rates[rate]);
                }
            }
        }
    }

    pub(crate) fn of(&self, fault: Fault) -> u32 {
        self.0.get(&fault).copied().unwrap_or(0)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
