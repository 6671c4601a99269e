//! The cookies of signing in: of a session, which begins and ends with them, and of a browser that
//! is known.

use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use rand::Rng;
use sqlx::PgConnection;
use weirgate_identity::sessions::{self, Hash, KNOWN, hash};
use weirgate_identity::users::User;
use weirgate_web::dashboard::session::{self, COOKIE_NAME, token};
use weirgate_web::permits::under;
use weirgate_web::problem::Problem;

use crate::http::Api;
use crate::random;

const BROWSER_COOKIE: &str = "weirgate_browser";

/// Begins a session, under a token that nobody has seen before; answers with its cookie.
pub(super) async fn begin(
    api: &Api,
    conn: &mut PgConnection,
    user: &User,
) -> Result<HeaderValue, sqlx::Error> {
    let [token, csrf] = [random_text(), random_text()];
    api.dashboard.sessions.begins(hash(&token));
    sessions::begin(conn, &hash(&token), user, &csrf).await?;
    Ok(session_cookie(api, &token))
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

    /// Knows the browser from now on, under another token; of each user the last 20.
    pub(super) async fn remember(
        api: &Api,
        conn: &mut PgConnection,
        headers: &HeaderMap,
        user: &User,
    ) -> Result<HeaderValue, sqlx::Error> {
        let token = random_text();
        let before = session::cookie(headers, BROWSER_COOKIE).map(hash);
        sessions::remember_browser(conn, &hash(&token), before, user).await?;
        let attributes = format!("; Path=/dashboard/sign-in; Max-Age={}", KNOWN.as_secs());
        Ok(set_cookie(api, BROWSER_COOKIE, &token, &attributes))
    }
}

fn session_cookie(api: &Api, token: &str) -> HeaderValue {
    let attributes = if token.is_empty() { "; Path=/; Max-Age=0" } else { "; Path=/" };
    set_cookie(api, COOKIE_NAME, token, attributes)
}

fn set_cookie(api: &Api, name: &str, token: &str, attributes: &str) -> HeaderValue {
    let secure = if api.web.base_url.is_https() { "; Secure" } else { "" };
    let text = format!("{name}={token}{attributes}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn random_text() -> String {
    let mut bytes = [0; 32];
    random::generator().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// A redirect that also sets cookies.
pub(super) fn redirect_with(cookies: impl IntoIterator<Item = HeaderValue>, to: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
