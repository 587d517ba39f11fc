//! Exchanges over HTTP, replayed against the real router.

mod chain;
mod compare;
mod config;
mod media;
mod mint;
mod record;
mod replay;
mod request;
mod rule;
mod template;

use std::sync::Arc;

use serde_json::Value;

use crate::case::{Case, Work};
use crate::report::Verdict;
use crate::shape::name_of;
use crate::stores::OpenStore;
use config::Config;
use record::Scenario;

/// A scenario, ready to run.
#[derive(Debug)]
pub struct Replay {
    scenario: Scenario,
    config: Arc<Config>,
}

impl Replay {
    /// Runs it on an empty store. It has failed with the first step that fails, since later steps
    /// build on it.
    ///
    /// # Errors
    /// What differs.
    pub async fn run(&self, empty: &OpenStore) -> Verdict {
        replay::replay(&self.scenario, &self.config, empty).await
    }
}

/// One case for each scenario. One that is not understood has failed before it starts.
pub(crate) fn cases(scenarios: &[Value], config: Option<&Value>) -> Vec<Case> {
    let config = Config::read(config).map(Arc::new);
    let work = |scenario: &Value| {
        let config = config.clone()?;
        Ok(Replay {
            scenario: Scenario::read(scenario)?,
            config,
        })
    };
    let case = |(scenario, index): (&Value, usize)| {
        let name = name_of(scenario, index);
        let work = match work(scenario) {
            Ok(replay) => Work::Replay(Box::new(replay)),
            Err(difference) => Work::Check(Box::new(|| Err(difference))),
        };
        Case {
            spellings: Some(vec![name.clone(), format!("scenarios/{name}")]),
            name,
            work,
        }
    };
    scenarios.iter().zip(0..).map(case).collect()
}
