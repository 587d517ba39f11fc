//! The vectors of LiveKit's media tokens.
//!
//! The section on webhooks is not understood until there is something that takes them.

mod tokens;
mod verify;

use serde_json::{Map, Value};
use session_core::media::livekit::{ApiCredentials, ApiKey, ApiSecret};

use crate::case::Case;
use crate::members::Members;
use crate::report::{Difference, Verdict};
use crate::shape::{name_of, unknown_section};

/// What such a file says that it is.
pub const FORMAT: &str = "livekit-vectors/1";

/// All cases of the sections.
pub(crate) fn cases(top: &Map<String, Value>) -> Vec<Case> {
    let cases = top
        .iter()
        .flat_map(|(section, value)| match (section.as_str(), value) {
            // They tell how the file was made and how to read it.
            ("counts" | "format" | "how_to_use" | "made_with" | "part", _) => Vec::new(),
            ("tokens", Value::Array(list)) => each(section, list, tokens::check),
            ("verify", Value::Array(list)) => each(section, list, verify::check),
            _ => unknown_section(section, value),
        });
    cases.collect()
}

fn each(section: &str, list: &[Value], check: fn(&Value) -> Verdict) -> Vec<Case> {
    let case = |(value, index): (&Value, usize)| {
        let recorded = value.clone();
        Case::check(section, &name_of(value, index), move || check(&recorded))
    };
    list.iter().zip(0..).map(case).collect()
}

/// The key and the secret that a case names.
fn credentials(members: &Members<'_>) -> Result<ApiCredentials, Difference> {
    let refused = |what: &str| Difference::new(format!("{what} refused"));
    Ok(ApiCredentials {
        key: ApiKey::parse(members.text("api_key")?).map_err(|_| refused("api key"))?,
        secret: ApiSecret::parse(members.text("api_secret")?).map_err(|_| refused("api secret"))?,
    })
}
