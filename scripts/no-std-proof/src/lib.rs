//! Links `session-core` into a library of machine code that has no std.
//!
//! `#![no_std]` on a crate says nothing about what it depends on: on a host, a tree with std in it
//! compiles all the same. Here a panic handler and an allocator stand where std would bring its
//! own, so any std in the tree stops the build with a duplicate `panic_impl` that names who
//! brought it.
//!
//! `./test` builds this alone. Each of these was tried in a copy, stopped the build with
//! ``found duplicate lang item `panic_impl` ``, and passed again when it was taken back:
//!
//! | change | who it said brings std |
//! | --- | --- |
//! | `time` with `formatting` | ``crate `std` (which `time` depends on)`` |
//! | `serde` with `std` | ``crate `std` (which `serde` depends on)`` |
//! | `extern crate std` in the core | ``crate `std` (which `session_core` depends on)`` |
#![no_std]

extern crate alloc;

use alloc::boxed::Box;
use alloc::string::String;
use core::alloc::{GlobalAlloc, Layout};
use core::future::Future;
use core::panic::PanicInfo;
use core::pin::Pin;

use session_core::audit::{BundleError, SignedBundle, Story};
use session_core::auth::{AccessClaims, InvalidToken, JwtKeys};
use session_core::changeset::{Changeset, Delta, Lane, Rejection, World, apply};
use session_core::crypto::{InvalidSignature, Signature, eip191};
use session_core::ledger::Account;
use session_core::media::agora::{AgoraIssuer, Duplicates, ReadError, ReadToken};
use session_core::media::{MediaGrant, MediaTokenError, MediaTokenIssuer};
use session_core::receipt::{self, ReceiptError, StayReceipt};
use session_core::room::{CreateRoom, Heartbeat, JoinRoom, LeaveRoom, Renew};
use session_core::service::{Command, ExecuteError, Ports, Worked, beat, execute, work_lane};
use session_core::types::{Timestamp, Wallet};

/// Whoever panics here stops.
#[panic_handler]
fn stop(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// An allocator that has nothing: the library is linked, never run.
struct Nothing;

// SAFETY: it never hands out memory, so there is none that it could hand out wrongly.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;

type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;
type Executed<'a, C> =
    Pending<'a, Result<Result<<C as Command>::Reply, <C as Command>::Refusal>, ExecuteError>>;

/// Access tokens: HMAC, base64, JSON.
pub fn auth(keys: &JwtKeys, claims: &AccessClaims) -> Result<AccessClaims, InvalidToken> {
    keys.verify(&keys.sign(claims), claims.iat)
}

/// Signatures of wallets: Keccak and secp256k1.
pub fn crypto(message: &str, signature: &str) -> Result<Wallet, InvalidSignature> {
    Signature::parse(signature)?.recover(&eip191::digest(message.as_bytes()))
}

/// The one door, with the rows and the journal behind it.
pub fn changeset(world: &World, changeset: &Changeset) -> Result<Delta, Rejection> {
    apply(world, changeset)
}

/// The ledger; its rule is linked with the door.
pub fn ledger(account: &Account) -> String {
    account.describe()
}

/// Media tokens: deflate and inflate.
pub fn media(issuer: &AgoraIssuer, grant: &MediaGrant) -> Result<String, MediaTokenError> {
    issuer.issue(grant)
}

/// The way back.
pub fn read_media(token: &str) -> Result<ReadToken, ReadError> {
    ReadToken::parse(token, Duplicates::Refused)
}

/// Dates.
pub fn types(at: Timestamp) -> String {
    at.to_rfc3339()
}

/// A command of free rooms, driven through all ports.
pub fn create<'a>(ports: &'a Ports, command: &'a CreateRoom) -> Executed<'a, CreateRoom> {
    Box::pin(execute(ports, command))
}

/// A command of free rooms, driven through all ports.
pub fn join<'a>(ports: &'a Ports, command: &'a JoinRoom) -> Executed<'a, JoinRoom> {
    Box::pin(execute(ports, command))
}

/// A command of free rooms, driven through all ports.
pub fn heartbeat<'a>(ports: &'a Ports, command: &'a Heartbeat) -> Executed<'a, Heartbeat> {
    Box::pin(execute(ports, command))
}

/// A command of free rooms, driven through all ports.
pub fn renew<'a>(ports: &'a Ports, command: &'a Renew) -> Executed<'a, Renew> {
    Box::pin(execute(ports, command))
}

/// A command of free rooms, driven through all ports.
pub fn leave<'a>(ports: &'a Ports, command: &'a LeaveRoom) -> Executed<'a, LeaveRoom> {
    Box::pin(execute(ports, command))
}

/// Work of workers: every lane, and through it rooms, intents and what expires.
pub fn work(ports: &Ports, lane: Lane) -> Pending<'_, Result<Worked, ExecuteError>> {
    Box::pin(work_lane(ports, lane))
}

/// What a server exported, checked without it.
pub fn bundle(text: &str) -> Result<Story, BundleError> {
    SignedBundle::parse(text)?.verify()
}

/// What a server handed out, checked without it.
pub fn stay_receipt(text: &str, signer: Wallet) -> Result<StayReceipt, ReceiptError> {
    receipt::verify(text, signer)
}

/// The shared beat.
pub fn outage(ports: &Ports) -> Pending<'_, bool> {
    Box::pin(async { beat(ports).await.is_ok() })
}
