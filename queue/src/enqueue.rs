//! Enqueue: the caller's transaction takes the jobs; its commit is the promise.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::job::Job;
use crate::listener::notify_queues;
use crate::workflow::{self, Edge};

/// What a discarded or cancelled parent does to the job that waits on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The child is cancelled.
    Cancel,
    /// The child goes on as if the parent had completed.
    Continue,
}

impl OnFailure {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Continue => "continue",
        }
    }
}

/// A job about to be enqueued.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id, known before it is stored.
    pub id: Uuid,
    tenant: Uuid,
    queue: String,
    kind: String,
    args: Value,
    priority: i16,
    max_attempts: i16,
    run_at: Option<DateTime<Utc>>,
    delay_s: f64,
    unique_key: Option<Vec<u8>>,
    workflow: Option<Uuid>,
    backfill: Option<Uuid>,
    traceparent: Option<String>,
    parents: Vec<(Uuid, OnFailure)>,
}

impl NewJob {
    /// A job of kind `J` for `tenant`, unique by kind, tenant and arguments while it is not final.
    ///
    /// # Errors
    /// When the arguments are not representable as JSON.
    pub fn of<J: Job>(tenant: Uuid, job: &J) -> Result<Self> {
        let args = serde_json::to_value(job)?;
        // serde_json's maps are sorted by key, so that equal arguments have equal text.
        let unique_key = Some(unique_hash(J::KIND, tenant, &args.to_string()));
        Ok(Self {
            id: Uuid::now_v7(),
            tenant,
            queue: J::QUEUE.to_owned(),
            kind: J::KIND.to_owned(),
            args,
            priority: 0,
            max_attempts: i16::try_from(J::MAX_ATTEMPTS).unwrap_or(i16::MAX),
            run_at: None,
            delay_s: 0.0,
            unique_key,
            workflow: None,
            backfill: None,
            traceparent: None,
            parents: Vec::new(),
        })
    }

    /// Lets any number of the same job exist.
    #[must_use]
    pub fn not_unique(mut self) -> Self {
        self.unique_key = None;
        self
    }

    /// Unique by `scope` and `key` within its tenant instead of by its arguments.
    #[must_use]
    pub fn unique_by(mut self, scope: &str, key: &str) -> Self {
        self.unique_key = Some(unique_hash(scope, self.tenant, key));
        self
    }

    /// Higher first, −100 to 100.
    #[must_use]
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// Attempts after which a failure discards it, at least 1.
    #[must_use]
    pub fn max_attempts(mut self, attempts: i16) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Not before this time.
    #[must_use]
    pub fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self
    }

    /// Not before this much later, on the database's clock.
    #[must_use]
    pub fn delay(mut self, delay: std::time::Duration) -> Self {
        self.delay_s = delay.as_secs_f64();
        self
    }

    /// Part of this workflow.
    #[must_use]
    pub fn workflow(mut self, workflow: Uuid) -> Self {
        self.workflow = Some(workflow);
        self
    }

    /// Part of this backfill: it waits in a lane of its own, behind the tenant's live work.
    #[must_use]
    pub fn backfill(mut self, backfill: Uuid) -> Self {
        self.backfill = Some(backfill);
        self
    }

    /// Carries on the trace of a request (W3C `traceparent`).
    #[must_use]
    pub fn traceparent(mut self, traceparent: Option<String>) -> Self {
        self.traceparent = traceparent;
        self
    }

    /// Starts only after the job `parent` is final.
    #[must_use]
    pub fn after(mut self, parent: Uuid, on_failure: OnFailure) -> Self {
        self.parents.push((parent, on_failure));
        self
    }

    pub(crate) fn inherit_trace(&mut self, traceparent: Option<&String>) {
        if self.traceparent.is_none() {
            self.traceparent = traceparent.cloned();
        }
    }
}

fn unique_hash(scope: &str, tenant: Uuid, key: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(scope.as_bytes());
    hash.update([0]);
    hash.update(tenant.as_bytes());
    hash.update(key.as_bytes());
    hash.finalize().to_vec()
}

/// What became of one job that was to be enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// The job: the new one, or the live one it would have duplicated.
    pub id: Uuid,
    /// Whether it was there before.
    pub duplicate: bool,
}

/// Stores `jobs` on the caller's connection, in the order given, and wakes workers when that commits.
///
/// A job that would duplicate a live unique one is not stored; the answer names the live one in its place.
pub async fn enqueue(conn: &mut PgConnection, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
    let enqueued = insert_all(conn, &jobs).await?;
    let new = jobs.iter().zip(&enqueued).filter(|(_, enqueued)| !enqueued.duplicate).map(|(job, _)| job);
    workflow::link(conn, edges(new)).await?;
    Ok(enqueued)
}

