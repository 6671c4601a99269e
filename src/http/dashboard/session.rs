//! Who is signed in, by a cookie that holds a random token; the database knows its hash.

use std::borrow::Cow;
use std::net::IpAddr;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use rand::Rng;
use sqlx::PgConnection;
use subtle::ConstantTimeEq;
use weirgate_identity::audit::Actor;
use weirgate_identity::sessions::{self, Hash, KNOWN, hash};
use weirgate_identity::users::{Role, User};
use weirgate_web::auth::note_known;
use weirgate_web::client_address::ClientAddress;
use weirgate_web::extract::BODY_LIMIT;
use weirgate_web::extract::read_body_of;
use weirgate_web::params::{Fields, too_many};
use weirgate_web::problem::Problem;
use weirgate_web::slots::under;

use super::view::Refusal;
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
        Ok(under(api.web.slots.of_sign_in().await?, known).await?.then_some(hash))
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

impl FromRequestParts<Api> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Response> {
        let ClientAddress(address) =
            ClientAddress::of(&api.web.trusted_proxies, &parts.extensions, &parts.headers);
        match Self::of(api, &parts.headers).await {
            Ok(Some(session)) => {
                note_known(&parts.extensions);
                Ok(Self { address, ..session })
            }
            Ok(None) => Err(to_sign_in(parts)),
            Err(error) => Err(Refusal::from(error).into_response()),
        }
    }
}

/// Back here afterwards, where that is a page.
fn to_sign_in(parts: &Parts) -> Response {
    let page = parts.uri.path_and_query().map_or("/", |it| it.as_str());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("next", &format!("/dashboard{}", page.trim_end_matches('/')))
        .finish();
    let next = if parts.method == Method::GET { format!("?{query}") } else { String::new() };
    Redirect::to(&format!("/dashboard/sign-in{next}")).into_response()
}

/// A form that somebody who is signed in has sent from a page of ours.
pub(super) struct Form {
    pub(super) session: Session,
    pub(super) fields: Fields,
}

impl Form {
    /// Refuses whoever may do less.
    pub(super) fn require(&self, role: Role) -> Result<(), Refusal> {
        if self.session.user.role >= role {
            return Ok(());
        }
        let detail = format!(
            "You are signed in as {}; this takes the role {}.",
            self.session.user.role.as_str(),
            role.as_str()
        );
        Err(Refusal::new(StatusCode::FORBIDDEN, "You may not do this", detail).for_session(&self.session))
    }
}

impl Form {
    /// Whether somebody has said yes to what they were told will happen; a form that has nothing else.
    pub(super) fn confirmed(self) -> Result<(Session, bool), Refusal> {
        let Self { session, mut fields } = self;
        let confirmed = fields.get::<bool>("confirmed").unwrap_or(false);
        fields.finish(Some(())).map_err(|problem| Refusal::from(problem).for_session(&session))?;
        Ok((session, confirmed))
    }
}

impl FromRequest<Api> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, api).await?;
        let refuse = |title: &str, detail: &str| {
            Refusal::new(StatusCode::FORBIDDEN, title, detail).for_session(&session).into_response()
        };
        if !is_ours(&parts.headers) {
            return Err(refuse("This came from another site", "Nothing was done. Use the pages here."));
        }
        let pairs = read_pairs(Request::from_parts(parts, body), BODY_LIMIT).await?;
        let (csrf, rest): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| name == "csrf");
        let right =
            matches!(csrf.as_slice(), [(_, given)] if given.as_bytes().ct_eq(session.csrf.as_bytes()).into());
        if !right {
            return Err(refuse(
                "This page is out of date",
                "Nothing was done. Go back, load the page again, and try once more.",
            ));
        }
        Ok(Self { session, fields: Fields::of_pairs(rest) })
    }
}

/// What a form of at most `limit` bytes has sent, without fields that were left empty. They are counted before anything is kept of them.
pub(super) async fn read_pairs(request: Request, limit: usize) -> Result<Vec<(String, String)>, Response> {
    let body =
        read_body_of(request, limit).await.map_err(|problem| Refusal::from(problem).into_response())?;
    if let Some(message) = too_many(given(&body).map(|(name, _)| name)) {
        let refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Too many fields", message);
        return Err(refusal.into_response());
    }
    Ok(filled(&body))
}

/// The fields that are not empty, of a query or a form.
pub(super) fn filled(text: &[u8]) -> Vec<(String, String)> {
    given(text).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// The same, one by one.
pub(super) fn given(text: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(text).filter(|(_, value)| !value.is_empty())
}

/// Whether a request comes from a page of this host, as far as the browser says where it comes from.
pub(super) fn is_ours(headers: &HeaderMap) -> bool {
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = of("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (of(ORIGIN.as_str()), of(HOST.as_str())) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        _ => true,
    }
}

/// A redirect that also sets cookies.
pub(super) fn redirect_with(cookies: impl IntoIterator<Item = HeaderValue>, to: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
