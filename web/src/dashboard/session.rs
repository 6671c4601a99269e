//! Who is signed in, by a cookie that holds a random token; the database knows its hash.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use weirgate_identity::audit::Actor;
use weirgate_identity::platform::User;
use weirgate_identity::sessions::hash;

use super::navigation::Navigation;

/// The cookie of sessions.
pub const COOKIE_NAME: &str = "weirgate_session";

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who that is.
    pub user: User,
    /// What their forms are sent with.
    pub csrf: String,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The links above each page that they see.
    pub navigation: Navigation,
}

impl Session {
    /// Who does what is done with it.
    pub fn actor(&self) -> Actor {
        Actor::user(&self.user.email, self.address)
    }
}

/// The hash of the token that a request came with.
pub fn token_hash(headers: &HeaderMap) -> Option<Vec<u8>> {
    token(headers).map(|token| hash(token).to_vec())
}

/// The token of the session that a request came with.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE_NAME)
}

/// The value of the cookie of that name, where it has one.
pub fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, token)| token)
        .filter(|token| !token.is_empty())
}
