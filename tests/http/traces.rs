//! One trace from a request to the last run of what it enqueued, as a collector gets it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use weirgate::config::Config;
use weirgate::traces::{Role, Traces};
use weirgate_msp::IngestTickets;
use weirgate_queue::{Job, JobContext, JobError, JobState, Kinds, NewJob};
use weirgate_test_support::{TestWorker, id};

use crate::support::{Collector, Seen, TestApi};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// In place of the ingest: fails at first, and enqueues a job with its completion.
#[derive(Serialize, Deserialize)]
struct SecondTime {
    tenant: String,
}

impl Job for SecondTime {
    const KIND: &'static str = IngestTickets::KIND;
    const QUEUE: &'static str = IngestTickets::QUEUE;
    type App = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext<()>) -> Result<(), JobError> {
        let run = ctx.run().unwrap();
        if run.attempt == 1 {
            return Err(JobError::retry_after(Duration::ZERO, anyhow::anyhow!("not yet")));
        }
        ctx.then(NewJob::of(run.tenant, &Next {})?);
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Next {}

impl Job for Next {
    const KIND: &'static str = "next";
    type App = ();
    type Output = ();

    async fn run(&self, _: &JobContext<()>) -> Result<(), JobError> {
        Ok(())
    }
}

struct Fixture {
    collector: Collector,
    api: TestApi,
    /// The API's, and the worker's: as of two processes.
    traces: [Traces; 2],
    worker: TestWorker,
}

impl Fixture {
    async fn new() -> Self {
        let collector = Collector::start().await;
        let endpoint = collector.endpoint.clone();
        let get = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
        let config = Config::read(&get).unwrap();
        let traces = [Role::Api, Role::Worker].map(|role| Traces::start(&config, role).unwrap().unwrap());
        let api = TestApi::with(|config| config.traces = Some(Arc::new(traces[0].clone()))).await;
        let registry = Kinds::default().with::<SecondTime>().with::<Next>().run_with(Arc::new(()));
        let worker = TestWorker::start_jobs(api.db(), Arc::new(registry), |config| {
            config.tracer = Some(traces[1].of_runs());
        });
        Self { collector, api, traces, worker }
    }

    /// Until so many jobs have completed; then every span has arrived.
    async fn end(self, jobs: i64) -> Vec<Seen> {
        let completed = "select count(*) from queue.jobs where state = 'completed'";
        for _ in 0..600 {
            let done: i64 = sqlx::query_scalar(completed).fetch_one(&self.api.db().pool).await.unwrap();
            if done >= jobs {
                self.worker.stop().await;
                for traces in self.traces {
                    traces.close().await;
                }
                let mut spans = self.collector.spans();
                // A test's first call reads the document.
                spans.retain(|span| span.name != "GET /openapi.json");
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the jobs do not complete");
    }
}

#[tokio::test]
async fn a_request_its_job_the_retry_and_the_next_job_are_one_trace() {
    let fixture = Fixture::new().await;
    let call = fixture.api.service("POST", "/internal/ingest/tickets?tenant_id=tenant_demo_cca");
    let answer = call.header("traceparent", &format!("00-{TRACE}-{CALLER}-01")).send().await;
    let job = answer.ok(StatusCode::ACCEPTED);
    assert_eq!(job["trace_id"], TRACE);
    let tenant = fixture.api.cca.id.to_string();
    let spans = fixture.end(2).await;

    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:?}");
    let of = |name: &str, attempt: &str| {
        let matches = |span: &&_| {
            let span: &Seen = span;
            span.name == name && span.facts.get("job.attempt").is_none_or(|it| it == attempt)
        };
        let mut found = spans.iter().filter(matches);
        let span = found.next().unwrap_or_else(|| panic!("no {name} {attempt} in {spans:?}"));
        assert!(found.next().is_none(), "{name} {attempt} is there twice");
        span
    };
    let request = of("POST /internal/ingest/{dataset}", "");
    assert_eq!(request.parent, CALLER);
    assert_eq!(
        [&request.facts["http.response.status_code"], &request.facts["weirgate.role"]],
        ["202", "api"]
    );
    let enqueue = of("enqueue", "");
    assert_eq!(
        (&enqueue.parent, enqueue.facts["job.id"].as_str()),
        (&request.id, job["id"].as_str().unwrap())
    );

    for (attempt, outcome, failed) in [("1", "retried", true), ("2", "completed", false)] {
        let [wait, claim, run] =
            ["wait", "claim", "run"].map(|name| of(&format!("{name} ingest_tickets"), attempt));
        for span in [wait, claim, run] {
            assert_eq!(span.parent, enqueue.id, "{span:?}");
            for (name, value) in [
                ("job.id", job["id"].as_str().unwrap()),
                ("job.kind", "ingest_tickets"),
                ("job.queue", IngestTickets::QUEUE),
                ("tenant.id", &tenant),
                ("service.name", "weirgate"),
                ("weirgate.role", "worker"),
            ] {
                assert_eq!(span.facts[name], value, "{span:?}");
            }
        }
        assert!(wait.start <= wait.end && (wait.end, claim.end) == (claim.start, run.start));
        assert_eq!((run.facts["job.outcome"].as_str(), run.failed), (outcome, failed));
        assert_eq!(run.facts.get("error.type").map(String::as_str), failed.then_some("failed"));
        assert!(run.facts["job.wait_ms"].parse::<f64>().unwrap() >= 0.0);
    }
    assert_eq!(of("run next", "1").parent, of("run ingest_tickets", "2").id, "the child of the run");
}

#[tokio::test]
async fn attempts_of_a_job_that_no_request_enqueued_are_one_trace() {
    let fixture = Fixture::new().await;
    let tenant = fixture.api.cca.id;
    let job = NewJob::of(tenant, &SecondTime { tenant: "tenant_demo_cca".to_owned() }).unwrap();
    let job = fixture.api.db().enqueue_new(job).await.id;
    fixture.api.db().until(job, JobState::Completed).await;
    let spans = fixture.end(2).await;
    assert_eq!(spans.iter().filter(|span| span.name == "run ingest_tickets").count(), 2);
    assert!(spans.iter().all(|span| span.trace == job.simple().to_string()), "{spans:?}");
}

#[tokio::test]
async fn what_the_caller_does_not_sample_is_not_sent() {
    let fixture = Fixture::new().await;
    let call = fixture.api.service("POST", "/internal/ingest/tickets?tenant_id=tenant_demo_cca");
    let answer = call.header("traceparent", &format!("00-{TRACE}-{CALLER}-00")).send().await;
    let job = answer.ok(StatusCode::ACCEPTED);
    assert_eq!(job["trace_id"], TRACE, "the trace goes on all the same");
    let row = fixture.api.db().until(id(&job["id"]), JobState::Completed).await;
    assert!(row.traceparent.unwrap().ends_with("-00"));
    assert_ne!(fixture.api.get("/health").await.status, StatusCode::NOT_FOUND);
    assert_eq!(fixture.end(2).await.len(), 0);
}
