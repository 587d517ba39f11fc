//! The text of EIP-4361, read and written.
//!
//! Exactly the grammar of the standard: its lines in its order, line feeds alone, the address with
//! its checksum. Whatever is read is written back as the same text, so that nothing a wallet showed
//! can differ from what is judged here.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::Split;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::types::{Timestamp, Wallet};

/// The longest message that is looked at, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// The fewest characters of a nonce (EIP-4361).
const NONCE_CHARS_MIN: usize = 8;

/// What of a text keeps it from being a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(
    clippy::exhaustive_enums,
    reason = "each line of the message has its own"
)]
pub enum InvalidMessage {
    /// The address is not one with its checksum.
    #[error("the address is not 0x and 40 hex digits with the checksum of EIP-55")]
    Address,
    /// The chain is no number.
    #[error("the chain id is not a number without leading zeros")]
    ChainId,
    /// The first line is another one.
    #[error("the first line does not name a domain and ask to sign in")]
    Domain,
    /// A line is missing, is not where it belongs, or is too many.
    #[error("a line is missing, out of order, or too many")]
    Lines,
    /// Longer than [`MESSAGE_BYTES_MAX`].
    #[error("the message is longer than 4096 bytes")]
    Long,
    /// The nonce is too short or has other characters.
    #[error("the nonce is not 8 letters and digits or more")]
    Nonce,
    /// The request id has other characters.
    #[error("the request id has characters that a path segment cannot have")]
    RequestId,
    /// The statement has other characters.
    #[error("the statement has characters that the standard does not allow")]
    Statement,
    /// An instant is not one of RFC 3339.
    #[error("an instant is not a date and time of RFC 3339")]
    Time,
    /// A URI is none.
    #[error("a URI is not one of RFC 3986")]
    Uri,
    /// Of another version.
    #[error("the version is not 1")]
    Version,
}

/// An instant as a message says it: kept as the text that it was, since one instant has many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    text: String,
    /// The whole second that it falls into, or begins.
    floor: Timestamp,
    has_fraction: bool,
}

impl Moment {
    /// Parses a date and time of RFC 3339.
    ///
    /// # Errors
    /// [`InvalidMessage::Time`].
    pub fn parse(text: &str) -> Result<Self, InvalidMessage> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidMessage::Time)?;
        // An instant before 1970 is past, as 1970 is.
        let seconds = u64::try_from(at.unix_timestamp()).unwrap_or(0);
        Ok(Self {
            text: text.to_string(),
            floor: Timestamp::from_unix(seconds),
            has_fraction: at.nanosecond() > 0,
        })
    }

    /// The moment of a whole second.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self {
            text: at.to_rfc3339(),
            floor: at,
            has_fraction: false,
        }
    }

    /// Whether it has come by the beginning of a second.
    fn has_come(&self, now: Timestamp) -> bool {
        if self.has_fraction {
            self.floor < now
        } else {
            self.floor <= now
        }
    }
}

/// A message of EIP-4361.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the standard knows exactly these"
)]
pub struct Message {
    /// How the domain is reached, where the message says so.
    pub scheme: Option<String>,
    /// Who asks: host, and port where it is not the usual one.
    pub domain: String,
    /// Who signs.
    pub address: Wallet,
    /// For people.
    pub statement: Option<String>,
    /// What the sign-in is about.
    pub uri: String,
    /// On which chain.
    pub chain_id: u64,
    /// What the server handed out.
    pub nonce: String,
    /// When it was written.
    pub issued_at: Moment,
    /// From when on it is no good.
    pub expiration_time: Option<Moment>,
    /// Before when it is no good.
    pub not_before: Option<Moment>,
    /// The client's name for it.
    pub request_id: Option<String>,
    /// What the sign-in is for, besides. `None` where the message has no such list.
    pub resources: Option<Vec<String>>,
}

