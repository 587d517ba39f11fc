//! Credits of free rooms: grants, the gate before a room, and the charge of presence.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::account::{Account, AccountKey, AccountKind, Owner};
use super::transfer::{Action, Reason, Reference, Transfer};
use crate::changeset::{Draft, Key, Loaded, Version};
use crate::ports::{Answer, Question, Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};
use crate::types::{ConnectionId, Id128, Quantity, Seconds, Timestamp, TransferId, Unit, Wallet};

/// What wallets are given (`rooms-and-sessions.md` section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreditPolicy {
    /// Once for ever, to whoever owns a primary name.
    pub base_grant: Seconds,
    /// Once for ever, to whoever is verified.
    pub bonus_grant: Seconds,
}

impl Default for CreditPolicy {
    fn default() -> Self {
        Self {
            base_grant: Seconds::new(1800),
            bonus_grant: Seconds::new(1800),
        }
    }
}

/// Why the credit gate is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "adapters map every refusal")]
pub enum CreditRefusal {
    /// No base grant yet, and no name that would earn it.
    #[error("wallet owns no primary name")]
    NameRequired,
    /// Too little credit.
    #[error("wallet has {remaining} seconds left")]
    TooLittle {
        /// What is left.
        remaining: Seconds,
    },
}

/// The numbers a wallet sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credits {
    /// Base grant so far.
    pub base_granted: Seconds,
    /// Bonus so far.
    pub bonus_granted: Seconds,
    /// What can still be used.
    pub remaining: Seconds,
}

impl Credits {
    /// What was used: all that was granted and is not there any more.
    #[must_use]
    pub const fn consumed(&self) -> Seconds {
        self.base_granted
            .saturating_add(self.bonus_granted)
            .saturating_sub(self.remaining)
    }
}

/// The three accounts of a wallet's credit, as they were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditAccounts {
    wallet: Wallet,
    /// What the wallet can use.
    pub spendable: Loaded<Account>,
    /// What the base grant gave.
    pub base: Loaded<Account>,
    /// What the bonus gave.
    pub bonus: Loaded<Account>,
}

impl CreditAccounts {
    /// What to read for [`CreditAccounts::of`].
    #[must_use]
    pub fn reads(wallet: Wallet) -> Vec<Read> {
        [
            AccountKind::Wallet,
            AccountKind::GrantBase,
            AccountKind::GrantBonus,
        ]
        .into_iter()
        .map(|kind| Read::Row(Key::Account(seconds_account(wallet, kind))))
        .collect()
    }

    /// A wallet's accounts out of what was read.
    #[must_use]
    pub fn of(wallet: Wallet, view: &Snapshot) -> Self {
        let row = |kind| view.row(Key::Account(seconds_account(wallet, kind)));
        Self {
            wallet,
            spendable: row(AccountKind::Wallet),
            base: row(AccountKind::GrantBase),
            bonus: row(AccountKind::GrantBonus),
        }
    }

    /// The numbers.
    #[must_use]
    pub fn credits(&self) -> Credits {
        Credits {
            base_granted: given(&self.base),
            bonus_granted: given(&self.bonus),
            remaining: spendable_seconds(&self.spendable),
        }
    }
}

/// What is left in a wallet's account of seconds.
pub(crate) fn spendable_seconds(account: &Loaded<Account>) -> Seconds {
    Seconds::new(account.value().map_or(0, Account::available))
}

/// The name of a wallet's account of seconds.
pub(crate) const fn seconds_account(wallet: Wallet, kind: AccountKind) -> AccountKey {
    AccountKey::new(Owner::Wallet(wallet), kind, Unit::Seconds)
}

/// How far below zero a source of grants is.
fn given(source: &Loaded<Account>) -> Seconds {
    let given = source.value().map_or(0, |account| {
        account.debits_posted.saturating_sub(account.credits_posted)
    });
    Seconds::new(given)
}

/// What the gate before a room says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a gate is open, closed, or asks")]
pub enum Gate {
    /// Not enough credit or no name.
    Closed(CreditRefusal),
    /// A fact is missing.
    Need(Question),
    /// Come in.
    Open {
        /// What is left, a grant that is due included.
        remaining: Seconds,
    },
}

