//! What a recorded token is made of.

use std::collections::BTreeMap;

use serde_json::Value;
use session_core::media::agora::{
    AccessToken007, AppCertificate, AppId, Permissions, Privileges, Service, ServiceBody,
};

use crate::members::{Members, integer_of};
use crate::report::{Difference, shown};

/// Everything a token is made of, as the record has it.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) app_id: String,
    pub(crate) app_certificate: String,
    pub(crate) issue_ts: u32,
    pub(crate) salt: u32,
    pub(crate) expire: u32,
    pub(crate) services: Vec<Service>,
}

/// The one service that voice needs.
#[derive(Debug, Clone)]
pub(crate) struct Rtc {
    pub(crate) channel: String,
    pub(crate) account: String,
    pub(crate) privileges: Privileges,
}

impl Input {
    /// Reads the member `input` of a case.
    pub(crate) fn read(value: &Value) -> Result<Self, Difference> {
        let members = Members::of(value)?;
        let input = Self {
            app_id: members.text("app_id")?.to_owned(),
            app_certificate: members.text("app_certificate")?.to_owned(),
            issue_ts: members.integer("issue_ts")?,
            salt: members.integer("salt")?,
            expire: members.integer("expire")?,
            services: read_services(members.value("services")?)?,
        };
        members.finish()?;
        Ok(input)
    }

    /// The token, by the format itself.
    pub(crate) fn token(&self) -> Result<AccessToken007, Difference> {
        let app_id = AppId::parse(&self.app_id);
        Ok(AccessToken007 {
            app_id: app_id.map_err(|error| Difference::new(format!("app id refused: {error}")))?,
            issue_ts: self.issue_ts,
            expire: self.expire,
            salt: self.salt,
            services: self.services.clone(),
        })
    }

    pub(crate) fn certificate(&self) -> Result<AppCertificate, Difference> {
        certificate(&self.app_certificate)
    }

    /// The services in the order in which they are packed: by type, equal types as they came.
    pub(crate) fn packed_services(&self) -> Vec<Service> {
        let mut services = self.services.clone();
        services.sort_by_key(|service| service.body.type_number());
        services
    }
}

impl From<Rtc> for Service {
    fn from(rtc: Rtc) -> Self {
        let Rtc {
            channel,
            account,
            privileges,
        } = rtc;
        Self {
            privileges,
            body: ServiceBody::Rtc { channel, account },
        }
    }
}

/// How the format writes a uid: as decimal text, but 0 as nothing.
pub(crate) fn account_of_uid(uid: u32) -> String {
    if uid == 0 {
        String::new()
    } else {
        uid.to_string()
    }
}

/// Reads a list of services.
pub(crate) fn read_services(value: &Value) -> Result<Vec<Service>, Difference> {
    let Value::Array(list) = value else {
        return Err(Difference::not_understood(format!(
            "services are {}",
            shown(value)
        )));
    };
    list.iter().map(read_service).collect()
}

fn read_service(value: &Value) -> Result<Service, Difference> {
    let members = Members::of(value)?;
    let text = |name| members.text(name).map(ToOwned::to_owned);
    let body = match members.integer::<u16>("type")? {
        1 => ServiceBody::Rtc {
            channel: text("channel")?,
            account: account(&members)?,
        },
        2 => ServiceBody::Rtm {
            user_id: text("user_id")?,
        },
        3 => ServiceBody::Streaming {
            channel: text("channel")?,
            account: account(&members)?,
        },
        4 => ServiceBody::Fpa,
        5 => ServiceBody::Chat {
            user_id: text("user_id")?,
        },
        6 => ServiceBody::Fcdn {
            channel: text("channel")?,
            account: account(&members)?,
        },
        7 => ServiceBody::Apaas {
            room_uuid: text("room_uuid")?,
            user_uuid: text("user_uuid")?,
            role: members.integer("role")?,
        },
        8 => ServiceBody::Rtm2 {
            user_id: text("user_id")?,
            permissions: read_permissions(&members)?,
        },
        9 => ServiceBody::ConvoAi,
        10 => ServiceBody::Stt,
        other => return Err(Difference::not_understood(format!("service type {other}"))),
    };
    let privileges = privileges(&members)?;
    members.finish()?;
    Ok(Service { privileges, body })
}

/// A certificate of the record, which must be a good one.
pub(super) fn certificate(text: &str) -> Result<AppCertificate, Difference> {
    AppCertificate::parse(text)
        .map_err(|error| Difference::new(format!("certificate refused: {error}")))
}

/// Privileges by their numbers, each with its seconds.
pub(super) fn privileges(members: &Members<'_>) -> Result<Privileges, Difference> {
    numbered(members.entries("privileges")?)?
        .into_iter()
        .map(|(privilege, value)| {
            let seconds = integer_of(value).and_then(|seconds| u32::try_from(seconds).ok());
            Ok((privilege, seconds.ok_or_else(|| odd("privilege", value))?))
        })
        .collect()
}

/// An account, which may be given as a uid.
pub(super) fn account(members: &Members<'_>) -> Result<String, Difference> {
    match members.optional("uid") {
        None => members.text("account").map(ToOwned::to_owned),
        Some(_) => members.integer("uid").map(account_of_uid),
    }
}

fn read_permissions(members: &Members<'_>) -> Result<Permissions, Difference> {
    let mut permissions = Permissions::new();
    for (resource, by_permission) in numbered(members.entries("permissions")?)? {
        let Value::Object(by_permission) = by_permission else {
            return Err(odd("permissions", by_permission));
        };
        let entries = by_permission
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        let mut names_by_permission = BTreeMap::new();
        for (permission, names) in numbered(entries)? {
            names_by_permission.insert(permission, texts(names)?);
        }
        permissions.insert(resource, names_by_permission);
    }
    Ok(permissions)
}

fn texts(value: &Value) -> Result<Vec<String>, Difference> {
    let list = value.as_array().ok_or_else(|| odd("names", value))?;
    let texts = list.iter().map(|name| name.as_str().map(ToOwned::to_owned));
    texts
        .collect::<Option<_>>()
        .ok_or_else(|| odd("names", value))
}

/// Entries whose keys are numbers of 16 bits in decimal.
fn numbered<'a>(entries: Vec<(&'a str, &'a Value)>) -> Result<Vec<(u16, &'a Value)>, Difference> {
    let number = |(key, value): (&'a str, &'a Value)| match key.parse() {
        Ok(number) => Ok((number, value)),
        Err(_) => Err(Difference::not_understood(format!(
            "{key:?} is no number of 16 bits"
        ))),
    };
    entries.into_iter().map(number).collect()
}

fn odd(what: &str, value: &Value) -> Difference {
    Difference::not_understood(format!("{what} {}", shown(value)))
}
