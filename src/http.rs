//! The HTTP surface: every route is in [`router`].

pub(crate) mod backfill;
mod backfill_request;
mod dashboard;
mod docs;
mod health;
pub(crate) mod internal;
mod lane_facts;
mod limits;
mod metrics;
mod openapi;
mod queue_facts;
mod schemas;
#[cfg(test)]
mod tests;
mod v1;
pub(crate) mod workflow;

use std::fmt;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::get;
use sqlx::PgPool;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weirgate_identity::{audit, sessions};
use weirgate_queue::read::watch::Watcher;
use weirgate_web::client_address::TrustedProxies;
use weirgate_web::dashboard::navigation::Navigation;
use weirgate_web::dashboard::state::Dashboard;
use weirgate_web::domain::{Catalog, Domain, DomainRoutes};
use weirgate_web::history::History;
use weirgate_web::layers::with_layers;
use weirgate_web::parts::Parts;
use weirgate_web::reads::Reads;
use weirgate_web::{Web, WebConfig, accept, auth, document};

use crate::http::dashboard::SignIns;
use crate::http::metrics::Latest;
use crate::metrics::{Metrics, Work};
use crate::schema;

pub use crate::http::metrics::monitoring_router;
pub(crate) use crate::http::workflow::in_words;

/// What the handlers share: what those of every surface do, and what the service has beside it.
/// Cheap to clone.
#[derive(Clone)]
pub struct Api {
    web: Web,
    pool: PgPool,
    /// What domains need beside this.
    parts: Parts,
    /// What the domains have that are served.
    catalog: Arc<Catalog>,
    /// What these answer.
    routes: Arc<[DomainRoutes<Api>]>,
    /// Made when it is asked for first.
    document: Arc<OnceLock<Option<Arc<str>>>>,
    /// Migrations that the database must have.
    histories: Arc<[History]>,
    readiness: Arc<health::Latest>,
    sign_ins: Arc<SignIns>,
    dashboard: Dashboard,
    metrics: Arc<Metrics>,
    latest: Arc<Latest>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// The state of a router.
    pub fn new<A: Send + Sync + 'static>(
        pool: PgPool,
        parts: Parts,
        domains: &[Domain<A, Self>],
        watcher: Watcher,
        config: WebConfig,
    ) -> Self {
        let catalog = Catalog::of(domains);
        let metrics = Arc::new(Metrics::new(pool.clone(), None, catalog.counters().to_vec()));
        let web = Web::new(pool.clone(), watcher, config, catalog.presentation(), metrics.clone());
        let navigation = Navigation::new(&dashboard::NAVIGATION, catalog.navigation().iter().copied());
        Self {
            dashboard: Dashboard::new(&web, navigation),
            web,
            pool,
            parts,
            catalog: Arc::new(catalog),
            routes: domains.iter().map(|domain| domain.routes).collect(),
            document: Arc::default(),
            histories: schema::histories(domains.iter().filter_map(|domain| domain.history)).into(),
            readiness: Arc::default(),
            sign_ins: Arc::new(SignIns::new()),
            metrics,
            latest: Arc::default(),
        }
    }

    /// With the metrics of the worker that runs in this process too.
    #[must_use]
    pub fn with_work(self, work: Work) -> Self {
        let metrics = Arc::new(Metrics::new(self.pool.clone(), Some(work), self.catalog.counters().to_vec()));
        let web = Web { meter: metrics.clone(), ..self.web };
        Self { web, metrics, ..self }
    }

    /// Ends held requests and event streams, so that a graceful shutdown need not wait for them.
    pub fn close(&self) {
        self.web.close();
    }

    /// Forgets what clients sent long ago, and sessions that have ended. To be called now and then.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn prune(&self) -> sqlx::Result<u64> {
        let keys = self.web.prune().await?;
        let sessions = sessions::prune(&self.pool).await?;
        Ok(keys + sessions + audit::prune(&self.pool).await?)
    }
}

