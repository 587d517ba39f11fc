//! Which sign-ins are taken, and whom a message has to name.

use std::fmt;
use std::net::SocketAddr;

use session_core::auth::Audience;
use session_core::auth::siwe::RelyingParty;

use crate::cli::Flags;
use crate::config::{ConfigError, Environment, invalid, on_off, parse, setting, switch};

/// The chain of the fakes: the recorded one.
const DEVELOPMENT_CHAIN_ID: u64 = 5_042_002;

/// The audience of tokens where nobody says where this server is found.
const AUDIENCE_DEFAULT: &str = "session";

/// How people sign in.
#[derive(Debug)]
pub(crate) struct SignIn {
    /// Whom a message of EIP-4361 has to name; `None`: none is taken.
    pub(crate) party: Option<RelyingParty>,
    /// Who issues tokens, and for whom.
    pub(crate) audience: Audience,
    /// Whether the sign-in of long ago is taken.
    pub(crate) takes_timestamps: bool,
    base_url: Option<String>,
}

impl SignIn {
    pub(crate) fn read(
        flags: &Flags,
        environment: Environment,
        listen: SocketAddr,
    ) -> Result<Self, ConfigError> {
        let name = "PUBLIC_BASE_URL";
        let base_url = setting(name, flags.public_base_url.as_ref())?;
        let domain = match &base_url {
            Some(url) => Some(domain(url, environment).map_err(|why| invalid(name, why))?),
            None => None,
        };
        let chain_id: Option<u64> = setting("CHAIN_ID", flags.chain_id.as_ref())?
            .map(|text| parse("CHAIN_ID", &text, "a whole number"))
            .transpose()?;
        let domain_told = domain.clone();
        let (domain, chain_id) = match environment {
            Environment::Development => (
                Some(domain.unwrap_or_else(|| listen.to_string())),
                Some(chain_id.unwrap_or(DEVELOPMENT_CHAIN_ID)),
            ),
            Environment::Production => (domain, chain_id),
        };
        let party = match domain.zip(chain_id) {
            Some((domain, chain_id)) => Some(
                RelyingParty::new(&domain, chain_id)
                    .map_err(|error| invalid(name, error.to_string()))?,
            ),
            None => None,
        };
        let audience = domain_told.as_deref().unwrap_or(AUDIENCE_DEFAULT);
        Ok(Self {
            party,
            audience: Audience::new(audience, audience),
            takes_timestamps: switch("SESSION_LEGACY_AUTH", flags.legacy_auth.as_ref())?,
            base_url,
        })
    }
}

impl fmt::Display for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base_url = self.base_url.as_deref().unwrap_or_default();
        writeln!(f, "PUBLIC_BASE_URL={base_url}")?;
        match &self.party {
            Some(party) => {
                let (id, domain) = (party.chain_id(), party.domain());
                writeln!(f, "CHAIN_ID={id} # messages name it and {domain}")?;
            }
            None => writeln!(f, "CHAIN_ID= # no sign-in by message")?,
        }
        writeln!(f, "SESSION_LEGACY_AUTH={}", on_off(self.takes_timestamps))
    }
}

/// The host and port of a base URL. In production only `https`: whoever is on the way could
/// otherwise take the tokens.
fn domain(url: &str, environment: Environment) -> Result<String, String> {
    let rest = match (url.strip_prefix("https://"), environment) {
        (Some(rest), _) => rest,
        (None, Environment::Development) => url
            .strip_prefix("http://")
            .ok_or("not a URL such as https://voice.example")?,
        (None, Environment::Production) => return Err("not an https URL".to_owned()),
    };
    // As wallets write it.
    let domain = rest.strip_suffix('/').unwrap_or(rest).to_lowercase();
    let usual = if url.starts_with("https") {
        ":443"
    } else {
        ":80"
    };
    let domain = domain.strip_suffix(usual).unwrap_or(&domain);
    let is_host = !domain.is_empty() && !domain.contains(['/', '?', '#', '@', ' ']);
    if is_host {
        Ok(domain.to_owned())
    } else {
        Err("not a URL of a host alone, such as https://voice.example".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_names_a_host_and_nothing_else() {
        use Environment::{Development, Production};

        let spelt = domain("https://Voice.Example:443/", Production);
        assert_eq!(spelt.as_deref(), Ok("voice.example"));
        for (url, environment, expected) in [
            ("https://voice.example", Production, Some("voice.example")),
            (
                "https://voice.example:8443/",
                Production,
                Some("voice.example:8443"),
            ),
            ("http://voice.example", Production, None),
            ("http://127.0.0.1:3338", Development, Some("127.0.0.1:3338")),
            ("https://voice.example/path", Production, None),
            ("https://user@voice.example", Production, None),
            ("https://voice.example?x", Production, None),
            ("https://", Production, None),
            ("voice.example", Development, None),
        ] {
            assert_eq!(domain(url, environment).ok().as_deref(), expected, "{url}");
        }
    }
}