const ASKS: &str = " wants you to sign in with your Ethereum account:";

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`InvalidMessage`], the first that is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidMessage> {
        if text.len() > MESSAGE_BYTES_MAX {
            return Err(InvalidMessage::Long);
        }
        // A carriage return is in no line that follows; said here once.
        if text.contains('\r') {
            return Err(InvalidMessage::Lines);
        }
        let mut lines = Lines(text.split('\n'));
        let first = lines.next()?;
        let asking = first.strip_suffix(ASKS).ok_or(InvalidMessage::Domain)?;
        let (scheme, domain) = match asking.split_once("://") {
            Some((scheme, domain)) => (Some(scheme), domain),
            None => (None, asking),
        };
        let is_fitting = is_authority(domain) && scheme.is_none_or(is_scheme);
        if !is_fitting {
            return Err(InvalidMessage::Domain);
        }
        let address_text = lines.next()?;
        let address: Wallet = address_text.parse().map_err(|_| InvalidMessage::Address)?;
        if address.to_eip55() != address_text {
            return Err(InvalidMessage::Address);
        }
        lines.empty()?;
        let statement = Some(lines.next()?).filter(|line| !line.is_empty());
        if let Some(statement) = statement {
            if !statement.bytes().all(is_of_statement) {
                return Err(InvalidMessage::Statement);
            }
            lines.empty()?;
        }
        let uri = checked(lines.field("URI: ")?, is_uri, InvalidMessage::Uri)?;
        checked(
            lines.field("Version: ")?,
            |v| v == "1",
            InvalidMessage::Version,
        )?;
        let chain_text = lines.field("Chain ID: ")?;
        let chain_id: u64 = chain_text.parse().map_err(|_| InvalidMessage::ChainId)?;
        if chain_id.to_string() != chain_text {
            return Err(InvalidMessage::ChainId);
        }
        let nonce = checked(lines.field("Nonce: ")?, is_nonce, InvalidMessage::Nonce)?;
        let issued_at = Moment::parse(lines.field("Issued At: ")?)?;
        let mut rest = lines.0.peekable();
        let mut optional = |name: &str| {
            let value = rest.peek().and_then(|line| line.strip_prefix(name))?;
            rest.next();
            Some(value)
        };
        let expiration_time = optional("Expiration Time: ")
            .map(Moment::parse)
            .transpose()?;
        let not_before = optional("Not Before: ").map(Moment::parse).transpose()?;
        let request_id = optional("Request ID: ");
        if !request_id.is_none_or(|id| has_only(id, is_of_path)) {
            return Err(InvalidMessage::RequestId);
        }
        let resources = match rest.next() {
            None => None,
            Some("Resources:") => {
                let listed = rest.by_ref().map(|line| {
                    let uri = line.strip_prefix("- ").ok_or(InvalidMessage::Lines)?;
                    checked(uri, is_uri, InvalidMessage::Uri)
                });
                Some(listed.collect::<Result<Vec<String>, _>>()?)
            }
            Some(_) => return Err(InvalidMessage::Lines),
        };
        Ok(Self {
            scheme: scheme.map(ToString::to_string),
            domain: domain.to_string(),
            address,
            statement: statement.map(ToString::to_string),
            uri,
            chain_id,
            nonce,
            issued_at,
            expiration_time,
            not_before,
            request_id: request_id.map(ToString::to_string),
            resources,
        })
    }

    /// Whether the instants that the message names allow it now: it has begun, and has not expired.
    /// When it was written is not judged: wallets' clocks are what they are, and how old a sign-in
    /// may be is said by its nonce.
    #[must_use]
    pub fn is_timely(&self, now: Timestamp) -> bool {
        let has_begun = self.not_before.as_ref().is_none_or(|at| at.has_come(now));
        // At the last fraction of a second it is as good as over.
        let is_over = self
            .expiration_time
            .as_ref()
            .is_some_and(|at| at.floor <= now);
        has_begun && !is_over
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        write!(f, "{}{ASKS}\n{}\n\n", self.domain, self.address.to_eip55())?;
        if let Some(statement) = &self.statement {
            writeln!(f, "{statement}")?;
        }
        write!(
            f,
            "\nURI: {}\nVersion: 1\nChain ID: {}",
            self.uri, self.chain_id
        )?;
        write!(
            f,
            "\nNonce: {}\nIssued At: {}",
            self.nonce, self.issued_at.text
        )?;
        if let Some(at) = &self.expiration_time {
            write!(f, "\nExpiration Time: {}", at.text)?;
        }
        if let Some(at) = &self.not_before {
            write!(f, "\nNot Before: {}", at.text)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, "\nRequest ID: {id}")?;
        }
        if let Some(resources) = &self.resources {
            f.write_str("\nResources:")?;
            for resource in resources {
                write!(f, "\n- {resource}")?;
            }
        }
        Ok(())
    }
}

struct Lines<'t>(Split<'t, char>);

