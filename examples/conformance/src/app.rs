//! The one place that knows how the server is put together.

use std::sync::Arc;

use axum::Router;
use session_axum::{App, Bookings, Limits};
use session_core::auth::JwtKeys;
use session_core::media::MediaTokenIssuer;
use session_core::service::Ports;

/// The real router on these ports, without rate limits: a record is replayed faster than any
/// client would ask.
pub(crate) fn router(
    ports: Ports,
    media: Arc<dyn MediaTokenIssuer>,
    keys: Arc<JwtKeys>,
    bookings: Bookings,
) -> Router {
    let app = App::new(ports, media, keys)
        .with_limits(Limits::without_rates())
        .with_bookings(bookings);
    session_axum::router(app)
}
