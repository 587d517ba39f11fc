//! Building: the bytes must be the recorded ones, and what no server should hand out must be
//! beyond the types that a server uses.

use std::num::NonZeroU32;

use serde_json::Value;
use session_core::media::agora::{
    AccessToken007, AgoraIssuer, AppId, Compression, Duplicates, ReadToken, ServiceBody,
};
use session_core::media::{Channel, MediaGrant, MediaTokenIssuer, MediaUid, Role, Ttl};
use session_core::types::{Seconds, Timestamp, encode_hex};

use super::input::Input;
use crate::members::Members;
use crate::report::{Difference, Verdict, quoted};

/// Tags of tokens that the format can express and no server may hand out.
const UNSAFE_TAGS: [&str; 2] = ["misuse", "over-limit"];

pub(super) fn check(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let input = Input::read(members.value("input")?).map_err(|error| error.within("/input"))?;
    let tags = members.list("tags")?;
    let is_unsafe = tags
        .iter()
        .any(|tag| tag.as_str().is_some_and(|tag| UNSAFE_TAGS.contains(&tag)));
    let expect = Members::of(members.value("expect")?)?;
    let expected = Expected::read(&expect)?;
    expect.finish()?;
    members.finish()?;

    let mut differences = Vec::new();
    expected.check(&input, &mut differences)?;
    if is_unsafe && grant(&input).is_ok() {
        differences.push(Difference::between(
            "/tags",
            "the safe types to refuse it",
            "a grant",
        ));
    }
    Difference::all(differences)
}

/// What a case says of its token. Each part is checked where it is given.
struct Expected<'a> {
    signing_key_hex: Option<&'a str>,
    signing_info_hex: Option<&'a str>,
    signature_hex: Option<&'a str>,
    inflated_hex: Option<&'a str>,
    example_token: Option<&'a str>,
}

impl<'a> Expected<'a> {
    fn read(expect: &Members<'a>) -> Result<Self, Difference> {
        let expected = Self {
            signing_key_hex: expect.optional_text("signing_key_hex")?,
            signing_info_hex: expect.optional_text("signing_info_hex")?,
            signature_hex: expect.optional_text("signature_hex")?,
            inflated_hex: expect.optional_text("inflated_hex")?,
            example_token: expect.optional_text("example_token")?,
        };
        if expected.inflated_hex.is_none() && expected.example_token.is_none() {
            return Err(Difference::not_understood("expect names no token"));
        }
        Ok(expected)
    }

    fn check(&self, input: &Input, differences: &mut Vec<Difference>) -> Verdict {
        let token = input.token()?;
        let certificate = input.certificate()?;
        if let Some(key) = self.signing_key_hex {
            let got = encode_hex(&*token.signing_key(&certificate));
            differences.extend(same_hex("/expect/signing_key_hex", key, &got).err());
        }
        if let Some(info) = self.signing_info_hex {
            let got = encode_hex(&token.signing_info().map_err(cannot_build)?);
            differences.extend(same_hex("/expect/signing_info_hex", info, &got).err());
        }
        if let Some(signature) = self.signature_hex {
            let got = encode_hex(&token.signature(&certificate).map_err(cannot_build)?);
            differences.extend(same_hex("/expect/signature_hex", signature, &got).err());
        }
        if let Some(inflated) = self.inflated_hex {
            differences.extend(check_payload("/expect/inflated_hex", input, inflated).err());
        }
        if let Some(example) = self.example_token {
            differences.extend(check_example("/expect/example_token", input, example).err());
        }
        Ok(())
    }
}

/// Builds a token in every way there is and compares what it inflates to, never its text.
pub(crate) fn check_payload(pointer: &str, input: &Input, inflated_hex: &str) -> Verdict {
    let token = input.token()?;
    let certificate = input.certificate()?;
    let payload = token.payload(&certificate).map_err(cannot_build)?;
    same_hex(pointer, inflated_hex, &encode_hex(&payload))?;
    for compression in [Compression::Deflated, Compression::Stored] {
        let text = token
            .to_text(&certificate, compression)
            .map_err(cannot_build)?;
        let inflated = inflated_of(&text).map_err(|error| error.within(pointer))?;
        same_hex(pointer, inflated_hex, &inflated)?;
    }
    if let Ok(grant) = grant(input) {
        let issuer = AgoraIssuer::new(token.app_id, certificate);
        let text = issuer
            .issue(&grant)
            .map_err(|error| Difference::new(error).within(pointer))?;
        let inflated = inflated_of(&text).map_err(|error| error.within(pointer))?;
        same_hex(pointer, inflated_hex, &inflated)
            .map_err(|difference| difference.within("issuer"))?;
    }
    Ok(())
}

