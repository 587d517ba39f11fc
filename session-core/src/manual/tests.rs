//! The page of defaults says what the code does.

use std::collections::BTreeMap;

use super::rows::rows;
use crate::attestation::{AttestationPolicy, COMPLETED_AFTER_END};
use crate::audit::{COMPLAINTS_MAX, OVERDUE_MAX};
use crate::auth::siwe::MESSAGE_BYTES_MAX;
use crate::auth::{
    ACCESS_TOKEN_LEEWAY, ACCESS_TOKEN_MAX_BYTES, ACCESS_TOKEN_SECONDS, AuthPolicy, JWT_KEYS_MAX,
    REVOCATION_KEPT_AFTER_EXPIRY, TIMESTAMP_OFF_MAX,
};
use crate::booking::{
    ATTEMPTS_KEPT_MAX, BookingPolicy, CHAIN_AHEAD_MAX, EVIDENCE_MAX, EVIDENCE_URI_BYTES_MAX,
    MUTUAL_GIVEN_UP_BEFORE, NOT_FOUND_IN_A_ROW, STAYS_MAX,
};
use crate::idempotency::{IDEMPOTENCY_KEPT_SECONDS, IDEMPOTENCY_KEY_CHARS_MAX};
use crate::journal::{BLOCK_ENTRIES_MAX, JournalPolicy};
use crate::ledger::{CreditPolicy, SUM_MAX};
use crate::media::agora::PAYLOAD_MAX_BYTES;
use crate::media::{Channel, Ttl};
use crate::outage::{OUTAGES_KEPT_FOR, OUTAGES_KEPT_MAX, OutagePolicy};
use crate::outbox::{NOTE_CHARS_MAX, OutboxPolicy};
use crate::policy::Policy;
use crate::receipt::RECEIPT_BYTES_MAX;
use crate::room::RoomPolicy;
use crate::service::{CLAIM_ROWS_MAX, CONFLICTS_MAX, INSTANT_KEPT_MAX, QUESTIONS_MAX};
use crate::types::U256_DIGITS_MAX;

const PAGE: &str = include_str!("defaults.md");

