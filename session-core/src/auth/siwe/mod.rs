//! Sign-in with a message of EIP-4361, "Sign-In with Ethereum".
//!
//! A client asks for a [nonce](SiweNonce), writes it into a [`Message`] that names this server, has
//! it signed and sends both back. A nonce costs this server no row until it is used: it carries the
//! time of its issue and a tag that only this server's keys can make. Using it, with a right
//! signature or a wrong one, writes the row that refuses it for ever after.

mod message;
mod nonce;
mod sign_in;

pub use message::{InvalidMessage, MESSAGE_BYTES_MAX, Message, Moment};
pub use nonce::SiweNonce;
pub use sign_in::{InvalidRelyingParty, RelyingParty, SignInWithMessage, SiweRefusal};
