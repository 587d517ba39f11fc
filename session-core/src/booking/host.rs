//! Whether a host takes bookings. Kept here, not on the chain: a wish, which pages show.

use serde::{Deserialize, Serialize};

use crate::changeset::{Draft, Key, Loaded};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Never, Ports, Verdict};
use crate::types::{Timestamp, Wallet};

/// What a host says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "stores write every field")]
pub struct Host {
    /// Who.
    pub wallet: Wallet,
    /// Whether it takes bookings. Whoever says nothing does not.
    pub accepting_bookings: bool,
    /// Since when it says so.
    pub changed_at: Timestamp,
}

/// A wallet says whether it takes bookings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these two are the request")]
pub struct SetHost {
    /// Who.
    pub wallet: Wallet,
    /// Whether it does.
    pub accepting_bookings: bool,
}

impl Command for SetHost {
    type View = Loaded<Host>;
    /// Whether it takes bookings now.
    type Reply = bool;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let key = Key::Host(self.wallet);
        let snapshot = Snapshot::load(ports.store(), &[Read::Row(key.clone())]).await?;
        Ok(snapshot.row(key))
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let said = view.value().is_some_and(|host| host.accepting_bookings);
        if said != self.accepting_bookings {
            draft.update(
                view,
                Host {
                    wallet: self.wallet,
                    accepting_bookings: self.accepting_bookings,
                    changed_at: cx.now,
                },
            );
        }
        Verdict::Done(Decision::granted(draft, self.accepting_bookings))
    }
}
