//! Pages for people: `/`, which links the rest, and `/docs`, an API reference that works offline.
//!
//! The reference is Swagger UI, whose files come with a crate in the archive that its makers
//! publish; nothing is fetched when building or serving. Links are relative, so that the pages work
//! below any path and behind a proxy that takes part of it away.

mod archive;

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{NestedPathRejection, PathRejection};
use axum::extract::{NestedPath, Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::App;
use crate::routes::not_found;

/// What the pages may do (`security.md` G8): run and load what this server has, and call it. The
/// reference draws its arrows from `data:` images in its style sheet.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The files change with the server alone, and hold nothing of anybody.
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The routes of the pages. They are no part of the API, so its document does not have them.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(index))
        .route("/docs", get(docs))
        .route("/docs/{file}", get(file))
        .route("/readme", get(readme))
}

/// `GET /`
async fn index(
    State(app): State<App>,
    nested: Result<NestedPath, NestedPathRejection>,
) -> Response {
    // Without a slash at its end, the page's own last part is not kept in front of a link.
    let base = nested.as_ref().map_or("", NestedPath::as_str);
    let base = match base.rsplit_once('/') {
        Some((_, last)) if !last.is_empty() => format!("{last}/"),
        Some(_) | None => String::new(),
    };
    let metrics = if app.metrics().is_some() {
        include_str!("metrics.html")
    } else {
        ""
    };
    let page = include_str!("index.html")
        .replace("{metrics}", metrics)
        .replace("{base}", &base);
    html(page)
}

/// `GET /docs`
async fn docs() -> Response {
    html(include_str!("docs.html"))
}

/// `GET /readme`
async fn readme() -> Response {
    let headers = [
        (header::CONTENT_TYPE, TEXT),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, include_str!("../../../README.md")).into_response()
}

fn html(page: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HTML),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, page).into_response()
}

/// `GET /docs/{file}`
async fn file(name: Result<Path<String>, PathRejection>) -> Response {
    // What is no text names no file.
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let found = FILES.iter().find(|file| file.name == name);
    let Some(File {
        media_type, bytes, ..
    }) = found
    else {
        return not_found().await;
    };
    let headers = [
        (header::CONTENT_TYPE, media_type.clone()),
        (header::CACHE_CONTROL, AN_HOUR),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, bytes.clone()).into_response()
}

const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const SVG: HeaderValue = HeaderValue::from_static("image/svg+xml");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

struct File {
    name: &'static str,
    media_type: HeaderValue,
    bytes: Bytes,
}

/// Unpacked at the first use: most processes are never asked.
static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let own = |name, media_type, text: &'static str| File {
        name,
        media_type,
        bytes: Bytes::from_static(text.as_bytes()),
    };
    let mut files = vec![
        own("docs.js", SCRIPT, include_str!("docs.js")),
        own("icon.svg", SVG, include_str!("icon.svg")),
        own("pages.css", CSS, include_str!("pages.css")),
    ];
    for (name, media_type) in VENDORED {
        match archive::unpack(utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED, name) {
            Some(bytes) => files.push(File {
                name,
                media_type,
                bytes: bytes.into(),
            }),
            None => tracing::error!(name, "missing in the archive of the API reference"),
        }
    }
    files
});

const VENDORED: [(&str, HeaderValue); 2] =
    [("swagger-ui-bundle.js", SCRIPT), ("swagger-ui.css", CSS)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_has_every_file_whole() {
        for (name, at_least) in [
            ("swagger-ui-bundle.js", 1_000_000),
            ("swagger-ui.css", 100_000),
        ] {
            let file = FILES.iter().find(|file| file.name == name).unwrap();
            assert!(file.bytes.len() > at_least, "{name}: {}", file.bytes.len());
        }
    }

    #[test]
    fn no_page_has_a_script_or_a_style_of_its_own() {
        for page in [
            include_str!("index.html"),
            include_str!("docs.html"),
            include_str!("metrics.html"),
        ] {
            for part in page.split("<script").skip(1) {
                assert!(part.starts_with(" src=\""), "{part}");
            }
            assert!(!page.contains("style=") && !page.contains("<style"));
            assert!(!page.contains("onclick") && !page.contains("://"));
        }
    }
}
