//! Who is signed in, by a cookie that holds a random token; the database knows its hash.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use rand::Rng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::view::Refusal;
use crate::http::Api;
use crate::http::auth::note_known;
use crate::http::extract::read_body;
use crate::http::params::Fields;
use crate::random;
use crate::users::{Role, User};

const COOKIE_NAME: &str = "weirgate_session";

/// A session that is not used for so long has ended.
const IDLE: Duration = Duration::from_hours(8);

/// Attempts to sign in: for each email, and for all that fail.
pub(crate) struct SignIns {
    of_email: DefaultKeyedRateLimiter<[u8; 8]>,
    all: DefaultDirectRateLimiter,
}

impl SignIns {
    pub(crate) fn new() -> Self {
        let five = std::num::NonZeroU32::new(5).unwrap_or(std::num::NonZeroU32::MIN);
        let hundred = std::num::NonZeroU32::new(100).unwrap_or(std::num::NonZeroU32::MIN);
        Self {
            of_email: RateLimiter::keyed(Quota::per_minute(five)),
            all: RateLimiter::direct(Quota::per_minute(hundred)),
        }
    }

    /// Whether one more may be made now; else the seconds until then.
    pub(super) fn check(&self, email: &str) -> Result<(), u64> {
        let now = DefaultClock::default().now();
        let seconds = |wait: Duration| wait.as_secs() + 1;
        // First, so that made-up emails cannot fill the memory.
        self.all.check().map_err(|not_until| seconds(not_until.wait_time_from(now)))?;
        let digest = Sha256::digest(email.trim().to_lowercase());
        let mut key = [0; 8];
        key.copy_from_slice(&digest[..8]);
        if self.of_email.len() > 10_000 {
            self.of_email.retain_recent();
        }
        self.of_email.check_key(&key).map_err(|not_until| seconds(not_until.wait_time_from(now)))
    }
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) user: User,
    pub(super) csrf: String,
}

impl Session {
    /// What the cookie says; `None` where it says nothing, or nothing that is still true.
    pub(super) async fn of(api: &Api, headers: &HeaderMap) -> Result<Option<Self>, sqlx::Error> {
        let Some(token) = token(headers) else { return Ok(None) };
        let row = sqlx::query!(
            r#"select u.id, u.email, u.role, s.csrf, s.seen_at < queue.now() - interval '1 minute' as "stale!"
               from sessions s join users u on u.id = s.user_id
               where s.token_hash = $1 and s.seen_at > queue.now() - make_interval(secs => $2) and u.disabled_at is null"#,
            &hash(token),
            IDLE.as_secs_f64()
        )
        .fetch_optional(&api.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        if row.stale {
            sqlx::query!("update sessions set seen_at = queue.now() where token_hash = $1", &hash(token))
                .execute(&api.pool)
                .await?;
        }
        Ok(Some(Self {
            user: User { id: row.id, email: row.email, role: Role::of(&row.role) },
            csrf: row.csrf,
        }))
    }

    /// Begins one, under a token that nobody has seen before; answers with its cookie.
    pub(super) async fn begin(api: &Api, user: &User) -> Result<HeaderValue, sqlx::Error> {
        let [token, csrf] = [random_text(), random_text()];
        sqlx::query!(
            "with old as (
                delete from sessions where user_id = $2 and seen_at <= queue.now() - make_interval(secs => $4)
             )
             insert into sessions (token_hash, user_id, csrf) values ($1, $2, $3)",
            &hash(&token),
            user.id,
            csrf,
            IDLE.as_secs_f64()
        )
        .execute(&api.pool)
        .await?;
        Ok(cookie(api, &token))
    }

    /// Ends the one of the cookie; answers with a cookie that is none.
    pub(super) async fn end(api: &Api, headers: &HeaderMap) -> Result<HeaderValue, sqlx::Error> {
        if let Some(token) = token(headers) {
            sqlx::query!("delete from sessions where token_hash = $1", &hash(token))
                .execute(&api.pool)
                .await?;
        }
        Ok(cookie(api, ""))
    }
}

/// The hash of the token that a request came with.
pub(super) fn token_hash(headers: &HeaderMap) -> Option<Vec<u8>> {
    token(headers).map(hash)
}

/// Which of these sessions, by the hashes of their tokens, have not ended.
pub(super) async fn still_signed_in(api: &Api, sessions: &[Vec<u8>]) -> sqlx::Result<Vec<Vec<u8>>> {
    sqlx::query_scalar!(
        "select s.token_hash from sessions s join users u on u.id = s.user_id
         where s.token_hash = any($1) and s.seen_at > queue.now() - make_interval(secs => $2) and u.disabled_at is null",
        sessions,
        IDLE.as_secs_f64()
    )
    .fetch_all(&api.pool)
    .await
}

fn cookie(api: &Api, token: &str) -> HeaderValue {
    let secure = if api.public_url().is_some_and(|url| url.starts_with("https:")) { "; Secure" } else { "" };
    let age = if token.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, token)| token)
        .filter(|token| !token.is_empty())
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

fn random_text() -> String {
    let mut bytes = [0; 32];
    random::generator().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

impl FromRequestParts<Api> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Response> {
        match Self::of(api, &parts.headers).await {
            Ok(Some(session)) => {
                note_known(&parts.extensions);
                Ok(session)
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
        let pairs = read_pairs(Request::from_parts(parts, body)).await?;
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

/// What a form has sent, without fields that were left empty.
pub(super) async fn read_pairs(request: Request) -> Result<Vec<(String, String)>, Response> {
    let body = read_body(request).await.map_err(|problem| Refusal::from(problem).into_response())?;
    Ok(filled(&body))
}

/// The fields that are not empty, of a query or a form.
pub(super) fn filled(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().filter(|(_, value)| !value.is_empty()).collect()
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

/// A redirect that also sets a cookie.
pub(super) fn redirect_with(cookie: HeaderValue, to: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}
