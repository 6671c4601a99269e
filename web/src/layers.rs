//! What surrounds every route of every surface.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;

use crate::extract::BODY_LIMIT;
use crate::observe;
use crate::state::Web;

/// The routes with their layers; the last one is the outermost.
pub fn with_layers<S: Clone + Send + Sync + 'static>(app: Router<S>, web: &Web) -> Router<S> {
    app.layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(observe::limit_time))
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn_with_state(web.clone(), observe::observe))
}
