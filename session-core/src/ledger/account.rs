//! Accounts: who owns them, what they may do, and their sums.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::types::{Unit, Wallet};

/// The greatest sum an account can hold: both databases store signed 64-bit integers.
pub const SUM_MAX: u64 = i64::MAX.unsigned_abs();

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "stores map every owner")]
pub enum Owner {
    /// The house itself.
    House,
    /// A wallet.
    Wallet(Wallet),
}

/// A way by which value enters and leaves the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "stores map every rail")]
pub enum Rail {
    /// The Lightning network.
    Lightning,
    /// US dollar coins on an EVM chain.
    Usdc,
}

/// What an account is for. The kind decides whether it may go below zero and whether it has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "stores map every kind")]
pub enum AccountKind {
    /// What an owner can spend. Never below zero.
    Wallet,
    /// The source of the once-for-ever base grant; below zero by what was granted.
    GrantBase,
    /// The source of the once-for-ever verification bonus; below zero by what was granted.
    GrantBonus,
    /// A bounded stock that many draw from. Never below zero.
    Pool,
    /// What was earned.
    Revenue,
    /// The outside world, where value comes from and goes to.
    External(Rail),
    /// Credit that nobody can claim any more.
    Breakage,
    /// Work done that nobody paid for.
    Loss,
    /// Value held that must be given back.
    Refundable,
}

impl AccountKind {
    const ALL: [Self; 10] = [
        Self::Wallet,
        Self::GrantBase,
        Self::GrantBonus,
        Self::Pool,
        Self::Revenue,
        Self::External(Rail::Lightning),
        Self::External(Rail::Usdc),
        Self::Breakage,
        Self::Loss,
        Self::Refundable,
    ];

    /// The stable name, as stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::GrantBase => "grant_base",
            Self::GrantBonus => "grant_bonus",
            Self::Pool => "pool",
            Self::Revenue => "revenue",
            Self::External(Rail::Lightning) => "external_lightning",
            Self::External(Rail::Usdc) => "external_usdc",
            Self::Breakage => "breakage",
            Self::Loss => "loss",
            Self::Refundable => "refundable",
        }
    }

    /// Whether the balance may never be below zero.
    #[must_use]
    pub const fn never_negative(self) -> bool {
        matches!(self, Self::Wallet | Self::Pool | Self::Refundable)
    }

    /// Whether the account has no row of its own: every request of every server would update it,
    /// so its balance is summed over transfers instead.
    #[must_use]
    pub const fn is_derived(self) -> bool {
        matches!(
            self,
            Self::Revenue | Self::External(_) | Self::Breakage | Self::Loss
        )
    }
}

/// Text that does not name an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text does not name an account")]
pub struct InvalidAccount;

/// The name of an account: owner, kind and unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountKey {
    /// Whose it is.
    pub owner: Owner,
    /// What it is for.
    pub kind: AccountKind,
    /// What it counts.
    pub unit: Unit,
}

impl AccountKey {
    /// The account of this owner, kind and unit.
    #[must_use]
    pub const fn new(owner: Owner, kind: AccountKind, unit: Unit) -> Self {
        Self { owner, kind, unit }
    }
}

impl fmt::Display for AccountKey {
    /// `kind/unit/owner`, the form in which stores keep it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(*self))
    }
}

impl FromStr for AccountKey {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Self, InvalidAccount> {
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().ok_or(InvalidAccount);
        let kind = next()?;
        let unit = next()?;
        let owner = next()?;
        Ok(Self {
            kind: AccountKind::ALL
                .into_iter()
                .find(|known| known.name() == kind)
                .ok_or(InvalidAccount)?,
            unit: Unit::from_name(unit).ok_or(InvalidAccount)?,
            owner: match owner {
                "house" => Owner::House,
                wallet => Owner::Wallet(wallet.parse().map_err(|_| InvalidAccount)?),
            },
        })
    }
}

impl TryFrom<String> for AccountKey {
    type Error = InvalidAccount;

    fn try_from(text: String) -> Result<Self, InvalidAccount> {
        text.parse()
    }
}

impl From<AccountKey> for String {
    /// At once, as every journal entry of a transfer holds two.
    fn from(key: AccountKey) -> Self {
        let mut text = Self::with_capacity(TEXT_USUAL_BYTES);
        for part in [key.kind.name(), "/", key.unit.name(), "/"] {
            text.push_str(part);
        }
        match key.owner {
            Owner::House => text.push_str("house"),
            Owner::Wallet(wallet) => text.push_str(&wallet.to_string()),
        }
        text
    }
}

/// Room for the longest kind, a unit and a wallet.
const TEXT_USUAL_BYTES: usize = 80;

/// The sums of an account. Only [`post`](super::post) changes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Which account.
    pub key: AccountKey,
    /// Everything ever credited, posted.
    pub credits_posted: u64,
    /// Everything ever debited, posted.
    pub debits_posted: u64,
    /// Credits of pending transfers.
    pub credits_pending: u64,
    /// Debits of pending transfers: held, neither spent nor spendable.
    pub debits_pending: u64,
}

impl Account {
    /// An account to which nothing has happened.
    #[must_use]
    pub const fn empty(key: AccountKey) -> Self {
        Self {
            key,
            credits_posted: 0,
            debits_posted: 0,
            credits_pending: 0,
            debits_pending: 0,
        }
    }

    /// Posted credits less posted debits.
    #[must_use]
    pub const fn balance(&self) -> i128 {
        // Two values of 64 bits: their difference fits 128.
        (self.credits_posted as i128).wrapping_sub(self.debits_posted as i128)
    }

    /// What can still be debited: the balance less what is held; zero where that is negative.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.credits_posted
            .saturating_sub(self.debits_posted)
            .saturating_sub(self.debits_pending)
    }

    /// Whether the sums obey the kind's rule and the limit.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let within = [
            self.credits_posted,
            self.debits_posted,
            self.credits_pending,
            self.debits_pending,
        ]
        .into_iter()
        .all(|sum| sum <= SUM_MAX);
        let covered = u128::from(self.credits_posted)
            >= u128::from(self.debits_posted).saturating_add(u128::from(self.debits_pending));
        within && (covered || !self.key.kind.never_negative())
    }

    /// A line for people: the key and the balance.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} = {}", self.key, self.balance())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_key_goes_through_text_and_back() {
        let wallet = Owner::Wallet(Wallet::from_bytes([7; 20]));
        for kind in AccountKind::ALL {
            for owner in [Owner::House, wallet] {
                let key = AccountKey::new(owner, kind, Unit::Sats);
                assert_eq!(key.to_string().parse(), Ok(key));
            }
        }
        for wrong in [
            "",
            "wallet",
            "wallet/sats",
            "wallet/eggs/house",
            "purse/sats/house",
        ] {
            assert_eq!(wrong.parse::<AccountKey>(), Err(InvalidAccount), "{wrong}");
        }
    }

    #[test]
    fn only_kinds_that_may_owe_are_sound_below_zero() {
        for kind in AccountKind::ALL {
            let mut account = Account::empty(AccountKey::new(Owner::House, kind, Unit::Sats));
            account.debits_posted = 1;
            assert_eq!(account.is_sound(), !kind.never_negative(), "{kind:?}");
            account.credits_posted = 1;
            assert!(account.is_sound(), "{kind:?}");
            account.debits_pending = 1;
            assert_eq!(
                account.is_sound(),
                !kind.never_negative(),
                "{kind:?} with a hold"
            );
        }
    }
}
