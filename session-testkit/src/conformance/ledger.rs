//! C6, C7: transfers, guards, reservations, and what the receipt tells.

use session_core::changeset::{Changeset, Key, Receipt, Rejection};
use session_core::ledger::{
    AccountKey, AccountKind, Action, Guard, LedgerError, Order, Owner, Rail, Reason, Reference,
    SUM_MAX, Transfer,
};
use session_core::types::{TransferId, Unit};

use super::broken::{Broken, same};
use super::reservations::{hold, resolve};
use super::rows::{
    account, at, connection, grant, guarded, plain, revenue, spendable, transfer, transferring,
    wallet,
};
use super::stage::Stage;

/// C6.
pub(super) async fn a_transfer_moves_both_sums(stage: &Stage) -> Result<(), Broken> {
    let receipt = stage
        .granted("a grant", &transferring([plain(grant(1, 30))]))
        .await?;
    same("its receipt", &receipt, &moved([(grant(1, 30).id, 30)]))?;
    let spend = transfer("spend", spendable(1), spendable(2), 12);
    stage
        .granted("a transfer", &transferring([plain(spend)]))
        .await?;
    same(
        "who got and gave",
        &stage.account(spendable(1)).await?.balance(),
        &18,
    )?;
    same(
        "who got",
        &stage.account(spendable(2)).await?.balance(),
        &12,
    )?;
    let source = stage.account(account(1, AccountKind::GrantBase)).await?;
    same("who gave", &source.balance(), &-30)?;
    let sums = stage.account(spendable(1)).await?;
    same(
        "sums",
        &(sums.credits_posted, sums.debits_posted),
        &(30, 12),
    )
}

/// C6.
pub(super) async fn derived_accounts_get_no_row(stage: &Stage) -> Result<(), Broken> {
    let house = |kind| AccountKey::new(Owner::House, kind, Unit::Seconds);
    let derived = [
        revenue(),
        house(AccountKind::External(Rail::Lightning)),
        house(AccountKind::External(Rail::Usdc)),
        house(AccountKind::Breakage),
        house(AccountKind::Loss),
    ];
    for other in derived {
        let into = transfer(&format!("into {other}"), spendable(1), other, 4);
        let out = transfer("out of", other, spendable(1), 4);
        let receipt = stage
            .granted("there and back", &transferring([out, into].map(plain)))
            .await?;
        let what = format!("the receipt of transfers from and to {other}");
        same(what, &receipt, &moved([(into.id, 4), (out.id, 4)]))?;
        let version = stage.version(&Key::Account(other)).await?;
        same(format!("the row of {other}"), &version, &None)?;
    }
    same(
        "who took part",
        &stage.account(spendable(1)).await?.credits_posted,
        &20,
    )
}

/// C7.
pub(super) async fn a_repeat_gets_the_first_answer(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("a grant", &transferring([plain(grant(1, 10))]))
        .await?;
    let spend = transfer("spend", spendable(1), revenue(), 4);
    let up_to = |amount| {
        let rest = transfer("rest", spendable(1), revenue(), amount);
        guarded(rest, Guard::UpTo)
    };
    let asked = transferring([plain(spend), up_to(9)]);
    let receipt = stage.granted("two transfers", &asked).await?;
    let first = moved([(spend.id, 4), (up_to(9).transfer.id, 6)]);
    same("their receipt", &receipt, &first)?;
    let later = Transfer {
        at: at(2000),
        ..spend
    };
    // Of an amount that is bounded by what there is, a repeat may ask for another.
    for repeat in [
        transferring([plain(spend), up_to(9)]),
        transferring([plain(later), up_to(1)]),
        transferring([guarded(spend, Guard::AtLeast(999)), up_to(500)]),
    ] {
        let receipt = stage.granted("a repeat", &repeat).await?;
        same("the receipt of a repeat", &receipt, &first)?;
    }
    let twice = transferring([plain(grant(2, 3)), plain(grant(2, 3))]);
    let receipt = stage
        .granted("one transfer twice in a changeset", &twice)
        .await?;
    same("its receipt", &receipt, &moved([(grant(2, 3).id, 3)]))?;
    same(
        "what it moved",
        &stage.account(spendable(2)).await?.balance(),
        &3,
    )?;
    let sums = stage.account(spendable(1)).await?;
    same(
        "sums after repeats",
        &(sums.credits_posted, sums.debits_posted),
        &(10, 10),
    )?;
    let version = stage.version(&Key::Account(spendable(1))).await?;
    same(
        "the version of an account after repeats",
        &version,
        &Some(2),
    )
}

