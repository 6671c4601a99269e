//! What is kept of rejected rows is what the last run rejected.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use weirgate_msp::sources::{Dataset, RowStream, Source, SourceError, SourceRow};
use weirgate_msp::{App, IngestTickets};
use weirgate_queue::{Job, JobContext};
use weirgate_test_support::tenant;

use crate::support::new_app;

/// Readings of so many rows: which of them are bad, and whether it breaks off at the end.
struct Readings(Mutex<Vec<(u64, Vec<u64>, bool)>>);

fn ticket(line: u64) -> String {
    format!(
        r#"{{"cw_ticket_id":"T-{line}","status":"New","priority":"Low","created_at_remote":"2026-01-20T09:00:00Z","updated_at_remote":"2026-01-20T09:00:00Z"}}"#
    )
}

impl Source for Readings {
    fn rows(&self, _: &str, _: Dataset) -> RowStream {
        let (rows, bad, breaks_off) = self.0.lock().remove(0);
        let rows = (1..=rows).map(move |line| {
            let json = if bad.contains(&line) { Err(format!("bad {line}")) } else { Ok(ticket(line)) };
            Ok(SourceRow { origin: "list".into(), line, json })
        });
        let error = SourceError::Unreadable { origin: "list".to_owned(), reason: "it broke off".to_owned() };
        stream::iter(rows.chain(breaks_off.then_some(Err(error)))).boxed()
    }

    fn describe(&self) -> String {
        "readings".to_owned()
    }
}

#[tokio::test]
async fn an_attempt_that_failed_leaves_no_rejects_to_one_that_stored_the_rows() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    // More than a batch each, as what is written in batches is what a broken-off attempt leaves.
    let readings = vec![
        (1500, vec![1, 2, 3, 900], true),
        (1500, vec![2], true),
        (1500, vec![7, 8], false),
        (3, vec![], false),
    ];
    let source = Arc::new(Readings(Mutex::new(readings)));
    let shared = Arc::new(App { pool: app.db.pool.clone(), source, exports: app.app.exports.clone() });
    let run = async || -> (bool, Vec<i64>) {
        let ctx = JobContext::detached(shared.clone(), app.db.pool.clone());
        let is_done = IngestTickets { tenant: "acme".into() }.run(&ctx).await.is_ok();
        let lines = sqlx::query_scalar("select line from msp.ingest_rejects order by line");
        (is_done, lines.fetch_all(&app.db.pool).await.unwrap())
    };
    assert_eq!(run().await, (false, vec![1, 2, 3, 900]));
    assert_eq!(
        run().await,
        (false, vec![2]),
        "what the first attempt rejected and the second stored is not rejected"
    );
    assert_eq!(run().await, (true, vec![7, 8]));
    assert_eq!(run().await, (true, vec![]));
}
