//! The jobs of a workflow, before they are enqueued.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use super::graph;
use super::title::Title;
use crate::enqueue::duplicates::move_workflow_forward;
use crate::enqueue::{Enqueued, NewJob, OnFailure, enqueue};
use crate::error::{QueueError, Result};

/// A set of jobs with dependencies, before it is enqueued.
///
/// ```no_run
/// # use serde::{Deserialize, Serialize};
/// # use weirgate_queue::{Job, JobContext, JobError, NewJob, Workflow};
/// # #[derive(Serialize, Deserialize)]
/// # struct Step(u8);
/// # impl Job for Step {
/// #     const KIND: &'static str = "step";
/// #     type App = ();
/// #     type Output = ();
/// #     async fn run(&self, _: &JobContext<()>) -> Result<(), JobError> { Ok(()) }
/// # }
/// # async fn example(tenant: uuid::Uuid, conn: &mut sqlx::PgConnection) -> weirgate_queue::Result<()> {
/// let mut day = Workflow::named("day").about("2026-01-20");
/// day.add("tickets", NewJob::of(tenant, &Step(1))?);
/// day.add("surveys", NewJob::of(tenant, &Step(2))?);
/// day.add("kpis", NewJob::of(tenant, &Step(3))?).after("tickets").after("surveys");
/// day.enqueue(conn).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Workflow {
    id: Uuid,
    name: Option<String>,
    subject: Option<String>,
    steps: Vec<Step>,
}

/// One job of a [`Workflow`], and the jobs that it waits on.
#[derive(Debug, Clone)]
pub struct Step {
    name: String,
    job: NewJob,
    after: Vec<(String, OnFailure)>,
}

impl Step {
    /// The job starts after the job `name` has completed, and is cancelled when that one is
    /// discarded or cancelled.
    pub fn after(&mut self, name: impl Into<String>) -> &mut Self {
        self.after_with(name, OnFailure::Cancel)
    }

    /// The job starts after the job `name` is final; `on_failure` says what happens when that one
    /// is discarded or cancelled.
    pub fn after_with(&mut self, name: impl Into<String>, on_failure: OnFailure) -> &mut Self {
        self.after.push((name.into(), on_failure));
        self
    }
}

impl Default for Workflow {
    fn default() -> Self {
        Self::new()
    }
}

impl Workflow {
    /// A workflow without jobs.
    pub fn new() -> Self {
        Self { id: Uuid::now_v7(), name: None, subject: None, steps: Vec::new() }
    }

    /// A workflow without jobs; `name` is what people call all workflows of its kind.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::new() }
    }

    /// Sets what the workflow is about, such as a day. Its jobs are about that, too, unless they
    /// have a subject of their own.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The workflow's id, which is known before it is stored.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Adds a job under a name of its own. Its dependencies are added to the returned [`Step`];
    /// they may name jobs that are added later.
    ///
    /// A job waits on one outside of the workflow through [`NewJob::after`].
    pub fn add(&mut self, name: impl Into<String>, job: NewJob) -> &mut Step {
        self.steps.push(Step { name: name.into(), job, after: Vec::new() });
        self.steps.last_mut().expect("just pushed")
    }

    /// Stores all jobs, or none, and returns what became of each in the order in which they were
    /// added.
    ///
    /// Where a live job has the unique key of one of them, that job takes its place: the children
    /// wait on the live one.
    ///
    /// # Errors
    /// Before anything is stored: [`QueueError::Cycle`], [`QueueError::UnknownParent`],
    /// [`QueueError::NameTaken`].
    pub async fn enqueue(self, conn: &mut PgConnection) -> Result<Vec<Enqueued>> {
        enqueue_sorted(conn, self.resolve()?).await
    }

    /// Stores the workflow unless the job `last`, which stands for the whole, would duplicate a
    /// live job: then nothing is stored and the live job is returned. The jobs of its workflow that
    /// have not started are moved forward, so that they start no later than `last` was to.
    ///
    /// # Errors
    /// As [`Self::enqueue`]; [`QueueError::UnknownParent`] when there is no job `last`.
    pub async fn enqueue_once(self, conn: &mut PgConnection, last: &str) -> Result<Enqueued> {
        let id = self.steps.iter().find(|step| step.name == last).map(|step| step.job.id);
        let id = id.ok_or_else(|| unknown_last(format!("{last:?}")))?;
        enqueue_once(conn, self.resolve()?, id).await
    }

    /// The jobs with name, workflow and parents set, to be enqueued together with others.
    ///
    /// # Errors
    /// [`QueueError::UnknownParent`], [`QueueError::NameTaken`].
    pub fn into_jobs(self) -> Result<Vec<NewJob>> {
        self.resolve()
    }

    fn resolve(self) -> Result<Vec<NewJob>> {
        let ids: HashMap<String, Uuid> =
            self.steps.iter().map(|step| (step.name.clone(), step.job.id)).collect();
        let mut seen = HashSet::with_capacity(ids.len());
        let mut jobs = Vec::with_capacity(self.steps.len());
        let title = self.steps.first().map(|step| {
            let (name, subject) = (self.name, self.subject.clone());
            Arc::new(Title { id: self.id, tenant: step.job.tenant, name, subject })
        });
        for Step { name, mut job, after } in self.steps {
            if !seen.insert(name.clone()) {
                return Err(QueueError::NameTaken(name));
            }
            for (parent, on_failure) in after {
                let id = ids.get(&parent).ok_or_else(|| QueueError::UnknownParent {
                    child: name.clone(),
                    parent: format!("{parent:?}, which is not in its workflow"),
                })?;
                job = job.after(*id, on_failure);
            }
            job.subject = job.subject.or_else(|| self.subject.clone());
            job.title.clone_from(&title);
            jobs.push(job.workflow(self.id).named(name));
        }
        Ok(jobs)
    }
}

/// Stores the jobs of a workflow, as [`Workflow::into_jobs`] returns them, unless the job with the
/// id `last` has the unique key of a live job: does what [`Workflow::enqueue_once`] does.
///
/// # Errors
/// As [`Workflow::enqueue_once`].
pub async fn enqueue_once(conn: &mut PgConnection, jobs: Vec<NewJob>, last: Uuid) -> Result<Enqueued> {
    let index = jobs.iter().position(|job| job.id == last).ok_or_else(|| unknown_last(last.to_string()))?;
    let last = jobs[index].clone();
    let mut tx = conn.begin().await?;
    let enqueued = enqueue_sorted(&mut tx, jobs).await?[index];
    if enqueued.duplicate {
        tx.rollback().await?;
        move_workflow_forward(conn, enqueued.id, &last).await?;
    } else {
        tx.commit().await?;
    }
    Ok(enqueued)
}

fn unknown_last(parent: String) -> QueueError {
    QueueError::UnknownParent { child: "the workflow's end".to_owned(), parent }
}

/// Stores the jobs of a workflow and returns what became of each, in their order.
async fn enqueue_sorted(conn: &mut PgConnection, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>> {
    let order = graph::parents_first(&jobs)?;
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    // Parents are stored first, so that the order of enqueueing agrees with the graph.
    let mut unsorted: Vec<Option<NewJob>> = jobs.into_iter().map(Some).collect();
    let sorted: Vec<NewJob> = order.iter().filter_map(|at| unsorted[*at].take()).collect();
    let stored: HashMap<Uuid, Enqueued> =
        order.iter().map(|at| ids[*at]).zip(enqueue(conn, sorted).await?).collect();
    Ok(ids.iter().map(|id| stored[id]).collect())
}
