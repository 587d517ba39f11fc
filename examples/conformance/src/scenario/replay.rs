//! Running a scenario, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use serde_json::Value;
use session_core::changeset::{Key, Lane};
use session_core::ledger::Credits;
use session_core::service::{beat, credits, work_lane};
use session_core::types::{Seconds, Timestamp, Wallet};
use session_testkit::bench::Bench;
use session_testkit::fakes::InlineDispatcher;

use super::chain::Chain;
use super::compare::{Extras, compare};
use super::config::Config;
use super::media::Seat;
use super::record::{CreditRow, Exchange, Ours, RecordedBody, Scenario, Step};
use super::request::{Answer, Filled};
use super::rule::Surroundings;
use super::template::Scope;
use crate::app;
use crate::report::{Difference, Verdict, quoted, shown};
use crate::stores::OpenStore;

/// What every scenario draws its random values from.
const SEED: u64 = 1;

/// How often workers look for work, in seconds of the manual clock.
const WORKERS_EVERY_SECONDS: u64 = 5;

/// Runs a scenario on an empty store, up to its first step that fails.
pub(super) async fn replay(scenario: &Scenario, config: &Config, empty: &OpenStore) -> Verdict {
    let mut bench = Bench::new(empty.store.clone(), SEED);
    let chain = Chain::of(&bench, config.chain_id, scenario.profile);
    bench.ports.escrows = chain.port();
    // What a request waits for is done before it is answered.
    bench.ports.dispatcher = Arc::new(InlineDispatcher);
    let router = app::router(
        bench.ports.clone(),
        config.issuer(),
        config.jwt_keys.clone(),
        chain.bookings(scenario.profile, &config.service_token),
    );
    let vars = scenario.given.vars.clone();
    let mut run = Run {
        scenario,
        config,
        bench,
        chain,
        router,
        vars,
        seats: BTreeMap::new(),
    };
    run.prepare()
        .await
        .map_err(|error| error.within("/given"))?;
    for (step, number) in scenario.steps.iter().zip(1..) {
        let place = match step {
            Step::AdvanceClock(_) => format!("step {number} advance_clock"),
            Step::Request(exchange) => {
                let request = &exchange.request;
                format!("step {number} {} {}", request.method, request.path)
            }
            Step::SetCredits(_) => format!("step {number} set_credits"),
        };
        run.step(step).await.map_err(|error| error.within(place))?;
    }
    Ok(())
}

struct Run<'a> {
    scenario: &'a Scenario,
    config: &'a Config,
    bench: Bench,
    chain: Chain,
    router: Router,
    vars: BTreeMap<String, Value>,
    /// What joining said, by connection: a renewal does not repeat it.
    seats: BTreeMap<String, Seat>,
}

