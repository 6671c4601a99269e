//! The edges of jobs that are just being enqueued.

use std::collections::{BTreeMap, HashMap, HashSet};

use az::SaturatingAs;
use sqlx::PgConnection;
use uuid::Uuid;

use super::children::{EdgeChanges, update_children};
use super::graph::check_acyclic;
use super::propagate::propagate_ends;
use crate::enqueue::new_job::{Enqueued, NewJob, OnFailure};
use crate::enqueue::notify::notify_queues;
use crate::error::{QueueError, Result};
use crate::job::state::JobState;

/// States of parents that are not enqueued together with their children. Their rows are locked
/// until the end of the transaction.
pub(crate) type ParentStates = HashMap<Uuid, JobState>;

/// Locks the parents of `jobs` that are not among them, so that a parent's end is either visible
/// here or finds the new edges.
///
/// # Errors
/// [`QueueError::UnknownParent`] for one that is not stored.
pub(crate) async fn lock_parents(conn: &mut PgConnection, jobs: &[NewJob]) -> Result<ParentStates> {
    let own: HashSet<Uuid> = jobs.iter().map(|job| job.id).collect();
    let parents: HashSet<Uuid> = jobs
        .iter()
        .flat_map(|job| job.parents.iter().map(|(parent, _)| *parent))
        .filter(|parent| !own.contains(parent))
        .collect();
    let states = lock(conn, parents).await?;
    for job in jobs {
        let missing =
            job.parents.iter().find(|(parent, _)| !own.contains(parent) && !states.contains_key(parent));
        if let Some((parent, _)) = missing {
            return Err(QueueError::UnknownParent { child: job.label(), parent: format!("job {parent}") });
        }
    }
    Ok(states)
}

async fn lock(conn: &mut PgConnection, parents: HashSet<Uuid>) -> Result<ParentStates> {
    if parents.is_empty() {
        return Ok(ParentStates::new());
    }
    let rows = sqlx::query!(
        r#"select id, state::text as "state!: JobState" from queue.jobs where id = any($1) order by id for share"#,
        &parents.into_iter().collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.state)).collect())
}

/// Stores the edges of `jobs`, which were just inserted as `waiting` on all their parents
/// (`enqueued` says what became of each), and updates those whose parents are final already.
pub(crate) async fn link(
    conn: &mut PgConnection,
    mut jobs: Vec<NewJob>,
    enqueued: &[Enqueued],
    mut states: ParentStates,
) -> Result<()> {
    // A live job that took the place of a new one gets the children of the new one.
    let duplicates: HashMap<Uuid, Uuid> = jobs
        .iter()
        .zip(enqueued)
        .filter(|(_, enqueued)| enqueued.duplicate)
        .map(|(job, enqueued)| (job.id, enqueued.id))
        .collect();
    if !duplicates.is_empty() {
        states.extend(lock(conn, duplicates.values().copied().collect()).await?);
        jobs.retain(|job| !duplicates.contains_key(&job.id));
        for (parent, _) in jobs.iter_mut().flat_map(|job| &mut job.parents) {
            *parent = duplicates.get(parent).copied().unwrap_or(*parent);
        }
        // A job that takes the place of a later one of the same batch may close a cycle.
        check_acyclic(&jobs)?;
    }
    let mut edges = Edges::default();
    let mut changes: BTreeMap<Uuid, EdgeChanges> = BTreeMap::new();
    for job in &jobs {
        let parents = distinct(&job.parents);
        // The insert counted every parent, also those that were named twice.
        let surplus = job.parents.len() - parents.len();
        if surplus > 0 {
            changes.entry(job.id).or_default().pending -= surplus.saturating_as::<i32>();
        }
        for (parent, on_failure) in parents {
            let outcome = outcome(states.get(&parent).copied(), on_failure);
            if outcome != "pending" {
                changes.entry(job.id).or_default().add(parent, "pending", outcome);
            }
            edges.push(job.tenant, job.id, parent, on_failure, outcome);
        }
    }
    edges.insert(conn).await?;
    let updated = update_children(conn, &changes).await?;
    notify_queues(conn, updated.available_in).await?;
    propagate_ends(conn, updated.ended_or_retried).await
}

/// One edge for each parent; where a parent is named twice, the stricter edge.
fn distinct(parents: &[(Uuid, OnFailure)]) -> BTreeMap<Uuid, OnFailure> {
    let mut distinct = BTreeMap::new();
    for (parent, on_failure) in parents {
        let known = distinct.entry(*parent).or_insert(*on_failure);
        if *on_failure == OnFailure::Cancel {
            *known = OnFailure::Cancel;
        }
    }
    distinct
}

fn outcome(parent: Option<JobState>, on_failure: OnFailure) -> &'static str {
    match (parent, on_failure) {
        (Some(JobState::Completed), _)
        | (Some(JobState::Cancelled | JobState::Discarded), OnFailure::Continue) => "passed",
        (Some(JobState::Cancelled | JobState::Discarded), OnFailure::Cancel) => "failed",
        // The parent is live, or is being enqueued here.
        _ => "pending",
    }
}

#[derive(Default)]
struct Edges {
    tenant: Vec<Uuid>,
    child: Vec<Uuid>,
    parent: Vec<Uuid>,
    on_failure: Vec<String>,
    outcome: Vec<String>,
}

impl Edges {
    fn push(&mut self, tenant: Uuid, child: Uuid, parent: Uuid, on_failure: OnFailure, outcome: &str) {
        self.tenant.push(tenant);
        self.child.push(child);
        self.parent.push(parent);
        self.on_failure.push(on_failure.as_str().to_owned());
        self.outcome.push(outcome.to_owned());
    }

    async fn insert(self, conn: &mut PgConnection) -> Result<()> {
        if self.child.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "insert into queue.job_dependencies (tenant_id, child_id, parent_id, on_failure, outcome)
             select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[])",
            &self.tenant,
            &self.child,
            &self.parent,
            &self.on_failure,
            &self.outcome,
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}
