//! What a token grants: services, each with its privileges.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::build::BuildError;
use super::parse::{Duplicates, ReadError};
use super::payload::{Reader, Writer};

/// Privilege to seconds after `issue_ts`. The vendor reads 0 as *never ends*; an absent privilege
/// is not granted.
pub type Privileges = BTreeMap<u16, u32>;

/// Resource type (0 message channels, 1 stream channels, 2 group channels, 3 server groups,
/// 4 users) to permission (0 read, 1 write) to names.
pub type Permissions = BTreeMap<u16, BTreeMap<u16, Vec<String>>>;

/// One service of a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the format knows no other part of a service"
)]
pub struct Service {
    /// What is granted, and for how long.
    pub privileges: Privileges,
    /// Which service, and for whom.
    pub body: ServiceBody,
}

/// The ten services of version 007, in the order of their type numbers.
///
/// An `account` is a uid as decimal text or a name; the empty one is anybody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceBody {
    /// Type 1, voice and video. Privileges: 1 join, 2 publish audio, 3 video, 4 data.
    Rtc {
        /// The channel.
        channel: String,
        /// Who may join it.
        account: String,
    },
    /// Type 2, messages. Privilege: 1 login.
    Rtm {
        /// Who may log in.
        user_id: String,
    },
    /// Type 3, streaming. Privileges: 1 publish mixed, 2 publish raw.
    Streaming {
        /// The channel.
        channel: String,
        /// Who may publish.
        account: String,
    },
    /// Type 4, accelerated network. Privilege: 1 login.
    Fpa,
    /// Type 5, chat. Privileges: 1 user, 2 app.
    Chat {
        /// The user; empty for the app itself.
        user_id: String,
    },
    /// Type 6, delivery of live streams. Privileges: 1 publish, 2 play.
    Fcdn {
        /// The channel.
        channel: String,
        /// Who may publish or play.
        account: String,
    },
    /// Type 7, class rooms ("aPaaS", "Education"). Privileges: 1 room user, 2 user, 3 app.
    Apaas {
        /// The room; empty where the token is for none.
        room_uuid: String,
        /// The user; empty where the token is for none.
        user_uuid: String,
        /// The role in the room; -1 for none. The one signed number of the format.
        role: i16,
    },
    /// Type 8, messages with permissions. Privilege: 1 login.
    Rtm2 {
        /// Who may log in.
        user_id: String,
        /// What they may read and write.
        permissions: Permissions,
    },
    /// Type 9, conversational agents. No privileges.
    ConvoAi,
    /// Type 10, speech to text. No privileges.
    Stt,
}

impl Service {
    pub(super) fn write(&self, out: &mut Writer) -> Result<(), BuildError> {
        out.u16(self.body.type_number());
        out.count(self.privileges.len())?;
        for (&privilege, &seconds) in &self.privileges {
            out.u16(privilege);
            out.u32(seconds);
        }
        self.body.write(out)
    }

    /// Reads what follows the type number; `None` where nobody knows the type, and so not how
    /// long the service is.
    pub(super) fn read(
        type_number: u16,
        reader: &mut Reader<'_>,
        duplicates: Duplicates,
    ) -> Result<Option<Self>, ReadError> {
        let Some(read_body) = body_reader(type_number) else {
            return Ok(None);
        };
        let mut privileges = Privileges::new();
        for _ in 0..reader.u16()? {
            let privilege = reader.u16()?;
            let seconds = reader.u32()?;
            duplicates.insert(&mut privileges, privilege, seconds)?;
        }
        let body = read_body(reader, duplicates)?;
        Ok(Some(Self { privileges, body }))
    }
}

impl ServiceBody {
    /// The number that the format knows the service by.
    #[must_use]
    pub const fn type_number(&self) -> u16 {
        match self {
            Self::Rtc { .. } => 1,
            Self::Rtm { .. } => 2,
            Self::Streaming { .. } => 3,
            Self::Fpa => 4,
            Self::Chat { .. } => 5,
            Self::Fcdn { .. } => 6,
            Self::Apaas { .. } => 7,
            Self::Rtm2 { .. } => 8,
            Self::ConvoAi => 9,
            Self::Stt => 10,
        }
    }

    fn write(&self, out: &mut Writer) -> Result<(), BuildError> {
        match self {
            Self::Rtc { channel, account }
            | Self::Streaming { channel, account }
            | Self::Fcdn { channel, account } => {
                out.text(channel)?;
                out.text(account)
            }
            Self::Rtm { user_id } | Self::Chat { user_id } => out.text(user_id),
            Self::Apaas {
                room_uuid,
                user_uuid,
                role,
            } => {
                out.text(room_uuid)?;
                out.text(user_uuid)?;
                out.i16(*role);
                Ok(())
            }
            Self::Rtm2 {
                user_id,
                permissions,
            } => {
                out.text(user_id)?;
                write_permissions(permissions, out)
            }
            Self::Fpa | Self::ConvoAi | Self::Stt => Ok(()),
        }
    }
}

