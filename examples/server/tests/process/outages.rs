//! The server goes and comes back: nobody pays for its absence, nobody is put out for it, and
//! whoever was in goes on with the access token and the seat it has.

use std::path::Path;

use session_core::changeset::{Key, Loaded};
use session_core::outage::Service;
use session_core::ports::{Read, Snapshot};
use session_sqlx::{SqliteOptions, SqliteStore};

use crate::client::{Client, SignAs};
use crate::clock::pass_seconds;
use crate::rooms::{MEDIA, Stay, create};
use crate::server::Server;

/// The shared beat, as it is in the database of a folder.
pub(crate) fn service_row(folder: &Path) -> Service {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let url = format!("sqlite://{}", folder.join("session.db").display());
        let store = SqliteStore::open(&url, SqliteOptions::default())
            .await
            .expect("it opens");
        let key = Key::Service(());
        let snapshot = Snapshot::load(&store, &[Read::Row(key.clone())])
            .await
            .expect("it reads");
        let row: Loaded<Service> = snapshot.row(key);
        store.close().await;
        row.value().cloned().expect("a server has been here")
    })
}

/// How a server goes.
#[derive(Clone, Copy)]
enum Going {
    Killed,
    Terminated,
}

/// Seconds of the outages that begin where `is_meant` says, without those charged before.
fn free_seconds(service: &Service, charged_to: u64, is_meant: impl Fn(u64) -> bool) -> u64 {
    let spans = service
        .outages
        .iter()
        .map(|span| (span.from.unix(), span.to.unix()));
    spans
        .filter(|(from, _)| is_meant(*from))
        .map(|(from, to)| to - to.min(from.max(charged_to)))
        .sum()
}

/// One wallet stays in its room while its server goes and another one comes, whose clock is this
/// far ahead.
fn an_outage_is_free(going: Going, offset_seconds: u64) {
    let Some(mut client) = Client::start() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Server::start(folder.path(), &MEDIA);
    client.talk_to(&server);
    let (host, _) = client.sign_in_new(SignAs::Text);
    let room = create(&mut client, &host);
    let stay = Stay::join(&mut client, &host, &room);
    pass_seconds(2, &server);
    let joined_at = stay.token.issue_ts;
    let charged_to = stay.renew(&mut client).0.issue_ts;

    match going {
        Going::Killed => server.process.kill(),
        Going::Terminated => {
            let status = server.process.terminate();
            assert!(status.success(), "{status}: {}", server.process);
        }
    }
    drop(server);
    let last_beat_at = service_row(folder.path()).last_beat_at.unix();
    let offset = offset_seconds.to_string();
    let moved = [
        &MEDIA[..],
        &[("SESSION_CLOCK_OFFSET_SECONDS", offset.as_str())],
    ]
    .concat();
    let server = Server::start(folder.path(), &moved);
    client.talk_to(&server);

    stay.beat(&mut client);
    pass_seconds(2, &server);
    let (token, _) = stay.renew(&mut client);
    assert!(
        token.issue_ts >= joined_at + offset_seconds + 4,
        "the clock has moved"
    );

    let service = service_row(folder.path());
    let spans = &service.outages;
    let meant = spans.iter().find(|span| span.from.unix() == last_beat_at);
    if offset_seconds > 0 {
        let meant = meant.unwrap_or_else(|| panic!("none since {last_beat_at} in {spans:?}"));
        assert!(
            meant.to.unix() >= last_beat_at + offset_seconds,
            "{spans:?}"
        );
    }
    let (charged, closed) = stay.leave(&mut client, |at| {
        let service = service_row(folder.path());
        let free = free_seconds(&service, charged_to, |from| from == last_beat_at);
        // A machine that stalled for seconds had outages that nobody meant.
        let free_max = free_seconds(&service, charged_to, |_| true);
        let present = at - joined_at;
        (present - free_max)..=(present - free)
    });
    assert!(closed);
    assert!(charged >= 4, "two seconds before it and two after");
}

#[test]
fn a_crash_between_two_beats_is_not_charged() {
    an_outage_is_free(Going::Killed, 5);
}

#[test]
fn a_crash_longer_than_the_silence_that_evicts_is_neither_charged_nor_silence() {
    an_outage_is_free(Going::Killed, 120);
}

#[test]
fn a_graceful_restart_charges_no_absence_either() {
    an_outage_is_free(Going::Terminated, 120);
}

#[test]
fn a_graceful_restart_in_place_keeps_everybody_in() {
    an_outage_is_free(Going::Terminated, 0);
}
