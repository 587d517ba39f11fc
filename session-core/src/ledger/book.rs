//! The pure rule by which a transfer changes two accounts.

use super::account::{Account, AccountKey, SUM_MAX};
use super::transfer::{Action, Guard, Order, Transfer};
use crate::types::TransferId;

/// Why a transfer cannot happen. The changeset that holds it is refused whole, and its identifier
/// stays free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "stores map every error")]
pub enum LedgerError {
    /// The reservation's deadline is over: it can only be voided.
    #[error("reservation {0} is past its deadline")]
    DeadlinePassed(TransferId),
    /// The identifier is taken by a transfer that says something else.
    #[error("transfer {0} exists with other content")]
    IdMismatch(TransferId),
    /// The debited account holds less than the guard or its kind asks.
    #[error("account {0} does not hold enough")]
    Insufficient(AccountKey),
    /// The transfer is malformed: no amount, two units, one account, or a resolution whose
    /// accounts or amount are not the reservation's.
    #[error("transfer {0} is malformed")]
    Malformed(TransferId),
    /// A sum would pass [`SUM_MAX`].
    #[error("account {0} is full")]
    Overflow(AccountKey),
    /// There is no such reservation, or it is resolved already.
    #[error("reservation {0} is not open")]
    NotReserved(TransferId),
}

/// What the rule needs to see of the ledger. Each answer is as of the start of the changeset plus
/// what the changeset itself has done so far.
pub trait Book {
    /// The account's row; an empty one where there is none. Never asked of a derived account.
    fn account(&self, key: AccountKey) -> Account;

    /// The stored transfer of this identifier.
    fn transfer(&self, id: TransferId) -> Option<Transfer>;

    /// The transfer that posted or voided this reservation.
    fn resolution(&self, of: TransferId) -> Option<TransferId>;
}

/// What came of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "stores map every outcome")]
pub enum Posted {
    /// Nothing was available to an [`Guard::UpTo`] order; no transfer exists.
    Nothing,
    /// The same transfer was there already; nothing changed.
    Repeat(Transfer),
    /// The transfer to store, and both accounts as they are after it. A derived account's row is
    /// to be ignored.
    Moved {
        /// With the amount that really moved.
        transfer: Transfer,
        /// The debited account afterwards.
        debit: Account,
        /// The credited account afterwards.
        credit: Account,
    },
}

/// Applies one order to the book.
///
/// # Errors
/// [`LedgerError`]: nothing of the changeset may be written.
pub fn post(book: &impl Book, order: &Order) -> Result<Posted, LedgerError> {
    let mut transfer = order.transfer;
    let id = transfer.id;
    if let Some(existing) = book.transfer(id) {
        let exact = order.guard != Some(Guard::UpTo);
        return if transfer.is_repeat_of(&existing, exact) {
            Ok(Posted::Repeat(existing))
        } else {
            Err(LedgerError::IdMismatch(id))
        };
    }
    let well_formed = transfer.amount > 0
        && transfer.debit.unit == transfer.credit.unit
        && transfer.debit != transfer.credit;
    if !well_formed {
        return Err(LedgerError::Malformed(id));
    }

    let mut debit = account(book, transfer.debit);
    let mut credit = account(book, transfer.credit);
    match order.guard {
        Some(Guard::AtLeast(least)) if debit.available() < least => {
            return Err(LedgerError::Insufficient(transfer.debit));
        }
        None | Some(Guard::AtLeast(_)) => {}
        Some(Guard::UpTo) => {
            transfer.amount = transfer.amount.min(debit.available());
            if transfer.amount == 0 {
                return Ok(Posted::Nothing);
            }
        }
    }
    move_sums(book, &transfer, &mut debit, &mut credit)?;
    for account in [debit, credit] {
        if !account.key.kind.is_derived() && !account.is_sound() {
            return Err(LedgerError::Insufficient(account.key));
        }
    }
    Ok(Posted::Moved {
        transfer,
        debit,
        credit,
    })
}

/// The account's row; there is none to look for where an account is derived.
fn account(book: &impl Book, key: AccountKey) -> Account {
    if key.kind.is_derived() {
        Account::empty(key)
    } else {
        book.account(key)
    }
}

