//! The production router on a database of the test's own, called without sockets.

use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tower::ServiceExt;
use weirgate::domains::Domains;
use weirgate::http::{Api, monitoring_router, router};
use weirgate::metrics::Work;
use weirgate::seed::{Seeded, seed};
use weirgate_identity::{SecretKey, SecretKeys};
use weirgate_msp::{
    ComputeKpi, ExportFormat, GenerateExport, IngestCsat, IngestSecurityAlerts, IngestTickets,
    IngestTimeEntries, handler_parts,
};
use weirgate_queue::read::watch::Watcher;
use weirgate_test_support::{Answer, Call, Client, Documented, MOCK_DATA, SERVICE_TOKEN, TestDb, TestWorker};
use weirgate_web::WebConfig;
use weirgate_web::client_address::TrustedProxies;

use super::app::{TestApp, all_domains, demo_app, registry_with};

/// What the document of the usual domains says, which most tests serve.
static DOCUMENTED: LazyLock<Documented> = LazyLock::new(Documented::default);

/// The API with the two demo tenants. Calls that need no tenant are its [`Client`]'s.
pub(crate) struct TestApi {
    pub(crate) app: Arc<TestApp>,
    /// `tenant_demo_cca`, in UTC.
    pub(crate) cca: Seeded,
    /// `tenant_demo_client2`, in Europe/Paris.
    pub(crate) client2: Seeded,
    config: WebConfig,
    api: Api,
    client: Client,
    monitoring: Router,
}

impl Deref for TestApi {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl TestApi {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut WebConfig)) -> Self {
        Self::assemble(adjust, |api| api).await
    }

    /// Whose metrics are also those of a worker in the same process.
    pub(crate) async fn with_work(work: Work) -> Self {
        Self::assemble(|_| {}, |api| api.with_work(work)).await
    }

    async fn assemble(adjust: impl FnOnce(&mut WebConfig), complete: impl FnOnce(Api) -> Api) -> Self {
        let app = demo_app().await;
        let mut rng = StdRng::seed_from_u64(1);
        let tenants = seed(&app.db.pool, Path::new(MOCK_DATA), false, &mut rng).await.unwrap();
        let [cca, client2] = tenants.try_into().expect("two demo tenants");
        let mut config = config();
        adjust(&mut config);
        let api = complete(api_of(&app, &all_domains(), config.clone()));
        let (client, monitoring) = parts(&api, DOCUMENTED.clone());
        Self { app: Arc::new(app), cca, client2, config, api, client, monitoring }
    }

    /// The API of another process on the same database.
    pub(crate) fn another_host(&self) -> Self {
        let api = api_of(&self.app, &all_domains(), self.config.clone());
        let (client, monitoring) = parts(&api, DOCUMENTED.clone());
        let (app, cca, client2) = (self.app.clone(), self.cca.clone(), self.client2.clone());
        Self { app, cca, client2, config: self.config.clone(), api, client, monitoring }
    }

    pub(crate) fn db(&self) -> &TestDb {
        &self.app.db
    }

    /// With other domains.
    pub(crate) fn serving(self, domains: &Domains) -> Self {
        let api = api_of(&self.app, domains, self.config.clone());
        let (client, monitoring) = parts(&api, Documented::default());
        Self { api, client, monitoring, ..self }
    }

    /// Ends event streams, as the service does when it stops; those who come back for theirs are
    /// answered anew.
    pub(crate) fn close_streams(&self) {
        self.api.close();
    }

    /// Forgets what is old, as the service does now and then.
    pub(crate) async fn prune(&self) {
        self.api.prune().await.unwrap();
    }

    /// The production worker with the production jobs.
    pub(crate) fn start_worker(&self) -> TestWorker {
        TestWorker::start_jobs(self.db(), Arc::new(registry_with(self.app.app.clone())), |_| {})
    }

    /// Takes in the demo files and works out and exports 2026-01-20 for both tenants, without the
    /// queue.
    pub(crate) async fn fill(&self) {
        let date = "2026-01-20".parse().unwrap();
        for Seeded { slug, .. } in [&self.cca, &self.client2] {
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

    /// What the listener for monitoring alone answers.
    pub(crate) async fn monitored(&self) -> String {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = self.monitoring.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        String::from_utf8(to_bytes(answer.into_body(), usize::MAX).await.unwrap().into()).unwrap()
    }

    /// A call of one tenant.
    pub(crate) fn tenant(&self, tenant: &Seeded, method: &str, target: &str) -> Call {
        let key = tenant.api_key.as_deref().expect("a seeded tenant has a key");
        self.with_key(key, method, target)
    }

    /// `GET` of `tenant_demo_cca`.
    pub(crate) async fn v1(&self, target: &str) -> Answer {
        self.tenant(&self.cca, "GET", target).send().await
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.db().count(table).await
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        self.db().execute(sql).await;
    }
}

/// What calls an API, and what monitoring asks.
fn parts(api: &Api, documented: Documented) -> (Client, Router) {
    (Client::new(router(api.clone()), documented), monitoring_router(api.clone()))
}

fn api_of(app: &TestApp, domains: &Domains, config: WebConfig) -> Api {
    let watcher = Watcher::start(app.db.pool.clone(), Duration::from_millis(20));
    Api::new(app.db.pool.clone(), handler_parts(app.app.exports.clone()), domains.list(), watcher, config)
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
        secret_keys: Some(secret_keys()),
    }
}

/// The secret key of every test.
pub(crate) fn secret_keys() -> SecretKeys {
    let key = "7f3c1d9a5b8e24604d1fa2c6e07b93585a6cd1e4f80b3729964ce2b8571fa03d";
    SecretKeys::new(SecretKey::parse(key).unwrap(), None)
}
