//! Which media vendor, and its credentials.

use std::fmt;
use std::sync::Arc;

use session_core::media::agora::{AgoraIssuer, AppCertificate, AppId};
use session_core::media::livekit::{ApiCredentials, ApiKey, ApiSecret, LiveKitIssuer, ServerUrl};
use session_core::media::{MediaTokenIssuer, MediaVendor};

use crate::cli::Flags;
use crate::config::{ConfigError, Environment, invalid, setting};
use crate::secrets::{DevSecrets, read_secret};

/// The shortest API secret that is taken in production: HMAC-SHA256 has keys of 32 bytes.
pub(crate) const LIVEKIT_SECRET_BYTES_MIN_PRODUCTION: usize = 32;

/// The vendor of rooms, and what its tokens are made with.
#[derive(Debug)]
pub(crate) enum Media {
    Agora {
        app_id: AppId,
        certificate: AppCertificate,
        /// Whether they were drawn, so that the vendor does not know them.
        is_drawn: bool,
    },
    LiveKit {
        credentials: ApiCredentials,
        url: ServerUrl,
    },
}

impl Media {
    pub(crate) fn read(
        flags: &Flags,
        environment: Environment,
        dev: Option<&mut DevSecrets>,
    ) -> Result<Self, ConfigError> {
        let name = "MEDIA_PROVIDER";
        match setting(name, flags.media_provider.as_ref())?.as_deref() {
            None | Some("agora") => agora(flags, dev),
            Some("livekit") => livekit(flags, environment),
            Some(_) => Err(invalid(name, "not agora or livekit".to_owned())),
        }
    }

    pub(crate) const fn vendor(&self) -> MediaVendor {
        match self {
            Self::Agora { .. } => MediaVendor::Agora,
            Self::LiveKit { .. } => MediaVendor::LiveKit,
        }
    }

    /// What makes its tokens.
    pub(crate) fn issuer(&self) -> Arc<dyn MediaTokenIssuer> {
        match self {
            Self::Agora {
                app_id,
                certificate,
                ..
            } => Arc::new(AgoraIssuer::new(app_id.clone(), certificate.clone())),
            Self::LiveKit { credentials, url } => {
                Arc::new(LiveKitIssuer::new(credentials.clone(), url.clone()))
            }
        }
    }

    /// What of it is fake, in plain words.
    pub(crate) fn fake(&self) -> Option<&'static str> {
        match self {
            Self::Agora { is_drawn: true, .. } => {
                Some("the media credentials: drawn at random, so tokens open no real channel")
            }
            Self::Agora { .. } | Self::LiveKit { .. } => None,
        }
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "MEDIA_PROVIDER={}", self.vendor())?;
        match self {
            Self::Agora {
                app_id, is_drawn, ..
            } => {
                let certificate = if *is_drawn {
                    "(drawn at random)"
                } else {
                    "(redacted)"
                };
                writeln!(f, "AGORA_APP_ID={}", app_id.as_str())?;
                writeln!(f, "AGORA_APP_CERTIFICATE={certificate}")
            }
            Self::LiveKit { credentials, url } => {
                writeln!(f, "LIVEKIT_URL={url}")?;
                writeln!(f, "LIVEKIT_API_KEY={}", credentials.key.as_str())?;
                writeln!(f, "LIVEKIT_API_SECRET=(redacted)")
            }
        }
    }
}

fn agora(flags: &Flags, dev: Option<&mut DevSecrets>) -> Result<Media, ConfigError> {
    let id = setting("AGORA_APP_ID", flags.agora_app_id.as_ref())?;
    let certificate = read_secret("AGORA_APP_CERTIFICATE")?;
    let (id, certificate, is_drawn) = match (id, certificate, dev) {
        (Some(id), Some(certificate), _) => (id, certificate, false),
        (None, None, Some(dev)) => (dev.agora_app_id()?, dev.agora_app_certificate()?, true),
        (None, _, _) => {
            let why = "media tokens need it";
            return Err(ConfigError::Missing {
                name: "AGORA_APP_ID",
                why,
            });
        }
        (Some(_), None, _) => {
            let (name, why) = ("AGORA_APP_CERTIFICATE", "media tokens are signed with it");
            return Err(ConfigError::Missing { name, why });
        }
    };
    let why = || "not 32 hex digits".to_owned();
    Ok(Media::Agora {
        app_id: AppId::parse(&id).map_err(|_| invalid("AGORA_APP_ID", why()))?,
        certificate: AppCertificate::parse(&certificate)
            .map_err(|_| invalid("AGORA_APP_CERTIFICATE", why()))?,
        is_drawn,
    })
}

fn livekit(flags: &Flags, environment: Environment) -> Result<Media, ConfigError> {
    let missing = |name| {
        let why = "MEDIA_PROVIDER=livekit needs it";
        ConfigError::Missing { name, why }
    };
    let url = setting("LIVEKIT_URL", flags.livekit_url.as_ref())?;
    let key = setting("LIVEKIT_API_KEY", flags.livekit_api_key.as_ref())?;
    let secret = read_secret("LIVEKIT_API_SECRET")?;
    let url = url.ok_or(missing("LIVEKIT_URL"))?;
    let key = key.ok_or(missing("LIVEKIT_API_KEY"))?;
    let secret = secret.ok_or(missing("LIVEKIT_API_SECRET"))?;
    let is_long = secret.len() >= LIVEKIT_SECRET_BYTES_MIN_PRODUCTION;
    if environment == Environment::Production && !is_long {
        let why = format!("needs at least {LIVEKIT_SECRET_BYTES_MIN_PRODUCTION} bytes");
        return Err(invalid("LIVEKIT_API_SECRET", why));
    }
    Ok(Media::LiveKit {
        credentials: ApiCredentials {
            key: ApiKey::parse(&key)
                .map_err(|error| invalid("LIVEKIT_API_KEY", error.to_string()))?,
            secret: ApiSecret::parse(&secret)
                .map_err(|error| invalid("LIVEKIT_API_SECRET", error.to_string()))?,
        },
        url: ServerUrl::parse(&url).map_err(|error| invalid("LIVEKIT_URL", error.to_string()))?,
    })
}