fn move_sums(
    book: &impl Book,
    transfer: &Transfer,
    debit: &mut Account,
    credit: &mut Account,
) -> Result<(), LedgerError> {
    match transfer.action {
        Action::Posted => {
            add(debit, |a| &mut a.debits_posted, transfer.amount)?;
            add(credit, |a| &mut a.credits_posted, transfer.amount)
        }
        Action::Pending { deadline } => {
            if deadline < transfer.at {
                return Err(LedgerError::DeadlinePassed(transfer.id));
            }
            add(debit, |a| &mut a.debits_pending, transfer.amount)?;
            add(credit, |a| &mut a.credits_pending, transfer.amount)
        }
        Action::Post { of } => {
            let held = open_reservation(book, transfer, of)?;
            if transfer.amount > held {
                return Err(LedgerError::Malformed(transfer.id));
            }
            release(debit, credit, held, of)?;
            add(debit, |a| &mut a.debits_posted, transfer.amount)?;
            add(credit, |a| &mut a.credits_posted, transfer.amount)
        }
        Action::Void { of } => {
            let held = open_reservation(book, transfer, of)?;
            if transfer.amount != held {
                return Err(LedgerError::Malformed(transfer.id));
            }
            release(debit, credit, held, of)
        }
    }
}

/// The amount of the open reservation that `transfer` resolves.
fn open_reservation(
    book: &impl Book,
    transfer: &Transfer,
    of: TransferId,
) -> Result<u64, LedgerError> {
    let reserved = book.transfer(of).ok_or(LedgerError::NotReserved(of))?;
    let Action::Pending { deadline } = reserved.action else {
        return Err(LedgerError::NotReserved(of));
    };
    if book.resolution(of).is_some() {
        return Err(LedgerError::NotReserved(of));
    }
    if reserved.debit != transfer.debit || reserved.credit != transfer.credit {
        return Err(LedgerError::Malformed(transfer.id));
    }
    let is_void = matches!(transfer.action, Action::Void { .. });
    if transfer.at > deadline && !is_void {
        return Err(LedgerError::DeadlinePassed(of));
    }
    Ok(reserved.amount)
}

fn release(
    debit: &mut Account,
    credit: &mut Account,
    held: u64,
    of: TransferId,
) -> Result<(), LedgerError> {
    for (account, pending) in [
        (debit.key, &mut debit.debits_pending),
        (credit.key, &mut credit.credits_pending),
    ] {
        // A derived account's pending sum is not kept, so there is nothing to release.
        if account.kind.is_derived() {
            continue;
        }
        *pending = pending
            .checked_sub(held)
            .ok_or(LedgerError::NotReserved(of))?;
    }
    Ok(())
}