/// Reads what follows the privileges of a service of one type.
type BodyReader = fn(&mut Reader<'_>, Duplicates) -> Result<ServiceBody, ReadError>;

fn body_reader(type_number: u16) -> Option<BodyReader> {
    Some(match type_number {
        1 => |reader, _| {
            Ok(ServiceBody::Rtc {
                channel: reader.text()?,
                account: reader.text()?,
            })
        },
        2 => |reader, _| {
            Ok(ServiceBody::Rtm {
                user_id: reader.text()?,
            })
        },
        3 => |reader, _| {
            Ok(ServiceBody::Streaming {
                channel: reader.text()?,
                account: reader.text()?,
            })
        },
        4 => |_, _| Ok(ServiceBody::Fpa),
        5 => |reader, _| {
            Ok(ServiceBody::Chat {
                user_id: reader.text()?,
            })
        },
        6 => |reader, _| {
            Ok(ServiceBody::Fcdn {
                channel: reader.text()?,
                account: reader.text()?,
            })
        },
        7 => |reader, _| {
            Ok(ServiceBody::Apaas {
                room_uuid: reader.text()?,
                user_uuid: reader.text()?,
                role: reader.i16()?,
            })
        },
        8 => |reader, duplicates| {
            Ok(ServiceBody::Rtm2 {
                user_id: reader.text()?,
                permissions: read_permissions(reader, duplicates)?,
            })
        },
        9 => |_, _| Ok(ServiceBody::ConvoAi),
        10 => |_, _| Ok(ServiceBody::Stt),
        _ => return None,
    })
}

fn write_permissions(permissions: &Permissions, out: &mut Writer) -> Result<(), BuildError> {
    out.count(permissions.len())?;
    for (&resource, by_permission) in permissions {
        out.u16(resource);
        out.count(by_permission.len())?;
        for (&permission, names) in by_permission {
            out.u16(permission);
            out.count(names.len())?;
            for name in names {
                out.text(name)?;
            }
        }
    }
    Ok(())
}

fn read_permissions(
    reader: &mut Reader<'_>,
    duplicates: Duplicates,
) -> Result<Permissions, ReadError> {
    let mut permissions = Permissions::new();
    for _ in 0..reader.u16()? {
        let resource = reader.u16()?;
        let mut by_permission = BTreeMap::new();
        for _ in 0..reader.u16()? {
            let permission = reader.u16()?;
            let mut names = Vec::new();
            for _ in 0..reader.u16()? {
                names.push(reader.text()?);
            }
            duplicates.insert(&mut by_permission, permission, names)?;
        }
        duplicates.insert(&mut permissions, resource, by_permission)?;
    }
    Ok(permissions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn read_back(service: &Service) -> Result<Option<Service>, ReadError> {
        let mut out = Writer::default();
        service.write(&mut out).unwrap();
        let bytes = out.into_bytes();
        let mut reader = Reader::new(&bytes);
        let type_number = reader.u16()?;
        let service = Service::read(type_number, &mut reader, Duplicates::Refused);
        assert_eq!(reader.rest(), b"");
        service
    }

    fn every_body() -> Vec<ServiceBody> {
        let [a, b] = ["a", "b"].map(ToString::to_string);
        let names = BTreeMap::from([(0, vec![a.clone(), b.clone()]), (1, vec![])]);
        vec![
            ServiceBody::Rtc {
                channel: a.clone(),
                account: b.clone(),
            },
            ServiceBody::Rtm { user_id: a.clone() },
            ServiceBody::Streaming {
                channel: a.clone(),
                account: b.clone(),
            },
            ServiceBody::Fpa,
            ServiceBody::Chat { user_id: a.clone() },
            ServiceBody::Fcdn {
                channel: a.clone(),
                account: b.clone(),
            },
            ServiceBody::Apaas {
                room_uuid: a.clone(),
                user_uuid: b,
                role: -1,
            },
            ServiceBody::Rtm2 {
                user_id: a,
                permissions: Permissions::from([(0, names), (4, BTreeMap::new())]),
            },
            ServiceBody::ConvoAi,
            ServiceBody::Stt,
        ]
    }

    #[test]
    fn each_of_the_ten_services_comes_back_under_its_own_number() {
        for (body, number) in every_body().into_iter().zip(1..) {
            assert_eq!(body.type_number(), number);
            let service = Service {
                privileges: Privileges::from([(2, 0), (1, u32::MAX)]),
                body,
            };
            assert_eq!(read_back(&service), Ok(Some(service)));
        }
    }

    #[test]
    fn nothing_is_read_of_a_service_of_unknown_type() {
        for type_number in [0, 11, 250, u16::MAX] {
            let mut reader = Reader::new(b"rest");
            let service = Service::read(type_number, &mut reader, Duplicates::Refused);
            assert_eq!(service, Ok(None));
            assert_eq!(reader.rest(), b"rest");
        }
    }

    #[test]
    fn the_last_of_a_resource_given_twice_counts_unless_it_is_refused() {
        // User "", two resources, both 1: no permissions, then permission 0 for nobody.
        let bytes = [0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
        let read = |duplicates| Service::read(8, &mut Reader::new(&bytes), duplicates);
        let last = Permissions::from([(1, BTreeMap::from([(0, vec![])]))]);
        assert_eq!(
            read(Duplicates::LastCounts).map(|service| service.map(|service| service.body)),
            Ok(Some(ServiceBody::Rtm2 {
                user_id: String::new(),
                permissions: last,
            }))
        );
        assert_eq!(read(Duplicates::Refused), Err(ReadError::Duplicate));
    }
}
