//! `GET /api/v1/auth/me`.

use axum::Json;
use weirgate_web::access::SignedIn;
use weirgate_web::params::Query;

use super::answer::Me;

/// Whose an access token is, and what it may be used for.
#[utoipa::path(
    get, path = "/api/v1/auth/me", tag = "Sign-in", security(("access_token" = [])),
    responses(
        (status = 200, description = "Who is signed in", body = Me),
        (status = 401, description = "invalid_token, token_expired, unauthorized"),
    )
)]
pub(crate) async fn me(Query(()): Query<()>, SignedIn(access): SignedIn) -> Json<Me> {
    Json(access.into())
}
