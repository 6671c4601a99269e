//! The production router on a database of the test's own, called without sockets.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, request};
use axum::response::Response;
use object_store::ObjectStore;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tower::ServiceExt;
use uuid::Uuid;
use weirgate::domains::Domains;
use weirgate::http::{Api, monitoring_router, router};
use weirgate::metrics::Work;
use weirgate::seed::{Seeded, seed};
use weirgate_msp::{
    ComputeKpi, ExportFormat, GenerateExport, IngestCsat, IngestSecurityAlerts, IngestTickets,
    IngestTimeEntries, handler_parts,
};
use weirgate_queue::read::watch::Watcher;
use weirgate_web::WebConfig;
use weirgate_web::client_address::TrustedProxies;

use super::app::MOCK_DATA;
use super::documented::Operations;
use super::{TestApp, TestDb, TestWorker, all_domains};

const SERVICE_TOKEN: &str = "the-service-token-of-the-tests";

/// What the document of an API says, read when it is needed first.
type Documented = Arc<OnceCell<Operations>>;

/// That of the usual domains, which most tests serve.
static DOCUMENTED: LazyLock<Documented> = LazyLock::new(Documented::default);

/// A test that would hang fails after this.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// The API with the two demo tenants.
pub(crate) struct TestApi {
    pub(crate) app: Arc<TestApp>,
    /// `tenant_demo_cca`, in UTC.
    pub(crate) cca: Seeded,
    /// `tenant_demo_client2`, in Europe/Paris.
    pub(crate) client2: Seeded,
    api: Api,
    router: Router,
    monitoring: Router,
    documented: Documented,
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
        let app = TestApp::demo().await;
        let mut rng = StdRng::seed_from_u64(1);
        let tenants = seed(&app.db.pool, Path::new(MOCK_DATA), false, &mut rng).await.unwrap();
        let [cca, client2] = tenants.try_into().expect("two demo tenants");
        let mut config = config();
        adjust(&mut config);
        let watcher = Watcher::start(app.db.pool.clone(), Duration::from_millis(20));
        let api = complete(Api::new(
            app.db.pool.clone(),
            handler_parts(app.app.exports.clone()),
            all_domains().list(),
            watcher,
            config,
        ));
        let (router, monitoring) = (router(api.clone()), monitoring_router(api.clone()));
        Self { app: Arc::new(app), cca, client2, api, router, monitoring, documented: DOCUMENTED.clone() }
    }

    /// The API of another process on the same database.
    pub(crate) fn another_host(&self) -> Self {
        let pool = self.db().pool.clone();
        let watcher = Watcher::start(pool.clone(), Duration::from_millis(20));
        let api = Api::new(
            pool,
            handler_parts(self.app.app.exports.clone()),
            all_domains().list(),
            watcher,
            config(),
        );
        let (router, monitoring) = (router(api.clone()), monitoring_router(api.clone()));
        let (cca, client2) = (self.cca.clone(), self.client2.clone());
        Self { app: self.app.clone(), cca, client2, api, router, monitoring, documented: DOCUMENTED.clone() }
    }

    pub(crate) fn db(&self) -> &TestDb {
        &self.app.db
    }

    /// With another store of exports.
    pub(crate) fn with_exports(self, exports: Arc<dyn ObjectStore>) -> Self {
        let watcher = Watcher::start(self.app.db.pool.clone(), Duration::from_millis(20));
        let api = Api::new(
            self.app.db.pool.clone(),
            handler_parts(exports),
            all_domains().list(),
            watcher,
            config(),
        );
        Self { router: router(api.clone()), monitoring: monitoring_router(api.clone()), api, ..self }
    }

    /// With other domains.
    pub(crate) fn serving(self, domains: &Domains) -> Self {
        let watcher = Watcher::start(self.app.db.pool.clone(), Duration::from_millis(20));
        let parts = handler_parts(self.app.app.exports.clone());
        let api = Api::new(self.app.db.pool.clone(), parts, domains.list(), watcher, config());
        Self {
            router: router(api.clone()),
            monitoring: monitoring_router(api.clone()),
            api,
            documented: Documented::default(),
            ..self
        }
    }

    /// To be served on a socket.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Ends event streams, as the service does when it stops; those who come back for theirs are answered anew.
    pub(crate) fn close_streams(&self) {
        self.api.close();
    }

    /// Forgets what is old, as the service does now and then.
    pub(crate) async fn prune(&self) {
        self.api.prune().await.unwrap();
    }

    /// The production worker with the production jobs.
    pub(crate) fn start_worker(&self) -> TestWorker {
        TestWorker::start_jobs(self.db(), Arc::new(self.app.registry()), |_| {})
    }

    /// Takes in the demo files and works out and exports 2026-01-20 for both tenants, without the queue.
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

    /// A call without a credential.
    pub(crate) fn anonymous(&self, method: &str, target: &str) -> Call {
        let request = Request::builder().method(method).uri(target).header("x-request-id", "test-1");
        Call {
            router: self.router.clone(),
            documented: self.documented.clone(),
            request,
            body: Body::empty(),
        }
    }

    /// What the listener for monitoring alone answers.
    pub(crate) async fn monitored(&self) -> String {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = self.monitoring.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        String::from_utf8(to_bytes(answer.into_body(), usize::MAX).await.unwrap().into()).unwrap()
    }

    /// A call of the service.
    pub(crate) fn service(&self, method: &str, target: &str) -> Call {
        self.anonymous(method, target).header("authorization", &format!("Bearer {SERVICE_TOKEN}"))
    }

    /// A call of one tenant.
    pub(crate) fn tenant(&self, tenant: &Seeded, method: &str, target: &str) -> Call {
        let key = tenant.api_key.as_deref().expect("a seeded tenant has a key");
        self.anonymous(method, target).header("x-api-key", key)
    }

    /// `GET` of the service.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.service("GET", target).send().await
    }

    /// `POST` of the service, without a body.
    pub(crate) async fn post(&self, target: &str) -> Answer {
        self.service("POST", target).send().await
    }

    /// `GET` of `tenant_demo_cca`.
    pub(crate) async fn v1(&self, target: &str) -> Answer {
        self.tenant(&self.cca, "GET", target).send().await
    }

    /// The job that a `POST` enqueues.
    pub(crate) async fn enqueue(&self, target: &str) -> Value {
        self.post(target).await.ok(StatusCode::ACCEPTED)
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let sql = AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(sql).fetch_one(&self.db().pool).await.unwrap()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.db().pool).await.unwrap();
    }
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
    }
}

