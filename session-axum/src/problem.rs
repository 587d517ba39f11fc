//! Every refusal and error as HTTP: one table.
//!
//! The body is `{"error", …}` as recorded, with `code`, `message` and `request_id` added
//! (`spec/README.md`, "Error bodies"); a client that asks for `application/problem+json` gets the
//! same facts as RFC 9457. Handlers only say which problem; `render` writes the body, because
//! only there are the request's id and its `Accept` header known.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use session_core::attestation::Waiting;
use session_core::auth::AuthRefusal;
use session_core::auth::siwe::SiweRefusal;
use session_core::booking::{BookingRefusal, EvidenceRefusal, SessionError, StatementRefusal};
use session_core::escrow::Outcome;
use session_core::ledger::{CreditRefusal, NotVerified};
use session_core::ports::{PortError, PortErrorKind, StoreError, StoreErrorKind};
use session_core::room::RoomRefusal;
use session_core::service::{ExecuteError, Never};

use crate::shown;

/// How long a client is told to wait when the fault is ours and passes.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 1;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident: $status:ident, $code:literal, $error:literal, $message:literal;)*) => {
        /// What went wrong, as clients can tell it apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, for tests that walk the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The recorded `error` text, byte for byte.
            #[must_use]
            pub const fn error(self) -> &'static str {
                match self { $(Self::$name => $error,)* }
            }

            /// A sentence for people.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

