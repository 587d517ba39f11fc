//! Two chains that live through the same: on one every contract was compiled with its revert
//! strings, on the other without.

use revm::primitives::{Address, Bytes, Log, U256};
use session_testkit::contracts::{Build, Contract, EscrowSettings};

use super::abi::{self, Refusal};
use super::chain::{Chain, Ended};

#[derive(Clone)]
pub(crate) struct Twins {
    normal: Chain,
    stripped: Chain,
}

/// What a call that succeeded did. `gas` is that of the build with strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) data: Bytes,
    pub(crate) logs: Vec<Log>,
    pub(crate) gas: u64,
}

impl Done {
    /// The returned word, where there is one and no other.
    pub(crate) fn word(&self) -> U256 {
        let words = abi::words(&self.data);
        assert_eq!(words.len(), 1, "{words:?}");
        words[0]
    }

    /// The data of the only log with this signature, as words.
    pub(crate) fn log(&self, signature: &str) -> Vec<U256> {
        let mut logs = self.logs.iter().filter(|log| {
            log.topics()
                .first()
                .is_some_and(|topic| *topic == abi::topic(signature))
        });
        let found = logs.next().unwrap_or_else(|| panic!("no log {signature}"));
        assert!(logs.next().is_none(), "two logs {signature}");
        abi::words(&found.data.data)
    }
}

impl Twins {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            normal: Chain::new(now),
            stripped: Chain::new(now),
        }
    }

    pub(crate) fn deploy(&mut self, from: Address, contract: Contract) -> Address {
        let code = |build| contract.artefact(build).init_code.clone();
        let normal = self.normal.deploy(from, code(Build::Normal));
        let stripped = self.stripped.deploy(from, code(Build::Stripped));
        assert_eq!(normal.created, stripped.created);
        assert_eq!(
            normal.data,
            *contract.artefact(Build::Normal).runtime_code()
        );
        assert_eq!(
            stripped.data,
            *contract.artefact(Build::Stripped).runtime_code()
        );
        normal.created.unwrap()
    }

    pub(crate) fn deploy_escrow(
        &mut self,
        from: Address,
        contract: Contract,
        settings: &EscrowSettings,
    ) -> Result<(Address, u64), Refusal> {
        let code = |build| settings.init_code(contract, build);
        let normal = self.normal.try_deploy(from, code(Build::Normal));
        let stripped = self.stripped.try_deploy(from, code(Build::Stripped));
        assert_eq!(normal.created, stripped.created);
        let created = normal.created;
        for (build, ended) in [(Build::Normal, &normal), (Build::Stripped, &stripped)] {
            if ended.is_success {
                assert_eq!(ended.data, *contract.artefact(build).runtime_code());
            }
        }
        let done = compare(normal, &stripped, false)?;
        Ok((created.unwrap(), done.gas))
    }

    /// Creates a contract from code that is the same on both.
    pub(crate) fn deploy_code(&mut self, from: Address, code: &[u8]) -> Address {
        let normal = self.normal.deploy(from, code.to_vec());
        let stripped = self.stripped.deploy(from, code.to_vec());
        assert_eq!(normal.created, stripped.created);
        normal.created.unwrap()
    }

    pub(crate) fn send(
        &mut self,
        from: Address,
        to: Address,
        data: &[u8],
        value: u64,
    ) -> Result<Done, Refusal> {
        let normal = self.normal.send(from, to, data.to_vec(), value);
        let stripped = self.stripped.send(from, to, data.to_vec(), value);
        compare(normal, &stripped, true)
    }

    pub(crate) fn now(&self) -> u64 {
        self.normal.now
    }

    pub(crate) fn set_now(&mut self, now: u64) {
        self.each(|chain| chain.now = now);
    }

    pub(crate) fn each<T: PartialEq + std::fmt::Debug>(
        &mut self,
        act: impl Fn(&mut Chain) -> T,
    ) -> T {
        let normal = act(&mut self.normal);
        assert_eq!(normal, act(&mut self.stripped));
        normal
    }
}

/// The two answers as one. They agree in all but strings and gas.
fn compare(normal: Ended, stripped: &Ended, with_data: bool) -> Result<Done, Refusal> {
    assert_eq!(normal.is_success, stripped.is_success);
    assert_eq!(normal.logs, stripped.logs);
    if normal.is_success {
        if with_data {
            assert_eq!(normal.data, stripped.data);
        }
        return Ok(Done {
            data: normal.data,
            logs: normal.logs,
            gas: normal.gas,
        });
    }
    let refusal = Refusal::of(&normal.data);
    match refusal {
        Refusal::Said(_) => assert!(stripped.data.is_empty(), "{stripped:?} was stripped"),
        Refusal::Silent | Refusal::Panicked(_) => assert_eq!(normal.data, stripped.data),
    }
    Err(refusal)
}
