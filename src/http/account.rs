//! `/account`: what everybody has who signs in, whatever for: who they are, what they may do, their
//! password, and where they are signed in. The page of an invitation is for who is not yet.

mod apps;
mod invitation;
mod name;
mod overview;
mod password;
mod sessions;

use axum::Router;
use axum::middleware::map_response;
use axum::response::Redirect;
use axum::routing::{get, post};
use weirgate_web::dashboard::refusal::Refusal;

use crate::http::{Api, pages, sign_in};

/// Every page and what can be done there.
pub(super) fn router() -> Router<Api> {
    // A form that was wrong is shown at its own address, and who reloads that comes back here.
    let back = || get(async || Redirect::to("/account"));
    Router::new()
        .route("/", get(overview::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/invitation", get(invitation::show).post(invitation::accept))
        .route("/name", back().post(name::change))
        .route("/password", back().post(password::change))
        .route("/sessions/others/end", post(sessions::end_others))
        .route("/sessions/{id}/end", post(sessions::end))
        .route("/apps/{id}/end", post(apps::end))
        .fallback(async || Refusal::no_such_page().to_account())
        .layer(map_response(pages::secure))
}
