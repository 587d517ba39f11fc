//! A server process, its log, and the few requests that need no client.

use std::fmt;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take to start or to end, on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Media credentials that the tests know, so that they can verify tokens.
pub(crate) const APP_ID: &str = "970ca35de60c44645bbae8a215061b33";
/// The secret of them.
pub(crate) const APP_CERTIFICATE: &str = "5cfd2fd1755d40ecb72977518be15d3b";

/// A process of the server's binary. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// Behind a lock so that several threads may call the server.
    lines: Mutex<Receiver<String>>,
    /// What it wrote so far, both streams.
    pub(crate) log: Vec<String>,
}

impl Process {
    /// Starts the binary in a folder, with these settings and no others.
    pub(crate) fn start(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_session-server"))
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            // Colours would stand between the words that tests look for.
            .env("NO_COLOR", "1")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server's binary starts");
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("piped")),
            Box::new(child.stderr.take().expect("piped")),
        ];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // Nobody reads on when the test is over.
                    let _ = sender.send(line);
                }
            });
        }
        Self {
            child,
            lines: Mutex::new(lines),
            log: Vec::new(),
        }
    }

    /// Reads on until a line has these words. What follows them.
    pub(crate) fn read_until(&mut self, words: &str) -> String {
        let started = Instant::now();
        loop {
            let Some(line) = self.next_line(started) else {
                panic!("it ended without {words:?}: {self}");
            };
            self.log.push(line.clone());
            if let Some((_, rest)) = line.split_once(words) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Waits until both streams have ended, and so the process.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        while let Some(line) = self.next_line(started) {
            self.log.push(line);
        }
        self.child.wait().expect("it is our child")
    }

    /// Kills it without a warning, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Asks it to end, as an operator's supervisor would.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id();
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{name} {pid}")])
            .status();
        assert!(
            status.expect("sh runs").success(),
            "SIG{name} reached no process {pid}"
        );
    }

    /// The next line, or `None` when there will be none.
    fn next_line(&self, started: Instant) -> Option<String> {
        let left = PATIENCE.saturating_sub(started.elapsed());
        let lines = self.lines.lock().expect("no reader panicked");
        match lines.recv_timeout(left) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("still running after {PATIENCE:?}: {self}"),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.log
            .iter()
            .try_for_each(|line| write!(f, "\n    {line}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The status line and the headers.
    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// A server that serves.
pub(crate) struct Server {
    /// Its process.
    pub(crate) process: Process,
    /// Where it listens, host and port.
    pub(crate) address: String,
}

impl Server {
    /// Starts a server on a free port of the loopback interface and waits until it listens.
    pub(crate) fn start(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let settings = [&[("SESSION_LISTEN", "127.0.0.1:0")], settings].concat();
        let mut process = Process::start(folder, &[], &settings);
        let rest = process.read_until("listening on http://");
        // In a log of JSON something follows.
        let address = rest.split('"').next().unwrap_or_default().to_owned();
        Self { process, address }
    }

    /// One `GET`.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\n"), "")
    }

    /// One `GET` with more headers.
    pub(crate) fn get_with(&self, path: &str, headers: &[String]) -> Answer {
        let headers: String = headers
            .iter()
            .map(|header| format!("{header}\r\n"))
            .collect();
        self.send(&format!("GET {path} HTTP/1.1\r\n{headers}"), "")
    }

    /// One `POST` of JSON.
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        let answer = self.post_with(path, &[], body);
        answer.expect("the server answers")
    }

    /// One `POST` of JSON with more headers; `None` where the server ends without an answer.
    pub(crate) fn post_with(&self, path: &str, headers: &[String], body: &str) -> Option<Answer> {
        let length = body.len();
        let mut head = format!(
            "POST {path} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
        );
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        self.attempt(&head, body)
    }

    fn send(&self, head: &str, body: &str) -> Answer {
        self.attempt(head, body).expect("the server answers")
    }

    fn attempt(&self, head: &str, body: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        stream.set_read_timeout(Some(ANSWER_MAX)).expect("not zero");
        write!(
            stream,
            "{head}host: {}\r\nconnection: close\r\n\r\n{body}",
            self.address
        )
        .expect("the server reads");
        let mut text = String::new();
        match stream.read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server does not answer: {error}"),
        }
        if text.is_empty() {
            return None;
        }
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Some(Answer {
            status: status.expect("a status line"),
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }
}