/// Stores a workflow whose `last` job stands for the whole. When `last` would duplicate a live job, that one is the
/// answer and nothing is stored.
pub async fn enqueue_workflow(
    conn: &mut PgConnection,
    last: NewJob,
    before: Vec<NewJob>,
) -> Result<Enqueued> {
    Ok(enqueue_workflows(conn, vec![(last, before)]).await?[0])
}

/// The same for many workflows, each a last job and those before it, in as many statements as for one.
pub(crate) async fn enqueue_workflows(
    conn: &mut PgConnection,
    workflows: Vec<(NewJob, Vec<NewJob>)>,
) -> Result<Vec<Enqueued>> {
    // The last jobs decide whether there is anything to store, so they go in first; their edges follow their parents.
    let (last, before): (Vec<NewJob>, Vec<Vec<NewJob>>) = workflows.into_iter().unzip();
    let enqueued = insert_all(conn, &last).await?;
    let is_new = |position: &usize| !enqueued[*position].duplicate;
    let before: Vec<NewJob> =
        before.into_iter().enumerate().filter(|(i, _)| is_new(i)).flat_map(|(_, jobs)| jobs).collect();
    if !before.is_empty() {
        enqueue(conn, before).await?;
    }
    let last = last.iter().enumerate().filter(|(i, _)| is_new(i)).map(|(_, job)| job);
    workflow::link(conn, edges(last)).await?;
    Ok(enqueued)
}

fn edges<'a>(jobs: impl Iterator<Item = &'a NewJob>) -> Vec<Edge> {
    jobs.flat_map(|job| {
        job.parents.iter().map(|(parent, on_failure)| Edge {
            tenant: job.tenant,
            child: job.id,
            parent: *parent,
            on_failure: *on_failure,
        })
    })
    .collect()
}

/// Inserts without edges: jobs with parents are `waiting` until [`workflow::link`] knows these.
async fn insert_all(conn: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<Enqueued>> {
    let mut found: HashMap<Uuid, Enqueued> = HashMap::new();
    let mut woken = BTreeSet::new();
    loop {
        let missing: Vec<&NewJob> = jobs.iter().filter(|job| !found.contains_key(&job.id)).collect();
        if missing.is_empty() {
            break;
        }
        for row in insert(conn, &missing).await? {
            found.insert(row.id, Enqueued { id: row.id, duplicate: false });
            if row.available {
                woken.insert(row.queue);
            }
        }
        // A live job may end between the insert and this look; then the loop inserts after all.
        let missing: Vec<&NewJob> = missing.into_iter().filter(|job| !found.contains_key(&job.id)).collect();
        let live = live_duplicates(conn, &missing).await?;
        for job in missing {
            if let Some(id) = job.unique_key.as_ref().and_then(|key| live.get(key)) {
                found.insert(job.id, Enqueued { id: *id, duplicate: true });
            }
        }
    }
    notify_queues(conn, woken).await?;
    Ok(jobs.iter().map(|job| found[&job.id]).collect())
}

struct Inserted {
    id: Uuid,
    queue: String,
    available: bool,
}

async fn insert(conn: &mut PgConnection, jobs: &[&NewJob]) -> Result<Vec<Inserted>> {
    macro_rules! column {
        ($of:expr) => {
            jobs.iter().map($of).collect::<Vec<_>>()
        };
    }
    let rows = sqlx::query_file_as!(
        Inserted,
        "src/enqueue.sql",
        &column!(|job| job.id),
        &column!(|job| job.tenant),
        &column!(|job| job.queue.clone()),
        &column!(|job| job.kind.clone()),
        &column!(|job| job.args.clone()),
        &column!(|job| job.priority),
        &column!(|job| job.max_attempts),
        &column!(|job| job.run_at) as &[Option<DateTime<Utc>>],
        &column!(|job| job.delay_s),
        &column!(|job| job.unique_key.clone()) as &[Option<Vec<u8>>],
        &column!(|job| job.workflow) as &[Option<Uuid>],
        &column!(|job| job.backfill) as &[Option<Uuid>],
        &column!(|job| job.traceparent.clone()) as &[Option<String>],
        &column!(|job| i32::try_from(job.parents.len()).unwrap_or(i32::MAX)),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

async fn live_duplicates(conn: &mut PgConnection, jobs: &[&NewJob]) -> Result<HashMap<Vec<u8>, Uuid>> {
    let keys: Vec<Vec<u8>> = jobs.iter().filter_map(|job| job.unique_key.clone()).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"select unique_key as "unique_key!", id from queue.jobs
           where unique_key = any($1) and state in ('waiting', 'scheduled', 'available', 'running', 'retryable')"#,
        &keys
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.unique_key, row.id)).collect())
}
