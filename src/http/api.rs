//! The state of every handler.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRef;
use sqlx::PgPool;
use weirgate_identity::{audit, grants, invitations, sessions};
use weirgate_queue::read::watch::Watcher;
use weirgate_web::client_address::TrustedProxies;
use weirgate_web::dashboard::navigation::Navigation;
use weirgate_web::dashboard::state::Dashboard;
use weirgate_web::domain::{Catalog, Domain, DomainRoutes};
use weirgate_web::history::History;
use weirgate_web::parts::Parts;
use weirgate_web::reads::Reads;
use weirgate_web::state::Shown;
use weirgate_web::{Web, WebConfig};

use crate::http::dashboard::NAVIGATION;
use crate::http::health::LatestReadiness;
use crate::http::metrics::LatestFacts;
use crate::http::sign_in::SignIns;
use crate::metrics::{Metrics, Work};
use crate::schema;

/// What the handlers share: what those of every surface do, and what the service has beside it.
/// One pointer: it is cloned several times for each request.
#[derive(Clone)]
pub struct Api(Arc<ApiState>);

impl Deref for Api {
    type Target = ApiState;

    fn deref(&self) -> &ApiState {
        &self.0
    }
}

/// What [`Api`] points to.
#[derive(Clone)]
pub struct ApiState {
    pub(super) web: Web,
    pub(super) pool: PgPool,
    /// What domains need beside this.
    pub(super) parts: Parts,
    /// What the domains have that are served.
    pub(super) catalog: Arc<Catalog>,
    /// What these answer.
    pub(super) routes: Arc<[DomainRoutes<Api>]>,
    /// Made when it is asked for first.
    pub(super) document: Arc<OnceLock<Option<Arc<str>>>>,
    /// Migrations that the database must have.
    pub(super) histories: Arc<[History]>,
    pub(super) readiness: Arc<LatestReadiness>,
    pub(super) sign_ins: Arc<SignIns>,
    pub(super) dashboard: Dashboard,
    pub(super) metrics: Arc<Metrics>,
    pub(super) latest: Arc<LatestFacts>,
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
        let shown = Shown { presentation: catalog.presentation(), roles: catalog.roles() };
        let web = Web::new(pool.clone(), watcher, config, shown, metrics.clone());
        let navigation = Navigation::new(&NAVIGATION, catalog.navigation().iter().copied());
        Self(Arc::new(ApiState {
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
        }))
    }

    /// With the metrics of the worker that runs in this process too.
    #[must_use]
    pub fn with_work(self, work: Work) -> Self {
        let metrics = Arc::new(Metrics::new(self.pool.clone(), Some(work), self.catalog.counters().to_vec()));
        let state = Arc::unwrap_or_clone(self.0);
        let web = state.web.with_meter(metrics.clone());
        Self(Arc::new(ApiState { web, metrics, ..state }))
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
        let grants = grants::prune(&self.pool).await?;
        let invitations = invitations::prune(&mut *self.pool.acquire().await?).await?;
        Ok(keys + sessions + grants + invitations + audit::prune(&self.pool).await?)
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
