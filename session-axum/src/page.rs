//! Lists that are read page by page: how many items, and from where on.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::{Code, Problem};

/// Items of a page where nobody says how many.
pub(crate) const LIMIT_DEFAULT: u32 = 25;
/// Items of a page at most.
pub(crate) const LIMIT_MAX: u32 = 100;
/// The longest cursor that is looked at, in characters.
pub(crate) const CURSOR_CHARS_MAX: usize = 256;

/// What says that a text is a cursor of this form.
const VERSION: &str = "1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    limit: Option<String>,
    cursor: Option<String>,
}

/// How a page is asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "they are only described")]
pub(crate) struct PageParams {
    /// Items at most.
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<u32>,
    /// What `next_cursor` of the page before said.
    #[param(max_length = 256, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

/// Which page of a list is asked for.
#[derive(Debug)]
pub(crate) struct Page {
    limit: u32,
    cursor: Option<Cursor>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let asked = Query::<Asked>::try_from_uri(&parts.uri);
        let Query(asked) = asked.map_err(|_| Problem::new(Code::UnknownMember))?;
        Self::of(asked.limit, asked.cursor)
    }
}

impl Page {
    /// The page that these ask for.
    pub(crate) fn of(asked_limit: Option<String>, cursor: Option<String>) -> Result<Self, Problem> {
        let limit = match asked_limit {
            None => LIMIT_DEFAULT,
            Some(text) => limit(&text).ok_or(Problem::new(Code::InvalidLimit))?,
        };
        let cursor = match cursor {
            None => None,
            Some(text) => Some(Cursor::read(&text).ok_or(Problem::new(Code::InvalidCursor))?),
        };
        Ok(Self { limit, cursor })
    }

    pub(crate) const fn limit(&self) -> u32 {
        self.limit
    }

    pub(crate) const fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }
}

fn limit(text: &str) -> Option<u32> {
    let limit: u32 = text.parse().ok()?;
    ((1..=LIMIT_MAX).contains(&limit) && limit.to_string() == text).then_some(limit)
}

/// A place in a list. Opaque to clients, so that its form may change: it says of which it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cursor(Vec<String>);

impl Cursor {
    /// The text of a place that these parts name, none of which has a colon.
    pub(crate) fn of(parts: &[&str]) -> String {
        let parts = std::iter::once(VERSION).chain(parts.iter().copied());
        URL_SAFE_NO_PAD.encode(parts.collect::<Vec<_>>().join(":"))
    }

    fn read(text: &str) -> Option<Self> {
        if text.len() > CURSOR_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (version, parts) = text.split_once(':')?;
        (version == VERSION).then(|| Self(parts.split(':').map(str::to_owned).collect()))
    }

    /// The parts, if there are so many.
    pub(crate) fn parts<const N: usize>(&self) -> Option<[&str; N]> {
        let parts: Vec<&str> = self.0.iter().map(String::as_str).collect();
        parts.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_made_and_nothing_else_is_one() {
        let text = Cursor::of(&["12", "ab"]);
        let cursor = Cursor::read(&text).unwrap();
        assert_eq!(cursor.parts::<2>(), Some(["12", "ab"]));
        assert_eq!(cursor.parts::<3>(), None);
        let other_version = URL_SAFE_NO_PAD.encode("2:12:ab");
        for other in ["", "!", "MQ", &other_version, &"A".repeat(257)] {
            assert_eq!(Cursor::read(other), None, "{other}");
        }
    }

    #[test]
    fn a_limit_is_1_to_100() {
        for (text, expected) in [
            ("1", Some(1)),
            ("100", Some(100)),
            ("0", None),
            ("101", None),
            ("-1", None),
            ("+5", None),
            ("05", None),
            ("", None),
            ("99999999999", None),
        ] {
            assert_eq!(limit(text), expected, "{text}");
        }
    }
}
