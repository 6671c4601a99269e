//! Domains can be added and left out: another one is a line in a list, and without any there are
//! the operations.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use axum::http::StatusCode;
use futures_util::future::join_all;
use parking_lot::Mutex;
use serde_json::json;
use weirgate::app::App;
use weirgate::config::Config;
use weirgate::domains::{self, Domains};
use weirgate::schema;
use weirgate::traces::{Role, Traces};
use weirgate_identity::platform;
use weirgate_queue::lanes::traffic;
use weirgate_queue::{Concurrency, JobState, NewJob};
use weirgate_test_support::TestWorker;

use crate::support::person::Person;
use crate::support::{Collector, TestApi, secret_keys};

mod parcels;
mod rotate_signing_keys;

/// The domains of the program, and one more: by one line.
fn with_parcels() -> Domains {
    let mut all = domains::all();
    all.push(parcels::domain().within(App::pool).into());
    Domains::new(all)
}

fn config(names: &'static str) -> Config {
    Config::read(&|name| (name == "WEIRGATE_DOMAINS").then(|| names.to_owned())).unwrap()
}

#[tokio::test]
async fn jobs_of_all_domains_run_in_one_worker() {
    let domains = with_parcels();
    let api = TestApi::new().await.serving(&domains);
    migrate(&api, &domains).await;
    let app = App::new(api.db().pool.clone(), None).with(api.app.app.clone());
    let registry = Arc::new(domains.registry(Arc::new(app), None));
    let worker =
        TestWorker::start_jobs(api.db(), registry, |config| config.sealing = Some(Arc::new(secret_keys())));
    let parcel = api.enqueue("/internal/parcels?tenant_id=tenant_demo_cca&label=books").await;
    let tickets = api.enqueue("/internal/ingest/tickets?tenant_id=tenant_demo_cca").await;
    api.db().until(weirgate_test_support::id(&parcel["id"]), JobState::Completed).await;
    api.db().until(weirgate_test_support::id(&tickets["id"]), JobState::Completed).await;
    for _ in 0..200 {
        if api.count("parcels.parcels where is_delivered").await == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let parcels = api.get("/internal/parcels").await.ok(StatusCode::OK);
    assert_eq!(parcels, json!([{ "label": "books", "is_delivered": true }]));
    assert_eq!(api.get("/internal/parcels/books").await.ok(StatusCode::OK), parcels[0]);
    assert_eq!(api.get("/internal/parcels/pens").await.status, StatusCode::NOT_FOUND);
    worker.stop().await;
}

#[tokio::test]
async fn private_arguments_of_requests_reach_their_handlers_and_nobody_else() {
    let domains = with_parcels();
    let api = TestApi::new().await.serving(&domains);
    migrate(&api, &domains).await;
    let labels = ["books", "pens", "lamps", "chairs", "plates"];
    let sent = labels.map(|label| {
        api.service("POST", &format!("/internal/parcels?tenant_id=tenant_demo_cca&label={label}")).send()
    });
    let answers = join_all(sent).await;
    let ids: Vec<_> = answers
        .iter()
        .map(|answer| weirgate_test_support::id(&answer.ok(StatusCode::ACCEPTED)["id"]))
        .collect();
    assert_eq!(api.count("queue.private_args").await, 5);
    let secret = "are a surprise";
    let person = Person::new(&api, "eve@example.com", platform::Role::Admin).await;
    let job = ids[0];
    for shown in [
        api.get("/internal/jobs").await,
        api.get(&format!("/internal/jobs/{job}")).await,
        person.get("/dashboard/jobs").await,
        person.get(&format!("/dashboard/jobs/{job}")).await,
    ] {
        assert!(shown.status.is_success() && shown.text().contains(&job.to_string()), "{}", shown.text());
        assert!(!shown.text().contains(secret), "{}", shown.text());
    }
    assert!(answers.iter().all(|answer| !answer.text().contains(secret)));
    assert!(api.get("/internal/jobs?q=surprise").await.items().is_empty());
    let app = App::new(api.db().pool.clone(), None).with(api.app.app.clone());
    let registry = Arc::new(domains.registry(Arc::new(app), None));
    let worker =
        TestWorker::start_jobs(api.db(), registry, |config| config.sealing = Some(Arc::new(secret_keys())));
    for id in ids {
        api.db().until(id, JobState::Completed).await;
    }
    worker.stop().await;
    assert_eq!(api.count("queue.private_args").await, 0);
}

/// What is logged, every word of it.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn private_arguments_are_in_no_log_and_no_trace() {
    let logged = Logged::default();
    let log = logged.clone();
    let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _logging = tracing::subscriber::set_default(everything.with_writer(move || log.clone()).finish());
    let collector = Collector::start().await;
    let endpoint = collector.endpoint.clone();
    let settings =
        Config::read(&|name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone())).unwrap();
    let [of_api, of_worker] =
        [Role::Api, Role::Worker].map(|role| Traces::start(&settings, role).unwrap().unwrap());
    let domains = with_parcels();
    let api = TestApi::with(|config| config.traces = Some(Arc::new(of_api.clone()))).await.serving(&domains);
    migrate(&api, &domains).await;
    let app = App::new(api.db().pool.clone(), None).with(api.app.app.clone());
    let registry = Arc::new(domains.registry(Arc::new(app), None));
    let worker = TestWorker::start_jobs(api.db(), registry, |config| {
        config.sealing = Some(Arc::new(secret_keys()));
        config.tracer = Some(of_worker.of_runs());
    });
    let good = api.enqueue("/internal/parcels?tenant_id=tenant_demo_cca&label=books").await;
    // Of a job that fails of it.
    let wrong = parcels::Send { tenant: "tenant_demo_cca".to_owned(), label: "pens".to_owned() };
    let wrong = NewJob::of(api.cca.id, &wrong).unwrap().private(&secret_keys(), &parcels::note("other pens"));
    let wrong = api.db().enqueue_new(wrong.unwrap()).await.id;
    api.db().until(weirgate_test_support::id(&good["id"]), JobState::Completed).await;
    api.db().until(wrong, JobState::Discarded).await;
    collector.span("run parcels.deliver").await;
    worker.stop().await;
    of_api.close().await;
    of_worker.close().await;
    let log = String::from_utf8_lossy(&logged.0.lock()).into_owned();
    assert!(log.contains("parcels.send") && log.contains(&wrong.to_string()), "{log}");
    let spans = format!("{:?}", collector.spans());
    assert!(spans.contains("run parcels.send") && spans.contains("POST /internal/parcels"), "{spans}");
    for told in [log, spans] {
        assert!(!told.contains("are a surprise"), "{told}");
    }
}

