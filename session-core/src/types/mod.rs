//! Values that cannot be wrong: parsed once at the edge, compared as bytes ever after.

mod caip2;
mod hex;
mod ids;
mod time;
mod u256;
mod units;
mod wallet;

pub use caip2::{Caip2, InvalidCaip2};
pub use hex::{HexError, decode_hex, decode_hex_array, encode_hex};
pub use ids::{
    ChainId, ConnectionId, EntryId, Id128, IntentKey, InvalidId, RevocationId, RoomId, TokenId,
    TransferId,
};
pub use time::Timestamp;
pub use u256::{
    BookingId, InvalidU256, RequestId, SlotId, TokenAmount, U256, U256_DIGITS_MAX, parse_u256,
};
pub use units::{Quantity, Sats, Seconds, Unit, UsdcAtomic};
pub use wallet::{InvalidWallet, Wallet};
