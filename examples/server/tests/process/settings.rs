//! What an operator meets: the first words of the log, refusals of settings, the other commands.

use std::path::Path;

use serde_json::Value;

use crate::client::{number, text};
use crate::server::{APP_CERTIFICATE, APP_ID, Process, Server};

/// Runs a command to its end: its exit code and all it wrote.
pub(crate) fn run(
    folder: &Path,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> (Option<i32>, String) {
    let mut process = Process::start(folder, arguments, settings);
    let status = process.wait();
    (status.code(), process.log.join("\n"))
}

#[test]
fn with_nothing_set_it_serves_and_says_what_is_fake_and_what_to_open() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // But for the port: another server may be running on the default one.
    let mut server = Server::start(folder.path(), &[]);
    let said = server.process.to_string();
    for fake in ["name registry", "verification mirror", "media credentials"] {
        let is_said = said
            .lines()
            .any(|line| line.contains("fake") && line.contains(fake));
        assert!(
            is_said,
            "the log does not say that the {fake} is fake: {said}"
        );
    }
    let pages = server.process.read_until("open ");
    let docs = format!("http://{}/docs", server.address);
    assert!(pages.contains(&docs), "nothing to open: {pages}");
    assert!(folder.path().join("session.db").exists());
    assert_eq!(server.get("/health").body, r#"{"ok":true}"#);
    let ready = server.get("/ready");
    assert_eq!(ready.status, 200, "{}", ready.body);
}

#[test]
fn a_setting_that_is_no_use_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let production = ("ENVIRONMENT", "production");
    let media = [
        ("AGORA_APP_ID", APP_ID),
        ("AGORA_APP_CERTIFICATE", APP_CERTIFICATE),
    ];
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("SESSION_LISTEN", "nonsense")], "SESSION_LISTEN"),
        (&[("PORT", "70000")], "PORT"),
        (&[("DATABASE_URL", "mysql://nobody")], "DATABASE_URL"),
        (&[("DATABASE_URL", "sqlite://:memory:")], "DATABASE_URL"),
        (&[("DATABASE_URL", "sqlite://a.db?mode=ro")], "DATABASE_URL"),
        (
            &[("DATABASE_URL", "postgres://a@db.example/d")],
            "DATABASE_URL",
        ),
        (
            &[("DATABASE_URL", "postgres://a@db.example/d?sslmode=require")],
            "DATABASE_URL",
        ),
        (&[("SESSION_DB_POOLER", "on")], "SESSION_DB_POOLER"),
        (
            &[
                ("DATABASE_URL", "postgres://a@localhost/d"),
                ("SESSION_DB_POOLER", "yes"),
            ],
            "SESSION_DB_POOLER",
        ),
        (&[("MEDIA_PROVIDER", "zoom")], "MEDIA_PROVIDER"),
        (&[("MEDIA_PROVIDER", "livekit")], "LIVEKIT_URL"),
        (
            &[
                ("MEDIA_PROVIDER", "livekit"),
                ("LIVEKIT_URL", "ftp://media.example"),
                ("LIVEKIT_API_KEY", "APIkey"),
                ("LIVEKIT_API_SECRET", "a-secret"),
            ],
            "LIVEKIT_URL",
        ),
        (
            &[
                ("MEDIA_PROVIDER", "livekit"),
                ("LIVEKIT_URL", "wss://media.example"),
                ("LIVEKIT_API_KEY", "APIkey"),
            ],
            "LIVEKIT_API_SECRET",
        ),
        (&[("SESSION_STRICT", "yes")], "SESSION_STRICT"),
        (&[("SESSION_LEGACY_AUTH", "1")], "SESSION_LEGACY_AUTH"),
        (
            &[("SESSION_LEGACY_AUTH", "on"), ("SESSION_STRICT", "on")],
            "SESSION_LEGACY_AUTH",
        ),
        (&[("CHAIN_ID", "0x1")], "CHAIN_ID"),
        (
            &[("PUBLIC_BASE_URL", "https://a.example/path")],
            "PUBLIC_BASE_URL",
        ),
        (&[("RPC_URL", "http://127.0.0.1:1")], "RPC_URL"),
        // Without the feature there are no traces, and with it this is no address of a collector.
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://a@b")],
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (&[("ENVIRONMENT", "staging")], "ENVIRONMENT"),
        (&[("JWT_SECRET", "short")], "JWT_SECRET"),
        (&[("AGORA_APP_ID", "xyz"), media[1]], "AGORA_APP_ID"),
        (
            &[media[0], ("AGORA_APP_CERTIFICATE", "xyz")],
            "AGORA_APP_CERTIFICATE",
        ),
        (&[media[0]], "AGORA_APP_CERTIFICATE"),
        (
            &[("SESSION_CLOCK_OFFSET_SECONDS", "soon")],
            "SESSION_CLOCK_OFFSET_SECONDS",
        ),
        (
            &[("SESSION_CLOCK_OFFSET_SECONDS", "-9223372036854775808")],
            "SESSION_CLOCK_OFFSET_SECONDS",
        ),
        (
            &[("SESSION_FAILPOINTS", "store.nothing=kill@1")],
            "SESSION_FAILPOINTS",
        ),
        (
            &[("SESSION_FAILPOINTS", "request.read=kill@0")],
            "SESSION_FAILPOINTS",
        ),
        (
            &[production, ("SESSION_FAILPOINTS", "request.read=error@9")],
            "SESSION_FAILPOINTS",
        ),
        (&[production], "JWT_SECRET"),
        (
            &[production, ("JWT_SECRET", "sixteen bytes...")],
            "JWT_SECRET",
        ),
    ];
    for (settings, name) in cases {
        for command in [&["serve"][..], &["check-config"]] {
            let (code, said) = run(folder.path(), command, settings);
            assert_eq!(code, Some(2), "{command:?} {settings:?}: {said}");
            assert!(
                said.contains(name),
                "{command:?} {settings:?} does not name {name}: {said}"
            );
            let is_told = settings.iter().any(|(key, value)| {
                ["JWT_SECRET", "AGORA_APP_CERTIFICATE"].contains(key) && said.contains(value)
            });
            assert!(!is_told, "{command:?} {settings:?} tells a secret: {said}");
        }
    }
    let left = std::fs::read_dir(folder.path()).expect("it is there");
    let databases = left
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name() == "session.db");
    assert_eq!(databases.count(), 0, "a refused start makes no database");
}

