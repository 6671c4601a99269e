//! Access tokens: JWTs as RFC 9068 has them, signed with Ed25519.
//!
//! A token is checked without the database, so that here alone a machine's clock decides: the
//! caller passes the time in. What a token says was so when it was made; whether its holder may
//! still do that, a request asks the database.

mod ed25519;

use chrono::{DateTime, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::signing_keys::key_set::{NoSigner, Unavailable};
use crate::signing_keys::{KeySet, LEEWAY, LONGEST_TOKEN};

/// What the header of an access token says it is, so that no other kind of token is taken for one.
pub const TYPE: &str = "at+jwt";

/// Most characters of a token. One of ours has about 700.
const LONGEST: usize = 4096;

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it: the public URL of the service.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// The account.
    pub sub: Uuid,
    /// The tenant that the account acts in; `None` for roles above tenants.
    #[serde(rename = "tenantId")]
    pub tenant_id: Option<Uuid>,
    /// The domain whose role it is.
    pub app: String,
    /// The account's role in it.
    pub role: String,
    /// What the account signs in with.
    pub email: String,
    /// What it may do, separated by spaces.
    pub scope: String,
    /// The client that asked for the token.
    pub client_id: String,
    /// The sign-in that it comes from.
    pub sid: Uuid,
    /// The token itself.
    pub jti: Uuid,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// From when on it is refused, in seconds since 1970.
    pub exp: i64,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// It would outlive the key.
    #[error("an access token is good for at most {} minutes, and ends after it begins", LONGEST_TOKEN.num_minutes())]
    Life,
    /// No key signs.
    #[error(transparent)]
    NoSigner(#[from] NoSigner),
    /// The claims cannot be written.
    #[error(transparent)]
    Token(#[from] jsonwebtoken::errors::Error),
}

/// Why a token is refused. Callers are told no more than that it is; this is for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of ours, or says too little.
    #[error("it is not an access token of this service")]
    Form,
    /// It is signed in another way, or not at all.
    #[error("it is not signed with EdDSA")]
    Algorithm,
    /// It is of another kind.
    #[error("it is not of the type at+jwt")]
    Type,
    /// Its key is unknown, revoked, or at its end.
    #[error("its key is unknown or at its end")]
    Key,
    /// It was changed, or another key has signed it.
    #[error("its signature is wrong")]
    Signature,
    /// Somebody else issued it.
    #[error("it was issued by somebody else")]
    Issuer,
    /// It is for somebody else.
    #[error("it is for another audience")]
    Audience,
    /// Its time is over.
    #[error("it has ended")]
    Ended,
    /// Its time is to come.
    #[error("it begins later")]
    Later,
    /// Nobody can say.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Makes a token of these claims, with the key that signs now.
///
/// # Errors
/// When it would be good for more than an hour, or no key can be had.
pub async fn sign(keys: &KeySet, claims: &Claims) -> Result<String, SigningError> {
    ed25519::provide();
    let life = claims.exp.saturating_sub(claims.iat);
    if !(1..=LONGEST_TOKEN.num_seconds()).contains(&life) {
        return Err(SigningError::Life);
    }
    let signer = keys.signer().await?;
    let header =
        Header { typ: Some(TYPE.to_owned()), kid: Some(signer.kid), ..Header::new(Algorithm::EdDSA) };
    Ok(jsonwebtoken::encode(&header, claims, &signer.key)?)
}

/// What a token says, if it was issued by `iss` for `aud` and is good at the time `now`.
///
/// # Errors
/// When it is refused, or the keys cannot be read.
pub async fn verify(
    keys: &KeySet,
    token: &str,
    iss: &str,
    aud: &str,
    now: DateTime<Utc>,
) -> Result<Claims, TokenError> {
    ed25519::provide();
    if token.len() > LONGEST {
        return Err(TokenError::Form);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|error| refusal(error.kind()))?;
    if header.alg != Algorithm::EdDSA {
        return Err(TokenError::Algorithm);
    }
    if !header.typ.as_deref().is_some_and(is_access_token) {
        return Err(TokenError::Type);
    }
    let kid = header.kid.ok_or(TokenError::Key)?;
    let key = keys.verifier(&kid).await?.ok_or(TokenError::Key)?;
    let token = jsonwebtoken::decode::<Claims>(token, &key, &validation(iss, aud));
    let claims = token.map_err(|error| refusal(error.kind()))?.claims;
    let (now, leeway) = (now.timestamp(), LEEWAY.num_seconds());
    if now >= claims.exp.saturating_add(leeway) {
        return Err(TokenError::Ended);
    }
    if claims.iat > now.saturating_add(leeway) {
        return Err(TokenError::Later);
    }
    Ok(claims)
}

/// With or without `application/`, and in any case of letters (RFC 9068, RFC 7515).
fn is_access_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ) == TYPE
}

/// The times are compared here, with the caller's clock.
fn validation(iss: &str, aud: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[iss]);
    validation.set_audience(&[aud]);
    validation
}

fn refusal(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => TokenError::Algorithm,
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::InvalidAudience => TokenError::Audience,
        _ => TokenError::Form,
    }
}
