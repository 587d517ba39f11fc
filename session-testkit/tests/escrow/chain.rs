//! A chain as a value: what its accounts hold, and the time of its next block. A clone is a branch.

use revm::context::TxEnv;
use revm::context_interface::result::{ExecutionResult, Output};
use revm::database::InMemoryDB;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, Log, TxKind, U256};
use revm::state::AccountInfo;
use revm::{Context, ExecuteCommitEvm, MainBuilder, MainContext};

/// The chain of the reference deployment.
pub(crate) const CHAIN_ID: u64 = 42_431;
/// What one transaction may use there; also for a creation.
pub(crate) const GAS_MAX: u64 = 16_777_216;

#[derive(Clone)]
pub(crate) struct Chain {
    database: InMemoryDB,
    /// Seconds since the epoch, of the block that the next transaction is in.
    pub(crate) now: u64,
}

/// How a transaction ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) is_success: bool,
    /// What was returned, or the code of what was created.
    pub(crate) data: Bytes,
    pub(crate) logs: Vec<Log>,
    pub(crate) gas: u64,
    pub(crate) created: Option<Address>,
}

impl Chain {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            database: InMemoryDB::default(),
            now,
        }
    }

    /// Creates a contract from `from`, which must succeed.
    pub(crate) fn deploy(&mut self, from: Address, code: Vec<u8>) -> Ended {
        let ended = self.run(from, TxKind::Create, code, 0);
        assert!(ended.is_success, "nothing was deployed: {ended:?}");
        ended
    }

    /// Creates a contract, or fails.
    pub(crate) fn try_deploy(&mut self, from: Address, code: Vec<u8>) -> Ended {
        self.run(from, TxKind::Create, code, 0)
    }

    pub(crate) fn send(&mut self, from: Address, to: Address, data: Vec<u8>, value: u64) -> Ended {
        self.run(from, TxKind::Call(to), data, value)
    }

    fn run(&mut self, from: Address, kind: TxKind, data: Vec<u8>, value: u64) -> Ended {
        let transaction = TxEnv::builder()
            .caller(from)
            .kind(kind)
            .data(Bytes::from(data))
            .value(U256::from(value))
            .gas_limit(GAS_MAX)
            .gas_price(0)
            .chain_id(Some(CHAIN_ID))
            .build_fill();
        let now = self.now;
        let mut evm = Context::mainnet()
            .with_db(&mut self.database)
            .modify_cfg_chained(|cfg| {
                cfg.set_spec_and_mainnet_gas_params(SpecId::CANCUN);
                cfg.chain_id = CHAIN_ID;
                // Transactions are told apart by nothing here.
                cfg.disable_nonce_check = true;
            })
            .modify_block_chained(|block| {
                block.timestamp = U256::from(now);
                block.basefee = 0;
                block.gas_limit = GAS_MAX;
            })
            .build_mainnet();
        let result = evm.transact_commit(transaction).unwrap();
        let gas = result.tx_gas_used();
        match result {
            ExecutionResult::Success { output, logs, .. } => {
                let created = match &output {
                    Output::Create(_, created) => *created,
                    Output::Call(_) => None,
                };
                Ended {
                    is_success: true,
                    data: output.into_data(),
                    logs,
                    gas,
                    created,
                }
            }
            ExecutionResult::Revert { output, .. } => Ended {
                is_success: false,
                data: output,
                logs: Vec::new(),
                gas,
                created: None,
            },
            ExecutionResult::Halt { reason, .. } => panic!("the machine stopped: {reason:?}"),
        }
    }

    /// Gives native coin to an account.
    pub(crate) fn endow(&mut self, account: Address, coins: u64) {
        let mut info = self.info(account);
        info.balance = U256::from(coins);
        self.database.insert_account_info(account, info);
    }

    pub(crate) fn coins(&mut self, account: Address) -> U256 {
        self.info(account).balance
    }

    /// Puts a copy of a contract, with all that it remembers, at another address.
    pub(crate) fn copy(&mut self, from: Address, to: Address) {
        let info = self.info(from);
        let storage = self.database.load_account(from).unwrap().storage.clone();
        self.database.insert_account_info(to, info);
        for (place, word) in storage {
            self.write(to, place, word);
        }
    }

    pub(crate) fn read(&mut self, contract: Address, place: U256) -> U256 {
        let account = self.database.load_account(contract).unwrap();
        account.storage.get(&place).copied().unwrap_or_default()
    }

    pub(crate) fn write(&mut self, contract: Address, place: U256, word: U256) {
        self.database
            .insert_account_storage(contract, place, word)
            .unwrap();
    }

    fn info(&mut self, account: Address) -> AccountInfo {
        self.database.load_account(account).unwrap().info.clone()
    }
}
