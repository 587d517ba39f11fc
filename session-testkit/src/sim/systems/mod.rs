//! What clients do, one file for each system. [`System`] says how to add one.

mod bookings;
mod free_rooms;
mod intents;

pub use bookings::Bookings;
pub use free_rooms::FreeRooms;
pub use intents::Intents;

use session_core::idempotency::{IdempotencyKey, Once};
use session_core::types::Wallet;

use super::{Ask, Choices, System};

/// Every system, as it is before a run.
#[must_use]
pub fn all() -> Vec<Box<dyn System>> {
    vec![
        Box::new(FreeRooms::new()),
        Box::new(Intents::new()),
        Box::new(Bookings::new()),
    ]
}

/// The system of a name.
#[must_use]
pub fn named(name: &str) -> Option<Box<dyn System>> {
    all().into_iter().find(|system| system.name() == name)
}

/// An `Idempotency-Key` for a request: a new one for most, none for some, and now and then one
/// that the client used for something else.
pub(super) fn once(
    choices: &mut Choices,
    used: &mut u64,
    wallet: Wallet,
    ask: &dyn Ask,
) -> Option<Once> {
    let number = match choices.weighted(&[10, 8, 1]) {
        0 => return None,
        1 => {
            *used += 1;
            *used
        }
        _ => choices.between(1, (*used).max(1)),
    };
    let asked = format!("{ask:?}");
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&session_core::crypto::sha256(asked.as_bytes())[..16]);
    let key = IdempotencyKey::parse(wallet, ask.name(), &format!("k{number}")).ok()?;
    Some(Once { key, fingerprint })
}
