//! Enqueue: stores jobs on the caller's transaction. The commit is the promise that they run.

pub(crate) mod duplicates;
pub(crate) mod new_job;
pub(crate) mod notify;

use std::collections::{HashMap, HashSet};

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::database::column::column;
use crate::error::Result;
use crate::private;
use crate::telemetry::enqueued;
use crate::workflow::graph;
use crate::workflow::link;
use crate::workflow::title;

pub(crate) use new_job::{Enqueued, NewJob, OnFailure};

/// Stores `jobs` on the caller's connection, in the order given. The commit wakes workers.
///
/// A job that would duplicate a live unique one is not stored: the answer names the live one in its
/// place, and its children in `jobs` wait on that one. If the live one has never started and is
/// scheduled for later than the duplicate asks for, it is moved forward to that time.
///
/// # Errors
/// With nothing stored: [`QueueError::Cycle`] when the jobs would wait on each other,
/// [`QueueError::UnknownParent`] when one waits on a job that is neither among them nor stored.
///
/// [`QueueError::Cycle`]: crate::QueueError::Cycle
/// [`QueueError::UnknownParent`]: crate::QueueError::UnknownParent
pub async fn enqueue(conn: &mut PgConnection, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
    let depends = jobs.iter().any(|job| !job.parents.is_empty());
    if !depends && jobs.iter().all(|job| job.private.is_none()) {
        return insert_all(conn, &jobs).await;
    }
    if depends {
        graph::check_acyclic(&jobs)?;
    }
    // More than one statement: all or none.
    let mut tx = conn.begin().await?;
    let enqueued = if depends {
        let states = link::lock_parents(&mut tx, &jobs).await?;
        let enqueued = insert_all(&mut tx, &jobs).await?;
        link::link(&mut tx, jobs, &enqueued, states).await?;
        enqueued
    } else {
        insert_all(&mut tx, &jobs).await?
    };
    tx.commit().await?;
    Ok(enqueued)
}

/// Inserts the jobs without their dependencies: those with parents are `waiting` until
/// [`link::link`] stores these.
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
        let live = duplicates::live(conn, &missing).await?;
        let (mut ended, mut sooner) = (Vec::new(), Vec::new());
        for job in missing {
            if let Some(duplicate) = job.unique_key.as_ref().and_then(|key| live.get(key)) {
                found.insert(job.id, Enqueued { id: duplicate.id, duplicate: true });
                if duplicate.starts_later && job.parents.is_empty() {
                    sooner.push((duplicate.id, job));
                }
            } else {
                ended.push(job);
            }
        }
        duplicates::move_forward(conn, &sooner).await?;
        // The live job may have ended between the insert and the search for it; then this one is
        // stored after all.
        found.extend(insert(conn, ended).await?.into_iter().map(new));
    }
    Ok(jobs.iter().map(|job| found[&job.id]).collect())
}

/// Inserts the jobs that duplicate no live one with their private arguments, and returns their ids.
/// A trigger wakes the workers of their queues that wait, when this commits.
async fn insert<'a>(
    conn: &mut PgConnection,
    jobs: impl IntoIterator<Item = &'a NewJob, IntoIter: Clone>,
) -> Result<Vec<Uuid>> {
    let jobs = jobs.into_iter();
    let ids = sqlx::query_file_scalar!(
        "src/enqueue/enqueue.sql",
        &column(jobs.clone(), |job| job.id),
        &column(jobs.clone(), |job| job.tenant),
        &column(jobs.clone(), |job| &*job.queue) as &[&str],
        &column(jobs.clone(), |job| &*job.kind) as &[&str],
        &column(jobs.clone(), |job| Json(&job.args)) as &[Json<&Value>],
        &column(jobs.clone(), |job| job.priority),
        &column(jobs.clone(), |job| job.max_attempts),
        &column(jobs.clone(), |job| job.run_at) as &[Option<DateTime<Utc>>],
        &column(jobs.clone(), |job| job.delay_s),
        &column(jobs.clone(), |job| job.unique_key.as_deref()) as &[Option<&[u8]>],
        &column(jobs.clone(), |job| job.workflow) as &[Option<Uuid>],
        &column(jobs.clone(), |job| job.backfill) as &[Option<Uuid>],
        &column(jobs.clone(), |job| job.traceparent.as_deref()) as &[Option<&str>],
        &column(jobs.clone(), |job| job.parents.len().saturating_as::<i32>()),
        &column(jobs.clone(), |job| job.name.as_deref()) as &[Option<&str>],
        &column(jobs.clone(), |job| job.enqueued_by.as_deref()) as &[Option<&str>],
        &column(jobs.clone(), |job| job.subject.as_deref()) as &[Option<&str>],
        &column(jobs.clone(), |job| job.private.is_some()),
    )
    .fetch_all(&mut *conn)
    .await?;
    let stored: Option<HashSet<&Uuid>> = (ids.len() < jobs.clone().count()).then(|| ids.iter().collect());
    let stored = jobs.filter(|job| stored.as_ref().is_none_or(|ids| ids.contains(&job.id)));
    enqueued::count(stored.clone().map(|job| (&*job.queue, &*job.kind)));
    private::store::store(conn, stored.clone()).await?;
    title::store_titles(conn, stored.filter_map(|job| job.title.as_deref())).await?;
    Ok(ids)
}
