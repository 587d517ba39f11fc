//! `conservation`: per unit, credits equal debits; an account is the sum of its transfers, and they
//! are those of the journal.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Invariant;
use crate::changeset::{Fact, Row};
use crate::ledger::{Account, AccountKey, Action, Transfer};
use crate::ports::Found;
use crate::types::{TransferId, Unit};

#[derive(Debug, Default)]
pub(super) struct Conservation {
    accounts: BTreeMap<AccountKey, Sums>,
    /// Reservations that are open as far as was told: what they hold, once that was told, and what
    /// resolved them. Entries of servers whose clocks differ may come in either order.
    reservations: BTreeMap<TransferId, Reservation>,
    /// The transfer that was just told of.
    awaited: Option<Transfer>,
    told: u64,
    /// Per unit, the balances of all accounts together.
    totals: BTreeMap<Unit, i128>,
}

#[derive(Debug, Default)]
struct Reservation {
    held: Option<Transfer>,
    is_resolved: bool,
}

/// What transfers come to for one account. Sums may be below zero on the way.
#[derive(Debug, Default)]
struct Sums {
    credits_posted: i128,
    debits_posted: i128,
    credits_pending: i128,
    debits_pending: i128,
    /// Every transfer tells the balance after it. In whatever order they come, each must begin
    /// where another ends, the first at zero: balances at which one more transfer begins than
    /// ends, and, negative, the other way round.
    loose_ends: BTreeMap<i128, i64>,
}

impl Sums {
    fn step(&mut self, moved: i128, after: i64) {
        let after = i128::from(after);
        self.loosen(after.saturating_sub(moved), 1);
        self.loosen(after, -1);
    }

    fn loosen(&mut self, balance: i128, by: i64) {
        let ends = self.loose_ends.entry(balance).or_default();
        *ends = ends.saturating_add(by);
        if *ends == 0 {
            self.loose_ends.remove(&balance);
        }
    }

    const fn balance(&self) -> i128 {
        self.credits_posted.saturating_sub(self.debits_posted)
    }

    fn is(&self, account: &Account) -> bool {
        self.credits_posted == i128::from(account.credits_posted)
            && self.debits_posted == i128::from(account.debits_posted)
            && self.credits_pending == i128::from(account.credits_pending)
            && self.debits_pending == i128::from(account.debits_pending)
    }

    /// Whether the balances that were told lead from zero to the balance.
    fn is_unbroken(&self) -> bool {
        let last = self.balance();
        match self.loose_ends.len() {
            0 => last == 0,
            2 => self.loose_ends.get(&0) == Some(&1) && self.loose_ends.get(&last) == Some(&-1),
            _ => false,
        }
    }
}

impl Conservation {
    fn tell(
        &mut self,
        transfer: &Transfer,
        balances: [Option<i64>; 2],
        complaints: &mut Vec<String>,
    ) {
        self.missed(complaints);
        self.awaited = Some(*transfer);
        self.told = self.told.saturating_add(1);
        let amount = i128::from(transfer.amount);
        let posted = match transfer.action {
            Action::Posted => amount,
            Action::Pending { .. } => {
                let reservation = self.reservations.entry(transfer.id).or_default();
                reservation.held = Some(*transfer);
                self.hold(transfer, amount);
                self.resolve(transfer.id);
                0
            }
            Action::Post { of } | Action::Void { of } => {
                let reservation = self.reservations.entry(of).or_default();
                if core::mem::replace(&mut reservation.is_resolved, true) {
                    complaints.push(format!("reservation {of} is resolved twice"));
                }
                self.resolve(of);
                if matches!(transfer.action, Action::Post { .. }) {
                    amount
                } else {
                    0
                }
            }
        };
        let debit = self.accounts.entry(transfer.debit).or_default();
        debit.debits_posted = debit.debits_posted.saturating_add(posted);
        let credit = self.accounts.entry(transfer.credit).or_default();
        credit.credits_posted = credit.credits_posted.saturating_add(posted);
        let sides = [
            (transfer.debit, posted.saturating_neg()),
            (transfer.credit, posted),
        ];
        for ((account, moved), balance) in sides.into_iter().zip(balances) {
            match balance {
                Some(after) => self.accounts.entry(account).or_default().step(moved, after),
                None if account.kind.is_derived() => {}
                None => complaints.push(format!("{} tells no balance of {account}", transfer.id)),
            }
        }
    }

    /// Adds to what is held, or takes away from it.
    fn hold(&mut self, transfer: &Transfer, amount: i128) {
        let debit = self.accounts.entry(transfer.debit).or_default();
        debit.debits_pending = debit.debits_pending.saturating_add(amount);
        let credit = self.accounts.entry(transfer.credit).or_default();
        credit.credits_pending = credit.credits_pending.saturating_add(amount);
    }

    /// Frees what a reservation holds, once both it and its end were told of. It is kept, since a
    /// second end must be noticed.
    fn resolve(&mut self, id: TransferId) {
        let reservation = self.reservations.get_mut(&id);
        if let Some(reservation) = reservation
            && reservation.is_resolved
            && let Some(held) = reservation.held.take()
        {
            self.hold(&held, i128::from(held.amount).saturating_neg());
        }
    }

    /// The transfer that was told of was not shown.
    fn missed(&mut self, complaints: &mut Vec<String>) {
        if let Some(transfer) = self.awaited.take() {
            complaints.push(format!("transfer {} is gone", transfer.id));
        }
    }

    fn compare(&mut self, account: &Account, complaints: &mut Vec<String>) {
        let sums = self.accounts.remove(&account.key).unwrap_or_default();
        if account.key.kind.is_derived() {
            complaints.push(format!("{} has a row", account.key));
        }
        if !sums.is(account) {
            let told = sums.balance();
            complaints.push(format!("{}, its transfers say {told}", account.describe()));
        }
        if !sums.is_unbroken() {
            complaints.push(format!(
                "{}: balances were told that never were",
                account.key
            ));
        }
        self.total(account.key.unit, account.balance());
    }

    fn total(&mut self, unit: Unit, balance: i128) {
        let total = self.totals.entry(unit).or_default();
        *total = total.saturating_add(balance);
    }
}

impl Invariant for Conservation {
    const NAME: &'static str = "conservation";

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>) {
        match found {
            Found::Row(_, Row::Entry(entry)) => {
                if let Fact::Transferred {
                    transfer,
                    debit_balance,
                    credit_balance,
                } = &entry.fact
                {
                    self.tell(transfer, [*debit_balance, *credit_balance], complaints);
                }
            }
            Found::Transfer(transfer) => match self.awaited.take() {
                Some(told) if told == *transfer => {}
                _ => complaints.push(format!("transfer {} is not as it was told", transfer.id)),
            },
            Found::Totals { transfers, .. } => {
                self.missed(complaints);
                if *transfers != self.told {
                    let told = self.told;
                    complaints.push(format!(
                        "{transfers} transfers are there, {told} were told of"
                    ));
                }
            }
            Found::Row(_, Row::Account(account)) => self.compare(account, complaints),
            Found::Row(..) | Found::Unsealed(_) | Found::Unreadable { .. } => {}
        }
    }

    fn end(&mut self, complaints: &mut Vec<String>) {
        for (key, sums) in core::mem::take(&mut self.accounts) {
            if !key.kind.is_derived() {
                complaints.push(format!("{key} has transfers and no row"));
            }
            self.total(key.unit, sums.balance());
        }
        for (unit, total) in core::mem::take(&mut self.totals) {
            if total != 0 {
                complaints.push(format!("{} sum to {total}", unit.name()));
            }
        }
    }
}