impl Run<'_> {
    async fn prepare(&mut self) -> Verdict {
        let given = &self.scenario.given;
        for (account, name) in given.names.iter().filter(|(_, name)| !name.is_empty()) {
            self.bench.names.give(self.wallet(account)?, name);
        }
        for (account, at) in &given.verified_at {
            self.bench
                .verifications
                .verify(self.wallet(account)?, Timestamp::from_unix(*at));
        }
        for row in &given.credits {
            self.set_credits(row).await?;
        }
        let (chain, accounts) = (&given.chain, &given.accounts);
        self.chain.prepare(chain, accounts, &self.bench).await?;
        self.beat().await
    }

    async fn step(&mut self, step: &Step) -> Verdict {
        match step {
            Step::AdvanceClock(seconds) => self.advance(*seconds).await,
            Step::Request(exchange) => self.exchange(exchange).await,
            Step::SetCredits(rows) => {
                for row in rows {
                    self.set_credits(row).await?;
                }
                Ok(())
            }
        }
    }

    /// Lets time pass as it passes for a live server: its beat every second, its workers often.
    async fn advance(&self, seconds: u64) -> Verdict {
        for second in 1..=seconds {
            self.bench.clock.advance(Seconds::new(1));
            self.beat().await?;
            if second % WORKERS_EVERY_SECONDS == 0 || second == seconds {
                self.work().await?;
            }
        }
        Ok(())
    }

    async fn beat(&self) -> Verdict {
        let beat = beat(&self.bench.ports).await;
        beat.map(drop)
            .map_err(|error| Difference::new(format!("beat: {error}")))
    }

    async fn work(&self) -> Verdict {
        for lane in Lane::ALL {
            let failed = |error: &dyn std::fmt::Display| {
                Difference::new(format!("worker of lane {}: {error}", lane.name()))
            };
            let worked = work_lane(&self.bench.ports, lane).await;
            let worked = worked.map_err(|error| failed(&error))?;
            // Without a chain, nothing can be settled: that is no failure of a worker.
            let mut failed_rows = worked.failed.iter();
            let unexpected = failed_rows
                .find(|(key, _)| !(self.chain.is_down() && matches!(key, Key::BookedSession(_))));
            if let Some((key, error)) = unexpected {
                return Err(failed(&format!("{key}: {error}")));
            }
        }
        Ok(())
    }

    async fn set_credits(&self, row: &CreditRow) -> Verdict {
        let wallet = self.wallet(&row.account)?;
        let now = credits(&self.bench.ports, wallet)
            .await
            .map_err(Difference::new)?;
        let base_granted = row.base_granted.map_or(now.base_granted, Seconds::new);
        let bonus_granted = row.bonus_granted.map_or(now.bonus_granted, Seconds::new);
        let consumed = row.consumed.map_or(now.consumed(), Seconds::new);
        let remaining = base_granted
            .checked_add(bonus_granted)
            .and_then(|granted| granted.checked_sub(consumed))
            .ok_or_else(|| {
                Difference::not_understood(format!("{}: more consumed than granted", row.account))
            })?;
        let wanted = Credits {
            base_granted,
            bonus_granted,
            remaining,
        };
        self.bench
            .set_credits(wallet, wanted)
            .await
            .map_err(Difference::new)
    }

    /// The wallet of an account's name, or of an address.
    fn wallet(&self, account: &str) -> Result<Wallet, Difference> {
        let scope = self.scope();
        let named = scope.fill(account)?;
        named.parse().or_else(|_| Ok(scope.account(&named)?.wallet))
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            accounts: &self.scenario.given.accounts,
            vars: &self.vars,
            jwt_secret: &self.config.jwt_secret,
            now: self.bench.ports.clock.now(),
        }
    }

    async fn exchange(&mut self, exchange: &Exchange) -> Verdict {
        let request = Filled::new(&exchange.request, &self.scope())?;
        let answer = request.send(self.router.clone()).await?;
        let body = answer.json();
        let unbound = self.bind(exchange, body.as_ref());
        let seat = self.seat_of(&request);
        self.remember_seat(body.as_ref());
        let nothing = Value::Null;
        let unchained = self.chain.unlike(exchange.effect);
        let exchanged = Exchanged {
            exchange,
            request: &request,
            answer: &answer,
            body: body.as_ref(),
            around: Surroundings {
                scope: self.scope(),
                config: self.config,
                body: body.as_ref().unwrap_or(&nothing),
                seat: &seat,
            },
            unbound,
        };
        let mut differences = exchanged.differences()?;
        differences.extend(unchained);
        Difference::all(differences)
    }

    /// Binds variables, and tells which pointers lead nowhere.
    fn bind(&mut self, exchange: &Exchange, body: Option<&Value>) -> Vec<Difference> {
        let mut unbound = Vec::new();
        for (variable, pointer) in &exchange.bind {
            match body.and_then(|body| body.pointer(pointer)) {
                Some(value) => {
                    self.vars.insert(variable.clone(), value.clone());
                }
                None => unbound.push(Difference::between(
                    pointer,
                    format!("a value for variable {variable}"),
                    "no such member",
                )),
            }
        }
        unbound
    }

    fn seat_of(&self, request: &Filled) -> Seat {
        let member = |name: &str| request.json.as_ref()?.get(name)?.as_str();
        let seat = member("connection_id").and_then(|connection| self.seats.get(connection));
        let room = member("room_id").map(|room| format!("heaven-free-{room}"));
        seat.cloned().unwrap_or_default().or(&Seat {
            channel: room,
            uid: None,
        })
    }

    fn remember_seat(&mut self, body: Option<&Value>) {
        let connection = body.and_then(|body| body.get("connection_id")?.as_str());
        if let (Some(connection), Some(body)) = (connection, body) {
            self.seats
                .insert(connection.to_owned(), Seat::told_by(body));
        }
    }
}

/// A request, its answer, and what should have been answered.
struct Exchanged<'a> {
    exchange: &'a Exchange,
    request: &'a Filled,
    answer: &'a Answer,
    body: Option<&'a Value>,
    around: Surroundings<'a>,
    unbound: Vec<Difference>,
}

