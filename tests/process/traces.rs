//! The processes' own spans: the last ones go out when they stop.

use weirgate_msp::IngestTickets;
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::tenant;

use crate::support::{Collector, Process, database, weirgate};

#[tokio::test]
async fn a_worker_sends_what_is_left_when_it_stops() {
    let (collector, db) = (Collector::start().await, database().await);
    let folder = tempfile::tempdir().unwrap();
    let mut command = weirgate(&["worker"], folder.path());
    command.env("DATABASE_URL", &db.url).env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint);
    // No batch goes out by itself.
    command.env("OTEL_BSP_SCHEDULE_DELAY", "3600000").env("OTEL_SERVICE_NAME", "night-shift");
    let mut worker = Process::start(&mut command);
    let tenant = tenant(&db.pool, "tenant_demo_cca", "UTC").await;
    let job = NewJob::of(tenant.id, &IngestTickets { tenant: (&tenant).into() }).unwrap();
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
    let job = db.enqueue_new(job.traceparent(Some(traceparent))).await.id;
    db.until(job, JobState::Completed).await;
    worker.signal("TERM");
    assert!(worker.ended().await.success());
    let run = collector.span("run ingest_tickets").await;
    assert_eq!(
        (run.trace.as_str(), run.parent.as_str()),
        ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    );
    assert_eq!([&run.facts["service.name"], &run.facts["job.outcome"]], ["night-shift", "completed"]);
    assert!(!run.failed);
}
