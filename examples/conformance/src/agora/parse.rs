//! Reading and verifying.

use serde_json::Value;
use session_core::media::agora::{AppCertificate, Duplicates, ReadToken};

use super::input::read_services;
use crate::members::Members;
use crate::report::{Difference, Verdict, quoted};

pub(super) fn check(case: &Value) -> Verdict {
    let members = Members::of(case)?;
    let text = members.text("token")?;
    let certificate = members.text("app_certificate")?;
    let expect = Members::of(members.value("expect")?)?;
    let is_parsed = expect.boolean("parsed")?;
    let signature_valid = expect
        .optional("signature_valid")
        .map(|_| expect.boolean("signature_valid"));
    let signature_valid = signature_valid.transpose()?;
    let fields = expect.optional("fields");
    expect.finish()?;
    members.finish()?;

    // As the vendor's own readers: the last of what is given twice counts.
    let read = match ReadToken::parse(text, Duplicates::LastCounts) {
        Ok(read) if is_parsed => read,
        Ok(_) => return Err(Difference::between("/expect/parsed", "an error", "a token")),
        Err(error) if is_parsed => {
            return Err(Difference::between("/expect/parsed", "a token", error));
        }
        Err(_) if signature_valid == Some(true) || fields.is_some() => {
            return Err(Difference::not_understood("fields of what cannot be read"));
        }
        Err(_) => return Ok(()),
    };
    let mut differences = Vec::new();
    if let Some(expected) = signature_valid {
        // A certificate that is none has signed nothing.
        let got = AppCertificate::parse(certificate)
            .is_ok_and(|certificate| read.verify_signature(&certificate).is_ok());
        if expected != got {
            differences.push(Difference::between(
                "/expect/signature_valid",
                expected,
                got,
            ));
        }
    }
    if let Some(fields) = fields {
        differences.extend(check_fields(fields, &read)?);
    }
    Difference::all(differences)
}

fn check_fields(fields: &Value, read: &ReadToken) -> Result<Vec<Difference>, Difference> {
    let fields = Members::of(fields)?;
    let mut differences = Vec::new();
    let mut compare = |name: &str, expected: String, got: String| {
        if expected != got {
            let pointer = format!("/expect/fields/{name}");
            differences.push(Difference::between(
                pointer,
                quoted(&expected),
                quoted(&got),
            ));
        }
    };
    compare(
        "app_id",
        fields.text("app_id")?.to_owned(),
        read.app_id.clone(),
    );
    for (name, got) in [
        ("issue_ts", read.issue_ts),
        ("expire", read.expire),
        ("salt", read.salt),
    ] {
        compare(
            name,
            fields.integer::<u32>(name)?.to_string(),
            got.to_string(),
        );
    }
    let count: u16 = fields.integer("service_count")?;
    compare(
        "service_count",
        count.to_string(),
        read.service_count.to_string(),
    );
    let services = read_services(fields.value("services")?)?;
    compare(
        "services",
        format!("{services:?}"),
        format!("{:?}", read.services),
    );
    let unknown = optional_integer::<u16>(&fields, "unknown_service_type")?;
    compare(
        "unknown_service_type",
        told(unknown),
        told(read.unknown_service_type),
    );
    let trailing = optional_integer::<usize>(&fields, "trailing_bytes")?;
    compare("trailing_bytes", told(trailing), told(read.trailing_bytes));
    let is_truncated = match fields.optional("services_truncated") {
        None => false,
        Some(_) => fields.boolean("services_truncated")?,
    };
    compare(
        "services_truncated",
        is_truncated.to_string(),
        read.is_incomplete().to_string(),
    );
    fields.finish()?;
    Ok(differences)
}

/// An integer that may be absent or `null`.
fn optional_integer<T: TryFrom<i128>>(
    fields: &Members<'_>,
    name: &'static str,
) -> Result<Option<T>, Difference> {
    match fields.optional(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => fields.integer(name).map(Some),
    }
}

fn told<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}
