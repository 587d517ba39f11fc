//! All ports put together, with handles to what a test wants to move.

use std::sync::Arc;

use session_core::changeset::{Draft, Key, Lane, Loaded};
use session_core::ledger::{
    Account, AccountKey, AccountKind, Action, Credits, Owner, Reason, Reference, Transfer,
};
use session_core::policy::Policy;
use session_core::ports::{Clock, Read, Snapshot, Store};
use session_core::service::{ExecuteError, Ports, Worked, beat, work_lane};
use session_core::types::{Seconds, Timestamp, TransferId, Unit, Wallet};

use crate::entropy::SeededEntropy;
use crate::escrows::FakeEscrows;
use crate::fakes::{FakeDispatcher, FakeEffects, FakeNames, FakeVerifications};
use crate::memory::MemoryStore;
use crate::time::ManualClock;

/// Ports made of fakes around a store.
#[derive(Debug, Clone)]
pub struct Bench {
    /// For the driver.
    pub ports: Ports,
    /// Time.
    pub clock: Arc<ManualClock>,
    /// Names.
    pub names: Arc<FakeNames>,
    /// Verifications.
    pub verifications: Arc<FakeVerifications>,
    /// The escrow contracts.
    pub escrows: Arc<FakeEscrows>,
    /// The outside world.
    pub effects: Arc<FakeEffects>,
}

impl Bench {
    /// Nobody has a name, nobody is verified; the clock stands at a fixed instant.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix(1_800_000_000)));
        let names = Arc::new(FakeNames::nobody());
        let verifications = Arc::new(FakeVerifications::nobody());
        let escrows = Arc::new(FakeEscrows::new(clock.clone()));
        let effects = Arc::new(FakeEffects::obliging());
        let ports = Ports {
            store,
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(seed)),
            names: names.clone(),
            verifications: verifications.clone(),
            escrows: escrows.clone(),
            effects: effects.clone(),
            dispatcher: Arc::new(FakeDispatcher),
            policy: Policy::default(),
        };
        Self {
            ports,
            clock,
            names,
            verifications,
            escrows,
            effects,
        }
    }

    /// A bench around a memory store of its own.
    #[must_use]
    pub fn in_memory(seed: u64) -> (Self, Arc<MemoryStore>) {
        let store = Arc::new(MemoryStore::new());
        (Self::new(store.clone(), seed), store)
    }

    /// A wallet that differs from every other number's.
    #[must_use]
    pub fn wallet(n: u32) -> Wallet {
        let mut bytes = [0x57; 20];
        bytes[16..].copy_from_slice(&n.to_be_bytes());
        Wallet::from_bytes(bytes)
    }

    /// Lets time pass second by second, with a server alive in each of them.
    ///
    /// # Errors
    /// [`ExecuteError`] of a beat.
    pub async fn pass(&self, span: Seconds) -> Result<(), ExecuteError> {
        for _ in 0..span.get() {
            self.clock.advance(Seconds::new(1));
            beat(&self.ports).await?;
        }
        Ok(())
    }

    /// Lets time pass as [`Bench::pass`], with workers looking at every lane in each second.
    ///
    /// # Errors
    /// [`ExecuteError`] of a beat or of a claim.
    pub async fn pass_with_workers(&self, span: Seconds) -> Result<(), ExecuteError> {
        for _ in 0..span.get() {
            self.pass(Seconds::new(1)).await?;
            self.work().await?;
        }
        Ok(())
    }

    /// One pass of the workers over every lane.
    ///
    /// # Errors
    /// [`ExecuteError`] where nothing could be claimed. Failures of single rows are in the result.
    pub async fn work(&self) -> Result<Vec<(Lane, Worked)>, ExecuteError> {
        let mut worked = Vec::with_capacity(Lane::ALL.len());
        for lane in Lane::ALL {
            worked.push((lane, work_lane(&self.ports, lane).await?));
        }
        Ok(worked)
    }

    /// Gives a wallet this much credit to use, as a base grant: the gate before rooms is open.
    ///
    /// # Errors
    /// A sentence, where the store refuses.
    pub async fn endow(&self, wallet: Wallet, credit: Seconds) -> Result<(), String> {
        let wanted = Credits {
            base_granted: credit,
            remaining: credit,
            ..Credits::default()
        };
        self.set_credits(wallet, wanted).await
    }

    /// The same ports, whose server's clock is ahead of the bench's by this much.
    #[must_use]
    pub fn ports_ahead(&self, span: Seconds) -> Ports {
        let clock = Arc::new(ManualClock::at(self.clock.now().after(span)));
        Ports {
            clock,
            ..self.ports.clone()
        }
    }

    /// Makes a wallet's credits these, through the ledger: adjusting transfers, whose identifiers
    /// come from the bench's entropy.
    ///
    /// # Errors
    /// A sentence, where the store refuses.
    pub async fn set_credits(&self, wallet: Wallet, wanted: Credits) -> Result<(), String> {
        let now = session_core::service::credits(&self.ports, wallet)
            .await
            .map_err(|error| error.to_string())?;
        let spendable = account(wallet, AccountKind::Wallet);
        let revenue = AccountKey::new(Owner::House, AccountKind::Revenue, Unit::Seconds);
        let mut draft = Draft::new();
        // Credits come before debits, so that no step goes below zero.
        let steps = [
            (
                account(wallet, AccountKind::GrantBase),
                now.base_granted,
                wanted.base_granted,
            ),
            (
                account(wallet, AccountKind::GrantBonus),
                now.bonus_granted,
                wanted.bonus_granted,
            ),
            (revenue, wanted.consumed(), now.consumed()),
        ];
        let mut orders = Vec::new();
        for (source, is, should) in steps {
            orders.push((source, spendable, should.saturating_sub(is)));
            orders.push((spendable, source, is.saturating_sub(should)));
        }
        orders.sort_by_key(|(debit, _, _)| *debit == spendable);
        for (debit, credit, amount) in orders {
            draft.transfer(self.adjustment(debit, credit, amount)?);
        }
        let changeset = draft.finish();
        if changeset.is_empty() {
            return Ok(());
        }
        self.ports
            .store
            .commit(&changeset)
            .await
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    /// The row of an account.
    ///
    /// # Errors
    /// A sentence, where the store fails.
    pub async fn account(&self, wallet: Wallet, kind: AccountKind) -> Result<Account, String> {
        let name = account(wallet, kind);
        let read = Read::Row(Key::Account(name));
        let snapshot = Snapshot::load(self.ports.store(), &[read]).await;
        let row: Loaded<Account> = snapshot.map_err(|e| e.to_string())?.row(Key::Account(name));
        Ok(row.value().copied().unwrap_or(Account::empty(name)))
    }

    fn adjustment(
        &self,
        debit: AccountKey,
        credit: AccountKey,
        amount: Seconds,
    ) -> Result<Transfer, String> {
        let mut nonce = [0; 16];
        self.ports
            .entropy
            .fill(&mut nonce)
            .map_err(|error| error.to_string())?;
        Ok(Transfer {
            id: TransferId::derive("adjustment", &[&nonce]),
            debit,
            credit,
            amount: amount.get(),
            action: Action::Posted,
            reason: Reason::AdminAdjust,
            reference: Reference::None,
            at: self.ports.clock.now(),
        })
    }
}

fn account(wallet: Wallet, kind: AccountKind) -> AccountKey {
    AccountKey::new(Owner::Wallet(wallet), kind, Unit::Seconds)
}
