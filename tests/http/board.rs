//! `/board`: what the UI of apalis-board loads and asks for.

use axum::http::StatusCode;
use serde_json::Value;
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_msp::IngestTickets;
use weirgate_queue::{JobState, NewJob};

use crate::support::TestApi;
use crate::support::person::Person;

const STATES: &str = "?&page=1&page_size=15&queue=ingest&status=";

async fn ingest(api: &TestApi) -> Uuid {
    let job = NewJob::of(api.cca.id, &IngestTickets { tenant: "tenant_demo_cca".into() }).unwrap();
    api.db().enqueue_new(job.not_unique()).await.id
}

async fn asked(person: &Person<'_>, path: &str) -> Value {
    person.get(&format!("/board/api/v1{path}")).await.ok(StatusCode::OK)
}

fn number(statistics: &Value, title: &str) -> String {
    let found = statistics.as_array().unwrap().iter().find(|it| it["title"] == title);
    found.unwrap_or_else(|| panic!("no {title} in {statistics}"))["value"].as_str().unwrap().to_owned()
}

fn ids(tasks: &Value) -> Vec<&str> {
    tasks.as_array().unwrap().iter().map(|task| task["ctx"]["task_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn nobody_sees_it_without_signing_in() {
    let api = TestApi::new().await;
    ingest(&api).await;
    // As people type it.
    let answer = api.anonymous("GET", "/board/").send().await;
    assert_eq!(answer.header("location"), Some("/board"));
    for page in ["", "/queues/ingest"] {
        let answer = api.anonymous("GET", &format!("/board{page}")).send().await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let next = format!("/dashboard/sign-in?next={}", format!("/board{page}").replace('/', "%2F"));
        assert_eq!(answer.header("location"), Some(next.as_str()));
    }
    for path in [
        "/queues",
        "/tasks",
        "/workers",
        "/overview",
        "/events",
        "/queues/ingest/tasks",
        "/queues/ingest/stats",
        "/queues/ingest/workers",
        &format!("/queues/ingest/tasks/{}", Uuid::now_v7()),
    ] {
        for call in [
            api.anonymous("GET", &format!("/board/api/v1{path}")),
            api.service("GET", &format!("/board/api/v1{path}")),
        ] {
            call.send().await.problem(401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn its_page_loads_its_own_files_under_a_strict_policy() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    for path in ["", "/queues", "/queues/ingest/tasks/1", "/tasks/Done", "/workers"] {
        let page = person.get(&format!("/board{path}")).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{policy}");
        assert!(!page.text().contains("<script>") && !page.text().contains("http"), "{}", page.text());
    }
    let page = person.get("/board").await;
    let files: Vec<&str> = page.text().split('"').filter(|part| part.starts_with("/board/")).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for url in files {
        let file = person.get(url).await;
        assert_eq!(file.status, StatusCode::OK, "{url}");
        let (kind, begin): (_, &[u8]) = match url.rsplit('.').next() {
            Some("wasm") => ("application/wasm", b"\0asm"),
            Some("css") => ("text/css", b""),
            _ => ("javascript", b""),
        };
        assert!(file.header("content-type").unwrap().contains(kind), "{url}");
        assert!(file.body.starts_with(begin) && file.body.len() > 1000, "{url}");
    }
    assert_eq!(person.get("/board/files/index.html").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn queues_jobs_and_workers_are_what_they_are() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let done = ingest(&api).await;
    let worker = api.start_worker();
    api.db().until(done, JobState::Completed).await;

    let workers = asked(&person, "/queues/ingest/workers?").await;
    let [live] = workers.as_array().unwrap().as_slice() else { panic!("{workers}") };
    assert_eq!((&live["queue"], live["backend"].as_str().unwrap()), (&Value::from("ingest"), "weirgate 0"));
    let all = asked(&person, "/workers?sort=name:asc").await;
    assert!(all.as_array().unwrap().contains(live) && all.as_array().unwrap().len() > 1, "{all}");
    worker.stop().await;
    assert_eq!(asked(&person, "/workers?").await, Value::Array(Vec::new()));

    let (first, second) = (ingest(&api).await.to_string(), ingest(&api).await.to_string());
    let done = done.to_string();
    let stats = asked(&person, "/queues/ingest/stats").await;
    for (title, value) in
        [("PENDING_JOBS", "2"), ("DONE_JOBS", "1"), ("TOTAL_JOBS", "3"), ("SUCCESS_RATE", "100.0")]
    {
        assert_eq!(number(&stats, title), value, "{title}");
        assert_eq!(number(&asked(&person, "/overview").await, title), value, "{title}");
    }
    assert_eq!(number(&asked(&person, "/queues/kpi/stats").await, "TOTAL_JOBS"), "0");
    let queues = asked(&person, "/queues").await;
    let queue = queues.as_array().unwrap().iter().find(|queue| queue["name"] == "ingest").unwrap();
    assert_eq!(number(&queue["stats"], "PENDING_JOBS"), "2");
    let activity: Vec<u64> = serde_json::from_value(queue["activity"].clone()).unwrap();
    assert_eq!(activity, [0, 0, 0, 0, 0, 0, 1], "the last seven days");

    for prefix in ["/queues/ingest", ""] {
        let list = async |query: &str| asked(&person, &format!("{prefix}/tasks{query}")).await;
        assert_eq!(ids(&list(STATES).await), [&second, &first, &done]);
        assert_eq!(ids(&list(&format!("{STATES}Pending")).await), [&second, &first]);
        assert_eq!(ids(&list(&format!("{STATES}Done")).await), [&done]);
        assert_eq!(ids(&list(&format!("{STATES}Queued")).await), [""; 0]);
        assert_eq!(ids(&list("?page=1&page_size=2").await), [&second, &first]);
        assert_eq!(ids(&list("?page=2&page_size=2").await), [&done]);
        assert_eq!(ids(&list("?page=200&page_size=15").await), [""; 0]);
    }
    assert_eq!(asked(&person, "/queues/kpi/tasks").await, Value::Array(Vec::new()));

    let task = asked(&person, &format!("/queues/ingest/tasks/{done}")).await;
    assert_eq!(task["args"]["tenant"], "tenant_demo_cca");
    assert_eq!(
        (&task["ctx"]["status"], &task["ctx"]["queue"]),
        (&Value::from("Done"), &Value::from("ingest"))
    );
    assert_eq!(task["ctx"]["metadata"]["kind"], "ingest_tickets", "{task}");
    for (path, code) in [
        (format!("/queues/kpi/tasks/{done}"), "unknown_job"),
        ("/queues/ingest/tasks/17".to_owned(), "unknown_job"),
        ("/queues/nothing/tasks".to_owned(), "unknown_queue"),
    ] {
        person.get(&format!("/board/api/v1{path}")).await.problem(404, code);
    }
    let wrong = person.get("/board/api/v1/tasks?page=0&status=Lost").await;
    assert_eq!(wrong.wrong_fields(), ["status", "page"]);
}

#[tokio::test]
async fn nothing_can_be_done_there() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Admin).await;
    let call = api.anonymous("PUT", "/board/api/v1/queues/ingest/tasks").header("cookie", &person.cookie);
    let answer = call.json(r#"{"tenant":"tenant_demo_cca"}"#).send().await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(api.count("queue.jobs").await, 0);
}
