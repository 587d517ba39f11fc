//! `never_negative`: no guarded account is or ever was below zero.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Invariant;
use crate::changeset::{Fact, Row};
use crate::ports::Found;

#[derive(Debug)]
pub(super) struct NeverNegative;

impl Invariant for NeverNegative {
    const NAME: &'static str = "never_negative";

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>) {
        match found {
            Found::Row(_, Row::Account(account)) if !account.is_sound() => {
                complaints.push(account.describe());
            }
            Found::Row(_, Row::Entry(entry)) => {
                if let Fact::Transferred {
                    transfer,
                    debit_balance,
                    credit_balance,
                } = &entry.fact
                {
                    let after = [
                        (transfer.debit, debit_balance),
                        (transfer.credit, credit_balance),
                    ];
                    for (account, balance) in after {
                        if account.kind.never_negative() && balance.is_some_and(|sum| sum < 0) {
                            complaints
                                .push(format!("{account} went below zero by {}", transfer.id));
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, _: &mut Vec<String>) {}
}
