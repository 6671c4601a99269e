//! Who is signed in, by a cookie that holds a random token; the database knows its hash.

use std::net::IpAddr;

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use rand::Rng;
use sqlx::PgConnection;
use weirgate_identity::audit::Actor;
use weirgate_identity::sessions::{self, Hash, KNOWN, hash};
use weirgate_identity::users::User;
use weirgate_web::permits::under;
use weirgate_web::problem::Problem;

use crate::http::Api;
use crate::random;

const COOKIE_NAME: &str = "weirgate_session";

const BROWSER_COOKIE: &str = "weirgate_browser";

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) user: User,
    pub(super) csrf: String,
    /// Where the request came from.
    pub(super) address: Option<IpAddr>,
}

impl Session {
    /// Who does what is done with it.
    pub(super) fn actor(&self) -> Actor {
        Actor::user(&self.user.email, self.address)
    }

    /// What the cookie says; `None` where it says nothing, or nothing that is still true.
    pub(super) async fn of(api: &Api, headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(token) = token(headers) else { return Ok(None) };
        let found = api.sessions.find(api, hash(token)).await?;
        Ok(found.map(|sessions::Session { user, csrf }| Self { user, csrf, address: None }))
    }

    /// Begins one, under a token that nobody has seen before; answers with its cookie.
    pub(super) async fn begin(
        api: &Api,
        conn: &mut PgConnection,
        user: &User,
    ) -> Result<HeaderValue, sqlx::Error> {
        let [token, csrf] = [random_text(), random_text()];
        api.sessions.begins(hash(&token));
        sessions::begin(conn, &hash(&token), user, &csrf).await?;
        Ok(cookie(api, &token))
    }

    /// Ends the one of the cookie; answers with a cookie that is none.
    pub(super) async fn end(
        api: &Api,
        conn: &mut PgConnection,
        headers: &HeaderMap,
    ) -> Result<HeaderValue, sqlx::Error> {
        if let Some(token) = token(headers) {
            sessions::end(conn, &hash(token)).await?;
        }
        Ok(cookie(api, ""))
    }
}

/// A browser that somebody has signed in with, by a cookie that outlives sessions and opens nothing.
pub(super) struct Browser;

impl Browser {
    /// The hash of the cookie's token, when the owner of `email` has signed in with it.
    pub(super) async fn known(api: &Api, headers: &HeaderMap, email: &str) -> Result<Option<Hash>, Problem> {
        let Some(token) = value_of(headers, BROWSER_COOKIE) else { return Ok(None) };
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
        let before = value_of(headers, BROWSER_COOKIE).map(hash);
        sessions::remember_browser(conn, &hash(&token), before, user).await?;
        let attributes = format!("; Path=/dashboard/sign-in; Max-Age={}", KNOWN.as_secs());
        Ok(set_cookie(api, BROWSER_COOKIE, &token, &attributes))
    }
}

/// The hash of the token that a request came with.
pub(super) fn token_hash(headers: &HeaderMap) -> Option<Vec<u8>> {
    token(headers).map(|token| hash(token).to_vec())
}

fn cookie(api: &Api, token: &str) -> HeaderValue {
    let attributes = if token.is_empty() { "; Path=/; Max-Age=0" } else { "; Path=/" };
    set_cookie(api, COOKIE_NAME, token, attributes)
}

fn set_cookie(api: &Api, name: &str, token: &str, attributes: &str) -> HeaderValue {
    let secure = if api.web.base_url.is_https() { "; Secure" } else { "" };
    let text = format!("{name}={token}{attributes}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn token(headers: &HeaderMap) -> Option<&str> {
    value_of(headers, COOKIE_NAME)
}

fn value_of<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, token)| token)
        .filter(|token| !token.is_empty())
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