/// Makes the schemas of these domains, as `migrate up` does.
async fn migrate(api: &TestApi, domains: &Domains) {
    let mut conn = api.db().pool.acquire().await.unwrap();
    schema::apply(&mut conn, &domains.histories()).await.unwrap();
}

#[tokio::test]
async fn scope_of_an_added_domain_is_given_to_keys_and_asked_for() {
    let domains = with_parcels();
    let api = TestApi::new().await.serving(&domains);
    migrate(&api, &domains).await;
    api.execute("insert into parcels.parcels (label) values ('books')").await;
    let refused = api.v1("/v1/parcels/books").await;
    assert_eq!(
        refused.problem(403, "insufficient_scope")["detail"],
        "this needs the scope read:parcels; the credential has the default scopes"
    );
    let keys = "/internal/tenants/tenant_demo_cca/api-keys";
    let courier = json!({ "name": "courier", "scopes": ["read:parcels"] }).to_string();
    let made = api.service("POST", keys).json(courier.as_str()).send().await.ok(StatusCode::CREATED);
    let key = made["key"].as_str().unwrap();
    let parcel = api.with_key(key, "GET", "/v1/parcels/books").send().await.ok(StatusCode::OK);
    assert_eq!(parcel["label"], "books");
    api.with_key(key, "GET", "/v1/jobs").send().await.problem(403, "insufficient_scope");
    // The same database, without that domain.
    let api = api.serving(&Domains::new(domains::all()));
    let unknown = api.service("POST", keys).json(courier).send().await;
    assert_eq!(unknown.wrong_fields(), ["scopes"]);
    let kept = api.get(keys).await.items();
    assert_eq!(kept[1]["scopes"], json!(["read:parcels"]), "a key keeps what it was given");
}

