//! Follows jobs: each poll is one query for all jobs that anybody in this process follows. There is
//! none while nobody follows a job.
//!
//! It polls rather than being notified of each change: Postgres takes a global lock at the commit
//! of each notifying transaction, which completers would pay for whether somebody follows the job
//! or not.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::watch;
use uuid::Uuid;

use crate::database::deadline::within;
use crate::job::state::JobState;

/// What can change about a job. Two equal snapshots mean that nothing happened.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSnapshot {
    /// Its state.
    pub state: JobState,
    /// Its run token.
    pub run: i64,
    /// How many attempts have started.
    pub attempt: i16,
    /// Its progress, as its handler reported it.
    pub progress: Option<Value>,
}

/// How long a poll may wait for the database.
const POLL_TIMEOUT: Duration = Duration::from_secs(10);

type Followed = Mutex<HashMap<Uuid, watch::Sender<Option<JobSnapshot>>>>;

/// Follows jobs for everybody in this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Watcher {
    followed: Arc<Followed>,
    wake: Arc<tokio::sync::Notify>,
}

impl Watcher {
    /// Starts a task that polls every `interval` while a job is followed. It ends with the last
    /// handle.
    pub fn start(pool: PgPool, interval: Duration) -> Self {
        let followed = Arc::new(Followed::default());
        let wake = Arc::new(tokio::sync::Notify::new());
        tokio::spawn(poll_loop(pool, interval, Arc::downgrade(&followed), wake.clone()));
        Self { followed, wake }
    }

    /// Follows `job` for as long as the receiver lives; `None` until the first poll.
    pub fn follow(&self, job: Uuid) -> watch::Receiver<Option<JobSnapshot>> {
        let mut followed = self.followed.lock();
        let receiver = followed.entry(job).or_insert_with(|| watch::channel(None).0).subscribe();
        self.wake.notify_one();
        receiver
    }
}

async fn poll_loop(
    pool: PgPool,
    interval: Duration,
    followed: Weak<Followed>,
    wake: Arc<tokio::sync::Notify>,
) {
    loop {
        let Some(jobs) = still_followed(&followed) else { return };
        if jobs.is_empty() {
            // The time-out lets the task notice that the last handle is gone.
            let _ = tokio::time::timeout(Duration::from_secs(5), wake.notified()).await;
            continue;
        }
        match within(POLL_TIMEOUT, poll(&pool, &jobs)).await {
            Ok(snapshots) => publish(&followed, snapshots),
            Err(error) => {
                tracing::warn!(%error, "could not read the jobs that are followed; trying again");
            }
        }
        tokio::time::sleep(interval).await;
    }
}

/// The jobs that somebody still follows; `None` when the watcher itself is gone.
fn still_followed(followed: &Weak<Followed>) -> Option<Vec<Uuid>> {
    let followed = followed.upgrade()?;
    let mut followed = followed.lock();
    followed.retain(|_, sender| sender.receiver_count() > 0);
    Some(followed.keys().copied().collect())
}

fn publish(followed: &Weak<Followed>, snapshots: Vec<(Uuid, JobSnapshot)>) {
    let Some(followed) = followed.upgrade() else { return };
    let followed = followed.lock();
    for (job, snapshot) in snapshots {
        if let Some(sender) = followed.get(&job) {
            sender.send_if_modified(|last| {
                let changed = last.as_ref() != Some(&snapshot);
                *last = Some(snapshot);
                changed
            });
        }
    }
}

async fn poll(pool: &PgPool, jobs: &[Uuid]) -> Result<Vec<(Uuid, JobSnapshot)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select id, state::text as "state!: JobState", run, attempt, progress from queue.jobs where id = any($1)"#,
        jobs
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                row.id,
                JobSnapshot { state: row.state, run: row.run, attempt: row.attempt, progress: row.progress },
            )
        })
        .collect())
}
