//! Who is signed in, by a cookie that holds a random token; the database knows its hash.

use std::net::IpAddr;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, StatusCode};
use weirgate_identity::audit::Actor;
use weirgate_identity::platform::{Role, User};
use weirgate_identity::sessions::hash;

use super::navigation::Navigation;
use super::refusal::Refusal;

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

    /// Refuses whoever may do less.
    ///
    /// # Errors
    /// 403 with the role that it takes.
    pub fn require(&self, role: Role) -> Result<(), Refusal> {
        if self.user.role >= role {
            return Ok(());
        }
        let detail = format!(
            "You are signed in as {}; this needs the {} role.",
            self.user.role.as_str(),
            role.as_str()
        );
        Err(Refusal::new(StatusCode::FORBIDDEN, "Not allowed", detail).for_session(self))
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
