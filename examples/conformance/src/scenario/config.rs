//! What the server of a scenario is configured with.

use std::sync::Arc;

use serde_json::Value;
use session_core::auth::JwtKeys;
use session_core::crypto::Secret;
use session_core::media::agora::{AgoraIssuer, AppCertificate, AppId};

use super::chain::chain_id;
use crate::report::{Difference, shown};

/// The credentials of a scenario, which templates and rules use as well.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) jwt_secret: String,
    pub(super) jwt_keys: Arc<JwtKeys>,
    pub(super) app_id: AppId,
    pub(super) app_certificate: AppCertificate,
    pub(super) chain_id: u64,
    pub(super) service_token: String,
}

impl Config {
    /// Reads the member `config` of the file's format. What it does not say is as it was when the
    /// known records were made; what later systems need is of no concern here.
    pub(super) fn read(config: Option<&Value>) -> Result<Self, Difference> {
        let text = |name: &str, recorded: &str| match config.and_then(|config| config.get(name)) {
            None => Ok(recorded.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(unusable(name, shown(other))),
        };
        let jwt_secret = text("jwt_secret", "golden-test-jwt-secret-0001")?;
        let app_id = text("agora_app_id", "970ca35de60c44645bbae8a215061b33")?;
        let certificate = text("agora_app_certificate", "5cfd2fd1755d40ecb72977518be15d3b")?;
        let service_token = text("oracle_service_token", "golden-service-token")?;
        let chain_id = chain_id(config.and_then(|config| config.get("chain_id")))?;
        let keys = JwtKeys::new(Secret::new(jwt_secret.clone()), Vec::new());
        Ok(Self {
            jwt_keys: Arc::new(keys.map_err(|error| unusable("jwt_secret", error))?),
            jwt_secret,
            chain_id,
            service_token,
            app_id: AppId::parse(&app_id).map_err(|error| unusable("agora_app_id", error))?,
            app_certificate: AppCertificate::parse(&certificate)
                .map_err(|error| unusable("agora_app_certificate", error))?,
        })
    }

    pub(super) fn issuer(&self) -> Arc<AgoraIssuer> {
        Arc::new(AgoraIssuer::new(
            self.app_id.clone(),
            self.app_certificate.clone(),
        ))
    }
}

fn unusable(name: &str, why: impl std::fmt::Display) -> Difference {
    Difference::not_understood(format!("/format/config/{name}: {why}"))
}
