//! One double-entry ledger for all that is counted.
//!
//! A [`Transfer`] moves an amount of one unit from a debited to a credited account, once for its
//! identifier, for ever. [`Account`] rows are sums over transfers, kept so that a guard can be
//! checked without reading history; accounts that every request would touch (revenue, the outside
//! world) have no row and are summed when somebody asks.

mod account;
mod book;
mod credits;
mod transfer;

pub use account::{Account, AccountKey, AccountKind, InvalidAccount, Owner, Rail, SUM_MAX};
pub use book::{Book, LedgerError, Posted, post};
pub use credits::{
    CreditAccounts, CreditPolicy, CreditRefusal, Credits, Gate, NotVerified, VerifyCelo,
    VerifyCeloReply, credit_gate, usage,
};
pub use transfer::{Action, Guard, Order, Reason, Reference, Transfer};

pub(crate) use credits::{seconds_account, spendable_seconds};