/// Reads and verifies a token that somebody else built, and finds in it what it was built of.
pub(crate) fn check_example(pointer: &str, input: &Input, text: &str) -> Verdict {
    let at = |error: Difference| error.within(pointer);
    let read = ReadToken::parse(text, Duplicates::Refused)
        .map_err(|error| at(Difference::new(format!("not read: {error}"))))?;
    read.verify_signature(&input.certificate()?)
        .map_err(|error| at(Difference::new(format!("not verified: {error}"))))?;
    let mut differences = Vec::new();
    if read.app_id != input.app_id {
        differences.push(at(Difference::between(
            "app_id",
            &input.app_id,
            quoted(&read.app_id),
        )));
    }
    for (name, expected, got) in [
        ("issue_ts", input.issue_ts, read.issue_ts),
        ("expire", input.expire, read.expire),
        ("salt", input.salt, read.salt),
    ] {
        if expected != got {
            differences.push(at(Difference::between(name, expected, got)));
        }
    }
    let services = input.packed_services();
    if read.services != services || usize::from(read.service_count) != services.len() {
        let [expected, got] = [&services, &read.services].map(|list| quoted(&format!("{list:?}")));
        differences.push(at(Difference::between("services", expected, got)));
    }
    if read.trailing_bytes != Some(0) {
        let got = format!("{:?}", read.trailing_bytes);
        differences.push(at(Difference::between("trailing_bytes", "none", got)));
    }
    Difference::all(differences)
}

/// The same token as a server would have to ask for it, or why it cannot.
fn grant(input: &Input) -> Result<MediaGrant, &'static str> {
    AppId::parse(&input.app_id).map_err(|_| "app id")?;
    let [service] = input.services.as_slice() else {
        return Err("not one service");
    };
    let ServiceBody::Rtc { channel, account } = &service.body else {
        return Err("another service");
    };
    let ttl = Ttl::new(Seconds::new(u64::from(input.expire))).map_err(|_| "life")?;
    if service
        .privileges
        .values()
        .any(|&seconds| seconds != input.expire)
    {
        return Err("a privilege ends at another time");
    }
    let role = match service
        .privileges
        .keys()
        .copied()
        .collect::<Vec<u16>>()
        .as_slice()
    {
        [1, 2, 3, 4] => Role::Publisher,
        [1] => Role::Subscriber,
        _ => return Err("privileges of no role"),
    };
    Ok(MediaGrant {
        connection: None,
        channel: Channel::parse(channel).map_err(|_| "channel")?,
        uid: uid_of_account(account).ok_or("account")?,
        role,
        issued_at: Timestamp::from_unix(u64::from(input.issue_ts)),
        ttl,
        salt: NonZeroU32::new(input.salt).ok_or("salt")?,
    })
}

/// The uid that an account is the decimal text of.
pub(super) fn uid_of_account(account: &str) -> Option<MediaUid> {
    let uid = account.parse().ok().and_then(MediaUid::new)?;
    (uid.to_string() == account).then_some(uid)
}

/// What a token's text inflates to.
fn inflated_of(text: &str) -> Result<String, Difference> {
    let read = ReadToken::parse(text, Duplicates::Refused).map_err(Difference::new)?;
    let length = u16::try_from(read.signature().len()).map_err(Difference::new)?;
    let payload = [&length.to_le_bytes(), read.signature(), read.signing_info()].concat();
    Ok(encode_hex(&payload))
}

pub(super) fn same_hex(pointer: &str, expected: &str, got: &str) -> Verdict {
    if expected.eq_ignore_ascii_case(got) {
        return Ok(());
    }
    let apart = expected
        .bytes()
        .zip(got.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let byte = apart / 2;
    Err(Difference::between(
        format!("{pointer}, byte {byte}"),
        quoted(expected),
        quoted(got),
    ))
}

pub(super) fn cannot_build(error: session_core::media::agora::BuildError) -> Difference {
    Difference::new(format!("not built: {error}"))
}

/// Whether the format itself refuses a token.
pub(super) fn is_unbuildable(token: &AccessToken007, input: &Input) -> Result<bool, Difference> {
    let certificate = input.certificate()?;
    Ok(token.to_text(&certificate, Compression::Deflated).is_err())
}
