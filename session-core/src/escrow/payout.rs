//! What the end of a booking credits to whom (`settlement.md` section 4). The contract does it;
//! this says beforehand what it will do, and afterwards whether it did.

use super::Side;
use super::record::{Outcome, Terms};
use crate::types::{TokenAmount, U256};

/// Ten-thousandths in a whole.
pub const BPS: u64 = 10_000;

/// Terms or amounts with which the contract's own arithmetic fails: 256 bits are not enough, or a
/// share is more than the whole. The call that would credit is then refused on chain as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the contract cannot credit this amount on these terms")]
pub struct PayoutOverflow;

/// How a booking came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the contract knows these ends")]
pub enum Ending {
    /// The host cancelled before the start.
    CancelledByHost,
    /// The guest cancelled before the cutoff.
    CancelledByGuestEarly,
    /// The guest cancelled after the cutoff and before the start.
    CancelledByGuestLate,
    /// Somebody challenged what was attested, and it was finalised afterwards.
    Disputed {
        /// What was attested.
        attested: Outcome,
        /// Who challenged it, and put down the bond.
        challenger: Side,
        /// What the owner decided; `None` where the dispute timed out, so that what was attested
        /// stands.
        resolved: Option<Outcome>,
    },
    /// It was finalised as attested, with no dispute.
    Final(Outcome),
    /// Nobody attested anything in time.
    Unattested,
}

/// What was credited to the balances from which each withdraws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "nobody else is ever credited")]
pub struct Credited {
    /// To the host.
    pub host: TokenAmount,
    /// To the guest.
    pub guest: TokenAmount,
    /// To the treasury: the fee.
    pub treasury: TokenAmount,
}

/// What an end credits of a booking over `amount`, with a challenger's bond where there was a
/// dispute. Every division rounds down.
///
/// The whole of the amount is credited to somebody, and so is the bond.
///
/// # Errors
/// [`PayoutOverflow`].
pub fn credited(
    amount: TokenAmount,
    terms: &Terms,
    ending: Ending,
) -> Result<Credited, PayoutOverflow> {
    match ending {
        Ending::CancelledByHost | Ending::CancelledByGuestEarly | Ending::Unattested => {
            Ok(refunded(amount))
        }
        Ending::CancelledByGuestLate => late_cancelled(amount, terms),
        Ending::Disputed {
            attested,
            challenger,
            resolved,
        } => {
            let last = resolved.unwrap_or(attested);
            let paid = of_outcome(amount, terms, last)?;
            // A change of the outcome wins the bond, whether or not it moves any other money.
            let winner = if last == attested {
                challenger.other()
            } else {
                challenger
            };
            with_bond(paid, winner, terms.challenge_bond)
        }
        Ending::Final(outcome) => of_outcome(amount, terms, outcome),
    }
}

fn of_outcome(
    amount: TokenAmount,
    terms: &Terms,
    outcome: Outcome,
) -> Result<Credited, PayoutOverflow> {
    match outcome {
        Outcome::Completed | Outcome::NoShowGuest => {
            let (host, fee) = less_share(amount, terms.fee_bps)?;
            Ok(Credited {
                host,
                guest: NOTHING,
                treasury: fee,
            })
        }
        Outcome::NoShowHost => Ok(refunded(amount)),
    }
}

const fn refunded(amount: TokenAmount) -> Credited {
    Credited {
        host: NOTHING,
        guest: amount,
        treasury: NOTHING,
    }
}

fn late_cancelled(amount: TokenAmount, terms: &Terms) -> Result<Credited, PayoutOverflow> {
    let (guest, penalty) = less_share(amount, terms.late_cancel_penalty_bps)?;
    let (host, fee) = less_share(penalty, terms.fee_bps)?;
    Ok(Credited {
        host,
        guest,
        treasury: fee,
    })
}

fn with_bond(paid: Credited, winner: Side, bond: TokenAmount) -> Result<Credited, PayoutOverflow> {
    let plus_bond = |amount: TokenAmount| {
        let sum = amount.get().checked_add(bond.get());
        sum.map(TokenAmount::new).ok_or(PayoutOverflow)
    };
    Ok(match winner {
        Side::Host => Credited {
            host: plus_bond(paid.host)?,
            ..paid
        },
        Side::Guest => Credited {
            guest: plus_bond(paid.guest)?,
            ..paid
        },
    })
}

/// What is left of an amount without a share of it, and the share.
///
/// The product is checked and not widened: the contract multiplies in 256 bits first, and fails
/// where they do not suffice. A wider number would promise what it never pays.
fn less_share(
    amount: TokenAmount,
    share_bps: u16,
) -> Result<(TokenAmount, TokenAmount), PayoutOverflow> {
    let product = amount.get().checked_mul(U256::from(share_bps));
    let share = product.and_then(|product| product.checked_div(U256::from(BPS)));
    let share = share.ok_or(PayoutOverflow)?;
    let rest = amount.get().checked_sub(share).ok_or(PayoutOverflow)?;
    Ok((TokenAmount::new(rest), TokenAmount::new(share)))
}

const NOTHING: TokenAmount = TokenAmount::new(U256::ZERO);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Seconds;

    const fn terms(fee_bps: u16, late_cancel_penalty_bps: u16) -> Terms {
        Terms {
            fee_bps,
            late_cancel_penalty_bps,
            challenge_window: Seconds::ZERO,
            no_attest_buffer: Seconds::ZERO,
            dispute_timeout: Seconds::ZERO,
            challenge_bond: TokenAmount::new(U256::ONE),
        }
    }

    const COMPLETED: Ending = Ending::Final(Outcome::Completed);

    #[test]
    fn an_amount_whose_product_does_not_fit_is_refused_as_on_chain() {
        let most = U256::MAX / U256::from(300);
        let last = TokenAmount::new(most);
        let next = TokenAmount::new(most + U256::ONE);
        assert!(credited(last, &terms(300, 0), COMPLETED).is_ok());
        assert_eq!(
            credited(next, &terms(300, 0), COMPLETED),
            Err(PayoutOverflow)
        );
        assert!(credited(next, &terms(0, 0), COMPLETED).is_ok());
        assert!(credited(next, &terms(300, 0), Ending::Unattested).is_ok());
    }

    #[test]
    fn a_share_of_more_than_the_whole_is_refused() {
        let amount = TokenAmount::new(U256::from(10_000));
        assert!(credited(amount, &terms(10_000, 0), COMPLETED).is_ok());
        assert_eq!(
            credited(amount, &terms(10_001, 0), COMPLETED),
            Err(PayoutOverflow)
        );
        assert_eq!(
            credited(amount, &terms(0, 10_001), Ending::CancelledByGuestLate),
            Err(PayoutOverflow)
        );
    }

    #[test]
    fn a_bond_that_does_not_fit_beside_the_amount_is_refused() {
        let dispute = Ending::Disputed {
            attested: Outcome::NoShowHost,
            challenger: Side::Host,
            resolved: None,
        };
        let most = TokenAmount::new(U256::MAX);
        assert_eq!(credited(most, &terms(0, 0), dispute), Err(PayoutOverflow));
        let less = TokenAmount::new(U256::MAX - U256::ONE);
        let paid = credited(less, &terms(0, 0), dispute).unwrap();
        assert_eq!(paid.guest, most);
    }
}
