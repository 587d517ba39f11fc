//! The client in `../client`: one Node process that answers a line of JSON with a line of JSON.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::server::{APP_CERTIFICATE, APP_ID, Server};

/// How a wallet signs a nonce that looks like hex.
#[derive(Clone, Copy)]
pub(crate) enum SignAs {
    /// As the text that it is.
    Text,
    /// As the bytes that it spells.
    Raw,
}

/// A running client. It ends when dropped.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// What a media token says, as the vendor, the client and `session-core` agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaToken {
    pub(crate) issue_ts: u64,
    pub(crate) expire: u64,
    /// Of each privilege, in their order.
    pub(crate) privileges: Vec<(u64, u64)>,
    pub(crate) channel: String,
    pub(crate) uid: String,
}

impl Client {
    /// Starts the client; `None` where it is not installed and need not be.
    pub(crate) fn start() -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client");
        let started = Command::new("node")
            .arg("drive.mjs")
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let is_installed = folder.join("node_modules/viem").exists();
        let (Ok(mut child), true) = (started, is_installed) else {
            not_there("node client");
            return None;
        };
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Some(Self {
            child,
            input,
            output,
        })
    }

    /// Where the next calls go.
    pub(crate) fn talk_to(&mut self, server: &Server) {
        let url = format!("http://{}", server.address);
        self.must(&json!({"do": "server", "url": url}));
    }

    /// A new wallet that is signed in, and when.
    pub(crate) fn sign_in_new(&mut self, sign_as: SignAs) -> (String, u64) {
        let made = self.must(&json!({"do": "wallet"}));
        let wallet = text(&made, "wallet");
        let at = self.sign_in(&wallet, sign_as);
        (wallet, at)
    }

    /// Signs a wallet in. The second in which the server did it.
    pub(crate) fn sign_in(&mut self, wallet: &str, sign_as: SignAs) -> u64 {
        let sign_as = match sign_as {
            SignAs::Text => "text",
            SignAs::Raw => "raw",
        };
        let signed = self.must(&json!({"do": "sign-in", "wallet": wallet, "as": sign_as}));
        let claims = &signed["claims"];
        assert_eq!(text(claims, "sub"), wallet.to_lowercase());
        let at = number(claims, "iat");
        assert_eq!(number(claims, "exp"), at + 3600);
        at
    }

    /// Calls a route in a wallet's name. The status and the body.
    pub(crate) fn call(&mut self, wallet: &str, path: &str, body: &Value) -> (u64, Value) {
        let call = json!({
            "do": "call", "wallet": wallet, "method": "POST", "path": path, "body": body,
        });
        let answer = self.must(&call);
        (number(&answer, "status"), answer["body"].clone())
    }

    /// Calls a route that must grant what it is asked.
    pub(crate) fn granted(&mut self, wallet: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(wallet, path, body);
        assert_eq!(status, 200, "{path} {answer}");
        answer
    }

    /// A wallet's credits.
    pub(crate) fn credits(&mut self, wallet: &str) -> Value {
        let call = json!({"do": "call", "wallet": wallet, "method": "GET", "path": "/credits"});
        let answer = self.must(&call);
        assert_eq!(number(&answer, "status"), 200, "{answer}");
        answer["body"].clone()
    }

    /// Reads a media token three times: with the vendor's package, by hand, and with
    /// `session-core`. All must say the same, and both verifiers that it is signed.
    pub(crate) fn decode(&mut self, token: &str) -> MediaToken {
        let command = json!({"do": "decode", "token": token, "certificate": APP_CERTIFICATE});
        let read = self.must(&command);
        assert_eq!(
            read["vendor"]["is_signed"], true,
            "the vendor does not believe {token}"
        );
        let by_vendor = media_token(&read["vendor"]);
        assert_eq!(media_token(&read["own"]), by_vendor);
        assert_eq!(ours::decode(token), by_vendor);
        by_vendor
    }

    /// What the client answers, where it does.
    fn must(&mut self, command: &Value) -> Value {
        let input = self.input.as_mut().expect("open until dropped");
        writeln!(input, "{command}").expect("the client reads");
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("the client answers");
        let answer: Value = serde_json::from_str(&line).expect("a line of JSON");
        assert!(
            answer["failed"].is_null(),
            "{command}: {}",
            answer["failed"]
        );
        answer["ok"].clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.input = None;
        // It may have ended already, which is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says that a test cannot be run, which is a failure where it must be.
pub(crate) fn not_there(what: &str) {
    let is_required = std::env::var("SESSION_TEST_REQUIRE").is_ok_and(|value| value == "1");
    assert!(!is_required, "{what}: required and not there (run ./test)");
    // Past the test harness, which swallows what a passing test prints.
    let _ = writeln!(std::io::stderr(), "NOT THERE: {what} (run ./test)");
}

/// A member that must be a text.
pub(crate) fn text(object: &Value, name: &str) -> String {
    object[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text {name} in {object}"))
        .to_owned()
}

/// A member that must be a whole number.
pub(crate) fn number(object: &Value, name: &str) -> u64 {
    object[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no number {name} in {object}"))
}

fn media_token(read: &Value) -> MediaToken {
    assert_eq!(text(read, "app_id"), APP_ID);
    let services = read["services"].as_array().expect("a list of services");
    assert_eq!(services.len(), 1, "{read}");
    assert_eq!(number(&services[0], "type"), 1, "{read}");
    let privileges = services[0]["privileges"]
        .as_object()
        .expect("a map of privileges");
    MediaToken {
        issue_ts: number(read, "issue_ts"),
        expire: number(read, "expire"),
        privileges: privileges
            .iter()
            .map(|(name, seconds)| {
                (
                    name.parse().expect("a number"),
                    seconds.as_u64().expect("one"),
                )
            })
            .collect(),
        channel: text(&services[0], "channel"),
        uid: text(&services[0], "uid"),
    }
}

/// The reader of `session-core`.
mod ours {
    use session_core::media::agora::{
        AppCertificate, Duplicates, ReadToken, ServiceBody, VerifyError,
    };
    use session_core::types::{Seconds, Timestamp};

    use super::{APP_CERTIFICATE, MediaToken};

    /// What a token says; that it is good until the second before its end, and no longer.
    pub(super) fn decode(token: &str) -> MediaToken {
        let read = ReadToken::parse(token, Duplicates::Refused).expect("a token");
        let certificate = AppCertificate::parse(APP_CERTIFICATE).expect("32 hex digits");
        let issue_ts = u64::from(read.issue_ts);
        let expire = u64::from(read.expire);
        let at = |unix| read.verify(&certificate, Timestamp::from_unix(unix), Seconds::ZERO);
        assert_eq!(at(issue_ts), Ok(()));
        assert_eq!(at(issue_ts + expire - 1), Ok(()));
        assert_eq!(at(issue_ts + expire), Err(VerifyError::Ended));
        let service = &read.services[0];
        let ServiceBody::Rtc { channel, account } = &service.body else {
            panic!("not a token for voice: {service:?}");
        };
        let privileges = &service.privileges;
        MediaToken {
            issue_ts,
            expire,
            privileges: privileges
                .iter()
                .map(|(k, v)| (u64::from(*k), u64::from(*v)))
                .collect(),
            channel: channel.clone(),
            uid: account.clone(),
        }
    }
}
