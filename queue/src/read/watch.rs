//! Following jobs: one query a turn for everything that anybody in this process watches, and none while nobody does.
//!
//! A poll rather than a `NOTIFY` a change: Postgres takes a global lock at the commit of each notifying transaction,
//! which finishers would pay for whether somebody watches or not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::watch;
use uuid::Uuid;

use crate::database::patience::within;
use crate::job::state::JobState;

/// What can change about a job; two equal looks mean that nothing happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Where it stands.
    pub state: JobState,
    /// Its run token.
    pub run: i64,
    /// Attempts started.
    pub attempt: i16,
    /// How far it is.
    pub progress: Option<Value>,
}

/// How long a look may take.
const ANSWER: Duration = Duration::from_secs(10);

type Subjects = Mutex<HashMap<Uuid, watch::Sender<Option<Look>>>>;

/// Watches jobs for everyone in this process.
#[derive(Debug, Clone)]
pub struct Watcher {
    subjects: Arc<Subjects>,
    wake: Arc<tokio::sync::Notify>,
}

impl Watcher {
    /// Starts with nothing to watch; looks every `interval` while there is something. Ends with its last handle.
    pub fn start(pool: PgPool, interval: Duration) -> Self {
        let subjects = Arc::new(Subjects::default());
        let wake = Arc::new(tokio::sync::Notify::new());
        tokio::spawn(look_loop(pool, interval, Arc::downgrade(&subjects), wake.clone()));
        Self { subjects, wake }
    }

    /// Follows `job` for as long as the receiver lives; `None` until the first look.
    pub fn follow(&self, job: Uuid) -> watch::Receiver<Option<Look>> {
        let mut subjects = self.subjects.lock().expect("no panic while held");
        let receiver = subjects.entry(job).or_insert_with(|| watch::channel(None).0).subscribe();
        self.wake.notify_one();
        receiver
    }
}

async fn look_loop(
    pool: PgPool,
    interval: Duration,
    subjects: Weak<Subjects>,
    wake: Arc<tokio::sync::Notify>,
) {
    loop {
        let Some(jobs) = watched(&subjects) else { return };
        if jobs.is_empty() {
            // The time-out only notices that the last handle is gone.
            let _ = tokio::time::timeout(Duration::from_secs(5), wake.notified()).await;
            continue;
        }
        match within(ANSWER, look(&pool, &jobs)).await {
            Ok(looks) => tell(&subjects, looks),
            Err(error) => {
                tracing::warn!(%error, "could not look at the jobs that are followed; trying again");
            }
        }
        tokio::time::sleep(interval).await;
    }
}

/// What somebody still follows; `None` when the watcher itself is gone.
fn watched(subjects: &Weak<Subjects>) -> Option<Vec<Uuid>> {
    let subjects = subjects.upgrade()?;
    let mut subjects = subjects.lock().expect("no panic while held");
    subjects.retain(|_, sender| sender.receiver_count() > 0);
    Some(subjects.keys().copied().collect())
}

fn tell(subjects: &Weak<Subjects>, looks: Vec<(Uuid, Look)>) {
    let Some(subjects) = subjects.upgrade() else { return };
    let subjects = subjects.lock().expect("no panic while held");
    for (job, look) in looks {
        if let Some(sender) = subjects.get(&job) {
            sender.send_if_modified(|last| {
                let changed = last.as_ref() != Some(&look);
                *last = Some(look);
                changed
            });
        }
    }
}

async fn look(pool: &PgPool, jobs: &[Uuid]) -> Result<Vec<(Uuid, Look)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select id, state::text as "state!", run, attempt, progress from queue.jobs where id = any($1)"#,
        jobs
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let state = row.state.parse().expect("the enum's names are the states'");
            (row.id, Look { state, run: row.run, attempt: row.attempt, progress: row.progress })
        })
        .collect())
}