/// A section has these numbers and no others.
fn says(section: &str, code: &[(&'static str, u64)]) {
    let page: BTreeMap<&str, Option<u64>> = rows(PAGE, section).collect();
    let code: BTreeMap<&str, Option<u64>> = code
        .iter()
        .map(|(name, number)| (*name, Some(*number)))
        .collect();
    assert_eq!(page, code, "the page, and the code, of {section:?}");
}

fn size(number: usize) -> u64 {
    u64::try_from(number).unwrap()
}

/// Every policy is taken apart by all of its members, so that one more does not compile until it
/// is in the page.
#[test]
fn the_page_says_every_number_of_every_policy() {
    let Policy {
        auth,
        bookings,
        credits,
        journal,
        outage,
        outbox,
        rooms,
    } = Policy::default();

    let AuthPolicy {
        nonce_seconds,
        nonces_per_wallet_max,
        strict,
    } = auth;
    says(
        "Sign-in",
        &[
            ("AuthPolicy::nonce_seconds", nonce_seconds.get()),
            (
                "AuthPolicy::nonces_per_wallet_max",
                size(nonces_per_wallet_max),
            ),
            ("AuthPolicy::strict", strict.into()),
            ("ACCESS_TOKEN_LEEWAY", ACCESS_TOKEN_LEEWAY.get()),
            (
                "REVOCATION_KEPT_AFTER_EXPIRY",
                REVOCATION_KEPT_AFTER_EXPIRY.get(),
            ),
            ("TIMESTAMP_OFF_MAX", TIMESTAMP_OFF_MAX.get()),
            ("MESSAGE_BYTES_MAX", size(MESSAGE_BYTES_MAX)),
            ("ACCESS_TOKEN_SECONDS", ACCESS_TOKEN_SECONDS),
            ("ACCESS_TOKEN_MAX_BYTES", size(ACCESS_TOKEN_MAX_BYTES)),
            ("JWT_KEYS_MAX", size(JWT_KEYS_MAX)),
        ],
    );

    let CreditPolicy {
        base_grant,
        bonus_grant,
    } = credits;
    says(
        "Credit and the ledger",
        &[
            ("CreditPolicy::base_grant", base_grant.get()),
            ("CreditPolicy::bonus_grant", bonus_grant.get()),
            ("SUM_MAX", SUM_MAX),
        ],
    );

    let BookingPolicy {
        join_before_seconds,
        lease,
        heartbeat_interval_seconds,
        silent_after_seconds,
        leave_debounce_seconds,
        look_again_seconds,
        recheck_seconds,
        full_metrics,
        attestation,
    } = bookings;
    let AttestationPolicy {
        settle_delay_seconds,
        no_show_margin_seconds,
    } = attestation;
    says(
        "Booked sessions",
        &[
            (
                "BookingPolicy::join_before_seconds",
                join_before_seconds.get(),
            ),
            ("BookingPolicy::lease", lease.get().into()),
            (
                "BookingPolicy::heartbeat_interval_seconds",
                heartbeat_interval_seconds.get(),
            ),
            (
                "BookingPolicy::silent_after_seconds",
                silent_after_seconds.get(),
            ),
            (
                "BookingPolicy::leave_debounce_seconds",
                leave_debounce_seconds.get(),
            ),
            (
                "BookingPolicy::look_again_seconds",
                look_again_seconds.get(),
            ),
            ("BookingPolicy::recheck_seconds", recheck_seconds.get()),
            ("BookingPolicy::full_metrics", full_metrics.into()),
            (
                "AttestationPolicy::settle_delay_seconds",
                settle_delay_seconds.get(),
            ),
            (
                "AttestationPolicy::no_show_margin_seconds",
                no_show_margin_seconds.get(),
            ),
            ("COMPLETED_AFTER_END", COMPLETED_AFTER_END.get()),
            ("STAYS_MAX", size(STAYS_MAX)),
            ("EVIDENCE_MAX", size(EVIDENCE_MAX)),
            ("EVIDENCE_URI_BYTES_MAX", size(EVIDENCE_URI_BYTES_MAX)),
            ("ATTEMPTS_KEPT_MAX", size(ATTEMPTS_KEPT_MAX)),
            ("MUTUAL_GIVEN_UP_BEFORE", MUTUAL_GIVEN_UP_BEFORE.get()),
            ("NOT_FOUND_IN_A_ROW", NOT_FOUND_IN_A_ROW.into()),
            ("CHAIN_AHEAD_MAX", CHAIN_AHEAD_MAX.get()),
            ("U256_DIGITS_MAX", size(U256_DIGITS_MAX)),
        ],
    );

    let RoomPolicy {
        capacity,
        lease,
        renew_after_seconds,
        heartbeat_interval_seconds,
        credit_min_seconds,
        credit_low_seconds,
        silence_max_seconds,
        check_after_seconds,
        unjoined_max_seconds,
        exhausted_max_seconds,
        active_list_max,
        events_kept_seconds,
        lease_ejects,
        remove_from_channel,
    } = rooms;
    says(
        "Free rooms",
        &[
            ("RoomPolicy::capacity", capacity.into()),
            ("RoomPolicy::lease", lease.get().into()),
            ("RoomPolicy::renew_after_seconds", renew_after_seconds.get()),
            (
                "RoomPolicy::heartbeat_interval_seconds",
                heartbeat_interval_seconds.get(),
            ),
            ("RoomPolicy::credit_min_seconds", credit_min_seconds.get()),
            ("RoomPolicy::credit_low_seconds", credit_low_seconds.get()),
            ("RoomPolicy::silence_max_seconds", silence_max_seconds.get()),
            ("RoomPolicy::check_after_seconds", check_after_seconds.get()),
            (
                "RoomPolicy::unjoined_max_seconds",
                unjoined_max_seconds.get(),
            ),
            (
                "RoomPolicy::exhausted_max_seconds",
                exhausted_max_seconds.get(),
            ),
            ("RoomPolicy::active_list_max", active_list_max.into()),
            ("RoomPolicy::events_kept_seconds", events_kept_seconds.get()),
            ("RoomPolicy::lease_ejects", lease_ejects.into()),
            (
                "RoomPolicy::remove_from_channel",
                remove_from_channel.into(),
            ),
        ],
    );

    let OutagePolicy {
        beat_seconds,
        missed_after_seconds,
        skew_max_seconds,
    } = outage;
    says(
        "Time",
        &[
            ("OutagePolicy::beat_seconds", beat_seconds.get()),
            (
                "OutagePolicy::missed_after_seconds",
                missed_after_seconds.get(),
            ),
            ("OutagePolicy::skew_max_seconds", skew_max_seconds.get()),
            ("OUTAGES_KEPT_MAX", size(OUTAGES_KEPT_MAX)),
            ("OUTAGES_KEPT_FOR", OUTAGES_KEPT_FOR.get()),
            ("INSTANT_KEPT_MAX", INSTANT_KEPT_MAX.get()),
        ],
    );

    let OutboxPolicy {
        lease_seconds,
        attempts_max,
        retry_first_seconds,
        retry_max_seconds,
        repeatable_for_seconds,
    } = outbox;
    says(
        "Work and intents",
        &[
            ("OutboxPolicy::lease_seconds", lease_seconds.get()),
            ("OutboxPolicy::attempts_max", attempts_max.into()),
            (
                "OutboxPolicy::retry_first_seconds",
                retry_first_seconds.get(),
            ),
            ("OutboxPolicy::retry_max_seconds", retry_max_seconds.get()),
            (
                "OutboxPolicy::repeatable_for_seconds",
                repeatable_for_seconds.get(),
            ),
            ("NOTE_CHARS_MAX", size(NOTE_CHARS_MAX)),
            ("CLAIM_ROWS_MAX", size(CLAIM_ROWS_MAX)),
            ("CONFLICTS_MAX", size(CONFLICTS_MAX)),
            ("QUESTIONS_MAX", size(QUESTIONS_MAX)),
            ("IDEMPOTENCY_KEPT_SECONDS", IDEMPOTENCY_KEPT_SECONDS.get()),
            ("IDEMPOTENCY_KEY_CHARS_MAX", size(IDEMPOTENCY_KEY_CHARS_MAX)),
        ],
    );

    let JournalPolicy {
        seal_every_seconds,
        block_entries_max,
    } = journal;
    says(
        "Journal, audit, receipts",
        &[
            (
                "JournalPolicy::seal_every_seconds",
                seal_every_seconds.get(),
            ),
            ("JournalPolicy::block_entries_max", block_entries_max.into()),
            ("BLOCK_ENTRIES_MAX", BLOCK_ENTRIES_MAX.into()),
            ("OVERDUE_MAX", OVERDUE_MAX.get()),
            ("COMPLAINTS_MAX", size(COMPLAINTS_MAX)),
            ("RECEIPT_BYTES_MAX", size(RECEIPT_BYTES_MAX)),
        ],
    );

    says(
        "Media",
        &[
            ("Ttl::MIN", Ttl::MIN.get().into()),
            ("Ttl::MAX", Ttl::MAX.get().into()),
            ("Ttl::FREE_ROOM", Ttl::FREE_ROOM.get().into()),
            ("Channel::LENGTH_MAX_BYTES", size(Channel::LENGTH_MAX_BYTES)),
            ("PAYLOAD_MAX_BYTES", size(PAYLOAD_MAX_BYTES)),
        ],
    );
}

#[test]
fn a_row_is_read_by_its_name_and_its_number() {
    let page = "# A\n| what | is |\n| --- | --- |\n| `X::y` | 16384 bytes | z |\n| `Z` | off | |\n# B\n| `W` | 1 |\n";
    let found: std::vec::Vec<_> = rows(page, "A").collect();
    assert_eq!(found, [("X::y", Some(16_384)), ("Z", None)]);
}
