//! Jobs by the million, written by the database itself: in chunks, each a statement, and with the
//! indexes made at the end. The triggers stay as they are, so that the lanes' counts are right.

use chrono::NaiveDate;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::stage::Stage;

/// Jobs of one statement.
const CHUNK: i64 = 500_000;

/// Jobs of the past.
pub(super) struct Past<'a> {
    pub(super) jobs: i64,
    pub(super) tenants: &'a [Uuid],
    /// Queue, kind, and how many of 1,000 jobs are of it.
    pub(super) kinds: &'a [(&'a str, &'a str, usize)],
    pub(super) backfills: &'a [Uuid],
    /// Of the backfills, which go back from it.
    pub(super) last_day: Option<NaiveDate>,
    /// Whether some have not ended.
    pub(super) live: bool,
}

impl Stage {
    /// `jobs` available jobs for each of `tenants`.
    pub(super) async fn fill(
        &self,
        queue: &str,
        tenants: &[Uuid],
        jobs: i64,
        args: Value,
    ) -> anyhow::Result<()> {
        let filling = Filling::begin(self, jobs * i64::try_from(tenants.len())?).await?;
        let rounds = (CHUNK / i64::try_from(tenants.len())?).max(1);
        for (first, last) in chunks(jobs, rounds) {
            sqlx::query(include_str!("backlog.sql"))
                .bind(first)
                .bind(last)
                .bind(tenants)
                .bind(queue)
                .bind(&args)
                .execute(&self.pool)
                .await?;
        }
        filling.end(self).await
    }

    pub(super) async fn fill_past(&self, past: &Past<'_>) -> anyhow::Result<()> {
        let filling = Filling::begin(self, past.jobs).await?;
        let now: chrono::DateTime<chrono::Utc> =
            sqlx::query_scalar("select queue.now()").fetch_one(&self.pool).await?;
        let of_1000 = || past.kinds.iter().flat_map(|kind| std::iter::repeat_n(kind, kind.2));
        let queues: Vec<&str> = of_1000().map(|kind| kind.0).collect();
        let kinds: Vec<&str> = of_1000().map(|kind| kind.1).collect();
        for (first, last) in chunks(past.jobs, CHUNK) {
            sqlx::query(include_str!("past.sql"))
                .bind(first)
                .bind(last)
                .bind(past.jobs)
                .bind(past.tenants)
                .bind(&queues)
                .bind(&kinds)
                .bind(past.backfills)
                .bind(past.live)
                .bind(now)
                .bind(past.last_day)
                .execute(&self.pool)
                .await?;
        }
        filling.end(self).await
    }
}

/// From 1 to `count` in steps of `step`: the first and the last of each.
fn chunks(count: i64, step: i64) -> impl Iterator<Item = (i64, i64)> {
    (0..).map(move |n| n * step).take_while(move |from| *from < count).map(move |from| {
        let last = (from + step).min(count);
        (from + 1, last)
    })
}

/// A fill under way.
struct Filling {
    /// Indexes that are made again at the end.
    indexes: Vec<String>,
}

impl Filling {
    async fn begin(stage: &Stage, jobs: i64) -> anyhow::Result<Self> {
        let mut conn = stage.pool.acquire().await?;
        let indexes = if jobs > 2 * CHUNK { drop_indexes(&mut conn).await? } else { Vec::new() };
        Ok(Self { indexes })
    }

    async fn end(self, stage: &Stage) -> anyhow::Result<()> {
        let mut conn = stage.pool.acquire().await?;
        let many = !self.indexes.is_empty();
        for index in self.indexes {
            let sql = format!("set maintenance_work_mem = '256MB'; {index}; reset maintenance_work_mem");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *conn).await?;
        }
        sqlx::raw_sql("vacuum (analyze) queue.jobs").execute(&mut *conn).await?;
        if many {
            // Else a checkpoint comes while something is measured. Few jobs run before the next
            // one, as is usual in production.
            sqlx::raw_sql("checkpoint").execute(&mut *conn).await.ok();
        }
        Ok(())
    }
}

/// Drops all but the primary key, which jobs are written in the order of; returns how each is made.
async fn drop_indexes(conn: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index
         where indrelid = 'queue.jobs'::regclass and not indisprimary",
    )
    .fetch_all(&mut *conn)
    .await?;
    for (name, _) in &indexes {
        sqlx::raw_sql(AssertSqlSafe(format!("drop index {name}"))).execute(&mut *conn).await?;
    }
    Ok(indexes.into_iter().map(|(_, definition)| definition).collect())
}
