//! Building: header and claims must be the recorded ones as JSON; the order of members is free.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use session_core::media::livekit::{
    ApiCredentials, ApiKeys, SDK_DEFAULT_TTL, TokenClaims, TrackSource, VideoGrant,
};
use session_core::media::{Channel, Ttl};
use session_core::types::{Seconds, Timestamp};

use super::credentials;
use crate::members::{Members, integer_of};
use crate::report::{Difference, Verdict, quoted, shown};

pub(super) fn check(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let input = Members::of(members.value("input")?)?;
    let credentials = credentials(&input).map_err(|error| error.within("/input"))?;
    let now = Timestamp::from_unix(input.integer("now")?);
    let mut claims =
        read_claims(&input, &credentials, now).map_err(|error| error.within("/input"))?;
    input.finish()?;
    if let Some(refusal) = members.optional_text("official_error")? {
        members.finish()?;
        return match claims.sign(&credentials.secret) {
            Ok(_) => Err(Difference::between(
                "/official_error",
                quoted(refusal),
                "a token",
            )),
            Err(_) => Ok(()),
        };
    }
    let expect = Members::of(members.value("expect")?)?;
    let [header, payload] = [expect.value("header")?, expect.value("claims")?];
    let recorded = expect.optional_text("jwt")?;
    expect.finish()?;
    members.finish()?;
    say_what_no_input_says(&mut claims, payload);

    let token = claims
        .sign(&credentials.secret)
        .map_err(|error| Difference::new(format!("not built: {error}")))?;
    let mut differences = Vec::new();
    for (pointer, index, expected) in [
        ("/expect/header", 0, header),
        ("/expect/claims", 1, payload),
    ] {
        let got = part(&token, index)?;
        if got != *expected {
            differences.push(Difference::between(pointer, shown(expected), shown(&got)));
        }
    }
    let keys = ApiKeys::new(vec![credentials]).map_err(Difference::new)?;
    let built = Some(("built", token.as_str()));
    for (which, token) in built
        .into_iter()
        .chain(recorded.map(|text| ("/expect/jwt", text)))
    {
        match keys.verify(token, now, Seconds::ZERO) {
            Ok(read) if read == claims => {}
            Ok(read) => {
                let [expected, got] = [&claims, &read].map(|claims| format!("{claims:?}"));
                let place = format!("{which}, read");
                differences.push(Difference::between(place, quoted(&expected), quoted(&got)));
            }
            Err(error) => {
                differences.push(Difference::new(format!("{which}: not verified: {error}")));
            }
        }
    }
    differences.extend(check_issuer_type(&claims).err());
    Difference::all(differences)
}

fn read_claims(
    input: &Members<'_>,
    credentials: &ApiCredentials,
    now: Timestamp,
) -> Result<TokenClaims, Difference> {
    let options = Members::of(input.value("options")?)?;
    let text = |name| Ok(options.optional_text(name)?.map(ToOwned::to_owned));
    let mut claims = TokenClaims::new(credentials.key.clone(), now, life(&options)?);
    claims.sub = text("identity")?;
    claims.name = text("name")?;
    claims.metadata = text("metadata")?;
    claims.kind = text("kind")?;
    claims.sha256 = text("sha256")?;
    claims.attributes = options
        .entries("attributes")?
        .into_iter()
        .map(|(name, value)| {
            let text = value.as_str().map(ToOwned::to_owned);
            Ok((
                name.to_owned(),
                text.ok_or_else(|| odd("attribute", value))?,
            ))
        })
        .collect::<Result<BTreeMap<String, String>, Difference>>()?;
    options.finish()?;
    claims.video = input.optional("video").map(read_video).transpose()?;
    Ok(claims)
}

/// The life of a token. The vendor's package takes its default also for 0, and texts like `10m`.
fn life(options: &Members<'_>) -> Result<Ttl, Difference> {
    let Some(value) = options.optional("ttl") else {
        return Ok(SDK_DEFAULT_TTL);
    };
    let seconds = match value {
        Value::String(text) => seconds_of(text),
        number => integer_of(number).and_then(|seconds| u64::try_from(seconds).ok()),
    };
    let seconds = seconds.ok_or_else(|| odd("ttl", value))?;
    if seconds == 0 {
        return Ok(SDK_DEFAULT_TTL);
    }
    Ttl::new(Seconds::new(seconds)).map_err(|error| Difference::new(format!("refused: {error}")))
}

/// A number and a unit: `90s`, `10m`, `6h`, `1d`.
fn seconds_of(text: &str) -> Option<u64> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    units.into_iter().find_map(|(unit, seconds)| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(seconds)
    })
}

fn read_video(value: &Value) -> Result<VideoGrant, Difference> {
    let members = Members::of(value)?;
    let text = |name| Ok(members.optional_text(name)?.map(ToOwned::to_owned));
    let flag = |name| {
        let given = members.optional(name);
        given.map(|_| members.boolean(name)).transpose()
    };
    let mut video = VideoGrant::default();
    video.room = text("room")?;
    video.room_join = flag("roomJoin")?;
    video.can_publish = flag("canPublish")?;
    video.can_subscribe = flag("canSubscribe")?;
    video.can_publish_data = flag("canPublishData")?;
    video.can_update_own_metadata = flag("canUpdateOwnMetadata")?;
    video.hidden = flag("hidden")?;
    video.recorder = flag("recorder")?;
    video.room_admin = flag("roomAdmin")?;
    video.room_create = flag("roomCreate")?;
    video.room_list = flag("roomList")?;
    video.room_record = flag("roomRecord")?;
    video.ingress_admin = flag("ingressAdmin")?;
    video.destination_room = text("destinationRoom")?;
    let sources = members.list("canPublishSources")?.iter();
    video.can_publish_sources = sources.map(read_source).collect::<Result<_, _>>()?;
    members.finish()?;
    Ok(video)
}

fn read_source(value: &Value) -> Result<TrackSource, Difference> {
    match value.as_str() {
        Some("camera") => Ok(TrackSource::Camera),
        Some("microphone") => Ok(TrackSource::Microphone),
        Some("screen_share") => Ok(TrackSource::ScreenShare),
        Some("screen_share_audio") => Ok(TrackSource::ScreenShareAudio),
        _ => Err(odd("source", value)),
    }
}

/// Two claims are set by calls of the vendor's package that no input of the record has a member
/// for; only their outcome is recorded.
fn say_what_no_input_says(claims: &mut TokenClaims, expected: &Value) {
    let outcome = |name| {
        let text = expected.get(name).and_then(Value::as_str);
        text.map(ToOwned::to_owned)
    };
    claims.kind = claims.kind.take().or_else(|| outcome("kind"));
    claims.sha256 = claims.sha256.take().or_else(|| outcome("sha256"));
}

/// A room without a name can be written down by the format, and must be beyond what an issuer is
/// given.
fn check_issuer_type(claims: &TokenClaims) -> Verdict {
    let room = claims
        .video
        .as_ref()
        .and_then(|video| video.room.as_deref());
    if room == Some("") && Channel::parse("").is_ok() {
        return Err(Difference::between(
            "/input/video/room",
            "no channel",
            "one",
        ));
    }
    Ok(())
}

/// One part of a token, as JSON.
fn part(token: &str, index: usize) -> Result<Value, Difference> {
    let text = token.split('.').nth(index).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(Difference::new)?;
    serde_json::from_slice(&bytes).map_err(Difference::new)
}

fn odd(what: &str, value: &Value) -> Difference {
    Difference::not_understood(format!("{what} {}", shown(value)))
}
