//! What is measured is what people run.

use std::process::Stdio;
use std::time::Duration;

use crate::support::{Process, database, weirgate};

#[tokio::test]
async fn a_measured_worker_has_the_connections_of_any_worker() {
    let db = database().await;
    let home = tempfile::tempdir().unwrap();
    let mut command = weirgate(&["bench-worker", "--slots", "1"], home.path());
    // It ends with its input.
    command.env("DATABASE_URL", &db.url).stdin(Stdio::piped());
    let mut worker = Process::start(&mut command);
    let names = "select application_name from pg_stat_activity
        where datname = current_database() and exists (select from queue.workers) and not pid = any($1)";
    let own: Vec<i32> =
        sqlx::query_scalar("select pid from pg_stat_activity where datname = current_database()")
            .fetch_all(&db.pool)
            .await
            .unwrap();
    for _ in 0..400 {
        let names: Vec<String> = sqlx::query_scalar(names).bind(&own).fetch_all(&db.pool).await.unwrap();
        if names.iter().any(|name| name == "weirgate") {
            worker.kill();
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no connection as the program makes them");
}
