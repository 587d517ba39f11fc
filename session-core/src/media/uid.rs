//! The number a participant has in a channel.

use core::fmt;
use core::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::types::Wallet;

/// The number of a participant in a channel, never 0: a token for 0 lets anybody in under any
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaUid(NonZeroU32);

impl MediaUid {
    /// The uid of this number; `None` for 0.
    #[must_use]
    pub const fn new(raw: u32) -> Option<Self> {
        match NonZeroU32::new(raw) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// The uid that clients expect a wallet to have; `None` where the rule gives 0, and another
    /// one has to be drawn. Two wallets may have the same one: whoever seats them looks.
    #[must_use]
    pub fn derive(wallet: Wallet) -> Option<Self> {
        Self::new(raw_uid_of(wallet))
    }

    /// The number, never 0.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for MediaUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<NonZeroU32> for MediaUid {
    fn from(raw: NonZeroU32) -> Self {
        Self(raw)
    }
}

/// The recorded rule: the last 4 bytes of a wallet modulo 2^32 - 1, so that both `ffffffff` and
/// `00000000` give 0.
#[must_use]
pub fn raw_uid_of(wallet: Wallet) -> u32 {
    let [.., a, b, c, d] = wallet.to_bytes();
    match u32::from_be_bytes([a, b, c, d]) {
        u32::MAX => 0,
        raw => raw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet(last: [u8; 4]) -> Wallet {
        let mut bytes = [0xab; 20];
        bytes[16..].copy_from_slice(&last);
        Wallet::from_bytes(bytes)
    }

    #[test]
    fn a_uid_is_the_end_of_the_wallet() {
        assert_eq!(raw_uid_of(wallet([0x12, 0x34, 0x56, 0x78])), 0x1234_5678);
        assert_eq!(raw_uid_of(wallet([0xff, 0xff, 0xff, 0xfe])), u32::MAX - 1);
        assert_eq!(
            MediaUid::derive(wallet([0, 0, 0, 1])).map(MediaUid::get),
            Some(1)
        );
    }

    #[test]
    fn nobody_is_given_uid_0() {
        for last in [[0; 4], [0xff; 4]] {
            assert_eq!(raw_uid_of(wallet(last)), 0);
            assert_eq!(MediaUid::derive(wallet(last)), None);
        }
        assert_eq!(MediaUid::new(0), None);
    }
}
