//! A scenario as it was recorded.

use std::collections::BTreeMap;

use serde_json::Value;
use session_core::crypto::LocalSigner;
use session_core::types::{Wallet, decode_hex_array};

use super::chain::{ChainEffect, GivenChain, Profile};
use super::rule;
use crate::members::{Members, integer_of};
use crate::report::{Difference, quoted, shown};

/// The longest a clock is advanced in one step, in seconds: a week is the longest span that any
/// rule of the house looks back.
const ADVANCE_MAX_SECONDS: u64 = 8 * 24 * 3600;

#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) profile: Profile,
    pub(super) given: Given,
    pub(super) steps: Vec<Step>,
}

/// What there is before the first step.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) credits: Vec<CreditRow>,
    pub(super) names: Vec<(String, String)>,
    pub(super) verified_at: Vec<(String, u64)>,
    pub(super) vars: BTreeMap<String, Value>,
    pub(super) chain: GivenChain,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) wallet: Wallet,
    /// Absent for wallets of which only the address is known.
    pub(super) signer: Option<LocalSigner>,
}

/// The numbers of a wallet's credit. One that is not named stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CreditRow {
    /// The name of an account, or an address.
    pub(super) account: String,
    pub(super) base_granted: Option<u64>,
    pub(super) bonus_granted: Option<u64>,
    pub(super) consumed: Option<u64>,
}

#[derive(Debug)]
pub(super) enum Step {
    AdvanceClock(u64),
    Request(Box<Exchange>),
    SetCredits(Vec<CreditRow>),
}

/// A request and what must come back.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) request: Request,
    pub(super) recorded: Recorded,
    pub(super) ours: Option<Ours>,
    /// Variable to pointer into the answer.
    pub(super) bind: Vec<(String, String)>,
    /// Pointer into the answer to the text of a rule.
    pub(super) compare: BTreeMap<String, String>,
    /// What must reach the chain; nothing else may.
    pub(super) effect: Option<ChainEffect>,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: RequestBody,
}

#[derive(Debug)]
pub(super) enum RequestBody {
    Json(Value),
    None,
    Raw(String),
}

#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) status: u16,
    /// `None` for a header that must be absent.
    pub(super) headers: Vec<(String, Option<String>)>,
    pub(super) body: RecordedBody,
}

#[derive(Debug)]
pub(super) enum RecordedBody {
    Any,
    Json(Value),
    Text(String),
}

/// What our server must answer where the original is wrong or careless.
#[derive(Debug, PartialEq)]
pub(super) struct Ours {
    /// Any of them is right. Empty: the recorded one.
    pub(super) statuses: Vec<u16>,
    /// Members that must be there.
    pub(super) json: Option<Value>,
}

impl Scenario {
    pub(super) fn read(value: &Value) -> Result<Self, Difference> {
        let members = Members::of(value)?;
        let profile = match members.optional_text("profile")? {
            None => Profile::default(),
            Some(name) => Profile::read(name)
                .ok_or_else(|| Difference::not_understood(format!("profile {name}")))?,
        };
        let given = match members.optional("given") {
            None => Given::default(),
            Some(given) => Given::read(given).map_err(|error| error.within("/given"))?,
        };
        let steps = members
            .list("steps")?
            .iter()
            .zip(1..)
            .map(|(step, number)| {
                Step::read(step).map_err(|error| error.within(format!("step {number}")))
            });
        let steps = steps.collect::<Result<Vec<Step>, Difference>>()?;
        members.finish()?;
        if steps.is_empty() {
            return Err(Difference::not_understood("a scenario without steps"));
        }
        Ok(Self {
            profile,
            given,
            steps,
        })
    }
}

impl Given {
    fn read(value: &Value) -> Result<Self, Difference> {
        let members = Members::of(value)?;
        let mut given = Self {
            chain: GivenChain::read(&members)?,
            credits: read_rows(members.list("credits")?, None)?,
            vars: members
                .entries("vars")?
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect(),
            ..Self::default()
        };
        for (name, account) in members.entries("accounts")? {
            given
                .accounts
                .insert(name.to_owned(), Account::read(account)?);
        }
        for (account, name) in members.entries("names")? {
            let name = name.as_str().ok_or_else(|| odd("name", name))?;
            given.names.push((account.to_owned(), name.to_owned()));
        }
        for (account, at) in members.entries("verified_at")? {
            let instant = at.as_u64().ok_or_else(|| odd("verified_at", at))?;
            given.verified_at.push((account.to_owned(), instant));
        }
        members.finish()?;
        Ok(given)
    }
}

