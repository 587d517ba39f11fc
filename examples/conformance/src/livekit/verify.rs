//! Verifying: strictly, and with the leeway of the vendor's server.

use serde_json::Value;
use session_core::media::livekit::ApiKeys;
use session_core::types::{Seconds, Timestamp};

use super::credentials;
use crate::members::Members;
use crate::report::{Difference, Verdict, quoted};

/// How far beyond both ends of a token the vendor's server lets in.
const SERVER_LEEWAY: Seconds = Seconds::new(60);

pub(super) fn check(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let keys = ApiKeys::new(vec![credentials(&members)?]).map_err(Difference::new)?;
    let token = members.text("token")?;
    let now = Timestamp::from_unix(members.integer("verify_at")?);
    let strict = members.text("expect_strict")?;
    let lenient = members.optional_text("livekit_server")?;
    members.finish()?;

    let mut differences = Vec::new();
    let strict = Some(("/expect_strict", strict, Seconds::ZERO));
    let lenient = lenient.map(|verdict| ("/livekit_server", verdict, SERVER_LEEWAY));
    for (pointer, verdict, leeway) in strict.into_iter().chain(lenient) {
        let got = keys.verify(token, now, leeway);
        if is_accepted(verdict)? != got.is_ok() {
            let got = got.map_or_else(|error| error.to_string(), |_| "accept".to_owned());
            differences.push(Difference::between(pointer, quoted(verdict), got));
        }
    }
    Difference::all(differences)
}

/// A verdict begins with its word, and may go on to say why.
fn is_accepted(verdict: &str) -> Result<bool, Difference> {
    match verdict.split(':').next() {
        Some("accept") => Ok(true),
        Some("reject") => Ok(false),
        _ => Err(Difference::not_understood(format!(
            "verdict {}",
            quoted(verdict)
        ))),
    }
}
