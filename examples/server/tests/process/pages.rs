//! The pages for people, in a browser that is a program of its own (`../browser`).

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::client::not_there;
use crate::people::{JWT_SECRET, Person};
use crate::server::Server;

/// Debian's; another one may be named in the environment.
const CHROMIUM: &str = "/usr/bin/chromium";

#[test]
fn a_person_signs_in_and_tries_the_api_on_its_own_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let chromium = std::env::var("SESSION_TEST_CHROMIUM").unwrap_or_else(|_| CHROMIUM.to_owned());
    if !Path::new(&chromium).exists() || !folder.join("node_modules/playwright-core").exists() {
        return not_there("browser");
    }
    let place = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(place.path(), &[("JWT_SECRET", JWT_SECRET)]);
    let token = Person::new("reader").signs_in(&server);
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&pictures).expect("a folder for pictures");

    let mut browser = Command::new("node")
        .arg("look.mjs")
        .arg(format!("http://{}", server.address))
        .arg(&pictures)
        .env("SESSION_TEST_CHROMIUM", chromium)
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut input = browser.stdin.take().expect("piped");
    writeln!(input, "{token}").expect("it reads");
    drop(input);
    let looked = browser.wait_with_output().expect("it ends");
    assert!(
        looked.status.success(),
        "{}\npictures: {}",
        String::from_utf8_lossy(&looked.stderr),
        pictures.display()
    );
}