codes! {
    /// The wallet hosts a room.
    AlreadyHosting: CONFLICT, "already_hosting_free_room", "already_hosting_free_room",
        "this wallet hosts an active free room; join and leave it, or wait until it closes";
    /// The wallet is in a room.
    AlreadyInRoom: CONFLICT, "already_in_free_room", "already_in_free_room",
        "this wallet is in a free room; leave it first";
    /// More than the limit.
    BodyTooLarge: PAYLOAD_TOO_LARGE, "body_too_large", "body_too_large",
        "the request body is larger than this server reads";
    /// It is decided: what it was decided on stays.
    AlreadyDecided: CONFLICT, "already_decided", "already_decided",
        "the outcome of this session is decided";
    /// Somebody was faster.
    AlreadySettled: CONFLICT, "already_settled", "already_settled",
        "the booking was settled by somebody else in between";
    /// It is not known yet what came of it.
    AttestationPending: SERVICE_UNAVAILABLE, "attestation_pending", "attestation_pending",
        "the outcome is decided and on its way; it is pursued until the chain shows it";
    /// No such booking, or somebody else's.
    BookingNotFound: NOT_FOUND, "booking_not_found", "booking not found",
        "the contract has no such booking";
    /// Not one that a session can be held on.
    BookingNotActive: BAD_REQUEST, "booking_not_active", "booking not active",
        "the booking is cancelled or settled";
    /// Not one that waits for an attestation.
    BookingNotBooked: BAD_REQUEST, "booking_not_booked", "booking status is None, expected Booked",
        "the booking does not wait for an attestation";
    /// An attestation is on its way.
    Busy: CONFLICT, "busy", "busy",
        "this booking is being attested at the moment";
    /// Too late to attest.
    CompletedTooLate: BAD_REQUEST, "completed_too_late", "completed_too_late",
        "the contract takes a completed session until two hours after its end";
    /// Rows change too fast.
    Contended: SERVICE_UNAVAILABLE, "contended", "contended",
        "too many requests change the same thing at once; try again";
    /// The chain cannot be asked.
    ChainUnavailable: SERVICE_UNAVAILABLE, "chain_unavailable", "chain_unavailable",
        "the chain cannot be asked at the moment; try again";
    /// Only in development.
    ForceNotAllowed: BAD_REQUEST, "force_outcome_not_allowed_in_production",
        "force_outcome not allowed in production",
        "an outcome is forced only in development";
    /// Not a service of the operator's.
    Forbidden: FORBIDDEN, "forbidden", "forbidden",
        "this needs the service token";
    /// Too early to attest a no-show.
    GraceNotOver: BAD_REQUEST, "grace_not_over", "grace_not_over",
        "nobody's absence can be attested yet";
    /// Another request used the key.
    IdempotencyKeyReused: UNPROCESSABLE_ENTITY, "idempotency_key_reused", "idempotency_key_reused",
        "this idempotency key was used for another request";
    /// Too little credit.
    InsufficientCredits: FORBIDDEN, "insufficient_credits", "insufficient_credits",
        "too little credit is left to enter a room";
    /// Our fault.
    Internal: INTERNAL_SERVER_ERROR, "internal", "internal",
        "something went wrong on our side";
    /// Not the number of a booking.
    InvalidBookingId: BAD_REQUEST, "invalid_booking_id", "invalid booking_id",
        "a booking is named by a decimal number below 2^256";
    /// Not JSON, not an object, or a member of the wrong type.
    InvalidBody: BAD_REQUEST, "invalid_body", "invalid body",
        "the request body is not a JSON object with members of the expected types";
    /// A key nobody may use.
    InvalidIdempotencyKey: BAD_REQUEST, "invalid_idempotency_key", "invalid_idempotency_key",
        "an idempotency key is 1 to 255 visible ASCII characters";
    /// Not a cursor of ours.
    InvalidCursor: BAD_REQUEST, "invalid_cursor", "invalid_cursor",
        "a cursor is what next_cursor of the same list said";
    /// Not evidence.
    InvalidEvidence: BAD_REQUEST, "invalid_evidence", "invalid_evidence",
        "evidence has a kind (recording, transcript, diarization, other), a uri of at most 2048 \
         bytes, and a hash of 0x and 64 hex digits";
    /// Not an outcome.
    InvalidForceOutcome: BAD_REQUEST, "invalid_force_outcome", "invalid force_outcome",
        "an outcome is completed, no-show-host or no-show-guest";
    /// Not a number of items.
    InvalidLimit: BAD_REQUEST, "invalid_limit", "invalid_limit",
        "a limit is a number from 1 to 100";
    /// Not a message of EIP-4361.
    InvalidMessage: BAD_REQUEST, "invalid_message", "invalid_message",
        "the message is not one of EIP-4361; the reason says what is wrong";
    /// Not a nonce of this wallet, used, or too old.
    InvalidNonce: UNAUTHORIZED, "invalid_or_expired_nonce", "invalid or expired nonce",
        "ask for a new nonce and sign it";
    /// Not the wallet's.
    InvalidSignature: UNAUTHORIZED, "invalid_signature", "invalid signature",
        "the signature is not this wallet's signature of the nonce";
    /// Not a statement that a party signed.
    InvalidStatement: BAD_REQUEST, "invalid_statement", "invalid_statement",
        "a statement has an outcome, a deadline in seconds and this party's signature over it: 65 \
         bytes with a low s and a v of 27 or 28";
    /// Not a status of bookings.
    InvalidStatus: BAD_REQUEST, "invalid_status", "invalid_status",
        "a status is booked, cancelled, attested, disputed, resolved or finalized";
    /// Not an address.
    InvalidWallet: BAD_REQUEST, "invalid_wallet", "invalid wallet",
        "a wallet is 0x and 40 hex digits";
    /// Nothing has that path with that method.
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method_not_allowed", "method_not_allowed",
        "this path does not take that method";
    /// No key where one is needed.
    MissingIdempotencyKey: BAD_REQUEST, "idempotency_key_missing", "idempotency_key_missing",
        "this server answers nothing that moves credit without an Idempotency-Key";
    /// Body member missing.
    MissingBookingId: BAD_REQUEST, "missing_booking_id", "missing booking_id",
        "the body needs booking_id";
    /// Body members missing.
    MissingMessageParts: BAD_REQUEST, "missing_message_or_signature",
        "missing message or signature",
        "the body needs message and signature";
    /// Body member missing.
    MissingRoomId: BAD_REQUEST, "missing_room_id", "missing room_id",
        "the body needs room_id";
    /// Body members missing.
    MissingSignInParts: BAD_REQUEST, "missing_wallet_signature_or_nonce",
        "missing wallet, signature, or nonce",
        "the body needs wallet, signature and nonce";
    /// Body members missing.
    MissingStayParts: BAD_REQUEST, "missing_room_id_or_connection_id",
        "missing room_id or connection_id",
        "the body needs room_id and connection_id";
    /// Body members missing.
    MissingTimestampSignInParts: BAD_REQUEST, "missing_wallet_message_or_signature",
        "missing wallet, message, or signature",
        "the body needs wallet, message and signature";
    /// Body member missing.
    MissingWallet: BAD_REQUEST, "missing_wallet", "missing wallet",
        "the body needs wallet";
    /// No name.
    NameRequired: FORBIDDEN, "heaven_name_required", "heaven_name_required",
        "this wallet owns no primary name, which the base grant needs";
    /// This deployment has no such part.
    NotConfigured: SERVICE_UNAVAILABLE, "not_configured", "not_configured",
        "this server is not configured for that";
    /// No such thing, or somebody else's.
    NotFound: NOT_FOUND, "not_found", "not_found",
        "there is no such thing, or it is not yours";
    /// The process cannot work at the moment.
    NotReady: SERVICE_UNAVAILABLE, "not_ready", "not_ready",
        "the server cannot work at the moment; the reasons say why";
    /// No verification.
    NotVerified: FORBIDDEN, "not_verified", "not_verified",
        "this wallet is not verified";
    /// Too late to attest.
    NoShowTooLate: BAD_REQUEST, "no_show_too_late", "no_show_too_late",
        "the contract takes a no-show until the session's length after the grace";
    /// Not in.
    NotInSession: CONFLICT, "not_in_session", "not_in_session",
        "this wallet is not in the session; join it first";
    /// The contract takes another account's word.
    NotOracle: SERVICE_UNAVAILABLE, "not_oracle", "not_oracle",
        "the contract takes the word of another account than this server's";
    /// Neither host nor guest.
    NotParticipant: FORBIDDEN, "not_a_participant", "not a participant",
        "this wallet is neither host nor guest of the booking";
    /// No such stay.
    NotYourConnection: FORBIDDEN, "not_your_connection", "not_your_connection",
        "no live stay of this wallet in this room has this connection_id";
    /// No key to attest with.
    OracleKeyNotConfigured: SERVICE_UNAVAILABLE, "oracle_key_not_configured",
        "oracle key not configured",
        "this server has no key to attest with";
    /// Nobody may attest by hand.
    OracleNotConfigured: SERVICE_UNAVAILABLE, "oracle_not_configured", "oracle not configured",
        "this server takes no attestation by hand";
    /// A message for another server or another chain.
    OtherParty: UNAUTHORIZED, "wrong_domain_or_chain", "wrong_domain_or_chain",
        "the message names another domain or chain than this server";
    /// A party that changes its mind.
    OutcomeConflict: CONFLICT, "outcome_conflict", "outcome_conflict",
        "this party has signed another outcome";
    /// Too early to attest.
    OverlapNotMet: BAD_REQUEST, "overlap_not_met", "overlap_not_met",
        "the session can still be completed, and is not yet";
    /// Too much at once.
    Overloaded: SERVICE_UNAVAILABLE, "overloaded", "overloaded",
        "the server has as much to do as it can; try again";
    /// Too many requests.
    RateLimited: TOO_MANY_REQUESTS, "rate_limited", "rate_limited",
        "too many requests; try again later";
    /// No free seat.
    RoomFull: CONFLICT, "room_full", "room_full",
        "all seats of the room are taken";
    /// No such room.
    RoomNotFound: NOT_FOUND, "room_not_found", "room_not_found",
        "there is no such active room";
    /// Over.
    SessionHasEnded: BAD_REQUEST, "session_has_ended", "session has ended",
        "the session is over";
    /// Nobody came.
    SessionNotFound: NOT_FOUND, "session_not_found", "session not found",
        "nobody has come to this session";
    /// The booking's slot is none.
    SlotNotFound: NOT_FOUND, "slot_not_found", "slot not found",
        "the booking's slot has no host";
    /// Too late to be used.
    StatementExpired: BAD_REQUEST, "statement_expired", "statement_expired",
        "the statement's deadline has passed on the chain";
    /// The contract knows none.
    StatementsNotSupported: CONFLICT, "statements_not_supported", "statements_not_supported",
        "this booking's contract does not settle by statements";
    /// No such stay, where that is not told apart from somebody else's.
    StayNotFound: NOT_FOUND, "stay_not_found", "stay_not_found",
        "no live stay of this wallet in this room has this connection_id";
    /// The database cannot be asked.
    StoreUnavailable: SERVICE_UNAVAILABLE, "store_unavailable", "store_unavailable",
        "the database cannot be reached at the moment; try again";
    /// Too slow.
    Timeout: SERVICE_UNAVAILABLE, "timeout", "timeout",
        "the request took too long; try again with the same idempotency key";
    /// The doors are closed.
    TooEarlyToJoin: BAD_REQUEST, "too_early_to_join", "too early to join",
        "the doors open five minutes before the session";
    /// As many as there may be.
    TooMuchEvidence: CONFLICT, "too_much_evidence", "too_much_evidence",
        "a booking takes 20 pieces of evidence";
    /// No valid access token.
    Unauthorized: UNAUTHORIZED, "unauthorized", "unauthorized",
        "a valid access token is needed";
    /// A member that no route knows.
    UnknownMember: BAD_REQUEST, "unknown_member", "unknown_member",
        "the body or the query has a member that this route does not know";
    /// Not JSON.
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
        "unsupported_media_type",
        "the body has to be sent as application/json";
    /// A message that is no good now.
    Untimely: UNAUTHORIZED, "message_not_timely", "message_not_timely",
        "the message has expired, or is not good yet";
    /// Longer than the limit.
    UriTooLong: URI_TOO_LONG, "uri_too_long", "uri_too_long",
        "the request target is longer than this server reads";
}

