//! The yardstick is what plain SQL does with minimal rows, at the best batch size and number of
//! connections.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio::task::JoinSet;

use super::report::Report;
use super::stage::Stage;

const JOBS: i32 = 100_000;
const COPIED: usize = 400_000;
const BATCHES: [i32; 3] = [100, 500, 1000];
const CONNECTIONS: [usize; 3] = [1, 2, 4];
const COMMITTERS: usize = 16;
const COMMITTING: Duration = Duration::from_secs(3);

/// How a finished row is kept.
#[derive(Debug, Clone, Copy)]
enum Finish {
    /// Where it is, by an update.
    InPlace,
    /// In another table.
    Moved,
}

impl Finish {
    fn sql(self) -> &'static str {
        match self {
            Self::InPlace => "update floor.jobs set state = 2 where id = any($1)",
            Self::Moved => {
                "with done as (delete from floor.jobs where id = any($1) returning id, args)
                 insert into floor.history select id, args from done"
            }
        }
    }
}

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("floor");
    let (best, with) = claim_finish(stage).await?;
    report.figure("claim_finish_per_s", best);
    report.setting("claim_finish", with);
    report.figure("copy_per_s", copy(stage).await?);
    report.setting("copied", COPIED);
    report.figure("commits_per_s", commits(stage).await?);
    report.setting("committers", COMMITTERS);
    Ok(report)
}

/// Jobs a second through a claim and a finish, each a commit a batch, and how that was reached.
pub(super) async fn claim_finish(stage: &Stage) -> anyhow::Result<(f64, Value)> {
    let mut best = (0.0, Value::Null);
    for finish in [Finish::InPlace, Finish::Moved] {
        for batch in BATCHES {
            for connections in CONNECTIONS {
                let rate = drain(stage, finish, batch, connections).await?;
                if rate > best.0 {
                    let with =
                        json!({"batch": batch, "connections": connections, "finish": format!("{finish:?}")});
                    best = (rate, with);
                }
            }
        }
    }
    Ok(best)
}

async fn tables(stage: &Stage) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "drop schema if exists floor cascade;
         create schema floor;
         create table floor.jobs (id bigint generated always as identity primary key, state smallint not null default 0,
             args jsonb not null);
         create index waiting on floor.jobs (id) where state = 0;
         create table floor.history (id bigint primary key, args jsonb not null);",
    )
    .execute(&stage.pool)
    .await?;
    Ok(())
}

async fn drain(stage: &Stage, finish: Finish, batch: i32, connections: usize) -> anyhow::Result<f64> {
    tables(stage).await?;
    sqlx::query("insert into floor.jobs (args) select '{\"takes_ms\": 0}' from generate_series(1, $1)")
        .bind(JOBS)
        .execute(&stage.pool)
        .await?;
    sqlx::raw_sql("vacuum (analyze) floor.jobs").execute(&stage.pool).await?;
    let open = connections_to(stage, connections).await?;
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for mut conn in open {
        workers.spawn(async move {
            let mut done = 0;
            while let jobs @ 1.. = round(&mut conn, finish, batch).await? {
                done += jobs;
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(of_worker) = workers.join_next().await {
        done += of_worker??;
    }
    anyhow::ensure!(done == i64::from(JOBS), "{done} of {JOBS} rows were taken");
    Ok(f64::from(JOBS) / begun.elapsed().as_secs_f64())
}

async fn round(conn: &mut PgConnection, finish: Finish, batch: i32) -> anyhow::Result<i64> {
    let rows: Vec<(i64, Value)> = sqlx::query_as(
        "with picked as materialized (
             select id from floor.jobs where state = 0 order by id limit $1 for update skip locked
         )
         update floor.jobs set state = 1 where id = any(array(select id from picked)) returning id, args",
    )
    .bind(batch)
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
    if !ids.is_empty() {
        sqlx::query(finish.sql()).bind(&ids).execute(conn).await?;
    }
    Ok(i64::try_from(ids.len())?)
}

async fn connections_to(stage: &Stage, count: usize) -> anyhow::Result<Vec<PoolConnection<Postgres>>> {
    let pool = stage.connections_of(count);
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(pool.acquire().await?);
    }
    Ok(open)
}

/// Rows a second into one table by one `COPY`.
async fn copy(stage: &Stage) -> anyhow::Result<f64> {
    tables(stage).await?;
    let rows = "{\"takes_ms\": 0}\n".repeat(10_000);
    let mut conn = stage.pool.acquire().await?;
    let begun = Instant::now();
    let mut into = conn.copy_in_raw("copy floor.jobs (args) from stdin").await?;
    for _ in 0..COPIED / 10_000 {
        into.send(rows.as_bytes()).await?;
    }
    let copied = into.finish().await?;
    Ok(f64::from(u32::try_from(copied)?) / begun.elapsed().as_secs_f64())
}

/// Commits a second of one row each.
async fn commits(stage: &Stage) -> anyhow::Result<f64> {
    tables(stage).await?;
    let open = connections_to(stage, COMMITTERS).await?;
    let begun = Instant::now();
    let mut committers = JoinSet::new();
    for mut conn in open {
        committers.spawn(async move {
            let mut commits = 0_u32;
            while begun.elapsed() < COMMITTING {
                sqlx::query("insert into floor.jobs (args) values ('{}')").execute(&mut *conn).await?;
                commits += 1;
            }
            anyhow::Ok(commits)
        });
    }
    let mut commits = 0;
    while let Some(of_committer) = committers.join_next().await {
        commits += of_committer??;
    }
    let took = begun.elapsed();
    sqlx::raw_sql("drop schema floor cascade").execute(&stage.pool).await?;
    Ok(f64::from(commits) / took.as_secs_f64())
}