#[test]
fn check_config_shows_every_setting_and_no_secret() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let secret = "a secret of more than thirty-two bytes";
    let settings = [
        ("SESSION_LISTEN", "127.0.0.1:4555"),
        ("JWT_SECRET", secret),
        ("AGORA_APP_ID", APP_ID),
        ("AGORA_APP_CERTIFICATE", APP_CERTIFICATE),
    ];
    let (code, said) = run(folder.path(), &["check-config"], &[]);
    assert_eq!(code, Some(0), "{said}");
    let left = std::fs::read_dir(folder.path()).expect("it is there");
    assert_eq!(
        left.count(),
        0,
        "looking at the configuration writes nothing"
    );
    let (code, said) = run(folder.path(), &["check-config"], &settings);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("127.0.0.1:4555"), "{said}");
    assert!(said.contains(APP_ID), "{said}");
    assert!(
        !said.contains(secret) && !said.contains(APP_CERTIFICATE),
        "{said}"
    );
    let (code, said) = run(
        folder.path(),
        &["check-config", "--listen", "127.0.0.1:4666"],
        &settings,
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("127.0.0.1:4666"), "the flag wins: {said}");
}

#[test]
fn check_config_names_the_failpoints_and_what_is_set() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let set = "request.commit.after=kill@1,worker.claim.after=pause@2";
    let settings = [("SESSION_FAILPOINTS", set)];
    let (code, said) = run(folder.path(), &["check-config"], &settings);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("SESSION_FAILPOINTS={set}")),
        "{said}"
    );
    // One that is not set is named too.
    assert!(said.contains("worker.commit.before"), "{said}");
    let (code, said) = run(
        folder.path(),
        &["check-config", "--failpoints", "request.read=error@4"],
        &settings,
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("=request.read=error@4"), "{said}");
}

#[test]
fn a_secret_may_come_from_a_file_that_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("jwt");
    std::fs::write(&path, "a secret of more than thirty-two bytes\n").expect("it writes");
    let settings = [(
        "JWT_SECRET_FILE",
        path.to_str().expect("a temporary path is text"),
    )];
    for (mode, expected) in [(0o644, 2), (0o600, 0)] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, permissions).expect("it is ours");
        let (code, said) = run(folder.path(), &["check-config"], &settings);
        assert_eq!(code, Some(expected), "{mode:o}: {said}");
        assert!(expected == 0 || said.contains("JWT_SECRET"), "{said}");
    }
    std::fs::write(&path, "\n").expect("it writes");
    let (code, said) = run(folder.path(), &["check-config"], &settings);
    assert_eq!(code, Some(2), "an empty file is no secret: {said}");
}

#[test]
fn migrate_makes_the_database_and_ends_and_may_be_repeated() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for _ in 0..2 {
        let (code, said) = run(folder.path(), &["migrate"], &[]);
        assert_eq!(code, Some(0), "{said}");
        assert!(folder.path().join("session.db").exists());
    }
}

#[test]
fn a_sweep_by_hand_prints_what_each_worker_did() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (code, said) = run(folder.path(), &["sweep", "--once"], &[("RUST_LOG", "off")]);
    assert_eq!(code, Some(0), "{said}");
    let summary: Value = serde_json::from_str(&said).expect("a JSON summary");
    let lanes = summary["lanes"].as_array().expect("a list of lanes");
    assert!(
        lanes.iter().any(|lane| text(lane, "lane") == "seats"),
        "{summary}"
    );
    // The chain alone is due: the sweep has just begun it.
    let claimed: Vec<_> = lanes
        .iter()
        .filter(|lane| number(lane, "claimed") > 0)
        .map(|lane| (text(lane, "lane"), number(lane, "sealed")))
        .collect();
    assert_eq!(claimed, [("seal".into(), 0)], "{summary}");
}

#[test]
fn a_database_in_a_folder_that_is_not_there_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = [("DATABASE_URL", "sqlite://missing/session.db")];
    for command in ["serve", "migrate"] {
        let (code, said) = run(folder.path(), &[command], &settings);
        assert!(
            matches!(code, Some(2)),
            "{command} ended with {code:?}: {said}"
        );
        assert!(
            said.contains("DATABASE_URL: there is no folder missing"),
            "{command} does not name it: {said}"
        );
        assert!(!said.contains("panicked"), "{said}");
    }
    assert!(!folder.path().join("missing").exists(), "no folder is made");
}

#[test]
fn the_openapi_document_is_printed_whatever_the_settings_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (code, text) = run(folder.path(), &["openapi"], &[("JWT_SECRET", "short")]);
    assert_eq!(code, Some(0), "{text}");
    let file = include_str!("../../../../docs/openapi.json");
    assert_eq!(text, file.trim_end());
}