/// A refusal or error on its way to a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    code: Code,
    extra: Map<String, Value>,
    retry_after_seconds: Option<u64>,
}

impl Problem {
    /// A problem with this code.
    #[must_use]
    pub fn new(code: Code) -> Self {
        let passes = code.status() == StatusCode::SERVICE_UNAVAILABLE;
        Self {
            code,
            extra: Map::new(),
            retry_after_seconds: passes.then_some(RETRY_AFTER_SECONDS),
        }
    }

    /// The same with a member that the wire page names.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// The same with how long to wait.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The same where a thing of somebody else's must look like none (`security.md` C2).
    #[must_use]
    pub(crate) fn strictly(self) -> Self {
        match self.code {
            Code::NotYourConnection => Self {
                code: Code::StayNotFound,
                ..self
            },
            Code::NotParticipant => Self {
                code: Code::BookingNotFound,
                ..self
            },
            _ => self,
        }
    }

    pub(crate) fn recorded_body(&self, request_id: &str) -> Value {
        let mut body = Map::new();
        body.insert("error".to_owned(), json!(self.code.error()));
        body.extend(self.extra.clone());
        body.insert("code".to_owned(), json!(self.code.name()));
        body.insert("message".to_owned(), json!(self.code.message()));
        body.insert("request_id".to_owned(), json!(request_id));
        Value::Object(body)
    }

