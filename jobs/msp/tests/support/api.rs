//! The domain's routes with what surrounds the routes of any service, called without sockets.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Json, Router};
use object_store::ObjectStore;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;
use weirgate_msp::{
    ComputeKpi, ExportFormat, GenerateExport, IngestCsat, IngestSecurityAlerts, IngestTickets,
    IngestTimeEntries, domain, handler_parts,
};
use weirgate_queue::read::watch::Watcher;
use weirgate_test_support::{Answer, Call, Client, Documented, SERVICE_TOKEN, TestDb, api_key, tenant};
use weirgate_web::client_address::TrustedProxies;
use weirgate_web::dashboard::navigation::Navigation;
use weirgate_web::dashboard::state::Dashboard;
use weirgate_web::domain::Catalog;
use weirgate_web::layers::with_layers;
use weirgate_web::parts::Parts;
use weirgate_web::reads::Reads;
use weirgate_web::state::Shown;
use weirgate_web::traces::RequestMeter;
use weirgate_web::{Web, WebConfig, auth, document};

use super::{TestApp, demo_app};

/// A tenant that calls.
pub(crate) struct Caller {
    pub(crate) id: Uuid,
    pub(crate) slug: String,
    key: String,
}

impl Caller {
    async fn new(db: &TestDb, slug: &str, time_zone: &str) -> Self {
        let tenant = tenant(&db.pool, slug, time_zone).await;
        let key = api_key(&db.pool, &tenant).await;
        Self { id: tenant.id, slug: slug.to_owned(), key }
    }
}

/// The domain's routes with the two demo tenants. Calls that need no tenant are its [`Client`]'s.
pub(crate) struct TestApi {
    pub(crate) app: TestApp,
    /// In UTC.
    pub(crate) cca: Caller,
    /// In Europe/Paris.
    pub(crate) client2: Caller,
    client: Client,
}

impl Deref for TestApi {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl TestApi {
    pub(crate) async fn new() -> Self {
        let app = demo_app().await;
        let cca = Caller::new(&app.db, "tenant_demo_cca", "UTC").await;
        let client2 = Caller::new(&app.db, "tenant_demo_client2", "Europe/Paris").await;
        let client = Client::new(router(&app.db, app.app.exports.clone()), Documented::default());
        Self { app, cca, client2, client }
    }

    /// With another store of exports.
    pub(crate) fn with_exports(self, exports: Arc<dyn ObjectStore>) -> Self {
        let client = Client::new(router(&self.app.db, exports), Documented::default());
        Self { client, ..self }
    }

    pub(crate) fn db(&self) -> &TestDb {
        &self.app.db
    }

    /// The same once [`TestApi::fill`] has run.
    pub(crate) async fn filled() -> Self {
        let api = Self::new().await;
        api.fill().await;
        api
    }

    /// Ingests the demo files, and computes and exports 2026-01-20 for both tenants, without the
    /// queue.
    pub(crate) async fn fill(&self) {
        let date = "2026-01-20".parse().unwrap();
        for Caller { slug, .. } in [&self.cca, &self.client2] {
            let tenant = || slug.as_str().into();
            self.app.run(&IngestTickets { tenant: tenant() }).await.unwrap();
            self.app.run(&IngestTimeEntries { tenant: tenant() }).await.unwrap();
            self.app.run(&IngestCsat { tenant: tenant() }).await.unwrap();
            self.app.run(&IngestSecurityAlerts { tenant: tenant() }).await.unwrap();
            self.app.run(&ComputeKpi { tenant: tenant(), date }).await.unwrap();
            for format in [ExportFormat::Json, ExportFormat::Csv] {
                self.app.run(&GenerateExport { tenant: tenant(), date, format }).await.unwrap();
            }
        }
    }

    /// A call of one tenant.
    pub(crate) fn tenant(&self, tenant: &Caller, method: &str, target: &str) -> Call {
        self.with_key(&tenant.key, method, target)
    }

    /// `GET` of `tenant_demo_cca`.
    pub(crate) async fn v1(&self, target: &str) -> Answer {
        self.tenant(&self.cca, "GET", target).send().await
    }
}

/// All that the domain's handlers ask for.
#[derive(Clone)]
struct Service {
    web: Web,
    parts: Parts,
    dashboard: Dashboard,
}

impl FromRef<Service> for Web {
    fn from_ref(service: &Service) -> Self {
        service.web.clone()
    }
}

impl FromRef<Service> for Reads {
    fn from_ref(service: &Service) -> Self {
        service.web.reads.clone()
    }
}

impl FromRef<Service> for TrustedProxies {
    fn from_ref(service: &Service) -> Self {
        service.web.trusted_proxies.clone()
    }
}

impl FromRef<Service> for Parts {
    fn from_ref(service: &Service) -> Self {
        service.parts.clone()
    }
}

impl FromRef<Service> for Dashboard {
    fn from_ref(service: &Service) -> Self {
        service.dashboard.clone()
    }
}

struct Uncounted;

impl RequestMeter for Uncounted {
    fn observe(&self, _: &str, _: &str, _: u16, _: Duration) {}
}

fn router(db: &TestDb, exports: Arc<dyn ObjectStore>) -> Router {
    let domain = domain::<Service>();
    let catalog = Catalog::of(std::slice::from_ref(&domain));
    let shown = Shown { presentation: catalog.presentation(), roles: catalog.roles() };
    let watcher = Watcher::start(db.pool.clone(), Duration::from_millis(20));
    let web = Web::new(db.pool.clone(), watcher, config(), shown, Arc::new(Uncounted));
    let internal = (domain.routes.internal)();
    let internal = internal.route_layer(from_fn_with_state(web.clone(), auth::require_service));
    let v1 = (domain.routes.v1)().route_layer(from_fn_with_state(web.clone(), auth::require_tenant));
    let (app, mut document) = OpenApiRouter::new().merge(internal).merge(v1).split_for_parts();
    document::complete(&mut document);
    let app = app.route("/openapi.json", get(async || Json(document)));
    let dashboard = Dashboard::new(&web, Navigation::new(&[], []));
    with_layers(app, &web).with_state(Service { web, parts: handler_parts(exports), dashboard })
}

fn config() -> WebConfig {
    WebConfig {
        service_token: SERVICE_TOKEN.to_owned(),
        service_token_next: None,
        trusted_proxies: TrustedProxies::default(),
        public_url: None,
        listen: None,
        requests_per_second: 10_000.try_into().unwrap(),
        burst: 10_000.try_into().unwrap(),
        traces: None,
        secret_keys: None,
    }
}