/// The gate before creating or joining a room: the base grant where it is due, then the minimum.
///
/// A grant that is due is drafted whether or not the gate opens: it is owed to the wallet, not to
/// the room. A bonus alone does not open rooms.
#[must_use]
pub fn credit_gate(
    accounts: &CreditAccounts,
    minimum: Seconds,
    cx: &Context<'_>,
    answers: &Answers,
    draft: &mut Draft,
) -> Gate {
    let wallet = accounts.wallet;
    let mut remaining = spendable_seconds(&accounts.spendable);
    draft.expect(&accounts.base);
    draft.expect(&accounts.spendable);
    if given(&accounts.base) == Seconds::ZERO {
        let question = Question::PrimaryName(wallet);
        match answers.get(&question) {
            Some(Answer::PrimaryName(Some(_))) => {
                let amount = cx.policy.credits.base_grant;
                draft.transfer(grant(wallet, AccountKind::GrantBase, amount, cx.now));
                remaining = remaining.saturating_add(amount);
            }
            Some(Answer::PrimaryName(None)) => return Gate::Closed(CreditRefusal::NameRequired),
            _ => return Gate::Need(question),
        }
    }
    if remaining >= minimum {
        Gate::Open { remaining }
    } else {
        Gate::Closed(CreditRefusal::TooLittle { remaining })
    }
}

/// A once-for-ever grant: its identifier is made of the wallet and the kind alone.
fn grant(wallet: Wallet, source: AccountKind, amount: Seconds, at: Timestamp) -> Transfer {
    Transfer {
        id: TransferId::derive(source.name(), &[&wallet.to_bytes()]),
        debit: seconds_account(wallet, source),
        credit: seconds_account(wallet, AccountKind::Wallet),
        amount: amount.raw(),
        action: Action::Posted,
        reason: match source {
            AccountKind::GrantBonus => Reason::GrantCeloBonus,
            _ => Reason::GrantBase,
        },
        reference: Reference::None,
        at,
    }
}

/// The charge of presence. Its identifier is made of the stay and the version of the seat that
/// the metering saw, so that one metering charges once.
#[must_use]
pub fn usage(
    wallet: Wallet,
    connection: ConnectionId,
    seat_version: Version,
    amount: Seconds,
    at: Timestamp,
) -> Transfer {
    Transfer {
        id: TransferId::derive(
            "usage",
            &[&connection.to_bytes(), &seat_version.get().to_be_bytes()],
        ),
        debit: seconds_account(wallet, AccountKind::Wallet),
        credit: AccountKey::new(Owner::House, AccountKind::Revenue, Unit::Seconds),
        amount: amount.raw(),
        action: Action::Posted,
        reason: Reason::DebitUsage,
        reference: Reference::Connection(connection),
        at,
    }
}

/// A wallet asks for the bonus of being verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyCelo {
    /// Who asks.
    pub wallet: Wallet,
}

/// The answer to [`VerifyCelo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyCeloReply {
    /// Whether this request brought the bonus.
    pub granted: bool,
    /// What is left.
    pub remaining: Seconds,
}

/// The wallet is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("wallet is not verified")]
pub struct NotVerified;

impl Command for VerifyCelo {
    type View = CreditAccounts;
    type Reply = VerifyCeloReply;
    type Refusal = NotVerified;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let reads = CreditAccounts::reads(self.wallet);
        Ok(CreditAccounts::of(
            self.wallet,
            &Snapshot::load(ports.store(), &reads).await?,
        ))
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, answers: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let question = Question::VerifiedAt(self.wallet);
        match answers.get(&question) {
            Some(Answer::VerifiedAt(Some(_))) => {}
            Some(Answer::VerifiedAt(None)) => {
                return Verdict::Done(Decision::refused(draft, NotVerified));
            }
            _ => return Verdict::Need(question),
        }
        let Credits {
            bonus_granted,
            remaining,
            ..
        } = view.credits();
        if bonus_granted > Seconds::ZERO {
            let reply = VerifyCeloReply {
                granted: false,
                remaining,
            };
            return Verdict::Done(Decision::granted(draft, reply));
        }
        let amount = cx.policy.credits.bonus_grant;
        draft.expect(&view.bonus);
        draft.expect(&view.spendable);
        draft.transfer(grant(self.wallet, AccountKind::GrantBonus, amount, cx.now));
        let remaining = remaining.saturating_add(amount);
        Verdict::Done(Decision::granted(
            draft,
            VerifyCeloReply {
                granted: true,
                remaining,
            },
        ))
    }
}

#[cfg(test)]
impl CreditAccounts {
    /// Accounts as a test found them.
    pub(crate) const fn found(
        wallet: Wallet,
        spendable: Loaded<Account>,
        base: Loaded<Account>,
        bonus: Loaded<Account>,
    ) -> Self {
        Self {
            wallet,
            spendable,
            base,
            bonus,
        }
    }
}
