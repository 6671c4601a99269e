//! Who calls: the service by its token, a tenant by its API key.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use weirgate_identity::audit::ServiceToken;
use weirgate_identity::keys::{Hash, Holder, Presented};

use crate::connections::Connection;
use crate::http::Api;
use crate::http::problem::Problem;
use crate::http::watchers::Credential;

const SERVICE_CHALLENGE: &str = r#"Bearer realm="weirgate""#;
const TENANT_CHALLENGE: &str = r#"ApiKey realm="weirgate", Bearer realm="weirgate""#;

/// The tenant that calls `/v1`, or whose data the service reads.
#[derive(Debug, Clone)]
pub(crate) struct CallerTenant {
    pub(crate) id: Uuid,
    pub(crate) slug: Arc<str>,
}

impl<S: Sync> FromRequestParts<S> for CallerTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Caller {
    Service,
    ApiKey(Hash),
    /// Everybody whose credential is wrong; who guesses slows down only other guessers.
    Unknown,
}

/// Requests per caller (GCRA, see the `governor` crate), for each process on its own. Only keys
/// that were right have an entry of their own.
#[derive(Debug)]
pub(crate) struct Limits(DefaultKeyedRateLimiter<Caller>);

impl Limits {
    pub(crate) fn new(requests_per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        Self(RateLimiter::keyed(Quota::per_second(requests_per_second).allow_burst(burst)))
    }

    fn check(&self, caller: Caller) -> Result<(), Problem> {
        self.0.check_key(&caller).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            Problem::too_many_requests(whole_seconds(wait))
        })
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The service's token and, while it is being changed, the next one; as hashes, of equal length
/// whatever is compared with them.
pub(crate) struct ServiceTokens {
    now: [u8; 32],
    next: Option<[u8; 32]>,
}

impl ServiceTokens {
    pub(crate) fn new(now: &str, next: Option<&str>) -> Self {
        Self { now: token_hash(now), next: next.map(token_hash) }
    }

    /// Which of the two it is. Both are compared in any case, so that the time tells nothing.
    fn accept(&self, token: &str) -> Option<ServiceToken> {
        let given = token_hash(token);
        let is_now = given.ct_eq(&self.now);
        let is_next = given.ct_eq(&self.next.unwrap_or(self.now));
        bool::from(is_now | is_next).then(|| ServiceToken { hash: given, is_next: !bool::from(is_now) })
    }
}

fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Lets only the service through.
pub(crate) async fn require_service(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = bearer(request.headers()).and_then(|token| api.settings.service_tokens.accept(token));
    let Some(token) = token else {
        api.limits.check(Caller::Unknown)?;
        return Err(Problem::unauthorized(SERVICE_CHALLENGE, "the service token is missing or wrong"));
    };
    api.limits.check(Caller::Service)?;
    request.extensions_mut().insert(token);
    note_known(request.extensions());
    Ok(next.run(request).await)
}

/// Lets only tenants through, and says which one.
pub(crate) async fn require_tenant(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = request
        .headers()
        .get("x-api-key")
        .map_or_else(|| bearer(request.headers()), |value| value.to_str().ok());
    let holder = match key.and_then(Presented::of) {
        Some(key) => holder(&api, &key).await?,
        None => None,
    };
    let Some(holder) = holder else {
        api.limits.check(Caller::Unknown)?;
        return Err(Problem::unauthorized(TENANT_CHALLENGE, "the API key is missing or wrong"));
    };
    // A tenant has one share of the connections, whichever of its keys it uses.
    if let Some(connection) = request.extensions().get::<Arc<Connection>>()
        && !connection.is_of(holder.tenant)
    {
        return Err(Problem::too_many_connections_of_one());
    }
    let credential = Credential::Key { tenant: holder.tenant, id: holder.key };
    request.extensions_mut().insert(CallerTenant { id: holder.tenant, slug: holder.slug });
    // A held request and an event stream end with the key.
    let answer = api.watchers.follow(&api, credential).answer(request, next).await;
    answer.ok_or_else(|| Problem::unauthorized(TENANT_CHALLENGE, "the API key is no longer good"))
}

/// Who presents the key, within their budget: a key that was right before is looked up only if it
/// has some left.
async fn holder(api: &Api, key: &Presented) -> Result<Option<Holder>, Problem> {
    let caller = Caller::ApiKey(*key.hash());
    let is_known = api.keys.knows(key);
    if is_known {
        api.limits.check(caller)?;
    }
    let holder = api.keys.holder(key).await?;
    if holder.is_some() && !is_known {
        api.limits.check(caller)?;
    }
    Ok(holder)
}

/// The connection is that of somebody with a right credential, whom strangers do not displace.
pub(crate) fn note_known(extensions: &Extensions) {
    if let Some(connection) = extensions.get::<Arc<Connection>>() {
        connection.is_known();
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
