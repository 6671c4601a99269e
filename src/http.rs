//! The HTTP surface: every route is in [`router`].

mod accept;
mod auth;
pub(crate) mod backfill;
mod backfill_request;
mod base_url;
mod client_address;
mod context;
mod dashboard;
mod date_range;
mod docs;
mod enqueue;
mod extract;
mod follow;
mod health;
mod idempotency;
mod intake;
pub(crate) mod internal;
pub(crate) mod job;
mod job_list;
mod key_lookups;
mod lane_facts;
mod limits;
mod members;
mod metrics;
mod observe;
mod openapi;
mod page;
mod params;
mod parse;
mod prefer;
mod problem;
mod queue_facts;
mod reads;
pub(crate) mod reason;
mod recent;
mod schemas;
mod slots;
mod table;
mod tenant_errors;
#[cfg(test)]
mod tests;
mod v1;
mod watchers;
pub(crate) mod why;
pub(crate) mod workflow;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, RwLock};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::get;
use object_store::ObjectStore;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT};
use weirgate_identity::{audit, sessions};
use weirgate_queue::lanes::Books;
use weirgate_queue::query::Reader;
use weirgate_queue::watch::Watcher;

use crate::http::auth::{Limits, ServiceTokens};
use crate::http::base_url::BaseUrl;
use crate::http::dashboard::{Sessions, Shared, SignIns, Views};
use crate::http::intake::Intake;
use crate::http::key_lookups::KeyLookups;
use crate::http::metrics::Latest;
use crate::http::reads::Reads;
use crate::http::slots::Slots;
use crate::http::v1::Verifications;
use crate::http::watchers::Watchers;
use crate::metrics::{Metrics, Work};
use crate::traces::Traces;

pub use crate::http::client_address::TrustedProxies;
pub use crate::http::metrics::monitoring_router;
pub(crate) use crate::http::workflow::in_words;

/// Largest body of a request, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// Settings of the HTTP surface.
#[derive(Clone)]
pub struct ApiConfig {
    /// What `/internal` asks for.
    pub service_token: String,
    /// What it also takes while the token is being changed.
    pub service_token_next: Option<String>,
    /// Whose word on where a request came from is taken.
    pub trusted_proxies: TrustedProxies,
    /// Scheme and host in the URLs of answers; when not set, the request's `Host` where that is `listen`.
    pub public_url: Option<String>,
    /// Where the service listens; none where it is called without a socket.
    pub listen: Option<SocketAddr>,
    /// Requests a second that one credential may make in the long run, per process.
    pub requests_per_second: NonZeroU32,
    /// Requests that one credential may make at once.
    pub burst: NonZeroU32,
    /// Makes spans of requests.
    pub traces: Option<Traces>,
}

impl fmt::Debug for ApiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service_token: _, service_token_next: _, .. } = self;
        let Self { trusted_proxies, public_url, listen, requests_per_second, burst, traces, .. } = self;
        f.debug_struct("ApiConfig")
            .field("trusted_proxies", trusted_proxies)
            .field("public_url", public_url)
            .field("listen", listen)
            .field("requests_per_second", requests_per_second)
            .field("burst", burst)
            .field("traces", traces)
            .finish_non_exhaustive()
    }
}