/// A request being put together.
#[must_use]
pub(crate) struct Call {
    router: Router,
    documented: Documented,
    request: request::Builder,
    body: Body,
}

impl Call {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        if let Some(headers) = self.request.headers_mut() {
            headers.remove(name);
        }
        self.request = self.request.header(name, value);
        self
    }

    /// As if it came over a socket from this address.
    pub(crate) fn from(mut self, address: &str) -> Self {
        let peer = SocketAddr::new(address.parse().unwrap(), 40_000);
        self.request = self.request.extension(ConnectInfo(peer));
        self
    }

    pub(crate) fn json(self, body: impl Into<String>) -> Self {
        self.body("application/json", body)
    }

    pub(crate) fn body(mut self, media_type: &str, body: impl Into<String>) -> Self {
        self.body = Body::from(body.into());
        self.header("content-type", media_type)
    }

    /// The answer once its head is there. Its status is one that the `OpenAPI` document names.
    pub(crate) async fn start(self) -> Response {
        let request = self.request.body(self.body).unwrap();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let documented = self.documented.get_or_init(|| Operations::of(self.router)).await;
        documented.check(&method, &path, answer.status());
        answer
    }

    /// The whole answer.
    pub(crate) async fn send(self) -> Answer {
        let whole = async {
            let (parts, body) = self.start().await.into_parts();
            (parts, to_bytes(body, usize::MAX).await.unwrap())
        };
        let (parts, body) = timeout(LONGEST_ANSWER, whole).await.expect("the answer ends");
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        answer.check_what_all_have_in_common();
        answer
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    fn check_what_all_have_in_common(&self) {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(self.header(name), Some(value));
        }
        for name in ["x-request-id", "cache-control"] {
            assert!(self.header(name).is_some(), "{name}");
        }
        let policy = self.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(self.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The JSON body of an answer with this status.
    pub(crate) fn ok(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The items of a page.
    pub(crate) fn items(&self) -> Vec<Value> {
        let Value::Array(items) = self.ok(StatusCode::OK)["items"].take() else { panic!("{}", self.text()) };
        items
    }

    /// One field of each item of a page.
    pub(crate) fn column(&self, name: &str) -> Vec<String> {
        self.items().iter().map(|item| item[name].as_str().expect(name).to_owned()).collect()
    }

    /// The problem of that status and code, with all that a problem has.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["status"], status);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["type"], format!("urn:weirgate:problem:{code}"));
        for text in ["title", "detail"] {
            assert!(!body[text].as_str().unwrap().is_empty(), "{text}");
        }
        assert!(body["instance"].as_str().unwrap().starts_with('/'), "{body}");
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        body
    }

    /// The fields that a validation error names.
    pub(crate) fn wrong_fields(&self) -> Vec<String> {
        let problem = self.problem(422, "validation_failed");
        let errors = problem["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| !error["message"].as_str().unwrap().is_empty()), "{problem}");
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

/// The id of a job, export or workflow in JSON.
pub(crate) fn id(value: &Value) -> Uuid {
    value.as_str().unwrap().parse().unwrap()
}
