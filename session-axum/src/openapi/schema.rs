//! Forms of texts and bodies that several routes share. They are only described here: values are
//! made and read by `session-core`.
#![allow(dead_code, reason = "they are only described")]

use serde_json::Value;
use utoipa::ToSchema;

/// An account's address: `0x` and 40 hex digits, in lower case in every answer.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^0x[0-9a-fA-F]{40}$",
    example = "0xeea7a1d1fc57f9fa21a83a749aea5ec824fa0d85")]
pub(crate) struct Wallet(String);

/// What `POST /rooms/create` answered. Take it as it is.
#[derive(ToSchema)]
#[schema(value_type = String, format = "uuid", example = "7b1f6f4c-1f0e-4b2a-9d5e-0a4c9f8e2d11")]
pub(crate) struct RoomId(String);

/// One stay of one wallet in one room: what `POST /rooms/join` answered. Take it as it is.
#[derive(ToSchema)]
#[schema(value_type = String, format = "uuid", example = "c2a4e6a8-5d3b-4c1f-8e7a-6b5c4d3e2f10")]
pub(crate) struct ConnectionId(String);

/// A booking of an escrow contract: a decimal number below 2^256.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[0-9]{1,78}$", example = "7")]
pub(crate) struct BookingId(String);

/// 32 bytes: `0x` and 64 hex digits, in lower case in every answer.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^0x[0-9a-fA-F]{64}$",
    example = "0x854fa816323ecab971456df1c7b97fb8ec468e479892b7b453484c712e3aa0a8")]
pub(crate) struct Word(String);

/// Whole seconds.
#[derive(ToSchema)]
#[schema(value_type = u64, example = 1800)]
pub(crate) struct Seconds(u64);

/// The body of every refusal and error.
///
/// `error` is what existing clients compare; `code` is the stable name of the same thing, and
/// `message` a sentence for people. The other members come with the codes that they name.
#[derive(ToSchema)]
pub(crate) struct Error {
    error: String,
    code: String,
    message: String,
    /// The request's id, as in the header `x-request-id`.
    request_id: String,
    /// With `insufficient_credits`: what is left.
    #[schema(value_type = Seconds, required = false)]
    remaining_seconds: Option<u64>,
    /// With what is too early: when it is worth trying again, in unix seconds.
    #[schema(value_type = u64, required = false)]
    retry_at: Option<u64>,
    /// With `not_verified`: always false.
    #[schema(value_type = bool, required = false)]
    granted: Option<bool>,
    /// With `not_ready`: always false.
    #[schema(value_type = bool, required = false)]
    ready: Option<bool>,
    /// With `not_ready`: why.
    #[schema(value_type = Vec<String>, required = false)]
    reasons: Option<Vec<String>>,
    /// With `not_your_connection`, where the stay had ended without its wallet's doing: the
    /// `receipt` of that stay.
    #[schema(value_type = Object, required = false)]
    details: Option<Value>,
}

/// The same facts as RFC 9457, for a client whose `accept` names `application/problem+json`; what
/// comes with a code in `Error` comes with it here.
#[derive(ToSchema)]
pub(crate) struct Problem {
    /// `urn:session:problem:` and the code.
    #[schema(rename = "type", value_type = String)]
    kind: String,
    /// A sentence for people.
    title: String,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    code: String,
    /// The request's id, as in the header `x-request-id`.
    request_id: String,
}