impl<'t> Lines<'t> {
    fn next(&mut self) -> Result<&'t str, InvalidMessage> {
        self.0.next().ok_or(InvalidMessage::Lines)
    }

    fn empty(&mut self) -> Result<(), InvalidMessage> {
        if self.next()?.is_empty() {
            Ok(())
        } else {
            Err(InvalidMessage::Lines)
        }
    }

    fn field(&mut self, name: &str) -> Result<&'t str, InvalidMessage> {
        self.next()?.strip_prefix(name).ok_or(InvalidMessage::Lines)
    }
}

fn checked(
    text: &str,
    is_fitting: impl Fn(&str) -> bool,
    else_: InvalidMessage,
) -> Result<String, InvalidMessage> {
    if is_fitting(text) {
        Ok(text.to_string())
    } else {
        Err(else_)
    }
}

fn is_nonce(text: &str) -> bool {
    text.len() >= NONCE_CHARS_MIN && text.bytes().all(|c| c.is_ascii_alphanumeric())
}

fn is_unreserved(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"-._~".contains(&c)
}

fn is_sub_delim(c: u8) -> bool {
    b"!$&'()*+,;=".contains(&c)
}

fn is_reserved(c: u8) -> bool {
    is_sub_delim(c) || b":/?#[]@".contains(&c)
}

fn is_of_statement(c: u8) -> bool {
    is_unreserved(c) || is_reserved(c) || c == b' '
}

fn is_of_path(c: u8) -> bool {
    is_unreserved(c) || is_sub_delim(c) || b":@".contains(&c)
}

/// Whether a text has only these characters, and others as `%` and two hex digits.
fn has_only(text: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(c) = bytes.next() {
        let is_escaped = c == b'%'
            && bytes.next().is_some_and(|c| c.is_ascii_hexdigit())
            && bytes.next().is_some_and(|c| c.is_ascii_hexdigit());
        if !(is_escaped || (c != b'%' && is_allowed(c))) {
            return false;
        }
    }
    true
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
}

