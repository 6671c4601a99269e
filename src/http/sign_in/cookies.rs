//! The cookies of signing in: of a session, which begins and ends with them, and of a browser that
//! is known.

use axum::http::header::{SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::accounts::Account;
use weirgate_identity::sessions::{self, Hash, KNOWN, hash};
use weirgate_web::dashboard::session::{self, COOKIE_NAME, token};
use weirgate_web::permits::under;
use weirgate_web::problem::Problem;

use super::page::Arrival;
use crate::http::Api;
use crate::random;

const BROWSER_COOKIE: &str = "weirgate_browser";

/// Begins a session, under a token that nobody has seen before; answers with its cookie. None where
/// the account has changed since its password was checked.
pub(super) async fn begin(
    api: &Api,
    conn: &mut PgConnection,
    account: &Account,
    arrival: &Arrival,
) -> Result<Option<HeaderValue>, sqlx::Error> {
    let [token, csrf] = [random::text(), random::text()];
    api.dashboard.sessions.begins(hash(&token));
    let new = sessions::New {
        token: &hash(&token),
        account: account.id,
        token_epoch: account.token_epoch,
        csrf: &csrf,
        address: arrival.address.map(|address| address.to_string()),
        user_agent: user_agent(&arrival.headers),
    };
    let begun = sessions::begin(conn, new).await?;
    Ok(begun.then(|| session_cookie(api, &token)))
}

/// Ends the session of the cookie; answers with a cookie that is none.
pub(super) async fn end(
    api: &Api,
    conn: &mut PgConnection,
    headers: &HeaderMap,
) -> Result<HeaderValue, sqlx::Error> {
    if let Some(token) = token(headers) {
        sessions::end(conn, &hash(token)).await?;
    }
    Ok(session_cookie(api, ""))
}

/// What a client calls itself.
pub(in crate::http) fn user_agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok())
}

/// A browser that somebody has signed in with, by a cookie that outlives sessions and opens
/// nothing.
pub(super) struct Browser;

impl Browser {
    /// The hash of the cookie's token, when the owner of `email` has signed in with it.
    pub(super) async fn known(api: &Api, headers: &HeaderMap, email: &str) -> Result<Option<Hash>, Problem> {
        let Some(token) = session::cookie(headers, BROWSER_COOKIE) else { return Ok(None) };
        let (hash, email, pool) = (hash(token), email.trim().to_owned(), api.pool.clone());
        let known = async move { sessions::knows_browser(&pool, &hash, &email).await };
        Ok(under(api.web.permits.of_sign_in().await?, known).await?.then_some(hash))
    }

    /// Knows the browser from now on, under another token; of each account the last 20.
    pub(super) async fn remember(
        api: &Api,
        conn: &mut PgConnection,
        headers: &HeaderMap,
        account: Uuid,
    ) -> Result<HeaderValue, sqlx::Error> {
        let token = random::text();
        let before = session::cookie(headers, BROWSER_COOKIE).map(hash);
        sessions::remember_browser(conn, &hash(&token), before, account).await?;
        let attributes = format!("; Path=/; Max-Age={}", KNOWN.as_secs());
        Ok(set_cookie(api, BROWSER_COOKIE, &token, &attributes))
    }
}

fn session_cookie(api: &Api, token: &str) -> HeaderValue {
    let attributes = if token.is_empty() { "; Path=/; Max-Age=0" } else { "; Path=/" };
    set_cookie(api, COOKIE_NAME, token, attributes)
}

/// Lax, not strict: a browser app sends people here to sign in, and who is signed in already is to
/// be known then. Nothing that a link leads to changes anything.
fn set_cookie(api: &Api, name: &str, token: &str, attributes: &str) -> HeaderValue {
    let secure = if api.web.base_url.is_https() { "; Secure" } else { "" };
    let text = format!("{name}={token}{attributes}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// A redirect that also sets cookies.
pub(super) fn redirect_with(cookies: impl IntoIterator<Item = HeaderValue>, to: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
