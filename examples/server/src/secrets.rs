//! Secrets: from the environment, from files, or drawn for development.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use session_core::crypto::hmac_sha256;
use session_core::types::encode_hex;
use thiserror::Error;

use crate::database::Database;

/// Why a secret cannot be had.
#[derive(Debug, Error)]
pub(crate) enum SecretError {
    #[error("{name}_FILE: {path}: {why}")]
    File {
        name: &'static str,
        path: PathBuf,
        why: String,
    },
    #[error("{name} is set twice: as {name} and as {name}_FILE")]
    Twice { name: &'static str },
    #[error("{name} is not text")]
    NotText { name: &'static str },
    #[error("development secrets in {path}: {why}")]
    Development { path: PathBuf, why: String },
}

/// A secret from its variable, or from the file that `<NAME>_FILE` names, which nobody but its
/// owner may read.
pub(crate) fn read_secret(name: &'static str) -> Result<Option<String>, SecretError> {
    let direct = match std::env::var(name) {
        Ok(value) => Some(value).filter(|value| !value.is_empty()),
        Err(std::env::VarError::NotPresent) => None,
        Err(std::env::VarError::NotUnicode(_)) => return Err(SecretError::NotText { name }),
    };
    let file = std::env::var_os(format!("{name}_FILE")).filter(|path| !path.is_empty());
    match (direct, file) {
        (Some(_), Some(_)) => Err(SecretError::Twice { name }),
        (direct, None) => Ok(direct),
        (None, Some(path)) => {
            let path = PathBuf::from(path);
            let failed = |why: String| SecretError::File {
                name,
                path: path.clone(),
                why,
            };
            let mode = fs::metadata(&path).map_err(|error| failed(error.to_string()))?;
            if mode.permissions().mode() & 0o077 != 0 {
                return Err(failed(
                    "others than its owner may read it; use mode 0600".to_owned(),
                ));
            }
            let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
            // Editors end files with a newline, which is no part of a secret.
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            if text.is_empty() {
                return Err(failed("is empty".to_owned()));
            }
            Ok(Some(text))
        }
    }
}

/// Whether secrets that are drawn are written to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// They are, beside the database.
    Kept,
    /// Only what is on disk already is read.
    OnlyRead,
}

/// Secrets drawn at random, kept beside the database so that a restart keeps tokens valid.
#[derive(Debug)]
pub(crate) struct DevSecrets {
    path: Option<PathBuf>,
    keeping: Keeping,
    members: Option<Map<String, Value>>,
}

impl DevSecrets {
    /// The secrets that belong to a database; with none on disk, they live as long as the process.
    pub(crate) fn beside(database: &Database, keeping: Keeping) -> Self {
        let path = match database {
            Database::Memory => None,
            // Nothing is beside it; servers that are started in one folder share them.
            Database::Postgres { .. } => Some(PathBuf::from("session.dev-secrets")),
            Database::Sqlite { path, .. } => {
                let mut name = path.clone().into_os_string();
                name.push(".dev-secrets");
                Some(PathBuf::from(name))
            }
        };
        Self {
            path,
            keeping,
            members: None,
        }
    }

    pub(crate) fn jwt_secret(&mut self) -> Result<String, SecretError> {
        self.member("jwt_secret")
    }

    pub(crate) fn agora_app_id(&mut self) -> Result<String, SecretError> {
        self.member("agora_app_id")
    }

    pub(crate) fn agora_app_certificate(&mut self) -> Result<String, SecretError> {
        self.member("agora_app_certificate")
    }

    /// Derived, so that files of before there were receipts have one too.
    pub(crate) fn receipt_signing_key(&mut self) -> Result<[u8; 32], SecretError> {
        let jwt_secret = self.member("jwt_secret")?;
        Ok(hmac_sha256(
            jwt_secret.as_bytes(),
            b"receipts of development",
        ))
    }

    fn member(&mut self, name: &str) -> Result<String, SecretError> {
        let members = match self.members.take() {
            Some(members) => members,
            None => self.load()?,
        };
        let value = members.get(name).and_then(Value::as_str).map(str::to_owned);
        self.members = Some(members);
        value.ok_or_else(|| self.failed(format!("has no {name}; remove the file to draw anew")))
    }

    fn load(&self) -> Result<Map<String, Value>, SecretError> {
        let drawn = draw().map_err(|error| self.failed(error.to_string()))?;
        let Some(path) = &self.path else {
            return Ok(drawn);
        };
        match (path.exists(), self.keeping) {
            (true, _) => {}
            (false, Keeping::Kept) => self.keep(path, &drawn)?,
            (false, Keeping::OnlyRead) => return Ok(drawn),
        }
        let text = fs::read_to_string(path).map_err(|error| self.failed(error.to_string()))?;
        match serde_json::from_str(&text) {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) | Err(_) => Err(self.failed("is not a JSON object".to_owned())),
        }
    }

    /// Writes a file of its own and gives it the name only where that is free, so that of two
    /// servers that start at once both use the same secrets, and never half of them.
    fn keep(&self, path: &Path, drawn: &Map<String, Value>) -> Result<(), SecretError> {
        let failed = |error: std::io::Error| self.failed(error.to_string());
        let mut own = path.as_os_str().to_owned();
        own.push(format!(".{}", std::process::id()));
        let own = PathBuf::from(own);
        let _ = fs::remove_file(&own);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&own)
            .map_err(failed)?;
        file.write_all(Value::Object(drawn.clone()).to_string().as_bytes())
            .map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let linked = fs::hard_link(&own, path);
        fs::remove_file(&own).map_err(failed)?;
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn failed(&self, why: String) -> SecretError {
        SecretError::Development {
            path: self.path.clone().unwrap_or_default(),
            why,
        }
    }
}

fn draw() -> Result<Map<String, Value>, getrandom::Error> {
    let mut bytes = [0; 64];
    getrandom::fill(&mut bytes)?;
    let members = json!({
        "jwt_secret": encode_hex(&bytes[..32]),
        "agora_app_id": encode_hex(&bytes[32..48]),
        "agora_app_certificate": encode_hex(&bytes[48..]),
    });
    match members {
        Value::Object(members) => Ok(members),
        _ => Ok(Map::new()),
    }
}