impl Account {
    fn read(value: &Value) -> Result<Self, Difference> {
        let members = Members::of(value)?;
        let address = members.text("address")?;
        let wallet = address.parse().map_err(|error| {
            Difference::not_understood(format!("address {}: {error}", quoted(address)))
        })?;
        let signer = members
            .optional_text("private_key")?
            .map(read_key)
            .transpose()?;
        members.finish()?;
        Ok(Self { wallet, signer })
    }
}

fn read_key(text: &str) -> Result<LocalSigner, Difference> {
    let bytes = decode_hex_array(text.strip_prefix("0x").unwrap_or(text)).ok();
    let signer = bytes.and_then(|bytes| LocalSigner::from_bytes(&bytes).ok());
    signer.ok_or_else(|| Difference::not_understood("a private key that is none"))
}

impl CreditRow {
    fn read(members: &Members<'_>, account: Option<&str>) -> Result<Self, Difference> {
        let number = |name| {
            members
                .optional(name)
                .map(|_| members.integer(name))
                .transpose()
        };
        let own = members
            .optional_text("account")?
            .or(members.optional_text("wallet")?);
        let account = own.or(account);
        let row = Self {
            account: account
                .ok_or_else(|| Difference::not_understood("credits of nobody"))?
                .to_owned(),
            base_granted: number("base_granted_seconds")?,
            bonus_granted: number("bonus_granted_seconds")?,
            consumed: number("consumed_seconds")?,
        };
        if row
            .base_granted
            .or(row.bonus_granted)
            .or(row.consumed)
            .is_none()
        {
            return Err(Difference::not_understood("credits without a number"));
        }
        Ok(row)
    }
}

/// Rows of a list, each of which names its account unless one was named before.
fn read_rows(list: &[Value], account: Option<&str>) -> Result<Vec<CreditRow>, Difference> {
    let row = |value| {
        let members = Members::of(value)?;
        let row = CreditRow::read(&members, account)?;
        members.finish()?;
        Ok(row)
    };
    list.iter().map(row).collect()
}

impl Step {
    fn read(value: &Value) -> Result<Self, Difference> {
        let members = Members::of(value)?;
        let step = match members.text("do")? {
            "advance_clock" => Self::AdvanceClock(read_span(&members)?),
            "request" => Self::Request(Box::new(Exchange::read(&members)?)),
            "set_credits" => Self::SetCredits(read_set_credits(&members)?),
            other => {
                return Err(Difference::not_understood(format!(
                    "step {}",
                    quoted(other)
                )));
            }
        };
        members.finish()?;
        Ok(step)
    }
}

/// The numbers stand in the step itself, or in a row or list of rows of their own.
fn read_set_credits(members: &Members<'_>) -> Result<Vec<CreditRow>, Difference> {
    let Some(rows) = members.optional("credits") else {
        return Ok(vec![CreditRow::read(members, None)?]);
    };
    let account = members
        .optional_text("account")?
        .or(members.optional_text("wallet")?);
    match rows {
        Value::Array(list) => read_rows(list, account),
        one => read_rows(std::slice::from_ref(one), account),
    }
}

fn read_span(members: &Members<'_>) -> Result<u64, Difference> {
    let seconds = members.integer("seconds")?;
    if seconds > ADVANCE_MAX_SECONDS {
        return Err(Difference::not_understood(format!("a span of {seconds} s")));
    }
    Ok(seconds)
}