/// C6.
pub(super) async fn an_identifier_with_other_content_is_refused(
    stage: &Stage,
) -> Result<(), Broken> {
    stage
        .granted("grants", &transferring([1, 2].map(|n| plain(grant(n, 50)))))
        .await?;
    let first = transfer("first", spendable(1), spendable(3), 5);
    stage
        .granted("a transfer", &transferring([plain(first)]))
        .await?;
    let others = [
        ("amount", Transfer { amount: 6, ..first }),
        (
            "debited account",
            Transfer {
                debit: spendable(2),
                ..first
            },
        ),
        (
            "credited account",
            Transfer {
                credit: spendable(2),
                ..first
            },
        ),
        (
            "reason",
            Transfer {
                reason: Reason::DebitUsage,
                ..first
            },
        ),
        (
            "reference",
            Transfer {
                reference: Reference::Connection(connection(1)),
                ..first
            },
        ),
        (
            "action",
            Transfer {
                action: Action::Pending { deadline: at(2000) },
                ..first
            },
        ),
    ];
    for (what, other) in others {
        let mismatch = Rejection::Ledger(LedgerError::IdMismatch(first.id));
        let what = format!("the same identifier with another {what}");
        stage
            .refused(&what, &transferring([plain(other)]), mismatch)
            .await?;
    }
    same(
        "what moved",
        &stage.account(spendable(3)).await?.balance(),
        &5,
    )
}

/// C6.
pub(super) async fn a_refused_identifier_stays_free(stage: &Stage) -> Result<(), Broken> {
    let spend = |amount| transfer("spend", spendable(1), revenue(), amount);
    let poor = Rejection::Ledger(LedgerError::Insufficient(spendable(1)));
    stage
        .refused(
            "a transfer without credit",
            &transferring([plain(spend(5))]),
            poor,
        )
        .await?;
    let nothing = transferring([guarded(spend(5), Guard::UpTo)]);
    let receipt = stage
        .granted("as much as there is of nothing", &nothing)
        .await?;
    same("its receipt", &receipt, &moved([(spend(5).id, 0)]))?;
    stage
        .granted("a grant", &transferring([plain(grant(1, 9))]))
        .await?;
    let receipt = stage
        .granted("another amount", &transferring([plain(spend(7))]))
        .await?;
    same("its receipt", &receipt, &moved([(spend(7).id, 7)]))
}

/// C6.
pub(super) async fn guards_bound_what_moves(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("a grant", &transferring([plain(grant(1, 10))]))
        .await?;
    let order = |cause: &str, amount, guard| {
        guarded(transfer(cause, spendable(1), spendable(2), amount), guard)
    };
    let poor = || Rejection::Ledger(LedgerError::Insufficient(spendable(1)));
    let over = transferring([order("a", 3, Guard::AtLeast(11))]);
    stage
        .refused("at least one more than there is", &over, poor())
        .await?;
    let steps = [
        (
            "at least what there is",
            order("a", 3, Guard::AtLeast(10)),
            3,
        ),
        ("no more than there is", order("b", 5, Guard::UpTo), 5),
        (
            "less than there is, asked for more",
            order("c", 9, Guard::UpTo),
            2,
        ),
        ("nothing, asked for more", order("d", 9, Guard::UpTo), 0),
    ];
    for (what, order, amount) in steps {
        let receipt = stage.granted(what, &transferring([order])).await?;
        same(what, &receipt, &moved([(order.transfer.id, amount)]))?;
    }
    let least = transferring([order("e", 1, Guard::AtLeast(1))]);
    stage
        .refused("at least 1 of nothing", &least, poor())
        .await?;
    let held = transferring([plain(grant(3, 10)), plain(hold("hold", 3, 8))]);
    stage.granted("8 of 10 held", &held).await?;
    let beside_hold = guarded(transfer("x", spendable(3), revenue(), 9), Guard::UpTo);
    let receipt = stage
        .granted("what is not held", &transferring([beside_hold]))
        .await?;
    same(
        "what is not held",
        &receipt,
        &moved([(beside_hold.transfer.id, 2)]),
    )
}

/// C6.
pub(super) async fn what_may_not_owe_never_does(stage: &Stage) -> Result<(), Broken> {
    for kind in [
        AccountKind::Wallet,
        AccountKind::Pool,
        AccountKind::Refundable,
    ] {
        let empty = account(7, kind);
        let debit = transferring([plain(transfer("debit", empty, revenue(), 1))]);
        let poor = Rejection::Ledger(LedgerError::Insufficient(empty));
        stage
            .refused(&format!("a debit of the empty {empty}"), &debit, poor)
            .await?;
    }
    for kind in [AccountKind::GrantBase, AccountKind::GrantBonus] {
        let source = account(7, kind);
        let debit = transferring([plain(transfer("debit", source, revenue(), 2))]);
        stage
            .granted(&format!("a debit of the empty {source}"), &debit)
            .await?;
        same(source, &stage.account(source).await?.balance(), &-2)?;
    }
    stage
        .granted("a grant", &transferring([plain(grant(1, 10))]))
        .await?;
    let all = transferring([plain(transfer("all", spendable(1), revenue(), 10))]);
    stage.granted("all that there is", &all).await?;
    let one = transferring([plain(transfer("one", spendable(1), revenue(), 1))]);
    let poor = Rejection::Ledger(LedgerError::Insufficient(spendable(1)));
    stage.refused("one more than there is", &one, poor).await
}