struct Settings {
    service_tokens: ServiceTokens,
    trusted_proxies: TrustedProxies,
    base_url: BaseUrl,
}

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    pool: PgPool,
    exports: Arc<dyn ObjectStore>,
    watcher: Watcher,
    reader: Reader,
    intake: Intake,
    /// What claims are decided on, for those who ask why a job waits.
    books: Books,
    settings: Arc<Settings>,
    limits: Arc<Limits>,
    keys: Arc<KeyLookups>,
    slots: Arc<Slots>,
    reads: Reads,
    sign_ins: Arc<SignIns>,
    sessions: Arc<Sessions>,
    verifications: Verifications,
    views: Views,
    watchers: Watchers,
    shared: Shared,
    metrics: Arc<Metrics>,
    latest: Arc<Latest>,
    traces: Option<Traces>,
    /// Slugs never change, so one that was seen stays true.
    slugs: Arc<RwLock<HashMap<Uuid, Arc<str>>>>,
    /// Cancelled when the service closes: held requests and event streams end.
    closing: CancellationToken,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// The state of a router.
    pub fn new(pool: PgPool, exports: Arc<dyn ObjectStore>, watcher: Watcher, config: ApiConfig) -> Self {
        let ApiConfig { service_token, service_token_next, trusted_proxies, .. } = config;
        let ApiConfig { public_url, listen, requests_per_second, burst, traces, .. } = config;
        let service_tokens = ServiceTokens::new(&service_token, service_token_next.as_deref());
        let books = Books::new(pool.clone());
        let (keys, slots) = (Arc::new(KeyLookups::start(&pool)), Arc::new(Slots::new(&pool)));
        Self {
            reader: Reader::start(pool.clone(), books.clone()),
            books,
            intake: Intake::start(&pool),
            metrics: Arc::new(Metrics::new(pool.clone(), None)),
            latest: Arc::default(),
            reads: Reads::new(pool.clone(), slots.clone()),
            pool,
            exports,
            watcher,
            settings: Arc::new(Settings {
                service_tokens,
                base_url: BaseUrl::new(public_url, listen, trusted_proxies.clone()),
                trusted_proxies,
            }),
            limits: Arc::new(Limits::new(requests_per_second, burst)),
            keys,
            slots,
            sign_ins: Arc::new(SignIns::new()),
            sessions: Arc::new(Sessions::new()),
            verifications: Verifications::new(),
            traces,
            views: Views::default(),
            watchers: Watchers::default(),
            shared: Shared::default(),
            slugs: Arc::default(),
            closing: CancellationToken::new(),
        }
    }

    /// With the metrics of the worker that runs in this process too.
    #[must_use]
    pub fn with_work(self, work: Work) -> Self {
        Self { metrics: Arc::new(Metrics::new(self.pool.clone(), Some(work))), ..self }
    }

    /// Ends held requests and event streams, so that a graceful shutdown need not wait for them.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Forgets what clients sent long ago, and sessions that have ended. To be called now and then.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn prune(&self) -> sqlx::Result<u64> {
        let keys = idempotency::prune(&self.pool).await?;
        let sessions = sessions::prune(&self.pool).await?;
        Ok(keys + sessions + audit::prune(&self.pool).await?)
    }

    fn base_url(&self) -> &BaseUrl {
        &self.settings.base_url
    }

    /// The slug of a tenant; the id of one that is gone.
    async fn slug(&self, tenant: Uuid) -> sqlx::Result<Arc<str>> {
        if tenant == SYSTEM_TENANT {
            return Ok(SYSTEM_SLUG.into());
        }
        let known = self.slugs.read().ok().and_then(|slugs| slugs.get(&tenant).cloned());
        if let Some(slug) = known {
            return Ok(slug);
        }
        let slug = sqlx::query_scalar!("select slug from tenants where id = $1", tenant)
            .fetch_optional(&self.pool)
            .await?;
        let Some(slug) = slug else { return Ok(tenant.to_string().into()) };
        let slug: Arc<str> = slug.into();
        if let Ok(mut slugs) = self.slugs.write() {
            slugs.insert(tenant, slug.clone());
        }
        Ok(slug)
    }
}

/// Every route.
pub fn router(api: Api) -> Router {
    let routes = routes();
    let internal = routes.internal.route_layer(from_fn_with_state(api.clone(), auth::require_service));
    let v1 = routes.v1.route_layer(from_fn_with_state(api.clone(), auth::require_tenant));
    let (app, _) = routes.open.merge(internal).merge(v1).split_for_parts();
    let pages = Router::new()
        .nest("/dashboard", dashboard::router())
        // As people type it.
        .route("/", get(async || Redirect::to("/dashboard")))
        .route("/dashboard/", get(async || Redirect::permanent("/dashboard")));
    #[cfg(feature = "board")]
    let pages = pages
        .nest("/board", dashboard::board::router())
        .route("/board/", get(async || Redirect::permanent("/board")));
    let app = app
        .merge(pages.route_layer(from_fn_with_state(api.clone(), dashboard::end_with_session)))
        .route("/openapi.json", get(docs::get_openapi))
        .route("/docs", get(docs::get_swagger))
        .route("/docs/{name}", get(docs::get_swagger_file))
        .route("/redoc", get(docs::get_redoc))
        .route("/redoc/redoc.standalone.js", get(docs::get_redoc_script));
    with_layers(app, &api).with_state(api)
}

/// What surrounds every route; the last one is the outermost.
fn with_layers<S: Clone + Send + Sync + 'static>(app: Router<S>, api: &Api) -> Router<S> {
    app.layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(observe::limit_time))
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn_with_state(api.clone(), observe::observe))
}