impl Exchange {
    fn read(members: &Members<'_>) -> Result<Self, Difference> {
        let pairs = |name| {
            let entries = members.entries(name)?.into_iter();
            let pair = |(key, value): (&str, &Value)| match value.as_str() {
                Some(text) => Ok((key.to_owned(), text.to_owned())),
                None => Err(odd(name, value)),
            };
            entries
                .map(pair)
                .collect::<Result<Vec<(String, String)>, Difference>>()
        };
        let compare: BTreeMap<String, String> = pairs("compare")?.into_iter().collect();
        for (pointer, text) in &compare {
            rule::check_kind(text).map_err(|error| error.within(pointer))?;
        }
        let ours = Ours::read(members)?;
        let effect = members.optional("chain_effect").map(ChainEffect::read);
        let effect = effect.transpose()?.and_then(|effect| match &ours {
            None => Some(effect),
            Some(ours) => effect.as_ours(&ours.statuses, ours.json.as_ref()),
        });
        Ok(Self {
            request: Request::read(members.value("request")?)?,
            recorded: Recorded::read(members.value("response")?)?,
            ours,
            effect,
            bind: pairs("bind")?,
            compare,
        })
    }
}

impl Request {
    fn read(value: &Value) -> Result<Self, Difference> {
        let members = Members::of(value)?;
        let mut headers = Vec::new();
        for (name, value) in members.entries("headers")? {
            let value = value.as_str().ok_or_else(|| odd("header", value))?;
            headers.push((name.to_owned(), value.to_owned()));
        }
        let body = match (members.optional("json"), members.optional_text("raw")?) {
            (None, None) => RequestBody::None,
            (Some(json), None) => RequestBody::Json(json.clone()),
            (None, Some(raw)) => RequestBody::Raw(raw.to_owned()),
            (Some(_), Some(_)) => {
                return Err(Difference::not_understood("a request with json and raw"));
            }
        };
        let request = Self {
            method: members.text("method")?.to_owned(),
            path: members.text("path")?.to_owned(),
            headers,
            body,
        };
        members.finish()?;
        Ok(request)
    }
}

impl Recorded {
    fn read(value: &Value) -> Result<Self, Difference> {
        let members = Members::of(value)?;
        let mut headers = Vec::new();
        for (name, value) in members.entries("headers")? {
            let value = match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => return Err(odd("header", other)),
            };
            headers.push((name.to_owned(), value));
        }
        let body = match (members.optional("json"), members.optional_text("text")?) {
            (None, None) => RecordedBody::Any,
            (Some(json), None) => RecordedBody::Json(json.clone()),
            (None, Some(text)) => RecordedBody::Text(text.to_owned()),
            (Some(_), Some(_)) => {
                return Err(Difference::not_understood("a response with json and text"));
            }
        };
        let recorded = Self {
            status: members.integer("status")?,
            headers,
            body,
        };
        members.finish()?;
        Ok(recorded)
    }
}

impl Ours {
    /// Reads `ours` or `deviation`, which may hold the answer in a member of its own.
    fn read(step: &Members<'_>) -> Result<Option<Self>, Difference> {
        let (place, value) = match (step.optional("ours"), step.optional("deviation")) {
            (None, None) => return Ok(None),
            (Some(ours), None) => ("/ours", ours),
            (None, Some(deviation)) => ("/deviation", deviation),
            (Some(_), Some(_)) => {
                return Err(Difference::not_understood("a step with ours and deviation"));
            }
        };
        let read = || {
            let members = Members::of(value)?;
            let ours = match members.optional("answer") {
                None => Self::of(&members)?,
                Some(answer) => {
                    let answer = Members::of(answer)?;
                    let ours = Self::of(&answer)?;
                    answer.finish()?;
                    ours
                }
            };
            members.finish()?;
            Ok(ours)
        };
        read()
            .map(Some)
            .map_err(|error: Difference| error.within(place))
    }

    fn of(members: &Members<'_>) -> Result<Self, Difference> {
        let status = |value: &Value| {
            let status = integer_of(value).and_then(|status| u16::try_from(status).ok());
            status.ok_or_else(|| odd("status", value))
        };
        let statuses = match members.optional("status") {
            None => Vec::new(),
            Some(Value::Array(list)) if !list.is_empty() => {
                list.iter().map(status).collect::<Result<_, _>>()?
            }
            Some(one) => vec![status(one)?],
        };
        Ok(Self {
            statuses,
            json: members.optional("json").cloned(),
        })
    }
}

fn odd(what: &str, value: &Value) -> Difference {
    Difference::not_understood(format!("{what} {}", shown(value)))
}