/// C6.
pub(super) async fn transfers_of_a_changeset_see_each_other(stage: &Stage) -> Result<(), Broken> {
    let onward = transfer("onward", spendable(1), spendable(2), 10);
    let poor = Rejection::Ledger(LedgerError::Insufficient(spendable(1)));
    let backwards = transferring([plain(onward), plain(grant(1, 10))]);
    stage
        .refused("spent before it is granted", &backwards, poor)
        .await?;
    let all = guarded(transfer("all", spendable(2), revenue(), 99), Guard::UpTo);
    let chain = transferring([plain(grant(1, 10)), plain(onward), all]);
    let receipt = stage.granted("granted, moved on, spent", &chain).await?;
    let expected = moved([
        (grant(1, 10).id, 10),
        (onward.id, 10),
        (all.transfer.id, 10),
    ]);
    same("its receipt", &receipt, &expected)?;
    for key in [spendable(1), spendable(2)] {
        same(key, &stage.account(key).await?.balance(), &0)?;
        // Several transfers of one changeset are one write of the account.
        let version = stage.version(&Key::Account(key)).await?;
        same(format!("the version of {key}"), &version, &Some(1))?;
    }
    stage
        .granted("more", &transferring([plain(grant(3, 9))]))
        .await?;
    let held = hold("hold", 3, 9);
    let post = resolve("post", held, Action::Post { of: held.id }, 4);
    stage
        .granted(
            "held and posted at once",
            &transferring([held, post].map(plain)),
        )
        .await?;
    let sums = stage.account(spendable(3)).await?;
    same(
        "what is left",
        &(sums.available(), sums.debits_pending),
        &(5, 0),
    )
}

/// C6.
pub(super) async fn sums_stop_at_the_limit(stage: &Stage) -> Result<(), Broken> {
    let full = || Rejection::Ledger(LedgerError::Overflow(account(1, AccountKind::GrantBase)));
    let absurd = transferring([plain(grant(1, u64::MAX))]);
    stage.refused("more than any sum", &absurd, full()).await?;
    let receipt = stage
        .granted(
            "the greatest sum",
            &transferring([plain(grant(1, SUM_MAX))]),
        )
        .await?;
    same(
        "its receipt",
        &receipt,
        &moved([(grant(1, SUM_MAX).id, SUM_MAX)]),
    )?;
    let sums = stage.account(spendable(1)).await?;
    same("the greatest sum", &sums.credits_posted, &SUM_MAX)?;
    let more = transfer("more", account(2, AccountKind::GrantBase), spendable(1), 1);
    let full = Rejection::Ledger(LedgerError::Overflow(spendable(1)));
    stage
        .refused(
            "one more than the greatest sum",
            &transferring([plain(more)]),
            full,
        )
        .await
}

/// C6.
pub(super) async fn a_malformed_transfer_is_refused(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("a grant", &transferring([plain(grant(1, 10))]))
        .await?;
    let sound = transfer("sound", spendable(1), spendable(2), 1);
    let sats = AccountKey::new(Owner::Wallet(wallet(2)), AccountKind::Wallet, Unit::Sats);
    let malformed = [
        ("no amount", Transfer { amount: 0, ..sound }),
        (
            "two units",
            Transfer {
                credit: sats,
                ..sound
            },
        ),
        (
            "one account",
            Transfer {
                credit: spendable(1),
                ..sound
            },
        ),
    ];
    for (what, transfer) in malformed {
        let why = Rejection::Ledger(LedgerError::Malformed(transfer.id));
        let beside = |order: Order| Changeset {
            transfers: vec![order],
            ..Changeset::default()
        };
        stage
            .refused(what, &beside(plain(transfer)), why.clone())
            .await?;
        let up_to = guarded(transfer, Guard::UpTo);
        stage
            .refused(&format!("{what}, as much as there is"), &beside(up_to), why)
            .await?;
    }
    stage
        .granted("none of that", &transferring([plain(sound)]))
        .await?;
    Ok(())
}

/// A receipt.
pub(super) fn moved(amounts: impl IntoIterator<Item = (TransferId, u64)>) -> Receipt {
    Receipt {
        moved: amounts.into_iter().collect(),
    }
}
