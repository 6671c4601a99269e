//! Commits outcomes in groups: whatever has gathered while the last group was written.

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::{QueueError, Result};
use crate::finish::{Finish, Outcome, finish};

/// Most outcomes in one transaction.
const GROUP: usize = 500;

/// Runs until `stop`, then until what was handed over is written. Calls `room` after each group.
pub(crate) async fn run(
    pool: PgPool,
    mut handed_over: mpsc::Receiver<Finish>,
    room: impl Fn(),
    stop: CancellationToken,
) {
    let mut gathered = Vec::with_capacity(GROUP);
    loop {
        tokio::select! {
            biased;
            count = handed_over.recv_many(&mut gathered, GROUP) => if count == 0 { return },
            () = stop.cancelled() => {
                handed_over.close();
                continue;
            }
        }
        commit(&pool, std::mem::take(&mut gathered), &stop).await;
        // Lanes that were full have room again.
        room();
    }
}

/// Tries until the group is written. While the worker runs, a database that is away is waited for; when it closes,
/// the leases' end takes over.
async fn commit(pool: &PgPool, group: Vec<Finish>, stop: &CancellationToken) {
    for attempt in 1_u32.. {
        match write(pool, group.clone()).await {
            Ok(()) => return,
            Err(QueueError::Database(error)) if is_passing(&error) => {
                if stop.is_cancelled() && attempt > 5 {
                    tracing::error!(%error, jobs = group.len(), "could not write outcomes; the jobs will be rescued");
                    return;
                }
                tracing::warn!(%error, jobs = group.len(), "could not write outcomes; trying again");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => return commit_singly(pool, group, &error, stop).await,
        }
    }
}

/// One outcome that Postgres refuses must not hold the others up.
async fn commit_singly(pool: &PgPool, group: Vec<Finish>, why: &QueueError, stop: &CancellationToken) {
    if let [single] = group.as_slice() {
        tracing::error!(job.id = %single.job, error = %why, "Postgres refuses this outcome; discarding the job");
        let message = format!("its outcome could not be stored: {why}").replace('\0', "\u{fffd}");
        let outcome = Outcome::Discarded { code: "unstorable_outcome".to_owned(), message };
        let discard = Finish { outcome, ..single.clone() };
        if let Err(error) = write(pool, vec![discard]).await {
            tracing::error!(job.id = %single.job, %error, "could not discard it either; it will be rescued");
        }
        return;
    }
    for single in group {
        Box::pin(commit(pool, vec![single], stop)).await;
    }
}

async fn write(pool: &PgPool, group: Vec<Finish>) -> Result<()> {
    let runs: Vec<_> = group.iter().map(|finish| (finish.job, finish.run)).collect();
    let mut tx = pool.begin().await?;
    let applied = finish(&mut tx, group).await?;
    tx.commit().await?;
    for (job, run) in runs.into_iter().filter(|(job, _)| !applied.contains(job)) {
        tracing::warn!(job.id = %job, run, "stale finish: the job is another run's or final; nothing changed");
    }
    Ok(())
}

/// Whether trying again may help: the connection, a shutdown, a deadlock, a serialization failure, out of resources.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(e) => e.code().is_none_or(|code| {
            ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
        }),
        _ => !matches!(
            error,
            sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }
        ),
    }
}
