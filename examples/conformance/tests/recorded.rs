//! What this build has must answer as recorded, on every store it has.

#![allow(clippy::unwrap_used, reason = "what is not as expected ends the test")]

mod common;

use common::{replay, vectors};
use session_conformance::stores::StoreKind;

/// Scenarios and sections of the systems that there are.
const GOLDEN: &str = "misc,auth,jwt,credits,celo,room,meter,signature,agora,session,mock,attest,\
    unit";
const AGORA: &str = "build,parse,invalid_build,legacy_006";
const LIVEKIT: &str = "tokens,verify";

async fn all_pass(file: &str, only: &str, store: &StoreKind, cases_min: usize) {
    let report = replay(&vectors(file), only, store).await;
    assert!(report.is_success(), "{report}");
    assert!(report.files[0].passed >= cases_min, "{report}");
}

#[tokio::test]
async fn the_recorded_exchanges_hold_on_memory() {
    all_pass("golden-rooms.json", GOLDEN, &StoreKind::Memory, 85).await;
}

#[tokio::test]
async fn the_recorded_exchanges_hold_on_sqlite() {
    all_pass("golden-rooms.json", GOLDEN, &StoreKind::Sqlite, 85).await;
}

#[tokio::test]
async fn the_vectors_of_agora_tokens_hold() {
    all_pass("agora.json", AGORA, &StoreKind::Memory, 93).await;
}

#[tokio::test]
async fn the_vectors_of_livekit_tokens_hold() {
    all_pass("livekit.json", LIVEKIT, &StoreKind::Memory, 32).await;
}

#[tokio::test]
async fn the_vectors_of_escrows_hold() {
    all_pass("settlement.json", "", &StoreKind::Memory, 364).await;
}

#[tokio::test]
async fn the_channel_of_a_free_room_holds() {
    all_pass(
        "golden-rooms.json",
        "unit.channels/0",
        &StoreKind::Memory,
        1,
    )
    .await;
}
