//! What the handlers of all surfaces share.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use weirgate_identity::roles::Roles;
use weirgate_identity::secret_keys::SecretKeys;
use weirgate_identity::tokens::Tokens;
use weirgate_queue::lanes::QueueViews;
use weirgate_queue::private::Sealing;
use weirgate_queue::read::Reader;
use weirgate_queue::read::watch::Watcher;

use crate::base_url::BaseUrl;
use crate::batcher::EnqueueBatcher;
use crate::callers::{Limits, ServiceTokens};
use crate::client_address::TrustedProxies;
use crate::idempotency;
use crate::key_lookups::KeyLookups;
use crate::permits::Permits;
use crate::presentation::JobPresentation;
use crate::problem::Problem;
use crate::reads::Reads;
use crate::slugs::Slugs;
use crate::traces::{RequestMeter, Traces};
use crate::watchers::Watchers;

/// Settings of the HTTP surface.
#[derive(Clone)]
pub struct WebConfig {
    /// What `/internal` asks for.
    pub service_token: String,
    /// What it also takes while the token is being changed.
    pub service_token_next: Option<String>,
    /// Whose word on where a request came from is taken.
    pub trusted_proxies: TrustedProxies,
    /// Scheme and host in the URLs of answers; when not set, the request's `Host` where that is
    /// `listen`.
    pub public_url: Option<String>,
    /// Where the service listens; none where it is called without a socket.
    pub listen: Option<SocketAddr>,
    /// Requests a second that one credential may make in the long run, per process.
    pub requests_per_second: NonZeroU32,
    /// Requests that one credential may make at once.
    pub burst: NonZeroU32,
    /// Makes spans of requests.
    pub traces: Option<Arc<dyn Traces>>,
    /// What sealed values are opened with; without it, nobody gets tokens.
    pub secret_keys: Option<SecretKeys>,
}

impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service_token: _, service_token_next: _, secret_keys: _, .. } = self;
        let Self { trusted_proxies, public_url, listen, requests_per_second, burst, traces, .. } = self;
        f.debug_struct("WebConfig")
            .field("trusted_proxies", trusted_proxies)
            .field("public_url", public_url)
            .field("listen", listen)
            .field("requests_per_second", requests_per_second)
            .field("burst", burst)
            .field("traces", traces)
            .finish_non_exhaustive()
    }
}

/// The state of every surface. One pointer: it is cloned several times for each request.
///
/// The service's state holds one, and so does that of a domain; handlers take this or a part of it,
/// by [`FromRef`].
#[derive(Clone)]
pub struct Web(Arc<WebState>);

impl Deref for Web {
    type Target = WebState;

    fn deref(&self) -> &WebState {
        &self.0
    }
}

/// What [`Web`] points to.
#[derive(Clone)]
pub struct WebState {
    /// The database.
    pub pool: PgPool,
    /// Tells those who follow jobs of their changes.
    pub watcher: Watcher,
    /// Reads single jobs, many in one query.
    pub reader: Reader,
    /// Enqueues what requests ask for, many of them in one transaction.
    pub batcher: EnqueueBatcher,
    /// What claims are decided on, for those who ask why a job waits.
    pub queue_views: QueueViews,
    /// How many queries of one caller's making may be under way at once.
    pub permits: Arc<Permits>,
    /// Begins reads, each under a permit.
    pub reads: Reads,
    /// How many requests each caller may make.
    pub limits: Arc<Limits>,
    /// What the service is known by.
    pub service_tokens: Arc<ServiceTokens>,
    /// What private arguments of jobs are sealed with; none where there is no secret key.
    pub sealing: Option<Arc<dyn Sealing>>,
    /// Gives out access tokens and checks them; none where there is no secret key.
    pub tokens: Option<Arc<Tokens>>,
    /// Whose the presented API keys are.
    pub keys: Arc<KeyLookups>,
    /// Whose word on where a request came from is taken.
    pub trusted_proxies: TrustedProxies,
    /// What URLs in answers begin with.
    pub base_url: Arc<BaseUrl>,
    /// Answers under way, which end with what they were asked with.
    pub watchers: Watchers,
    /// The slugs of tenants.
    pub slugs: Slugs,
    /// How jobs are shown, as far as their kinds decide it.
    pub presentation: Arc<JobPresentation>,
    /// Makes spans of requests.
    pub traces: Option<Arc<dyn Traces>>,
    /// Counts requests.
    pub meter: Arc<dyn RequestMeter>,
    /// Cancelled when the service closes: held requests and event streams end.
    pub closing: CancellationToken,
}

/// What domains decide of how things are shown, and for whom.
pub struct Shown {
    /// How jobs are shown.
    pub presentation: JobPresentation,
    /// The roles of people.
    pub roles: Roles,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}

impl Web {
    /// The state of a service that shows jobs as its domains say.
    pub fn new(
        pool: PgPool,
        watcher: Watcher,
        config: WebConfig,
        shown: Shown,
        meter: Arc<dyn RequestMeter>,
    ) -> Self {
        let WebConfig { service_token, service_token_next, trusted_proxies, secret_keys, .. } = config;
        let WebConfig { public_url, listen, requests_per_second, burst, traces, .. } = config;
        let service_tokens = ServiceTokens::new(&service_token, service_token_next.as_deref());
        let queue_views = QueueViews::new(pool.clone());
        let base_url = BaseUrl::new(public_url, listen, trusted_proxies.clone());
        let tokens = secret_keys
            .as_ref()
            .map(|secrets| Arc::new(Tokens::new(pool.clone(), secrets, base_url.issuer(), shown.roles)));
        let (permits, closing) = (Arc::new(Permits::new(&pool)), CancellationToken::new());
        Self(Arc::new(WebState {
            reader: Reader::start(pool.clone(), queue_views.clone()),
            queue_views,
            batcher: EnqueueBatcher::start(&pool),
            reads: Reads::new(pool.clone(), permits.clone()),
            permits,
            limits: Arc::new(Limits::new(requests_per_second, burst)),
            service_tokens: Arc::new(service_tokens),
            keys: Arc::new(KeyLookups::start(&pool)),
            base_url: Arc::new(base_url),
            sealing: secret_keys.map(|keys| Arc::new(keys) as Arc<dyn Sealing>),
            tokens,
            trusted_proxies,
            watchers: Watchers::new(pool.clone(), closing.clone()),
            slugs: Slugs::new(pool.clone()),
            presentation: Arc::new(shown.presentation),
            traces,
            meter,
            watcher,
            pool,
            closing,
        }))
    }

    /// With another counter of requests.
    #[must_use]
    pub fn with_meter(self, meter: Arc<dyn RequestMeter>) -> Self {
        Self(Arc::new(WebState { meter, ..Arc::unwrap_or_clone(self.0) }))
    }

    /// Ends held requests and event streams, so that a graceful shutdown need not wait for them.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Forgets what clients sent long ago. To be called now and then.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn prune(&self) -> sqlx::Result<u64> {
        self.limits.prune();
        idempotency::prune(&self.pool).await
    }
}

impl WebState {
    /// What a request seals the private argument of its job with.
    ///
    /// # Errors
    /// 503 where this service has no secret key.
    pub fn sealing(&self) -> Result<Arc<dyn Sealing>, Problem> {
        self.sealing.clone().ok_or_else(Problem::no_secret_key)
    }
}

impl FromRef<Web> for Reads {
    fn from_ref(web: &Web) -> Self {
        web.reads.clone()
    }
}

impl FromRef<Web> for TrustedProxies {
    fn from_ref(web: &Web) -> Self {
        web.trusted_proxies.clone()
    }
}
