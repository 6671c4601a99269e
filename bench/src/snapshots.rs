//! Transactions that keep vacuum from removing what they might still read.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, Postgres, Transaction};
use tokio::task::JoinSet;

use super::stage::Stage;

/// Rows that a reader takes at a time, and how long it then rests.
const FETCHED: &str = "fetch 500 from slowly";
const REST: Duration = Duration::from_millis(100);

/// One that has written and holds an old snapshot, until it is dropped or rolled back.
pub(super) async fn pin(stage: &Stage) -> anyhow::Result<Transaction<'static, Postgres>> {
    let mut tx = stage.pool.begin().await?;
    begin_repeatable(&mut tx).await?;
    sqlx::raw_sql("select pg_current_xact_id()").execute(&mut *tx).await?;
    Ok(tx)
}

async fn begin_repeatable(conn: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "set transaction isolation level repeatable read;
         set local idle_in_transaction_session_timeout = 0;
         select",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Starts `readers` that read jobs slowly until `until`, each for `each` from one snapshot. They
/// begin in turns, so that there is always one that is nearly as old as that.
pub(super) async fn read_slowly(
    stage: &Stage,
    readers: u32,
    each: Duration,
    until: Instant,
) -> anyhow::Result<()> {
    let mut reading = JoinSet::new();
    for number in 0..readers {
        let pool = stage.pool.clone();
        reading.spawn(async move {
            tokio::time::sleep(each * number / readers).await;
            while Instant::now() < until {
                let end = until.min(Instant::now() + each);
                let mut tx = pool.begin().await?;
                begin_repeatable(&mut tx).await?;
                sqlx::raw_sql("declare slowly no scroll cursor for select * from queue.jobs")
                    .execute(&mut *tx)
                    .await?;
                while Instant::now() < end {
                    sqlx::raw_sql(FETCHED).execute(&mut *tx).await?;
                    tokio::time::sleep(REST).await;
                }
                tx.rollback().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = reading.join_next().await {
        ended??;
    }
    Ok(())
}
