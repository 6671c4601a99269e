//! What apps and other services read before they ask for tokens or check them.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use weirgate_web::access::tokens;
use weirgate_web::problem::Problem;

use crate::http::Api;

/// Who may sign in how (RFC 8414).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthorizationServer)]
pub(crate) struct Metadata {
    #[schema(example = "https://weirgate.example.com")]
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: String,
    jwks_uri: String,
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 2],
    token_endpoint_auth_methods_supported: [&'static str; 1],
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    code_challenge_methods_supported: [&'static str; 1],
    prompt_values_supported: [&'static str; 2],
    authorization_response_iss_parameter_supported: bool,
    /// Scopes of all roles that are served.
    #[schema(value_type = Vec<String>)]
    scopes_supported: BTreeSet<&'static str>,
}

/// Describes how apps sign people in.
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", tag = "Sign-in",
    responses((status = 200, description = "The metadata of RFC 8414", body = Metadata))
)]
pub(crate) async fn authorization_server(State(api): State<Api>) -> Result<Response, Problem> {
    let tokens = tokens(&api.web)?;
    let at = |path: &str| format!("{}{path}", tokens.issuer());
    let roles = tokens.roles().apps().iter().flat_map(|app| app.roles);
    let metadata = Metadata {
        issuer: tokens.issuer().to_owned(),
        authorization_endpoint: at("/oauth/authorize"),
        token_endpoint: at("/oauth/token"),
        revocation_endpoint: at("/oauth/revoke"),
        jwks_uri: at("/.well-known/jwks.json"),
        response_types_supported: ["code"],
        response_modes_supported: ["query"],
        grant_types_supported: ["authorization_code", "refresh_token"],
        token_endpoint_auth_methods_supported: ["none"],
        revocation_endpoint_auth_methods_supported: ["none"],
        code_challenge_methods_supported: ["S256"],
        prompt_values_supported: ["login", "none"],
        authorization_response_iss_parameter_supported: true,
        scopes_supported: roles.flat_map(|role| role.scopes).copied().collect(),
    };
    Ok(([(CACHE_CONTROL, "public, max-age=300")], Json(metadata)).into_response())
}

/// Lists the public keys that access tokens are signed with, as a JWK set (RFC 7517).
///
/// The next key is there a day before it signs; one that no longer signs, until its last token has
/// ended.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "Sign-in",
    responses((status = 200, description = "The keys", body = Object))
)]
pub(crate) async fn jwks(State(api): State<Api>) -> Result<Response, Problem> {
    let keys = tokens(&api.web)?.keys().jwks().await.map_err(|_| Problem::database_unavailable())?;
    Ok(([(CACHE_CONTROL, "public, max-age=300")], Json(keys)).into_response())
}
