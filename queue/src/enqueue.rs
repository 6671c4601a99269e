//! Enqueue: the caller's transaction takes the jobs; its commit is the promise.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::types::Json;
use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::error::Result;
use crate::job::Job;
use crate::telemetry::meter;
use crate::worker::listener::notify_queues;
use crate::workflow::{self, Title};

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
    pub(crate) tenant: Uuid,
    queue: Cow<'static, str>,
    kind: Cow<'static, str>,
    args: Value,
    priority: i16,
    max_attempts: i16,
    run_at: Option<DateTime<Utc>>,
    delay_s: f64,
    unique_key: Option<Vec<u8>>,
    workflow: Option<Uuid>,
    backfill: Option<Uuid>,
    joins_workflow: bool,
    name: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) title: Option<Arc<Title>>,
    traceparent: Option<String>,
    enqueued_by: Option<String>,
    pub(crate) parents: Vec<(Uuid, OnFailure)>,
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
            queue: Cow::Borrowed(J::QUEUE),
            kind: Cow::Borrowed(J::KIND),
            args,
            priority: 0,
            max_attempts: i16::try_from(J::MAX_ATTEMPTS).unwrap_or(i16::MAX),
            run_at: None,
            delay_s: 0.0,
            unique_key,
            workflow: None,
            backfill: None,
            joins_workflow: false,
            name: None,
            subject: job.subject(),
            title: None,
            traceparent: None,
            enqueued_by: None,
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

    /// Part of the workflow of the job that enqueues it with [`crate::JobContext::then`], if that
    /// one is in any.
    #[must_use]
    pub fn join_workflow(mut self) -> Self {
        self.joins_workflow = true;
        self
    }

    /// What people call it within its workflow.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What it is about, instead of what its kind says; in a workflow that is about something, that
    /// is the usual.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Carries on the trace of a request (W3C `traceparent`).
    #[must_use]
    pub fn traceparent(mut self, traceparent: Option<String>) -> Self {
        self.traceparent = traceparent;
        self
    }

    /// Keeps who asked for it, for people.
    #[must_use]
    pub fn enqueued_by(mut self, who: impl Into<String>) -> Self {
        self.enqueued_by = Some(who.into());
        self
    }

    /// Starts only after the job `parent` is final.
    #[must_use]
    pub fn after(mut self, parent: Uuid, on_failure: OnFailure) -> Self {
        self.parents.push((parent, on_failure));
        self
    }

    /// What a job hands on to those that it enqueues with its completion.
    pub(crate) fn inherit(&mut self, traceparent: Option<&String>, of: Option<(Uuid, Option<&String>)>) {
        if self.traceparent.is_none() {
            self.traceparent = traceparent.cloned();
        }
        if let Some((workflow, subject)) = of.filter(|_| self.joins_workflow && self.workflow.is_none()) {
            self.workflow = Some(workflow);
            self.subject = self.subject.take().or_else(|| subject.cloned());
        }
    }

    /// How an error names it.
    pub(crate) fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{} {}", self.kind, self.id))
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

/// Stores `jobs` on the caller's connection, in the order given, and wakes workers when that
/// commits.
///
/// A job that would duplicate a live unique one is not stored; the answer names the live one in its
/// place, and its children in `jobs` wait on that one. A live one that has never started and is
/// scheduled for later than the duplicate asks for is moved forward to that time.
///
/// # Errors
/// With nothing stored: [`QueueError::Cycle`] when the jobs would wait on each other,
/// [`QueueError::UnknownParent`] when one waits on a job that is neither among them nor stored.
///
/// [`QueueError::Cycle`]: crate::QueueError::Cycle
/// [`QueueError::UnknownParent`]: crate::QueueError::UnknownParent
pub async fn enqueue(conn: &mut PgConnection, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
    if jobs.iter().all(|job| job.parents.is_empty()) {
        return insert_all(conn, &jobs).await;
    }
    workflow::check_acyclic(&jobs)?;
    let mut tx = conn.begin().await?;
    let states = workflow::lock_parents(&mut tx, &jobs).await?;
    let enqueued = insert_all(&mut tx, &jobs).await?;
    workflow::link(&mut tx, jobs, &enqueued, states).await?;
    tx.commit().await?;
    Ok(enqueued)
}

