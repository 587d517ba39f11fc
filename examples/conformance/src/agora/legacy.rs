//! Tokens of version 006, which are not packed: equal tokens are equal texts.

use serde_json::Value;
use session_core::media::agora::{AccessToken006, Admission, AppId, Duplicates, ReadToken006};
use session_core::types::encode_hex;

use super::build::{cannot_build, same_hex};
use super::input::{account, certificate, privileges};
use crate::members::Members;
use crate::report::{Difference, Verdict, quoted};

pub(super) fn check(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let input = Members::of(members.value("input")?)?;
    let token = read_input(&input).map_err(|error| error.within("/input"))?;
    let certificate = certificate(input.text("app_certificate")?)?;
    input.finish()?;
    let expect = Members::of(members.value("expect")?)?;
    let expected = expect.text("token")?;
    if expect.optional("byte_equal").is_some() && !expect.boolean("byte_equal")? {
        return Err(Difference::not_understood("a token that is not byte_equal"));
    }

    let mut differences = Vec::new();
    let text = token.to_text(&certificate).map_err(cannot_build)?;
    if text != expected {
        let [expected, got] = [expected, &text].map(quoted);
        differences.push(Difference::between("/expect/token", expected, got));
    }
    if let Some(signature) = expect.optional_text("signature_hex")? {
        let got = token.signature(&certificate).map_err(cannot_build)?;
        let got = encode_hex(&got);
        differences.extend(same_hex("/expect/signature_hex", signature, &got).err());
    }
    if let Some(message) = expect.optional_text("message_hex")? {
        let got = encode_hex(&token.message().map_err(cannot_build)?);
        differences.extend(same_hex("/expect/message_hex", message, &got).err());
    }

    // The record's own text, read and verified: what it was built of must be in it.
    let read = ReadToken006::parse(expected, Duplicates::Refused)
        .map_err(|error| Difference::new(format!("/expect/token: not read: {error}")))?;
    if let Err(error) = read.verify_signature(&certificate, &token.admission) {
        let why = format!("/expect/token: not verified: {error}");
        differences.push(Difference::new(why));
    }
    for (name, got) in [
        ("crc32_channel", read.channel_crc32),
        ("crc32_account", read.account_crc32),
    ] {
        if expect.optional(name).is_some() {
            let expected: u32 = expect.integer(name)?;
            if expected != got {
                let pointer = format!("/expect/{name}");
                differences.push(Difference::between(pointer, expected, got));
            }
        }
    }
    let said = (read.app_id.as_str(), read.ts, read.salt, &read.privileges);
    let given = (
        token.app_id.as_str(),
        token.ts,
        token.salt,
        &token.privileges,
    );
    if said != given || read.trailing_bytes != 0 {
        let [expected, got] = [given, said].map(|fields| format!("{fields:?}"));
        differences.push(Difference::between(
            "/expect/token, read",
            quoted(&expected),
            quoted(&got),
        ));
    }
    expect.finish()?;
    members.finish()?;
    Difference::all(differences)
}

fn read_input(input: &Members<'_>) -> Result<AccessToken006, Difference> {
    let app_id = AppId::parse(input.text("app_id")?);
    Ok(AccessToken006 {
        app_id: app_id.map_err(|error| Difference::new(format!("app id refused: {error}")))?,
        admission: Admission {
            channel: input.text("channel")?.to_owned(),
            account: account(input)?,
        },
        salt: input.integer("salt")?,
        ts: input.integer("ts")?,
        privileges: privileges(input)?,
    })
}
