//! C6: reservations: what is held, then posted or voided.

use session_core::changeset::Rejection;
use session_core::ledger::{Action, LedgerError, Transfer};
use session_core::types::TransferId;

use super::broken::{Broken, same};
use super::ledger::moved;
use super::rows::{at, grant, plain, spendable, transfer, transferring};
use super::stage::Stage;

/// C6.
pub(super) async fn a_reservation_is_resolved_once(stage: &Stage) -> Result<(), Broken> {
    let grants = [1, 2].map(|n| plain(grant(n, 10)));
    stage.granted("grants", &transferring(grants)).await?;
    let held = hold("hold", 1, 8);
    stage
        .granted("a reservation", &transferring([plain(held)]))
        .await?;
    let sums = stage.account(spendable(1)).await?;
    let seen = (sums.available(), sums.debits_pending, sums.balance());
    same(
        "available, held and balance of who gives",
        &seen,
        &(2, 8, 10),
    )?;
    let sums = stage.account(spendable(9)).await?;
    same(
        "what is to come",
        &(sums.available(), sums.credits_pending),
        &(0, 8),
    )?;

    let post = |cause: &str, amount| resolve(cause, held, Action::Post { of: held.id }, amount);
    let void = resolve("void", held, Action::Void { of: held.id }, 8);
    let malformed = |id: TransferId| Rejection::Ledger(LedgerError::Malformed(id));
    let over = post("over", 9);
    let what = "more posted than is held";
    stage
        .refused(what, &transferring([plain(over)]), malformed(over.id))
        .await?;
    let part = Transfer { amount: 7, ..void };
    let what = "voided in part";
    stage
        .refused(what, &transferring([plain(part)]), malformed(part.id))
        .await?;
    let foreign = Transfer {
        debit: spendable(2),
        ..post("foreign", 1)
    };
    let what = "posted from another account";
    stage
        .refused(what, &transferring([plain(foreign)]), malformed(foreign.id))
        .await?;

    stage
        .granted("posted in part", &transferring([plain(post("post", 5))]))
        .await?;
    let sums = stage.account(spendable(1)).await?;
    same(
        "left after posting",
        &(sums.available(), sums.debits_pending),
        &(5, 0),
    )?;
    same(
        "what came",
        &stage.account(spendable(9)).await?.balance(),
        &5,
    )?;
    let resolved = || Rejection::Ledger(LedgerError::NotReserved(held.id));
    let again = transferring([plain(post("again", 1))]);
    stage.refused("posted twice", &again, resolved()).await?;
    stage
        .refused(
            "posted, then voided",
            &transferring([plain(void)]),
            resolved(),
        )
        .await?;
    let receipt = stage
        .granted("the posting again", &transferring([plain(post("post", 5))]))
        .await?;
    same("its receipt", &receipt, &moved([(post("post", 5).id, 5)]))?;

    let other = hold("other", 2, 10);
    let void = resolve("void", other, Action::Void { of: other.id }, 10);
    stage
        .granted("another reservation", &transferring([plain(other)]))
        .await?;
    stage
        .granted("voided", &transferring([plain(void)]))
        .await?;
    let sums = stage.account(spendable(2)).await?;
    same(
        "left after voiding",
        &(sums.available(), sums.debits_pending),
        &(10, 0),
    )?;
    let late = resolve("late", other, Action::Post { of: other.id }, 1);
    let resolved = Rejection::Ledger(LedgerError::NotReserved(other.id));
    stage
        .refused(
            "voided, then posted",
            &transferring([plain(late)]),
            resolved,
        )
        .await?;
    let none = TransferId::derive("conformance", &[b"none"]);
    let orphan = resolve("orphan", other, Action::Void { of: none }, 10);
    let missing = Rejection::Ledger(LedgerError::NotReserved(none));
    stage
        .refused(
            "no such reservation",
            &transferring([plain(orphan)]),
            missing,
        )
        .await
}

/// C6.
pub(super) async fn a_late_reservation_can_only_be_voided(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("a grant", &transferring([plain(grant(1, 10))]))
        .await?;
    let stale = Transfer {
        action: Action::Pending { deadline: at(999) },
        ..hold("stale", 1, 2)
    };
    let passed = Rejection::Ledger(LedgerError::DeadlinePassed(stale.id));
    let what = "a reservation that is late at once";
    stage
        .refused(what, &transferring([plain(stale)]), passed)
        .await?;
    let (one, other) = (hold("one", 1, 4), hold("other", 1, 4));
    stage
        .granted(
            "two reservations until 1100",
            &transferring([one, other].map(plain)),
        )
        .await?;
    let post = |cause: &str, held: Transfer, seconds| Transfer {
        at: at(seconds),
        ..resolve(cause, held, Action::Post { of: held.id }, 4)
    };
    let in_time = transferring([plain(post("in time", one, 1100))]);
    stage.granted("posted at 1100", &in_time).await?;
    let passed = Rejection::Ledger(LedgerError::DeadlinePassed(other.id));
    let late = transferring([plain(post("late", other, 1101))]);
    stage.refused("posted at 1101", &late, passed).await?;
    let void = Transfer {
        at: at(1101),
        ..resolve("void", other, Action::Void { of: other.id }, 4)
    };
    stage
        .granted("voided at 1101", &transferring([plain(void)]))
        .await?;
    same(
        "what is left",
        &stage.account(spendable(1)).await?.available(),
        &6,
    )
}

/// A reservation of credit of this wallet for wallet 9, until 1100.
pub(super) fn hold(cause: &str, n: u32, amount: u64) -> Transfer {
    Transfer {
        action: Action::Pending { deadline: at(1100) },
        ..transfer(cause, spendable(n), spendable(9), amount)
    }
}

pub(super) fn resolve(cause: &str, held: Transfer, action: Action, amount: u64) -> Transfer {
    Transfer {
        action,
        ..transfer(cause, held.debit, held.credit, amount)
    }
}