impl Exchanged<'_> {
    fn differences(&self) -> Result<Vec<Difference>, Difference> {
        match &self.exchange.ours {
            None => self.unlike_recorded(),
            Some(Ours {
                statuses,
                json: None,
            }) if statuses.is_empty() => self.unlike_recorded(),
            Some(ours) => self.unlike_ours(ours),
        }
    }

    fn unlike_recorded(&self) -> Result<Vec<Difference>, Difference> {
        let recorded = &self.exchange.recorded;
        if self.answer.status != recorded.status {
            return Ok(vec![self.unlike_status(&[recorded.status])]);
        }
        let mut differences = self.unlike_headers()?;
        match &recorded.body {
            RecordedBody::Any => {}
            RecordedBody::Json(expected) => {
                let expected = self.around.scope.fill_value(expected)?;
                differences.extend(self.unlike_json(&expected, self.extras()));
            }
            RecordedBody::Text(expected) => {
                let expected = self.around.scope.fill(expected)?;
                let got = self.answer.text();
                if expected != got {
                    differences.push(Difference::between("body", quoted(&expected), quoted(&got)));
                }
            }
        }
        differences.extend(self.unbound.iter().cloned());
        Ok(differences)
    }

    /// Where ours names no body, any error of the house will do for an error; a success that was
    /// recorded as such is the recorded one.
    fn unlike_ours(&self, ours: &Ours) -> Result<Vec<Difference>, Difference> {
        let (status, recorded) = (self.answer.status, self.exchange.recorded.status);
        let wanted = if ours.statuses.is_empty() {
            &[recorded][..]
        } else {
            ours.statuses.as_slice()
        };
        if !wanted.contains(&status) {
            return Ok(vec![self.unlike_status(wanted)]);
        }
        match &ours.json {
            Some(expected) => {
                let expected = self.around.scope.fill_value(expected)?;
                Ok(self.unlike_json(&expected, Extras::Free))
            }
            None if status < 400 && status == recorded => self.unlike_recorded(),
            None => Ok(self.unlike_house(status).into_iter().collect()),
        }
    }

    /// An error says `error`, and a success does not.
    fn unlike_house(&self, status: u16) -> Option<Difference> {
        let error = self.body.and_then(|body| body.get("error"));
        let is_error = error
            .and_then(Value::as_str)
            .is_some_and(|error| !error.is_empty());
        let (wanted, is_right) = if status >= 400 {
            ("a text that is not empty", is_error)
        } else {
            ("no such member", error.is_none())
        };
        let got = || error.map_or_else(|| quoted(&self.answer.text()), shown);
        (!is_right).then(|| Difference::between("/error", wanted, got()))
    }

    fn unlike_status(&self, wanted: &[u16]) -> Difference {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let got = format!(
            "{} with body {}",
            self.answer.status,
            quoted(&self.answer.text())
        );
        Difference::between("status", wanted.join(" or "), got)
    }

    fn unlike_headers(&self) -> Result<Vec<Difference>, Difference> {
        let mut differences = Vec::new();
        for (name, expected) in &self.exchange.recorded.headers {
            let expected = expected
                .as_ref()
                .map(|expected| self.around.scope.fill(expected))
                .transpose()?;
            let got = self.answer.header(name);
            let is_same = match (&expected, &got) {
                (Some(expected), Some(got)) if name.eq_ignore_ascii_case("content-type") => {
                    media_type(expected) == media_type(got)
                }
                (expected, got) => expected == got,
            };
            if !is_same {
                let [expected, got] = [expected, got]
                    .map(|value| value.map_or_else(|| "none".to_owned(), |value| quoted(&value)));
                differences.push(Difference::between(format!("header {name}"), expected, got));
            }
        }
        Ok(differences)
    }

    fn unlike_json(&self, expected: &Value, extras: Extras) -> Vec<Difference> {
        match self.body {
            Some(body) => compare(expected, body, extras, &self.exchange.compare, &self.around),
            None => {
                let got = quoted(&self.answer.text());
                vec![Difference::between("body", shown(expected), got)]
            }
        }
    }

    fn extras(&self) -> Extras {
        let path = self.request.path.split('?').next().unwrap_or_default();
        Extras::House {
            is_error: self.answer.status >= 400,
            is_leave: self.answer.status < 400 && path.ends_with("/leave"),
        }
    }
}

/// A media type as it is to be compared: neither the case of its words nor blanks around its
/// parameters mean anything.
fn media_type(text: &str) -> Vec<String> {
    text.split(';')
        .map(|part| part.trim().to_ascii_lowercase())
        .collect()
}
