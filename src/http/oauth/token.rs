//! `POST /oauth/token`: a code or a refresh token becomes tokens.

use std::collections::HashSet;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::audit::Actor;
use weirgate_identity::clients::{self, Client};
use weirgate_identity::grants::New;
use weirgate_identity::grants::codes::{self, Presented, Redeemed};
use weirgate_identity::tokens::{Issued, Tokens};
use weirgate_web::access::tokens;
use weirgate_web::client_address::ClientAddress;
use weirgate_web::extract::read_body_of;
use weirgate_web::params::too_many;

use super::cors::Origins;
use super::error::OAuthError;
use crate::http::Api;
use crate::http::auth::{begin, note_reuse, rotate};
use crate::http::sign_in::user_agent;

/// Largest body, in bytes. Anybody may send one.
const MOST_BYTES: usize = 16 * 1024;

/// The form of a request for tokens.
#[derive(Debug, ToSchema)]
#[schema(as = TokenRequest)]
#[expect(dead_code, reason = "it describes the form, which is read field by field")]
pub(crate) struct TokenRequest {
    /// `authorization_code` or `refresh_token`.
    #[schema(example = "authorization_code")]
    grant_type: String,
    #[schema(example = "desk")]
    client_id: String,
    /// Of `authorization_code`.
    code: Option<String>,
    /// Of `authorization_code`: where the code was sent.
    #[schema(example = "https://desk.example.com/signed-in")]
    redirect_uri: Option<String>,
    /// Of `authorization_code`: what `code_challenge` was made of (RFC 7636).
    code_verifier: Option<String>,
    /// Of `refresh_token`.
    refresh_token: Option<String>,
}

/// Tokens (RFC 6749, section 5.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenResponse)]
pub(crate) struct TokenResponse {
    /// A JWT (RFC 9068).
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds for which `access_token` is good.
    #[schema(example = 600)]
    expires_in: i64,
    /// Gets the next tokens, once.
    refresh_token: String,
    /// What the access token may be used for, with spaces between.
    #[schema(example = "read:kpis read:exports")]
    scope: String,
}

/// Gives out tokens for an authorization code, or for a refresh token, which is used up.
///
/// A code that is used twice, and a refresh token that is used again after ten seconds, end all
/// tokens of the sign-in.
#[utoipa::path(
    post, path = "/oauth/token", tag = "Sign-in",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The tokens", body = TokenResponse),
        (status = 400, description = "invalid_request, invalid_grant, unsupported_grant_type", body = OAuthError),
        (status = 401, description = "invalid_client", body = OAuthError),
    )
)]
pub(crate) async fn token(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<Response, OAuthError> {
    let headers = request.headers().clone();
    let form = Form::read(request).await?;
    let tokens = tokens(&api.web)?;
    let _permit = api.web.permits.of_tokens().await?;
    let client = form.client(&api).await?;
    let by = |email: &str| Actor::account(email, address);
    let response = match form.required("grant_type")? {
        "authorization_code" => {
            let address = address.map(|it| it.to_string());
            of_code(&api, tokens, &client, &form, (address, &headers), by).await?
        }
        "refresh_token" => {
            let token = form.required("refresh_token")?;
            let rotated = rotate(&api, tokens, token, Some(&client.client_id), by).await?;
            let next = rotated.ok_or_else(|| {
                OAuthError::invalid_grant("the refresh token is unknown, used, or at its end: sign in again")
            })?;
            TokenResponse::new(next.issued, next.successor)
        }
        other => return Err(OAuthError::unsupported_grant_type(other)),
    };
    let mut response = Json(response).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(Origins(client.origins));
    Ok(response)
}

async fn of_code(
    api: &Api,
    tokens: &Tokens,
    client: &Client,
    form: &Form,
    (address, headers): (Option<String>, &HeaderMap),
    by: impl Fn(&str) -> Actor,
) -> Result<TokenResponse, OAuthError> {
    let presented = Presented {
        code: form.required("code")?,
        client: &client.client_id,
        redirect_uri: form.required("redirect_uri")?,
        verifier: form.required("code_verifier")?,
    };
    let invalid = || {
        OAuthError::invalid_grant(
            "the code is unknown, used, or older than 60 seconds, or it was given out for another client_id, \
             redirect_uri or code_verifier",
        )
    };
    let mut tx = api.pool.begin().await?;
    let good = match codes::redeem(&mut tx, presented).await? {
        Redeemed::Good(good) => good,
        Redeemed::Invalid => return Err(invalid()),
        Redeemed::Reused { revoked } => {
            if let Some(revoked) = revoked {
                note_reuse(&mut tx, revoked.account, revoked.grant, "code.reused", &by).await?;
            }
            tx.commit().await?;
            if let Some(revoked) = revoked {
                tokens.ended(revoked.grant);
            }
            return Err(invalid());
        }
    };
    let new = New {
        id: Uuid::now_v7(),
        account: good.account,
        membership: good.membership,
        client: Some(&client.client_id),
        scopes: good.scopes.as_deref(),
        token_epoch: good.token_epoch,
        address,
        user_agent: user_agent(headers),
    };
    let grant = new.id;
    let begun = begin(&mut tx, tokens, new, |subject| by(&subject.email)).await?.ok_or_else(invalid)?;
    codes::became(&mut tx, &good, grant).await?;
    tx.commit().await?;
    Ok(TokenResponse::new(begun.issued, begun.refresh_token))
}

impl TokenResponse {
    fn new(issued: Issued, refresh_token: String) -> Self {
        Self {
            access_token: issued.token,
            token_type: "Bearer",
            expires_in: issued.expires_in,
            refresh_token,
            scope: issued.scopes.join(" "),
        }
    }
}

/// The fields of a form. Those that are not known are left alone, as the standard asks.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) async fn read(request: Request) -> Result<Self, OAuthError> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError::invalid_request("expected a body of application/x-www-form-urlencoded"));
        }
        let body = read_body_of(request, MOST_BYTES).await?;
        // They are counted before anything is kept of them.
        if let Some(message) = too_many(form_urlencoded::parse(&body).map(|(name, _)| name)) {
            return Err(OAuthError::invalid_request(message));
        }
        let pairs: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
        let mut names = HashSet::new();
        if let Some((twice, _)) = pairs.iter().find(|(name, _)| !names.insert(name.as_str())) {
            return Err(OAuthError::invalid_request(format!("{twice} is given more than once")));
        }
        drop(names);
        Ok(Self(pairs))
    }

    pub(super) fn required(&self, wanted: &str) -> Result<&str, OAuthError> {
        let found = self.0.iter().find(|(name, value)| name == wanted && !value.is_empty());
        let (_, value) = found.ok_or_else(|| OAuthError::invalid_request(format!("{wanted} is missing")))?;
        Ok(value)
    }

    /// The app that asks. It proves nothing: that it is the right one, a code or a token proves.
    pub(super) async fn client(&self, api: &Api) -> Result<Client, OAuthError> {
        let id = self.required("client_id")?;
        let found = clients::find(&mut *api.pool.acquire().await?, id).await?;
        found.ok_or_else(|| OAuthError::invalid_client(id))
    }
}
