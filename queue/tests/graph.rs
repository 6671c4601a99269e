//! A small workflow whose jobs a test starts and ends by name, without a worker.

use std::collections::HashMap;

use chrono::DateTime;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::worker::{Finish, Outcome, RunStart, finish, resolver};
use weirgate_queue::{Enqueued, JobState, NewJob, OnFailure, Result, Workflow, control};
use weirgate_test_support::{Does, Step, TestDb};

/// Most edges that one transaction updates.
pub(super) const MAX_EDGES: i64 = 500;

pub(super) fn step(label: &str, does: Does) -> NewJob {
    NewJob::of(Uuid::nil(), &Step::new(label, does)).unwrap()
}

pub(super) struct Graph {
    pub(super) db: TestDb,
    pub(super) workflow: Uuid,
    ids: HashMap<String, Uuid>,
    names: Vec<String>,
}

impl Graph {
    /// Enqueues jobs and what they wait on: `a < b c?` waits on the completion of `b` and on any
    /// end of `c`.
    pub(super) async fn new(lines: &[&str]) -> Self {
        Self::on(TestDb::new().await, lines).await
    }

    pub(super) async fn on(db: TestDb, lines: &[&str]) -> Self {
        let mut workflow = Workflow::new();
        let mut names = Vec::new();
        for line in lines {
            let (name, parents) = line.split_once(" < ").unwrap_or((line, ""));
            names.push(name.to_owned());
            let job = workflow.add(name, step(name, Does::Succeed));
            for parent in parents.split_whitespace() {
                match parent.strip_suffix('?') {
                    Some(parent) => job.after_with(parent, OnFailure::Continue),
                    None => job.after(parent),
                };
            }
        }
        let id = workflow.id();
        let mut tx = db.pool.begin().await.unwrap();
        let enqueued = workflow.enqueue(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        Self { workflow: id, ..Self::of(db, &names, &enqueued) }
    }

    /// A graph of jobs that are stored already.
    pub(super) fn of<S: ToString>(db: TestDb, names: &[S], enqueued: &[Enqueued]) -> Self {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let ids = names.iter().cloned().zip(enqueued.iter().map(|it| it.id)).collect();
        Self { db, workflow: Uuid::nil(), ids, names }
    }

    pub(super) fn id(&self, name: &str) -> Uuid {
        self.ids[name]
    }

    /// Starts available jobs.
    pub(super) async fn start(&self, names: &[&str]) {
        let ids: Vec<Uuid> = names.iter().map(|name| self.id(name)).collect();
        let started = sqlx::query(
            "update queue.jobs set state = 'running', attempt = attempt + 1
             where id = any($1) and state = 'available'",
        )
        .bind(&ids)
        .execute(&self.db.pool)
        .await
        .unwrap();
        assert_eq!(started.rows_affected(), ids.len() as u64, "{names:?}: {}", self.states().await);
    }

    async fn outcomes(&self, names: &[&str], outcome: Outcome) -> Vec<Finish> {
        let ids: Vec<Uuid> = names.iter().map(|name| self.id(name)).collect();
        let runs: Vec<(Uuid, i64, i64, i16)> =
            sqlx::query_as("select id, seq, run, attempt from queue.jobs where id = any($1)")
                .bind(&ids)
                .fetch_all(&self.db.pool)
                .await
                .unwrap();
        let worker = self.db.register_worker().await;
        let finish = |(job, seq, run, attempt): (Uuid, i64, i64, i16)| {
            let attempt = attempt.unsigned_abs();
            let start = RunStart { seq, run, attempt, worker, at: DateTime::default() };
            Finish { job, start, outcome: outcome.clone() }
        };
        runs.into_iter().map(finish).collect()
    }

    /// Finishes running jobs in the caller's transaction.
    pub(super) async fn finish_on(&self, conn: &mut PgConnection, names: &[&str], outcome: Outcome) {
        let finishes = self.outcomes(names, outcome).await;
        assert_eq!(finish(conn, finishes).await.unwrap().len(), names.len());
    }

    async fn end(&self, names: &[&str], outcome: Outcome) {
        self.start(names).await;
        let mut tx = self.db.pool.begin().await.unwrap();
        self.finish_on(&mut tx, names, outcome).await;
        tx.commit().await.unwrap();
    }

    pub(super) async fn complete(&self, names: &[&str]) {
        self.end(names, completed()).await;
    }

    pub(super) async fn discard(&self, names: &[&str]) {
        self.end(names, discarded()).await;
    }

    pub(super) async fn retry(&self, name: &str) -> Result<JobState> {
        control::retry(&mut self.db.pool.acquire().await.unwrap(), self.id(name)).await
    }

    pub(super) async fn cancel(&self, name: &str) {
        control::cancel(&mut self.db.pool.acquire().await.unwrap(), self.id(name)).await.unwrap();
    }

    pub(super) async fn resolve(&self) -> u64 {
        resolver::run_once(&self.db.pool).await.unwrap()
    }

    /// `a:completed b:waiting`, in the order in which they were given.
    pub(super) async fn states(&self) -> String {
        let mut states = Vec::new();
        for name in &self.names {
            states.push(format!("{name}:{}", self.db.job(self.id(name)).await.state()));
        }
        states.join(" ")
    }
}

pub(super) fn completed() -> Outcome {
    Outcome::Completed { output: json!("done"), next: vec![] }
}

pub(super) fn discarded() -> Outcome {
    Outcome::Discarded { code: "hopeless".to_owned(), message: "no attempt can succeed".to_owned() }
}

/// Once everything is resolved: the edges agree with their parents, the counts with the edges, and
/// the states with the counts.
pub(super) async fn check(db: &TestDb) {
    let wrong: Vec<String> = sqlx::query_scalar(
        "with edge as (
             select d.*, case
                 when p.state not in ('completed', 'cancelled', 'discarded') then 'pending'
                 when p.state = 'completed' or d.on_failure = 'continue' then 'passed'
                 else 'failed' end as truth
             from queue.job_dependencies d join queue.jobs p on p.id = d.parent_id
         ), job as (
             select c.*,
                 (select count(*) from edge where child_id = c.id and outcome = 'pending') as pending,
                 (select count(*) from edge where child_id = c.id and outcome = 'failed') as failed,
                 c.state = 'cancelled' and c.errors -> -1 ->> 'code' = 'dependency_failed'
                     and (c.errors -> -1 ->> 'at')::timestamptz = c.finalized_at as stopped
             from queue.jobs c
         )
         select 'edge to ' || child_id || ' says ' || outcome || ', not ' || truth from edge where outcome <> truth
         union all
         select coalesce(name, id::text) || ' is ' || state || ' counting ' || pending_parents || '/' || failed_parents
             || ' of ' || pending || '/' || failed
         from job
         where pending_parents <> pending or failed_parents <> failed
             or state = 'waiting' and (failed > 0 or pending = 0)
             or stopped and failed = 0
         union all
         select job_id || ' is unsettled' from queue.unresolved",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
