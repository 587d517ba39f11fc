//! Which escrow contracts the routes of booked sessions are about, and who may attest by hand.

use axum::http::HeaderMap;
use session_core::crypto::{Secret, constant_time_eq};
use session_core::escrow::{BookingKey, Capabilities, EscrowId};
use session_core::media::Channel;
use session_core::types::{BookingId, U256, Wallet, parse_u256};

use crate::App;
use crate::guard::SERVICE_TOKEN;
use crate::problem::{Code, Problem};

/// Longest text that is looked at for a booking's number, in bytes.
pub(crate) const BOOKING_ID_BYTES_MAX: usize = 256;

/// An escrow contract of this deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these two are what routes need")]
pub struct Escrow {
    /// Which.
    pub id: EscrowId,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// What the routes of booked sessions need to know.
#[derive(Debug, Clone)]
pub struct Bookings {
    primary: Escrow,
    extra: Vec<Escrow>,
    service_token: Option<Secret>,
    has_oracle_key: bool,
    may_force: bool,
}

impl Bookings {
    /// Sessions that are booked at this contract. Nobody may attest by hand.
    #[must_use]
    pub const fn at(primary: Escrow) -> Self {
        Self {
            primary,
            extra: Vec::new(),
            service_token: None,
            has_oracle_key: false,
            may_force: false,
        }
    }

    /// The same, and at these contracts too.
    #[must_use]
    pub fn and_at(mut self, extra: impl IntoIterator<Item = Escrow>) -> Self {
        self.extra.extend(extra);
        self
    }

    /// The same, where whoever brings this token may attest by hand and attach evidence.
    #[must_use]
    pub fn with_service_token(mut self, token: Secret) -> Self {
        self.service_token = Some(token);
        self
    }

    /// The same, where the ports have a key to attest with.
    #[must_use]
    pub const fn with_oracle_key(mut self) -> Self {
        self.has_oracle_key = true;
        self
    }

    /// The same, where an outcome may be forced by hand. Only for development.
    #[must_use]
    pub const fn allowing_force(mut self) -> Self {
        self.may_force = true;
        self
    }

    pub(crate) const fn has_oracle_key(&self) -> bool {
        self.has_oracle_key
    }

    pub(crate) const fn may_force(&self) -> bool {
        self.may_force
    }

    /// Whether a request comes from another of the operator's services.
    ///
    /// # Errors
    /// `oracle_not_configured` without a token of our own, `forbidden` for another one.
    pub(crate) fn check_service(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let token = self.service_token.as_ref();
        let token = token.ok_or(Problem::new(Code::OracleNotConfigured))?;
        // Of two nobody can tell which one is meant, and nothing is no token.
        let mut presented = headers.get_all(SERVICE_TOKEN).iter();
        let (first, second) = (presented.next(), presented.next());
        let presented = first.map_or(&b""[..], |value| value.as_bytes());
        let is_one = second.is_none() && !presented.is_empty();
        if is_one && constant_time_eq(token.expose(), presented) {
            Ok(())
        } else {
            Err(Problem::new(Code::Forbidden))
        }
    }

    /// The contract of an address, or the primary one where nobody names any.
    pub(crate) fn escrow(&self, address: Option<&str>) -> Result<&Escrow, Problem> {
        let Some(address) = address else {
            return Ok(&self.primary);
        };
        let unknown = || Problem::new(Code::BookingNotFound);
        let address = Wallet::parse_checked(address).map_err(|_| unknown())?;
        self.all()
            .find(|escrow| escrow.id.address == address)
            .ok_or_else(unknown)
    }

    /// What the contract of a booking can do.
    pub(crate) fn capabilities(&self, key: &BookingKey) -> Capabilities {
        let found = self.all().find(|escrow| escrow.id == key.escrow);
        found.map_or(Capabilities::default(), |escrow| escrow.capabilities)
    }

    pub(crate) fn channel(&self, key: &BookingKey) -> Channel {
        Channel::booked(key, key.escrow == self.primary.id)
    }

    fn all(&self) -> impl Iterator<Item = &Escrow> {
        std::iter::once(&self.primary).chain(&self.extra)
    }
}

impl App {
    /// What is configured of booked sessions.
    ///
    /// # Errors
    /// `not_configured`.
    pub(crate) fn bookings(&self) -> Result<&Bookings, Problem> {
        let bookings = self.shared.bookings.as_deref();
        bookings.ok_or(Problem::new(Code::NotConfigured))
    }

    /// The booking that a path names, at the contract that the query names.
    pub(crate) fn booking(&self, id: &str, escrow: Option<&str>) -> Result<BookingKey, Problem> {
        let booking = booking_id(id).ok_or(Problem::new(Code::InvalidBookingId))?;
        let escrow = self.bookings()?.escrow(escrow)?.id;
        Ok(BookingKey { escrow, booking })
    }
}

/// The number that a text names. Zeros before it are not part of it: the original took `007` for
/// another booking than `7`.
pub(crate) fn booking_id(text: &str) -> Option<BookingId> {
    let digits = text.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > BOOKING_ID_BYTES_MAX || !is_number {
        return None;
    }
    let canonical = digits.trim_start_matches('0');
    if canonical.is_empty() {
        return Some(BookingId::new(U256::ZERO));
    }
    parse_u256(canonical).ok().map(BookingId::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_booking_has_one_number_however_it_is_written() {
        let id = |text: &str| booking_id(text).map(|id| id.to_string());
        for (text, expected) in [
            ("7", Some("7")),
            (" 007\n", Some("7")),
            ("0", Some("0")),
            ("000", Some("0")),
            ("18446744073709551616", Some("18446744073709551616")),
        ] {
            assert_eq!(id(text).as_deref(), expected, "{text:?}");
        }
        let greatest = U256::MAX.to_string();
        assert_eq!(id(&greatest), Some(greatest.clone()));
        let above = format!("{}6", greatest.strip_suffix('5').unwrap());
        for text in [
            "", "  ", "abc", "-1", "+1", "1.5", "0x10", "1e3", "٣", &above,
        ] {
            assert_eq!(id(text), None, "{text:?}");
        }
        assert_eq!(id(&"0".repeat(257)), None);
    }
}
