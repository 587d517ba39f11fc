//! Chain identifiers.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Text that is not a chain identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is not a CAIP-2 chain identifier")]
pub struct InvalidCaip2;

/// A chain as CAIP-2 names it: `namespace:reference`, such as `eip155:84532`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Caip2 {
    namespace: String,
    reference: String,
}

impl Caip2 {
    /// The EVM chain with this id.
    #[must_use]
    pub fn eip155(chain_id: u64) -> Self {
        Self {
            namespace: "eip155".to_string(),
            reference: chain_id.to_string(),
        }
    }

    /// The id of an EVM chain; `None` for any other kind, and for a number that is not written
    /// in its one canonical form.
    #[must_use]
    pub fn eip155_chain_id(&self) -> Option<u64> {
        if self.namespace != "eip155" {
            return None;
        }
        let id: u64 = self.reference.parse().ok()?;
        (id.to_string() == self.reference).then_some(id)
    }
}

impl FromStr for Caip2 {
    type Err = InvalidCaip2;

    /// Namespace: 3 to 8 of `-a-z0-9`; reference: 1 to 32 of `-_a-zA-Z0-9`, as CAIP-2 says.
    fn from_str(text: &str) -> Result<Self, InvalidCaip2> {
        let (namespace, reference) = text.split_once(':').ok_or(InvalidCaip2)?;
        let namespace_fits = (3..=8).contains(&namespace.len())
            && namespace
                .bytes()
                .all(|b| matches!(b, b'-' | b'a'..=b'z' | b'0'..=b'9'));
        let reference_fits = (1..=32).contains(&reference.len())
            && reference
                .bytes()
                .all(|b| matches!(b, b'-' | b'_') || b.is_ascii_alphanumeric());
        if namespace_fits && reference_fits {
            Ok(Self {
                namespace: namespace.to_string(),
                reference: reference.to_string(),
            })
        } else {
            Err(InvalidCaip2)
        }
    }
}

impl fmt::Display for Caip2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.reference)
    }
}

impl TryFrom<String> for Caip2 {
    type Error = InvalidCaip2;

    fn try_from(text: String) -> Result<Self, InvalidCaip2> {
        text.parse()
    }
}

impl From<Caip2> for String {
    fn from(chain: Caip2) -> Self {
        chain.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_caip_2_is_a_chain() {
        let base: Caip2 = "eip155:84532".parse().unwrap();
        assert_eq!(base, Caip2::eip155(84532));
        assert_eq!(base.eip155_chain_id(), Some(84532));
        assert_eq!(
            "solana:5eykt4UsFv8P8NJdTREpY1vz"
                .parse::<Caip2>()
                .unwrap()
                .eip155_chain_id(),
            None
        );
        assert_eq!(
            "eip155:01".parse::<Caip2>().unwrap().eip155_chain_id(),
            None
        );
        for wrong in [
            "",
            "eip155",
            "eip155:",
            ":1",
            "EIP155:1",
            "ei:1",
            "eip155:1:2",
            "eip155:é",
        ] {
            assert_eq!(wrong.parse::<Caip2>(), Err(InvalidCaip2), "{wrong}");
        }
    }
}