#[tokio::test]
async fn schema_of_an_added_domain_is_migrated_and_waited_for() {
    let domains = with_parcels();
    let api = TestApi::new().await.serving(&domains);
    let readiness = api.anonymous("GET", "/health/ready").send().await;
    assert_eq!(readiness.status, StatusCode::SERVICE_UNAVAILABLE, "its schema is not there");
    let mut conn = api.db().pool.acquire().await.unwrap();
    let steps = schema::apply(&mut conn, &domains.histories()).await.unwrap();
    let made = schema::Step { schema: "parcels", from: 0, to: 1, migrations: 1 };
    assert_eq!(steps, [made], "the others are up to date");
    assert!(schema::apply(&mut conn, &domains.histories()).await.unwrap().is_empty());
    let readiness = api.serving(&domains).anonymous("GET", "/health/ready").send().await;
    assert_eq!(readiness.status, StatusCode::OK);
}

#[tokio::test]
async fn page_of_an_added_domain_is_in_the_navigation_of_those_who_sign_in() {
    let domains = with_parcels();
    let api = TestApi::new().await.serving(&domains);
    migrate(&api, &domains).await;
    api.execute("insert into parcels.parcels (label) values ('<books>')").await;
    let stranger = api.anonymous("GET", "/dashboard/parcels").send().await;
    assert_eq!(stranger.status, StatusCode::SEE_OTHER);
    assert_eq!(stranger.header("location"), Some("/dashboard/sign-in?next=%2Fdashboard%2Fparcels"));
    let person = Person::new(&api, "eve@example.com", platform::Role::Viewer).await;
    let page = person.get("/dashboard/parcels").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    assert!(page.text().contains("&#60;books&#62;: on its way"), "{}", page.text());
    let link = r#"<a href="/dashboard/parcels" aria-current="page">Parcels</a>"#;
    assert!(page.text().contains(link), "{}", page.text());
    let (queues, parcels) = (page.text().find(">Queues</a>"), page.text().find(">Parcels</a>"));
    assert!(queues < parcels && parcels < page.text().find(">Workflows</a>"), "{}", page.text());
    drop(person);
    // The same database, without that domain.
    let api = api.serving(&Domains::new(domains::all()));
    let person = Person::sign_in(&api, "eve@example.com").await;
    let page = person.get("/dashboard/parcels").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    let overview = person.get("/dashboard").await;
    assert!(
        !overview.text().contains("Parcels") && overview.text().contains(">KPIs</a>"),
        "{}",
        overview.text()
    );
}

