//! OAuth 2.1 for browser apps: authorization code with PKCE, for public clients. The standards: RFC
//! 6749 as OAuth 2.1 narrows it, 7636 (PKCE), 7009 (revocation), 8414 (metadata), 9207 (`iss` in
//! the answer), 9068 (access tokens).

mod authorize;
mod cors;
mod error;
mod metadata;
mod request;
mod revoke;
mod token;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, options};

use crate::http::{Api, pages};

pub(crate) use metadata::*;
pub(crate) use revoke::*;
pub(crate) use token::*;

pub(super) use cors::any_origin;
pub(super) use request::find as find_client;

use cors::{preflight, with_origin};

/// The page on which somebody agrees.
pub(super) fn page() -> Router<Api> {
    Router::new()
        .route("/oauth/authorize", get(authorize::show).post(authorize::choose))
        .layer(map_response(pages::secure))
}

/// What answers before the routes for tokens do: scripts of apps' pages ask whether they may.
pub(super) fn preflights() -> Router<Api> {
    Router::new().route("/oauth/token", options(preflight)).route("/oauth/revoke", options(preflight))
}

/// Lets scripts of apps' pages read the answers about tokens.
pub(super) fn for_scripts(routes: Router<Api>, api: &Api) -> Router<Api> {
    routes.route_layer(from_fn_with_state(api.clone(), with_origin))
}