/// The `OpenAPI` 3.1 document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let Routes { open, internal, v1 } = routes();
    let (_, mut document) = open.merge(internal).merge(v1).split_for_parts();
    openapi::complete(&mut document);
    document
}

/// Routes by who may call them.
struct Routes {
    open: OpenApiRouter<Api>,
    internal: OpenApiRouter<Api>,
    v1: OpenApiRouter<Api>,
}

fn routes() -> Routes {
    let open = OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(health::get_health))
        .routes(routes!(health::get_readiness))
        .routes(routes!(metrics::get_metrics));
    let internal = OpenApiRouter::new()
        .routes(routes!(internal::ingest::ingest_dataset))
        .routes(routes!(internal::kpi::compute_daily_kpi))
        .routes(routes!(internal::exports::generate_export))
        .routes(routes!(internal::pipelines::run_daily_pipeline))
        .routes(routes!(internal::backfills::create_backfill, internal::backfills::list_backfills))
        .routes(routes!(internal::backfills::get_backfill, internal::backfills::set_backfill))
        .routes(routes!(internal::backfills::pause_backfill))
        .routes(routes!(internal::backfills::resume_backfill))
        .routes(routes!(internal::backfills::cancel_backfill))
        .routes(routes!(internal::backfills::retry_failed_of_backfill))
        .routes(routes!(internal::jobs::list_jobs))
        .routes(routes!(internal::jobs::get_job))
        .routes(routes!(internal::jobs::stream_job))
        .routes(routes!(internal::jobs::cancel_job))
        .routes(routes!(internal::jobs::retry_job))
        .routes(routes!(internal::jobs::run_job_now))
        .routes(routes!(internal::jobs::set_job_priority))
        .routes(routes!(internal::bulk::bulk_jobs))
        .routes(routes!(internal::workflows::list_workflows))
        .routes(routes!(internal::workflows::get_workflow))
        .routes(routes!(internal::workflows::retry_failed_of_workflow))
        .routes(routes!(internal::workflows::cancel_workflow))
        .routes(routes!(internal::queues::list_queues))
        .routes(routes!(internal::queues::get_queue))
        .routes(routes!(internal::queues::pause_queue))
        .routes(routes!(internal::queues::resume_queue))
        .routes(routes!(internal::queues::set_queue_limits))
        .routes(routes!(internal::limits::get_tenant_limits, internal::limits::set_tenant_limits))
        .routes(routes!(internal::tenants::list_tenants, internal::tenants::create_tenant))
        .routes(routes!(internal::tenants::get_tenant, internal::tenants::change_tenant))
        .routes(routes!(internal::keys::list_api_keys))
        .routes(routes!(internal::keys::list_api_keys_of_tenant, internal::keys::create_api_key))
        .routes(routes!(internal::keys::delete_api_key))
        .routes(routes!(internal::failures::list_failures))
        .routes(routes!(internal::audit::list_audit))
        .routes(routes!(internal::rejects::list_rejects))
        .routes(routes!(internal::workers::list_workers))
        .routes(routes!(internal::workers::drain_worker))
        .routes(routes!(internal::schedules::list_schedules))
        .routes(routes!(internal::schedules::change_schedule))
        .routes(routes!(internal::schedules::run_schedule))
        .route_layer(from_fn(accept::refuse_csv))
        // Tables, and files of either kind.
        .routes(routes!(internal::results::list_daily_kpis))
        .routes(routes!(internal::results::download_export));
    let v1 = OpenApiRouter::new()
        .routes(routes!(v1::tickets::get_ticket))
        .routes(routes!(v1::ticket_summary::get_ticket_summary))
        .routes(routes!(v1::exports::get_export))
        .routes(routes!(v1::jobs::get_job))
        .routes(routes!(v1::jobs::stream_job))
        .route_layer(from_fn(accept::refuse_csv))
        // Tables, and files of either kind.
        .routes(routes!(v1::kpis::list_daily_kpis))
        .routes(routes!(v1::tickets::list_tickets))
        .routes(routes!(v1::time_entries::list_time_entries))
        .routes(routes!(v1::csat::list_csat))
        .routes(routes!(v1::security_alerts::list_security_alerts))
        .routes(routes!(v1::exports::list_exports))
        .routes(routes!(v1::exports::download_export))
        .routes(routes!(v1::jobs::list_jobs));
    Routes { open, internal, v1 }
}