/// Host and port, perhaps with a user: never empty, and nothing that would end it.
pub(super) fn is_authority(text: &str) -> bool {
    let of_authority = |c| is_unreserved(c) || is_sub_delim(c) || b":@[]".contains(&c);
    !text.is_empty() && has_only(text, of_authority)
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let of_uri = |c| is_unreserved(c) || is_reserved(c);
    is_scheme(scheme) && !rest.is_empty() && has_only(rest, of_uri)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    const FULL: &str = "https://example.org:3388 wants you to sign in with your Ethereum account:\n\
        0xeEA7a1D1fC57f9fa21a83a749aEA5ec824fa0D85\n\nI accept (all of it): yes!\n\n\
        URI: https://example.org/login?a=%20#x\nVersion: 1\nChain ID: 5042002\n\
        Nonce: 32891756abcDEF\nIssued At: 2026-11-21T10:00:00.250+02:00\n\
        Expiration Time: 2026-11-21T10:00:00Z\nNot Before: 2026-11-21T09:00:00.5Z\n\
        Request ID: some:id%20@1\nResources:\n- ipfs://bafy/\n- https://example.com/c.json";

    const LEAST: &str = "example.org wants you to sign in with your Ethereum account:\n\
        0xeEA7a1D1fC57f9fa21a83a749aEA5ec824fa0D85\n\n\nURI: did:key:z6\nVersion: 1\n\
        Chain ID: 1\nNonce: 12345678\nIssued At: 2026-11-21T10:00:00Z";

    #[test]
    fn what_is_read_is_written_back_as_it_was() {
        for text in [FULL, LEAST, &format!("{LEAST}\nRequest ID: \nResources:")] {
            assert_eq!(
                Message::parse(text).map(|m| m.to_string()).as_deref(),
                Ok(text)
            );
        }
        let full = Message::parse(FULL).unwrap();
        assert_eq!(full.scheme.as_deref(), Some("https"));
        assert_eq!(full.domain, "example.org:3388");
        assert_eq!(
            full.statement.as_deref(),
            Some("I accept (all of it): yes!")
        );
        assert_eq!(full.resources.map(|listed| listed.len()), Some(2));
        let least = Message::parse(LEAST).unwrap();
        assert_eq!((least.statement, least.resources), (None, None));
    }

    #[test]
    fn no_line_can_go_be_doubled_or_change_its_place() {
        let lines: Vec<&str> = FULL.split('\n').collect();
        for place in 0..lines.len() {
            let mut doubled = lines.clone();
            doubled.insert(place, lines[place]);
            // One more resource is a list of three.
            let is_resource = lines[place].starts_with("- ");
            assert_eq!(
                Message::parse(&doubled.join("\n")).is_ok(),
                is_resource,
                "{place}"
            );
            let mut swapped = lines.clone();
            if place > 0 && lines[place] != lines[place - 1] && !is_resource {
                swapped.swap(place, place - 1);
                assert!(Message::parse(&swapped.join("\n")).is_err(), "{place}");
            }
        }
        let lines: Vec<&str> = LEAST.split('\n').collect();
        for place in 0..lines.len() {
            let mut fewer = lines.clone();
            fewer.remove(place);
            assert!(
                Message::parse(&fewer.join("\n")).is_err(),
                "without {place}"
            );
        }
    }

    #[test]
    fn each_wrong_line_is_named() {
        use InvalidMessage as E;
        for (from, to, error) in [
            ("example.org wants", " wants", E::Domain),
            ("example.org wants", "exa mple.org wants", E::Domain),
            ("example.org wants", "example.org/a wants", E::Domain),
            ("example.org wants", "://example.org wants", E::Domain),
            ("your Ethereum", "your Solana", E::Domain),
            ("0xeEA7", "0xeea7", E::Address),
            ("0D85", "0D8", E::Address),
            (
                "0xeEA7a1D1fC57f9fa21a83a749aEA5ec824fa0D85",
                "alice.eth",
                E::Address,
            ),
            ("\n\n\n", "\n\nsay \"hi\"\n\n", E::Statement),
            ("\n\n\n", "\n\nпривет\n\n", E::Statement),
            ("\n\n\n", "\n\n", E::Lines),
            ("\n", "\r\n", E::Lines),
            ("did:key:z6", "did", E::Uri),
            ("did:key:z6", "1:x", E::Uri),
            ("did:key:z6", "did:a b", E::Uri),
            ("did:key:z6", "did:%zz", E::Uri),
            ("did:key:z6", "", E::Uri),
            ("Version: 1", "Version: 2", E::Version),
            ("Version: 1", "version: 1", E::Lines),
            ("Chain ID: 1", "Chain ID: 01", E::ChainId),
            ("Chain ID: 1", "Chain ID: +1", E::ChainId),
            ("Chain ID: 1", "Chain ID: 99999999999999999999", E::ChainId),
            ("12345678", "1234567", E::Nonce),
            ("12345678", "1234567-8", E::Nonce),
            ("2026-11-21T10:00:00Z", "2026-11-21", E::Time),
            ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00", E::Time),
            ("10:00:00Z", "10:00:00Z\n", E::Lines),
            ("10:00:00Z", "10:00:00Z\nNot Before: x", E::Time),
            ("10:00:00Z", "10:00:00Z\nRequest ID: a/b", E::RequestId),
            ("10:00:00Z", "10:00:00Z\nResources:\n- nothing", E::Uri),
            ("10:00:00Z", "10:00:00Z\nResources:\nhttps://a", E::Lines),
        ] {
            let text = LEAST.replacen(from, to, 1);
            assert_ne!(text, LEAST, "{from}");
            assert_eq!(Message::parse(&text), Err(error), "{text}");
        }
        let long = format!("{LEAST}\nRequest ID: {}", "a".repeat(MESSAGE_BYTES_MAX));
        assert_eq!(Message::parse(&long), Err(E::Long));
        assert_eq!(Message::parse(""), Err(E::Domain));
    }

    #[test]
    fn instants_bound_the_message_to_the_second() {
        let unix = |text: &str| Moment::parse(text).unwrap().floor.unix();
        let (begins, ends) = (unix("2026-11-21T09:00:00.5Z"), unix("2026-11-21T10:00:00Z"));
        let message = Message::parse(FULL).unwrap();
        for (now, is_timely) in [
            (begins, false),
            (begins + 1, true),
            (ends - 1, true),
            (ends, false),
            (ends + 1, false),
        ] {
            assert_eq!(
                message.is_timely(Timestamp::from_unix(now)),
                is_timely,
                "{now}"
            );
        }
        let least = Message::parse(LEAST).unwrap();
        assert!(least.is_timely(Timestamp::EPOCH) && least.is_timely(Timestamp::MAX));
    }
}