    pub(crate) fn rfc9457_body(&self, request_id: &str) -> Value {
        let mut body = self.extra.clone();
        body.insert(
            "type".to_owned(),
            json!(format!("urn:session:problem:{}", self.code.name())),
        );
        body.insert("title".to_owned(), json!(self.code.message()));
        body.insert("status".to_owned(), json!(self.code.status().as_u16()));
        body.insert("code".to_owned(), json!(self.code.name()));
        body.insert("request_id".to_owned(), json!(request_id));
        Value::Object(body)
    }
}

impl IntoResponse for Problem {
    /// Without a body: `render` writes it.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of a response that carries a [`Problem`]; others pass.
pub(crate) fn render(response: Response, request_id: &str, wants_rfc9457: bool) -> Response {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    let (body, media_type) = if wants_rfc9457 {
        (problem.rfc9457_body(request_id), "application/problem+json")
    } else {
        (problem.recorded_body(request_id), "application/json")
    };
    parts
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Response::from_parts(parts, Body::from(body.to_string()))
}

impl From<AuthRefusal> for Problem {
    fn from(refusal: AuthRefusal) -> Self {
        Self::new(match refusal {
            AuthRefusal::InvalidNonce => Code::InvalidNonce,
            AuthRefusal::InvalidSignature => Code::InvalidSignature,
        })
    }
}

impl From<SiweRefusal> for Problem {
    fn from(refusal: SiweRefusal) -> Self {
        Self::new(match refusal {
            SiweRefusal::InvalidNonce => Code::InvalidNonce,
            SiweRefusal::InvalidSignature => Code::InvalidSignature,
            SiweRefusal::OtherParty => Code::OtherParty,
            SiweRefusal::Untimely => Code::Untimely,
        })
    }
}

impl From<CreditRefusal> for Problem {
    fn from(refusal: CreditRefusal) -> Self {
        match refusal {
            CreditRefusal::NameRequired => Self::new(Code::NameRequired),
            CreditRefusal::TooLittle { remaining } => {
                Self::new(Code::InsufficientCredits).with("remaining_seconds", remaining.get())
            }
        }
    }
}

impl From<NotVerified> for Problem {
    fn from(_: NotVerified) -> Self {
        Self::new(Code::NotVerified).with("granted", false)
    }
}

impl From<RoomRefusal> for Problem {
    fn from(refusal: RoomRefusal) -> Self {
        match refusal {
            RoomRefusal::AlreadyHosting => Self::new(Code::AlreadyHosting),
            RoomRefusal::AlreadyInRoom => Self::new(Code::AlreadyInRoom),
            RoomRefusal::Credit(refusal) => refusal.into(),
            RoomRefusal::NotYourConnection => Self::new(Code::NotYourConnection),
            RoomRefusal::RoomFull => Self::new(Code::RoomFull),
            RoomRefusal::RoomNotFound => Self::new(Code::RoomNotFound),
        }
    }
}

impl From<BookingRefusal> for Problem {
    fn from(refusal: BookingRefusal) -> Self {
        match refusal {
            BookingRefusal::BookingNotFound => Self::new(Code::BookingNotFound),
            BookingRefusal::SlotNotFound => Self::new(Code::SlotNotFound),
            BookingRefusal::NotActive => Self::new(Code::BookingNotActive),
            BookingRefusal::NotParticipant => Self::new(Code::NotParticipant),
            BookingRefusal::TooEarly { opens_at } => {
                Self::new(Code::TooEarlyToJoin).with("retry_at", opens_at.unix())
            }
            BookingRefusal::Ended => Self::new(Code::SessionHasEnded),
            BookingRefusal::NotIn => Self::new(Code::NotInSession),
            BookingRefusal::NotBooked(status) => {
                let error = format!("booking status is {}, expected Booked", status.name());
                Self::new(Code::BookingNotBooked).with("error", error)
            }
            BookingRefusal::Waiting { reason, retry_at } => Self::new(match reason {
                Waiting::GraceNotOver | Waiting::NotStarted => Code::GraceNotOver,
                Waiting::OverlapNotMet | Waiting::SessionInProgress => Code::OverlapNotMet,
            })
            .with("retry_at", retry_at.unix()),
            BookingRefusal::TooLate(outcome) => Self::new(match outcome {
                Outcome::Completed => Code::CompletedTooLate,
                Outcome::NoShowHost | Outcome::NoShowGuest => Code::NoShowTooLate,
            }),
            BookingRefusal::Busy => Self::new(Code::Busy),
            BookingRefusal::NotOracle => Self::new(Code::NotOracle),
            BookingRefusal::NoKey => Self::new(Code::OracleKeyNotConfigured),
            BookingRefusal::Contradiction => Self::new(Code::ChainUnavailable),
        }
    }
}

impl From<EvidenceRefusal> for Problem {
    fn from(refusal: EvidenceRefusal) -> Self {
        match refusal {
            EvidenceRefusal::Booking(refusal) => refusal.into(),
            EvidenceRefusal::Decided => Self::new(Code::AlreadyDecided),
            EvidenceRefusal::Uri => Self::new(Code::InvalidEvidence),
            EvidenceRefusal::TooMany => Self::new(Code::TooMuchEvidence),
        }
    }
}

impl From<StatementRefusal> for Problem {
    fn from(refusal: StatementRefusal) -> Self {
        match refusal {
            StatementRefusal::Booking(refusal) => refusal.into(),
            StatementRefusal::Unsupported => Self::new(Code::StatementsNotSupported),
            StatementRefusal::Signature => Self::new(Code::InvalidStatement),
            StatementRefusal::Conflict => Self::new(Code::OutcomeConflict),
            StatementRefusal::Expired => Self::new(Code::StatementExpired),
            StatementRefusal::Decided => Self::new(Code::AlreadyDecided),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Port(error) => error.into(),
            SessionError::Store(error) => error.into(),
        }
    }
}

impl From<Never> for Problem {
    fn from(never: Never) -> Self {
        match never {}
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = shown::in_full(&error), "store failed");
        Self::new(match error.kind {
            StoreErrorKind::Corrupt => Code::Internal,
            StoreErrorKind::Unavailable => Code::StoreUnavailable,
        })
    }
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        tracing::warn!(error = shown::in_full(&error), "port failed");
        Self::new(match error.kind {
            PortErrorKind::Corrupt => Code::Internal,
            PortErrorKind::NotConfigured => Code::NotConfigured,
            PortErrorKind::Unavailable => Code::ChainUnavailable,
        })
    }
}

impl From<ExecuteError> for Problem {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Busy => Self::new(Code::Contended),
            ExecuteError::IdempotencyMismatch => Self::new(Code::IdempotencyKeyReused),
            ExecuteError::Port(error) => error.into(),
            ExecuteError::Rejected(why) => {
                let why = shown::in_full(&why);
                tracing::error!(why, "a decision can never be committed");
                Self::new(Code::Internal)
            }
            ExecuteError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_a_status_of_its_class() {
        let mut names = BTreeSet::new();
        for code in Code::ALL {
            assert!(names.insert(code.name()), "{} stands twice", code.name());
            assert!(code.status().is_client_error() || code.status().is_server_error());
            let snake = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(
                code.name().chars().all(snake),
                "{} is not snake_case",
                code.name()
            );
            let text_is_code = !code.error().contains(' ');
            assert!(
                !text_is_code || code.error() == code.name(),
                "{code:?} has two codes"
            );
        }
    }

    #[test]
    fn what_passes_says_when_to_try_again() {
        for code in Code::ALL {
            let response = Problem::new(*code).into_response();
            let passes = code.status() == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(
                response.headers().contains_key(header::RETRY_AFTER),
                passes,
                "{code:?}"
            );
        }
    }
}