/// Inserts without edges: jobs with parents are `waiting` until [`workflow::link`] stores these.
async fn insert_all(conn: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<Enqueued>> {
    let ids = insert(conn, jobs).await?;
    if ids.len() == jobs.len() {
        return Ok(ids.into_iter().map(|id| Enqueued { id, duplicate: false }).collect());
    }
    let new = |id| (id, Enqueued { id, duplicate: false });
    let mut found: HashMap<Uuid, Enqueued> = ids.into_iter().map(new).collect();
    loop {
        let missing: Vec<&NewJob> = jobs.iter().filter(|job| !found.contains_key(&job.id)).collect();
        if missing.is_empty() {
            break;
        }
        let live = live_twins(conn, &missing).await?;
        let (mut gone, mut sooner) = (Vec::new(), Vec::new());
        for job in missing {
            if let Some(twin) = job.unique_key.as_ref().and_then(|key| live.get(key)) {
                found.insert(job.id, Enqueued { id: twin.id, duplicate: true });
                if twin.starts_later && job.parents.is_empty() {
                    sooner.push((twin.id, job));
                }
            } else {
                gone.push(job);
            }
        }
        move_forward(conn, &sooner).await?;
        // A live job may end between the insert and this look.
        found.extend(insert(conn, gone).await?.into_iter().map(new));
    }
    Ok(jobs.iter().map(|job| found[&job.id]).collect())
}

/// Returns which of them were inserted. The commit wakes the workers of their queues that sleep: a
/// trigger sees to that.
async fn insert<'a>(
    conn: &mut PgConnection,
    jobs: impl IntoIterator<Item = &'a NewJob, IntoIter: Clone>,
) -> Result<Vec<Uuid>> {
    let jobs = jobs.into_iter();
    macro_rules! column {
        ($of:expr) => {
            jobs.clone().map($of).collect::<Vec<_>>()
        };
    }
    let ids = sqlx::query_file_scalar!(
        "src/enqueue/enqueue.sql",
        &column!(|job| job.id),
        &column!(|job| job.tenant),
        &column!(|job| &*job.queue) as &[&str],
        &column!(|job| &*job.kind) as &[&str],
        &column!(|job| Json(&job.args)) as &[Json<&Value>],
        &column!(|job| job.priority),
        &column!(|job| job.max_attempts),
        &column!(|job| job.run_at) as &[Option<DateTime<Utc>>],
        &column!(|job| job.delay_s),
        &column!(|job| job.unique_key.as_deref()) as &[Option<&[u8]>],
        &column!(|job| job.workflow) as &[Option<Uuid>],
        &column!(|job| job.backfill) as &[Option<Uuid>],
        &column!(|job| job.traceparent.as_deref()) as &[Option<&str>],
        &column!(|job| i32::try_from(job.parents.len()).unwrap_or(i32::MAX)),
        &column!(|job| job.name.as_deref()) as &[Option<&str>],
        &column!(|job| job.enqueued_by.as_deref()) as &[Option<&str>],
        &column!(|job| job.subject.as_deref()) as &[Option<&str>],
    )
    .fetch_all(&mut *conn)
    .await?;
    let stored: Option<HashSet<&Uuid>> = (ids.len() < jobs.clone().count()).then(|| ids.iter().collect());
    let stored = jobs.filter(|job| stored.as_ref().is_none_or(|ids| ids.contains(&job.id)));
    meter::enqueued(stored.clone().map(|job| (&*job.queue, &*job.kind)));
    workflow::entitle(conn, stored.filter_map(|job| job.title.as_deref())).await?;
    Ok(ids)
}

/// A live job with the unique key of one that was to be enqueued.
struct Twin {
    id: Uuid,
    /// Whether it waits for its time, and has never started.
    starts_later: bool,
}

async fn live_twins(conn: &mut PgConnection, jobs: &[&NewJob]) -> Result<HashMap<Vec<u8>, Twin>> {
    let keys: Vec<Vec<u8>> = jobs.iter().filter_map(|job| job.unique_key.clone()).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"select live_key as "unique_key!", id,
              state in ('scheduled', 'waiting') and run = 0 and scheduled_at > queue.now() as "starts_later!"
           from queue.jobs where live_key = any($1)"#,
        &keys
    )
    .fetch_all(conn)
    .await?;
    let twin = |id, starts_later| Twin { id, starts_later };
    Ok(rows.into_iter().map(|row| (row.unique_key, twin(row.id, row.starts_later))).collect())
}

/// Lets jobs start no later than those that would have duplicated them. What has started before
/// keeps its time: it waits for a reason, such as an upstream that has asked for it.
async fn move_forward(conn: &mut PgConnection, jobs: &[(Uuid, &NewJob)]) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let queues = sqlx::query_file_scalar!(
        "src/enqueue/move_forward.sql",
        &jobs.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &jobs.iter().map(|(_, job)| job.run_at).collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
        &jobs.iter().map(|(_, job)| job.delay_s).collect::<Vec<_>>(),
    )
    .fetch_all(&mut *conn)
    .await?;
    notify_queues(conn, queues).await
}

/// Lets the workflow that `job` is part of, or it alone, start no later than `new`, which it stands
/// for.
pub(crate) async fn move_workflow_forward(conn: &mut PgConnection, job: Uuid, new: &NewJob) -> Result<()> {
    let later = sqlx::query_scalar!(
        r#"select j.id from queue.jobs j
           where j.id = any(array[$1::uuid] || array(
                select w.id from queue.jobs w where w.workflow_id = (select workflow_id from queue.jobs where id = $1)))
             and j.state in ('scheduled', 'waiting') and j.run = 0 and j.scheduled_at > queue.now()"#,
        job
    )
    .fetch_all(&mut *conn)
    .await?;
    move_forward(conn, &later.into_iter().map(|id| (id, new)).collect::<Vec<_>>()).await
}
