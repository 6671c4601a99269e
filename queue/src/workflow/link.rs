//! Edges of jobs that are just being enqueued.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::graph;
use super::settle::settle;
use super::told::{Told, apply};
use crate::enqueue::{Enqueued, NewJob, OnFailure};
use crate::error::{QueueError, Result};
use crate::job::state::JobState;
use crate::worker::listener::notify_queues;

/// States of parents that are not enqueued with their children, held until the end of the transaction.
pub(crate) type ParentStates = HashMap<Uuid, JobState>;

/// Locks the parents of `jobs` that are not among them, so that their ends either are seen here or see the new edges.
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
        r#"select id, state::text as "state!" from queue.jobs where id = any($1) order by id for share"#,
        &parents.into_iter().collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    let state = |name: String| name.parse().expect("the enum's names are the states'");
    Ok(rows.into_iter().map(|row| (row.id, state(row.state))).collect())
}

/// Stores the edges of `jobs`, which were just inserted as `waiting` on all their parents (`enqueued` says what became
/// of each), and tells them of parents that are final already.
pub(crate) async fn link(
    conn: &mut PgConnection,
    mut jobs: Vec<NewJob>,
    enqueued: &[Enqueued],
    mut states: ParentStates,
) -> Result<()> {
    // A live job that took the place of a new one has its children too.
    let stand_ins: HashMap<Uuid, Uuid> = jobs
        .iter()
        .zip(enqueued)
        .filter(|(_, enqueued)| enqueued.duplicate)
        .map(|(job, enqueued)| (job.id, enqueued.id))
        .collect();
    if !stand_ins.is_empty() {
        states.extend(lock(conn, stand_ins.values().copied().collect()).await?);
        jobs.retain(|job| !stand_ins.contains_key(&job.id));
        for (parent, _) in jobs.iter_mut().flat_map(|job| &mut job.parents) {
            *parent = stand_ins.get(parent).copied().unwrap_or(*parent);
        }
        // A job that stands in for a later one of the same batch may close a circle.
        graph::check(&jobs)?;
    }
    let mut edges = Edges::default();
    let mut told: BTreeMap<Uuid, Told> = BTreeMap::new();
    for job in &jobs {
        let parents = distinct(&job.parents);
        // All were counted at the insert.
        let surplus = job.parents.len() - parents.len();
        if surplus > 0 {
            told.entry(job.id).or_default().pending -= i32::try_from(surplus).unwrap_or(i32::MAX);
        }
        for (parent, on_failure) in parents {
            let outcome = outcome(states.get(&parent).copied(), on_failure);
            if outcome != "pending" {
                told.entry(job.id).or_default().hears(parent, "pending", outcome);
            }
            edges.push(job.tenant, job.id, parent, on_failure, outcome);
        }
    }
    edges.insert(conn).await?;
    let changed = apply(conn, &told).await?;
    notify_queues(conn, changed.woken).await?;
    settle(conn, changed.jobs).await
}

/// One edge a parent; of two that differ, the stricter one.
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
        // Live, or enqueued here.
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