fn add(
    account: &mut Account,
    sum: impl Fn(&mut Account) -> &mut u64,
    amount: u64,
) -> Result<(), LedgerError> {
    let key = account.key;
    if key.kind.is_derived() {
        return Ok(());
    }
    let sum = sum(account);
    *sum = sum
        .checked_add(amount)
        .filter(|total| *total <= SUM_MAX)
        .ok_or(LedgerError::Overflow(key))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{AccountKind, Owner, Reason, Reference};
    use crate::types::{Timestamp, Unit, Wallet};

    #[derive(Default)]
    struct Ledger {
        accounts: BTreeMap<AccountKey, Account>,
        transfers: BTreeMap<TransferId, Transfer>,
    }

    impl Book for Ledger {
        fn account(&self, key: AccountKey) -> Account {
            self.accounts
                .get(&key)
                .copied()
                .unwrap_or(Account::empty(key))
        }

        fn transfer(&self, id: TransferId) -> Option<Transfer> {
            self.transfers.get(&id).copied()
        }

        fn resolution(&self, of: TransferId) -> Option<TransferId> {
            self.transfers
                .values()
                .find(|t| matches!(t.action, Action::Post { of: o } | Action::Void { of: o } if o == of))
                .map(|t| t.id)
        }
    }

    impl Ledger {
        fn order(&mut self, order: Order) -> Result<Posted, LedgerError> {
            let posted = post(self, &order)?;
            if let Posted::Moved {
                transfer,
                debit,
                credit,
            } = posted
            {
                self.transfers.insert(transfer.id, transfer);
                for account in [debit, credit] {
                    if !account.key.kind.is_derived() {
                        self.accounts.insert(account.key, account);
                    }
                }
            }
            Ok(posted)
        }
    }

    fn wallet(n: u8) -> AccountKey {
        AccountKey::new(
            Owner::Wallet(Wallet::from_bytes([n; 20])),
            AccountKind::Wallet,
            Unit::Seconds,
        )
    }

    fn source() -> AccountKey {
        AccountKey::new(
            Owner::Wallet(Wallet::from_bytes([1; 20])),
            AccountKind::GrantBase,
            Unit::Seconds,
        )
    }

    fn transfer(
        n: u16,
        debit: AccountKey,
        credit: AccountKey,
        amount: u64,
        action: Action,
    ) -> Transfer {
        Transfer {
            id: id(n),
            debit,
            credit,
            amount,
            action,
            reason: Reason::AdminAdjust,
            reference: Reference::None,
            at: Timestamp::from_unix(100),
        }
    }

    fn id(n: u16) -> TransferId {
        TransferId::derive("test", &[&n.to_be_bytes()])
    }

    fn plain(transfer: Transfer) -> Order {
        Order {
            transfer,
            guard: None,
        }
    }

    fn funded(amount: u64) -> Ledger {
        let mut ledger = Ledger::default();
        ledger
            .order(plain(transfer(
                0,
                source(),
                wallet(1),
                amount,
                Action::Posted,
            )))
            .unwrap();
        ledger
    }

    #[test]
    fn a_wallet_cannot_go_below_zero_and_its_refused_id_stays_free() {
        let mut ledger = funded(10);
        let too_much = transfer(1, wallet(1), wallet(2), 11, Action::Posted);
        assert_eq!(
            ledger.order(plain(too_much)),
            Err(LedgerError::Insufficient(wallet(1)))
        );
        assert!(
            ledger
                .order(plain(Transfer {
                    amount: 10,
                    ..too_much
                }))
                .is_ok()
        );
        assert_eq!(ledger.account(wallet(1)).available(), 0);
        assert_eq!(ledger.account(wallet(2)).available(), 10);
    }

    #[test]
    fn a_repeat_changes_nothing_and_a_contradiction_is_refused() {
        let mut ledger = funded(10);
        let first = transfer(1, wallet(1), wallet(2), 4, Action::Posted);
        ledger.order(plain(first)).unwrap();
        let later = Transfer {
            at: Timestamp::from_unix(200),
            ..first
        };
        assert_eq!(ledger.order(plain(later)), Ok(Posted::Repeat(first)));
        let other = Transfer { amount: 5, ..first };
        assert_eq!(
            ledger.order(plain(other)),
            Err(LedgerError::IdMismatch(first.id))
        );
        assert_eq!(ledger.account(wallet(1)).available(), 6);
    }

    #[test]
    fn guards_bound_what_moves() {
        let mut ledger = funded(10);
        let order = |n, amount, guard| Order {
            transfer: transfer(n, wallet(1), wallet(2), amount, Action::Posted),
            guard: Some(guard),
        };
        assert_eq!(
            ledger.order(order(1, 3, Guard::AtLeast(11))),
            Err(LedgerError::Insufficient(wallet(1)))
        );
        assert!(ledger.order(order(1, 3, Guard::AtLeast(10))).is_ok());
        let Ok(Posted::Moved { transfer, .. }) = ledger.order(order(2, 9, Guard::UpTo)) else {
            panic!("seven were left");
        };
        assert_eq!(transfer.amount, 7);
        assert_eq!(ledger.order(order(3, 9, Guard::UpTo)), Ok(Posted::Nothing));
        assert_eq!(
            ledger.order(order(2, 9, Guard::UpTo)),
            Ok(Posted::Repeat(transfer))
        );
    }

    #[test]
    fn a_reservation_resolves_once_and_at_most_for_what_it_holds() {
        let mut ledger = funded(10);
        let deadline = Timestamp::from_unix(150);
        let hold = transfer(1, wallet(1), wallet(2), 8, Action::Pending { deadline });
        ledger.order(plain(hold)).unwrap();
        assert_eq!(ledger.account(wallet(1)).available(), 2);
        assert_eq!(ledger.account(wallet(2)).available(), 0);

        let over = transfer(2, wallet(1), wallet(2), 9, Action::Post { of: hold.id });
        assert_eq!(
            ledger.order(plain(over)),
            Err(LedgerError::Malformed(over.id))
        );
        let late = Transfer {
            amount: 5,
            at: Timestamp::from_unix(151),
            ..over
        };
        assert_eq!(
            ledger.order(plain(late)),
            Err(LedgerError::DeadlinePassed(hold.id))
        );
        let part = Transfer { amount: 5, ..over };
        ledger.order(plain(part)).unwrap();
        assert_eq!(ledger.account(wallet(1)).available(), 5);
        assert_eq!(ledger.account(wallet(1)).debits_pending, 0);
        assert_eq!(ledger.account(wallet(2)).available(), 5);

        let void = transfer(3, wallet(1), wallet(2), 8, Action::Void { of: hold.id });
        assert_eq!(
            ledger.order(plain(void)),
            Err(LedgerError::NotReserved(hold.id))
        );
    }

    #[test]
    fn a_reservation_past_its_deadline_can_only_be_voided() {
        let mut ledger = funded(10);
        let hold = transfer(
            1,
            wallet(1),
            wallet(2),
            8,
            Action::Pending {
                deadline: Timestamp::from_unix(150),
            },
        );
        ledger.order(plain(hold)).unwrap();
        let void = Transfer {
            at: Timestamp::from_unix(151),
            ..transfer(2, wallet(1), wallet(2), 8, Action::Void { of: hold.id })
        };
        ledger.order(plain(void)).unwrap();
        assert_eq!(ledger.account(wallet(1)).available(), 10);
    }

    #[test]
    fn nothing_wraps_at_the_limit() {
        let mut ledger = funded(SUM_MAX);
        let more = transfer(1, source(), wallet(1), 1, Action::Posted);
        assert!(matches!(
            ledger.order(plain(more)),
            Err(LedgerError::Overflow(_))
        ));
        let absurd = transfer(2, source(), wallet(2), u64::MAX, Action::Posted);
        assert!(matches!(
            ledger.order(plain(absurd)),
            Err(LedgerError::Overflow(_))
        ));
    }

    #[test]
    fn malformed_transfers_are_refused() {
        let mut ledger = funded(10);
        let sats = AccountKey {
            unit: Unit::Sats,
            ..wallet(2)
        };
        for wrong in [
            transfer(1, wallet(1), wallet(2), 0, Action::Posted),
            transfer(1, wallet(1), wallet(1), 1, Action::Posted),
            transfer(1, wallet(1), sats, 1, Action::Posted),
        ] {
            assert_eq!(
                ledger.order(plain(wrong)),
                Err(LedgerError::Malformed(id(1)))
            );
        }
    }

    proptest! {
        /// Conservation, no account below zero, and a replay that ends in the same state, for any
        /// sequence of orders with any repeats.
        #[test]
        fn any_sequence_conserves_and_replays(
            steps in prop::collection::vec(
                (0u16..40, 1u8..4, 1u8..4, 0u64..20, 0u8..5, 0u16..40, prop::bool::ANY),
                0..60,
            )
        ) {
            let orders: Vec<Order> = steps
                .into_iter()
                .map(|(n, from, to, amount, action, of, clamp)| {
                    let debit = if from == 3 { source() } else { wallet(from) };
                    let action = match action {
                        0 | 1 => Action::Posted,
                        2 => Action::Pending { deadline: Timestamp::from_unix(100 + amount) },
                        3 => Action::Post { of: id(of) },
                        _ => Action::Void { of: id(of) },
                    };
                    Order {
                        transfer: transfer(n, debit, wallet(to), amount, action),
                        guard: clamp.then_some(Guard::UpTo),
                    }
                })
                .collect();
            let mut ledger = Ledger::default();
            for order in &orders {
                let _ = ledger.order(*order);
                let balances: i128 = ledger.accounts.values().map(Account::balance).sum();
                prop_assert_eq!(balances, 0);
                prop_assert!(ledger.accounts.values().all(Account::is_sound));
                let held = |side: fn(&Account) -> u64| -> u64 { ledger.accounts.values().map(side).sum() };
                prop_assert_eq!(held(|a| a.debits_pending), held(|a| a.credits_pending));
            }
            // Each stored transfer repeated is a no-op.
            let before = ledger.accounts.clone();
            for transfer in ledger.transfers.values().copied().collect::<Vec<_>>() {
                prop_assert_eq!(ledger.order(plain(transfer)), Ok(Posted::Repeat(transfer)));
            }
            prop_assert_eq!(before, ledger.accounts);
        }
    }
}
