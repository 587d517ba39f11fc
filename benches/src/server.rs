//! The bundled server as a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use session_core::types::Timestamp;

use crate::seats::JWT_SECRET;
use crate::{Failure, machine};

/// A server that ends with this value.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts the program at `path` on a database. Its clock is moved so that it starts a few
    /// seconds after `seeded_at`, whenever that was: in each run every seat owes the same.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(path: &Path, database: &str, seeded_at: Timestamp) -> Result<Self, Failure> {
        let offset = i64::try_from(seeded_at.unix())? + 2 - i64::try_from(now()?.unix())?;
        let mut process = Command::new(path)
            .env("DATABASE_URL", database)
            .env("ENVIRONMENT", "development")
            .env("SESSION_LISTEN", "127.0.0.1:0")
            .env("SESSION_CLOCK_OFFSET_SECONDS", offset.to_string())
            .env("JWT_SECRET", JWT_SECRET)
            .env("AGORA_APP_ID", "970ca35de60c44645bbae8a215061b33")
            .env("AGORA_APP_CERTIFICATE", "5cfd2fd1755d40ecb72977518be15d3b")
            .env("LOG_FORMAT", "pretty")
            .env("RUST_LOG", "info")
            .env_remove("PORT")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let log = process.stderr.take().ok_or("no log")?;
        let mut lines = BufReader::new(log).lines();
        let mut address = None;
        for line in &mut lines {
            let line = line?;
            if let Some((_, rest)) = line.split_once("listening on http://") {
                address = Some(rest.trim().parse()?);
                break;
            }
        }
        // What it says later is of interest only where something is wrong; and nobody who reads
        // would stop it.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("WARN") || line.contains("ERROR") {
                    eprintln!("server: {line}");
                }
            }
        });
        match address {
            Some(address) => Ok(Self { process, address }),
            None => {
                process.wait()?;
                Err("the server did not start".into())
            }
        }
    }

    /// Processor seconds so far.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn seconds(&self) -> Result<f64, Failure> {
        machine::seconds_of(self.process.id())
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its database is thrown away too.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The machine's time.
///
/// # Errors
/// Where it is before 1970.
pub fn now() -> Result<Timestamp, Failure> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(Timestamp::from_unix(since.as_secs()))
}

/// The program of the server: the one that is named, else the one beside this program.
///
/// # Errors
/// Where there is none.
pub fn program(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let program = match named {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("session-server"),
    };
    if program.is_file() {
        Ok(program)
    } else {
        Err(format!(
            "{} is not there: cargo build --release -p session-server",
            program.display()
        )
        .into())
    }
}