#[tokio::test]
async fn without_domains_the_dashboard_has_the_pages_of_the_operations_alone() {
    let api = TestApi::new().await.serving(&Domains::of(&config("")).unwrap());
    let person = Person::new(&api, "eve@example.com", platform::Role::Operator).await;
    let overview = person.get("/dashboard").await;
    assert_eq!(overview.status, StatusCode::OK);
    assert!(overview.text().contains(">Jobs</a>") && !overview.text().contains(">KPIs</a>"));
    assert!(!overview.text().contains("Rejected rows"), "{}", overview.text());
    let tenants = person.get("/dashboard/tenants").await;
    assert!(tenants.text().contains("tenant_demo_cca") && !tenants.text().contains("Last complete day"));
    assert_eq!(person.get("/dashboard/tenants?show=inactive").await.status, StatusCode::OK);
    let failing = person.get("/dashboard/tenants?show=failing").await;
    assert_eq!(failing.status, StatusCode::UNPROCESSABLE_ENTITY, "nothing here has sources");
    let backfills = person.get("/dashboard/backfills").await;
    assert!(backfills.status.is_success() && !backfills.text().contains("New backfill"));
    for path in ["/dashboard/kpis", "/dashboard/rejects", "/dashboard/backfills/new"] {
        assert_eq!(person.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_domain_that_was_added_is_known_everywhere() {
    let api = TestApi::new().await.serving(&with_parcels());
    let queues = api.get("/internal/queues").await.column("name");
    assert_eq!(queues, ["export", "ingest", "kpi", "parcels", "system"]);
    let catalog = with_parcels().catalog();
    assert!(catalog.kinds().contains("parcels.deliver") && catalog.has("parcels"));
    assert_eq!(catalog.presentation().text("no_label"), "The parcel has no label.");
    let asked = catalog.enqueueable("parcels.send").unwrap();
    assert_eq!((asked.day, asked.arguments), (false, &["label"][..]));
    assert!(catalog.enqueueable("parcels.deliver").is_none(), "nobody enqueues it by hand");
}

#[tokio::test]
async fn without_domains_there_are_the_operations_alone() {
    let domains = Domains::of(&config("")).unwrap();
    let api = TestApi::new().await.serving(&domains);
    assert_eq!(api.get("/internal/queues").await.column("name"), ["system"]);
    for (method, path) in [
        ("POST", "/internal/ingest/tickets?tenant_id=tenant_demo_cca"),
        ("GET", "/internal/rejects"),
        ("GET", "/internal/parcels"),
        ("GET", "/v1/tickets"),
    ] {
        let call = if path.starts_with("/v1") {
            api.tenant(&api.cca, method, path)
        } else {
            api.service(method, path).json("{}")
        };
        let status = call.start().await.status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    let document = serde_json::to_value(weirgate::http::openapi(domains.list())).unwrap();
    let paths = &document["paths"];
    assert!(paths["/internal/jobs"].is_object() && paths["/v1/tickets"].is_null());
    let backfills = &paths["/internal/backfills"];
    assert!(backfills["get"].is_object() && backfills["post"].is_null(), "nobody knows what one would be of");
    // What operators do by a job is done.
    let app = App::new(api.db().pool.clone(), None);
    let worker = TestWorker::start_jobs(api.db(), Arc::new(domains.registry(Arc::new(app), None)), |_| {});
    let bulk = json!({ "action": "cancel", "filter": { "kind": "none" } });
    let answer = api.service("POST", "/internal/jobs/bulk").json(bulk.to_string()).send().await;
    let job = answer.ok(StatusCode::ACCEPTED);
    api.db().until(weirgate_test_support::id(&job["id"]), JobState::Completed).await;
    worker.stop().await;
}

#[test]
fn a_domain_or_queue_that_there_is_not_is_refused_with_those_there_are() {
    assert!(Domains::of(&config("msp")).is_ok());
    let error = Domains::of(&config("msp,nsp")).unwrap_err().to_string();
    assert!(error.contains("WEIRGATE_DOMAINS: there is no domain \"nsp\"; there are: msp"), "{error}");
    let config = Config { concurrency: Concurrency::from(8).with("kpy", 2), ..config("") };
    let error = Domains::of(&config).unwrap_err().to_string();
    let said = "WEIRGATE_CONCURRENCY: there is no queue \"kpy\"; there are: export, ingest, kpi, system";
    assert!(error.contains(said), "{error}");
    let config = Config { concurrency: Concurrency::from(8).with("kpi", 2), ..config };
    assert!(Domains::of(&config).is_ok(), "another process may serve the domain of that queue");
    let error = with_parcels().queues(&["parcel".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("--queues: there is no queue \"parcel\"") && error.contains("parcels"), "{error}");
}

#[tokio::test]
async fn each_queue_has_its_own_number_of_jobs_at_once() {
    let api = TestApi::new().await;
    let queues = BTreeSet::from(["ingest".to_owned(), "kpi".to_owned()]);
    let app = App::new(api.db().pool.clone(), None).with(api.app.app.clone());
    let registry = Domains::new(domains::all()).registry(Arc::new(app), Some(&queues));
    let several = Concurrency::from(4).with("kpi", 16);
    let worker =
        TestWorker::start_jobs(api.db(), Arc::new(registry), |options| options.concurrency = several);
    let workers = loop {
        let workers = traffic::workers(&mut api.db().pool.acquire().await.unwrap()).await.unwrap();
        if !workers.is_empty() {
            break workers;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let mut slots: Vec<_> = workers.iter().map(|(queue, of)| (queue.as_str(), of.capacity)).collect();
    slots.sort_unstable();
    assert_eq!(slots, [("ingest", 4), ("kpi", 16)], "it works these queues alone");
    let shown = api.get("/internal/queues").await.items();
    let of = |name: &str| shown.iter().find(|queue| queue["name"] == name).unwrap()["slots"].clone();
    assert_eq!((of("kpi"), of("export")), (json!(16), json!(0)));
    let export = weirgate_msp::GenerateExport {
        tenant: api.cca.id.into(),
        date: "2026-01-20".parse().unwrap(),
        format: weirgate_msp::ExportFormat::Json,
    };
    let export = api.db().enqueue_new(NewJob::of(api.cca.id, &export).unwrap()).await.id;
    let tickets = weirgate_msp::IngestTickets { tenant: api.cca.id.into() };
    let tickets = api.db().enqueue_new(NewJob::of(api.cca.id, &tickets).unwrap()).await.id;
    api.db().until(tickets, JobState::Completed).await;
    assert_eq!(api.db().job(export).await.state(), JobState::Available);
    worker.stop().await;
}
