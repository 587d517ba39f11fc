//! Whether the server keeps what its OpenAPI document promises, as a program of others judges that
//! makes up requests, good and bad ones, from the document alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::client::not_there;
use crate::people::{JWT_SECRET, Person};
use crate::server::Server;

/// Longest that requests are made up for, with tokens and without.
const SECONDS: [(&str, Callers); 2] = [("60", Callers::SignedIn), ("20", Callers::Nobody)];
/// As many that no wallet comes to its limits soon.
const WALLETS: usize = 400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Callers {
    SignedIn,
    Nobody,
}

#[test]
fn every_answer_is_one_that_the_document_promises() {
    let schemathesis = std::env::var("SESSION_TEST_SCHEMATHESIS").unwrap_or_default();
    if !Path::new(&schemathesis).exists() {
        return not_there("schemathesis");
    }
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises");
    let place = tempfile::tempdir().expect("a temporary folder");
    let people: Vec<_> = (0..WALLETS)
        .map(|n| Person::new(&format!("caller {n}")))
        .collect();
    let [host, guest] = [0, 1].map(|n: usize| people[n].wallet.clone());
    let server = Server::start(
        place.path(),
        &[
            ("JWT_SECRET", JWT_SECRET),
            ("MOCK_HOST", &host),
            ("MOCK_GUEST", &guest),
            ("ORACLE_SERVICE_TOKEN", "a token that nobody makes up"),
            ("ORACLE_PRIVATE_KEY", &"01".repeat(32)),
            ("ESCROW_VERSION", "2"),
        ],
    );
    let tokens: Vec<_> = people
        .iter()
        .map(|person| person.token().to_owned())
        .collect();
    let tokens_file = place.path().join("tokens");
    fs::write(&tokens_file, tokens.join("\n")).expect("it is written");

    for (seconds, callers) in SECONDS {
        let mut judge = Command::new(&schemathesis);
        judge
            .arg("--config-file")
            .arg(settings.join("schemathesis.toml"))
            .arg("run")
            .arg(format!("http://{}/openapi.json", server.address))
            .args(["--max-time", seconds, "--no-color"])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(place.path());
        if callers == Callers::SignedIn {
            judge
                .env("SCHEMATHESIS_HOOKS", "signed_in")
                .env("PYTHONPATH", &settings)
                .env("SESSION_TEST_TOKENS", &tokens_file);
        }
        let judged = judge.output().expect("schemathesis starts");
        assert!(
            judged.status.success(),
            "{callers:?}:\n{}\n{}",
            String::from_utf8_lossy(&judged.stdout),
            String::from_utf8_lossy(&judged.stderr),
        );
    }
    assert_eq!(server.get("/ready").status, 200);
}