impl FromRef<Api> for Web {
    fn from_ref(api: &Api) -> Self {
        api.web.clone()
    }
}

impl FromRef<Api> for Dashboard {
    fn from_ref(api: &Api) -> Self {
        api.dashboard.clone()
    }
}

impl FromRef<Api> for Reads {
    fn from_ref(api: &Api) -> Self {
        api.web.reads.clone()
    }
}

impl FromRef<Api> for TrustedProxies {
    fn from_ref(api: &Api) -> Self {
        api.web.trusted_proxies.clone()
    }
}

impl FromRef<Api> for Parts {
    fn from_ref(api: &Api) -> Self {
        api.parts.clone()
    }
}

/// Every route.
pub fn router(api: Api) -> Router {
    let routes = routes(&api.catalog, &api.routes);
    let internal = routes.internal.route_layer(from_fn_with_state(api.web.clone(), auth::require_service));
    let v1 = routes.v1.route_layer(from_fn_with_state(api.web.clone(), auth::require_tenant));
    let (app, _) = routes.open.merge(internal).merge(v1).split_for_parts();
    let pages = Router::new()
        .nest("/dashboard", dashboard::router(&api.routes))
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
    with_layers(app, &api.web).with_state(api)
}

/// The `OpenAPI` 3.1 document of a server with these domains.
pub fn openapi<A: Send + Sync + 'static>(domains: &[Domain<A, Api>]) -> utoipa::openapi::OpenApi {
    let own: Vec<_> = domains.iter().map(|domain| domain.routes).collect();
    document(&Catalog::of(domains), &own)
}

fn document(catalog: &Catalog, domains: &[DomainRoutes<Api>]) -> utoipa::openapi::OpenApi {
    let Routes { open, internal, v1 } = routes(catalog, domains);
    let (_, mut document) = open.merge(internal).merge(v1).split_for_parts();
    let (name, schema) = schemas::kinds_of_backfills(catalog.backfills());
    let components = document.components.get_or_insert_default();
    components.schemas.insert(name.to_owned(), schema.into());
    document::complete(&mut document);
    document
}

/// Routes by who may call them.
struct Routes {
    open: OpenApiRouter<Api>,
    internal: OpenApiRouter<Api>,
    v1: OpenApiRouter<Api>,
}

/// Those of the operations, and of these domains.
fn routes(catalog: &Catalog, domains: &[DomainRoutes<Api>]) -> Routes {
    let open = OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(health::get_health))
        .routes(routes!(health::get_readiness))
        .routes(routes!(metrics::get_metrics));
    let internal = OpenApiRouter::new()
        .routes(routes!(internal::backfills::list_backfills))
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
        .routes(routes!(internal::workers::list_workers))
        .routes(routes!(internal::workers::drain_worker))
        .routes(routes!(internal::schedules::list_schedules))
        .routes(routes!(internal::schedules::change_schedule))
        .routes(routes!(internal::schedules::pause_schedule))
        .routes(routes!(internal::schedules::resume_schedule))
        .routes(routes!(internal::schedules::run_schedule))
        .route_layer(from_fn(accept::refuse_csv));
    let v1 = OpenApiRouter::new()
        .routes(routes!(v1::jobs::get_job))
        .routes(routes!(v1::jobs::stream_job))
        .route_layer(from_fn(accept::refuse_csv))
        // A table.
        .routes(routes!(v1::jobs::list_jobs));
    let backfills = OpenApiRouter::new()
        .routes(routes!(internal::backfills::create_backfill))
        .route_layer(from_fn(accept::refuse_csv));
    let internal = if catalog.backfills().is_empty() { internal } else { internal.merge(backfills) };
    domains.iter().fold(Routes { open, internal, v1 }, |Routes { open, internal, v1 }, domain| Routes {
        open,
        internal: internal.merge((domain.internal)()),
        v1: v1.merge((domain.v1)()),
    })
}
