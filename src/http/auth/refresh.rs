//! `POST /api/v1/auth/refresh` and `/logout`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::accounts;
use weirgate_identity::audit::Actor;
use weirgate_identity::grants::refresh::{self, Rotated};
use weirgate_identity::grants::{self, Subject};
use weirgate_identity::tokens::{Issued, Tokens};
use weirgate_web::access::{self, tokens};
use weirgate_web::client_address::ClientAddress;
use weirgate_web::extract::Body;
use weirgate_web::params::Query;
use weirgate_web::problem::{FieldError, Problem};

use super::answer::SignedInUser;
use super::grant::issue;
use crate::http::Api;
use crate::random;

/// A refresh token.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = RefreshToken)]
pub(crate) struct Presented {
    /// Of the last sign-in or refresh.
    #[schema(required = true, value_type = String, max_length = 1000)]
    refresh_token: Option<String>,
}

/// Takes the next tokens for a refresh token, which is used up.
///
/// Used again within ten seconds it gets the same answer; later, all tokens of the sign-in are
/// refused.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "Sign-in", request_body = Presented,
    responses(
        (status = 200, description = "The next tokens", body = SignedInUser),
        (status = 400, description = "invalid_grant: the refresh token is unknown, used, or at its end: sign in again; malformed_json, unreadable_body"),
    )
)]
pub(crate) async fn refresh(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    Query(()): Query<()>,
    Body(presented): Body<Presented>,
) -> Result<Json<SignedInUser>, Problem> {
    let tokens = tokens(&api.web)?;
    let token = presented.required()?;
    let _permit = api.web.permits.of_tokens().await?;
    let by = |email: &str| Actor::account(email, address);
    let Some(Next { subject, successor, issued }) = rotate(&api, tokens, &token, None, by).await? else {
        let detail = "the refresh token is unknown, used, or at its end; sign in again";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_grant", "Invalid grant", detail));
    };
    Ok(Json(SignedInUser::new(subject, issued, successor)))
}

/// What a refresh token became.
pub(in crate::http) struct Next {
    pub(in crate::http) subject: Subject,
    pub(in crate::http) successor: String,
    pub(in crate::http) issued: Issued,
}

/// What comes next after a refresh token; none where it is not taken. Whoever used it a second time has
/// the grant revoked, and it is written down. Where no access token can be made, it is not used up.
pub(in crate::http) async fn rotate(
    api: &Api,
    tokens: &Tokens,
    token: &str,
    client: Option<&str>,
    by: impl FnOnce(&str) -> Actor,
) -> Result<Option<Next>, Problem> {
    let mut tx = api.pool.begin().await?;
    let rotated = refresh::rotate(&mut tx, token, client, tokens.refresh_keys(), random::bytes()).await?;
    match rotated {
        Rotated::Good { subject, successor } => {
            access::charge(&api.web, subject.account)?;
            let issued = issue(tokens, &subject).await?;
            tx.commit().await?;
            Ok(Some(Next { subject: *subject, successor, issued }))
        }
        Rotated::Invalid => Ok(None),
        Rotated::Reused { grant, account } => {
            note_reuse(&mut tx, account, grant, "refresh_token.reused", by).await?;
            tx.commit().await?;
            tokens.ended(grant);
            Ok(None)
        }
    }
}

/// Writes down that something that is used once was used twice.
pub(in crate::http) async fn note_reuse(
    conn: &mut PgConnection,
    account: Uuid,
    grant: Uuid,
    action: &str,
    by: impl FnOnce(&str) -> Actor,
) -> Result<(), Problem> {
    if let Some(found) = accounts::get(conn, account).await? {
        let detail = json!({ "before": { "revoked": false }, "after": { "revoked": true }, "grant": grant });
        by(&found.email).note(conn, action, &found.email, None, &detail).await?;
    }
    Ok(())
}

/// Signs out: all tokens of the sign-in are refused from now on. A refresh token that is none is
/// no error.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "Sign-in", request_body = Presented,
    responses((status = 204, description = "The tokens are refused"))
)]
pub(crate) async fn logout(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    Query(()): Query<()>,
    Body(presented): Body<Presented>,
) -> Result<StatusCode, Problem> {
    let tokens = tokens(&api.web)?;
    let token = presented.required()?;
    let _permit = api.web.permits.of_tokens().await?;
    revoke(&api, tokens, &token, None, |email| Actor::account(email, address)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes the grant of a refresh token, where it is that client's.
pub(in crate::http) async fn revoke(
    api: &Api,
    tokens: &Tokens,
    token: &str,
    client: Option<&str>,
    by: impl FnOnce(&str) -> Actor,
) -> Result<(), Problem> {
    let mut tx = api.pool.begin().await?;
    let Some((grant, account)) = refresh::grant_of(&mut tx, token, client).await? else { return Ok(()) };
    if grants::revoke(&mut tx, grant, "sign_out").await?
        && let Some(found) = accounts::get(&mut tx, account).await?
    {
        by(&found.email).note(&mut tx, "sign_out", &found.email, None, &json!({ "grant": grant })).await?;
    }
    tx.commit().await?;
    tokens.ended(grant);
    Ok(())
}

impl Presented {
    fn required(self) -> Result<String, Problem> {
        self.refresh_token.ok_or_else(|| {
            let message = "required: that of the last sign-in or refresh".to_owned();
            Problem::invalid(vec![FieldError { field: "refreshToken".to_owned(), message }])
        })
    }
}
