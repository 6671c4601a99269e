//! `POST /oauth/revoke` (RFC 7009).

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::json;
use utoipa::ToSchema;
use weirgate_identity::access_token::TokenError;
use weirgate_identity::audit::Actor;
use weirgate_identity::grants;
use weirgate_web::access::{is_token, tokens};
use weirgate_web::client_address::ClientAddress;
use weirgate_web::problem::Problem;

use super::error::OAuthError;
use super::token::Form;
use crate::http::Api;
use crate::http::auth::revoke as revoke_refresh_token;

/// The form of a request that ends tokens.
#[derive(Debug, ToSchema)]
#[schema(as = RevokeRequest)]
#[expect(dead_code, reason = "it describes the form, which is read field by field")]
pub(crate) struct RevokeRequest {
    #[schema(example = "desk")]
    client_id: String,
    /// A refresh token or an access token.
    token: String,
}

/// Ends all tokens of a sign-in, of which one is named. A token that is none is no error.
#[utoipa::path(
    post, path = "/oauth/revoke", tag = "Sign-in",
    request_body(content = RevokeRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The tokens are refused"),
        (status = 400, description = "invalid_request", body = OAuthError),
        (status = 401, description = "invalid_client", body = OAuthError),
    )
)]
pub(crate) async fn revoke_token(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<StatusCode, OAuthError> {
    let form = Form::read(request).await?;
    let tokens = tokens(&api.web)?;
    let _permit = api.web.permits.of_tokens().await?;
    let (client, token) = (form.client(&api).await?.client_id, form.required("token")?);
    if !is_token(token) {
        revoke_refresh_token(&api, tokens, token, Some(&client), |email| Actor::account(email, address))
            .await?;
        return Ok(StatusCode::OK);
    }
    match tokens.read(token).await {
        Ok(claims) if claims.client_id == client => {
            let mut tx = api.pool.begin().await?;
            if grants::revoke(&mut tx, claims.sid, "sign_out").await? {
                let by = Actor::account(&claims.email, address);
                let detail = json!({ "grant": claims.sid });
                by.note(&mut tx, "sign_out", &claims.email, claims.tenant_id, &detail).await?;
            }
            tx.commit().await?;
            tokens.ended(claims.sid);
        }
        // The app must not believe that it is signed out.
        Err(TokenError::Unavailable(_)) => return Err(Problem::database_unavailable().into()),
        Ok(_) | Err(_) => {}
    }
    Ok(StatusCode::OK)
}
