//! Requests of people, by an access token.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::request::Parts;
use uuid::Uuid;
use weirgate_identity::access_token::TokenError;
use weirgate_identity::tokens::{Access, Refused, Tokens};

use crate::auth::{bearer, note_known};
use crate::callers::Caller;
use crate::problem::Problem;
use crate::state::Web;

/// What who presents a token that is not taken is told (RFC 6750).
const INVALID: &str = r#"Bearer realm="weirgate", error="invalid_token""#;

/// Who has sent a request, by the access token that it came with.
#[derive(Debug, Clone)]
pub struct SignedIn(pub Access);

impl<S> FromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    Web: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let web = Web::from_ref(state);
        let token = bearer(&parts.headers).filter(|token| is_token(token));
        let Some(token) = token else {
            web.limits.check(Caller::Unknown)?;
            let challenge = r#"Bearer realm="weirgate""#;
            return Err(Problem::unauthorized(challenge, "the access token is missing"));
        };
        let access = check(&web, token).await?;
        note_known(&parts.extensions);
        Ok(Self(access))
    }
}

/// Whether a credential has the form of an access token, which no API key has.
pub fn is_token(credential: &str) -> bool {
    credential.starts_with("ey") && credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Whose a token is, within their budget.
///
/// # Errors
/// 401 where it is not taken; 429 where it was used too often.
pub async fn check(web: &Web, token: &str) -> Result<Access, Problem> {
    let tokens = tokens(web)?;
    match tokens.check(token).await {
        Ok(access) => {
            charge(web, access.account)?;
            Ok(access)
        }
        Err(Refused::Database(error)) => Err(error.into()),
        Err(Refused::Token(TokenError::Unavailable(_))) => Err(Problem::database_unavailable()),
        // These were signed here: who floods with made-up ones does not keep them from their next.
        Err(refused @ (Refused::Over | Refused::Token(TokenError::Ended))) => Err(invalid(&refused)),
        Err(refused) => {
            web.limits.check(Caller::Unknown)?;
            Err(invalid(&refused))
        }
    }
}

/// Takes a request off somebody's budget, which all their sign-ins share.
///
/// # Errors
/// 429 where it is used up.
pub fn charge(web: &Web, account: Uuid) -> Result<(), Problem> {
    web.limits.check(Caller::Account(account))
}

/// What gives out tokens and checks them.
///
/// # Errors
/// 503 where this service has no secret key.
pub fn tokens(web: &Web) -> Result<&Arc<Tokens>, Problem> {
    web.tokens.as_ref().ok_or_else(Problem::no_secret_key)
}

fn invalid(refused: &Refused) -> Problem {
    let (code, title) = match refused {
        Refused::Token(TokenError::Ended) => ("token_expired", "Token expired"),
        _ => ("invalid_token", "Invalid token"),
    };
    let detail = format!("the access token is not taken: {refused}; get another one with the refresh token");
    Problem::new(StatusCode::UNAUTHORIZED, code, title, detail)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static(INVALID))
}
