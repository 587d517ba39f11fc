//! The server on PostgreSQL: how it connects, what it may do there, and what it tells of it.

use crate::clock::until;
use crate::people::whole_stay;
use crate::place::{On, Place};
use crate::server::Process;
use crate::settings::run;
use crate::support::there;

/// A password, wherever one is set.
const PASSWORD: &str = "open-sesame-77";

#[test]
fn a_whole_stay_in_postgres() {
    let Some(place) = Place::new(On::Postgres) else {
        return;
    };
    whole_stay(&place.serve(&[]));
    assert_eq!(place.broken(), Vec::<String>::new());
}

#[test]
fn a_whole_stay_through_a_pooler() {
    let Some(place) = Place::new(On::Pooler) else {
        return;
    };
    let server = place.serve(&[]);
    whole_stay(&server);
    assert_eq!(place.broken(), Vec::<String>::new());
    let (code, said) = place.run(&["check-config"], &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("SESSION_DB_POOLER=on"), "{said}");
}

#[test]
fn migrating_and_sweeping_by_hand_work_in_postgres() {
    let Some(place) = Place::new(On::Postgres) else {
        return;
    };
    for _ in 0..2 {
        let (code, said) = place.run(&["migrate"], &[]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(place.count("SELECT count(*) FROM account"), 0);
    }
    let (code, said) = place.run(&["sweep", "--once"], &[("RUST_LOG", "off")]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(r#""lane":"seats""#), "{said}");
}

/// A role that may neither define anything nor change what is only ever appended.
#[test]
fn a_role_with_few_rights_serves_where_the_schema_is_current() {
    let Some(place) = Place::new(On::Postgres) else {
        return;
    };
    // Roles belong to the whole cluster, so it is named after the database.
    let role = place.text("SELECT current_database() || '_role'");
    place.change(&format!(
        "CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    ));
    let (user, rest) = place.url().split_once('@').expect("a user");
    let (scheme, _) = user.split_once("//").expect("a scheme");
    let url = format!("{scheme}//{role}@{rest}");
    let as_role = [("DATABASE_URL", url.as_str())];

    let (code, said) = place.run(&["serve"], &as_role);
    assert_eq!(code, Some(1), "there is no schema yet: {said}");
    let (code, said) = place.run(&["migrate"], &[]);
    assert_eq!(code, Some(0), "{said}");
    place.change(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}; \
        REVOKE UPDATE, DELETE ON transfer, journal, block FROM {role}; \
        REVOKE DELETE ON chain FROM {role}; \
        REVOKE INSERT, UPDATE, DELETE ON session_migrations FROM {role}"
    ));
    let server = place.serve(&as_role);
    whole_stay(&server);
    assert_eq!(place.broken(), Vec::<String>::new());
    // All that happened is sealed within seconds, and nothing happens any more.
    until("it is sealed", &server, || {
        place.count("SELECT count(*) FROM unsealed") == 0
    });
    assert!(place.count("SELECT count(*) FROM block") > 0);
    drop(server);
    place.change(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn a_certificate_is_checked_against_its_authority_and_its_name() {
    let Some(place) = Place::new(On::Postgres) else {
        return;
    };
    let Some(authority) = there("SESSION_TEST_POSTGRES_CA", "the authority of PostgreSQL") else {
        return;
    };
    let (before, rest) = place.url().split_once('@').expect("a user");
    let (host, name) = rest.split_once('/').expect("a database");
    let (_, port) = host.rsplit_once(':').expect("a port");
    let url =
        |host: &str, more: &str| format!("{before}@{host}:{port}/{name}?sslmode=verify-full{more}");
    let by_authority = format!("&sslrootcert={authority}");

    // The certificate is for `localhost` alone, and no public authority knows it.
    for (host, more) in [("127.0.0.1", by_authority.as_str()), ("localhost", "")] {
        let url = url(host, more);
        let (code, said) = place.run(&["migrate"], &[("DATABASE_URL", &url)]);
        assert_eq!(code, Some(1), "{url}: {said}");
        assert!(!said.contains("panicked"), "{url}: {said}");
    }
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(place.count(tables), 0, "nothing was written");

    let url = url("localhost", &by_authority);
    let server = place.serve(&[("DATABASE_URL", &url)]);
    whole_stay(&server);
    let sessions = |is_encrypted: bool| {
        place.count(&format!(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
            WHERE datname = current_database() AND pid <> pg_backend_pid() \
            AND ssl = {is_encrypted}"
        ))
    };
    assert!(sessions(true) > 0);
    assert_eq!(sessions(false), 0);
}

/// Neither what is shown, nor what is logged, nor what goes wrong tells a password.
#[test]
fn a_password_of_the_database_is_told_nobody() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wrong = [
        // Nobody listens there, nobody can, and there is no such way to connect.
        format!("postgres://somebody:{PASSWORD}@127.0.0.1:1/nothing"),
        format!("postgres://somebody@127.0.0.1:1/nothing?password={PASSWORD}"),
        format!("postgres://somebody:{PASSWORD}@127.0.0.1:port/nothing"),
        format!("postgres://somebody:{PASSWORD}@db.example/nothing"),
        format!("postgres://somebody:{PASSWORD}@localhost/nothing?sslmode={PASSWORD}"),
    ];
    for (number, url) in wrong.iter().enumerate() {
        // Whoever connects goes on trying for seconds.
        let connect = if number % 2 == 0 { "serve" } else { "migrate" };
        for command in [&["check-config"], &[connect]] {
            let settings = [("DATABASE_URL", url.as_str()), ("RUST_LOG", "trace")];
            let (_, said) = run(folder.path(), command, &settings);
            assert!(!said.contains(PASSWORD), "{command:?} {url}: {said}");
            assert!(!said.contains("panicked"), "{command:?} {url}: {said}");
        }
    }
    let argument = format!("--database-url={}", wrong[0]);
    let (code, said) = run(folder.path(), &["check-config", &argument], &[]);
    assert_eq!(code, Some(2), "a password is no argument: {said}");
    assert!(!said.contains(PASSWORD), "{said}");

    let Some(place) = Place::new(On::Postgres) else {
        return;
    };
    // The cluster asks for none, and the server holds it all the same.
    let with_password = place.url().replacen('@', &format!(":{PASSWORD}@"), 1);
    let settings = [
        ("DATABASE_URL", with_password.as_str()),
        ("RUST_LOG", "trace"),
    ];
    let (code, said) = place.run(&["check-config"], &settings);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("(redacted)"), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    let mut server = place.serve(&settings);
    whole_stay(&server);
    server.process.terminate();
    assert!(!server.process.to_string().contains(PASSWORD));
}

/// The address may come from a file, as a secret does.
#[test]
fn the_address_may_come_from_a_file() {
    use std::os::unix::fs::PermissionsExt;
    let Some(place) = Place::new(On::Postgres) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("url");
    std::fs::write(&path, place.url()).expect("it writes");
    let permissions = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, permissions).expect("it is ours");
    let settings = [("DATABASE_URL_FILE", path.to_str().expect("text"))];
    let mut process = Process::start(folder.path(), &["migrate"], &settings);
    let status = process.wait();
    assert!(status.success(), "{process}");
    assert_eq!(place.count("SELECT count(*) FROM account"), 0);
}
