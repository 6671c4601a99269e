//! What a request or a command enqueues for a tenant: a job, or a workflow.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::{Enqueued, NewJob, Result, enqueue, workflow};

/// What is to be enqueued.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most are single jobs, which are moved few times")]
pub enum Plan {
    /// One job.
    Job(NewJob),
    /// A workflow. While its last job would duplicate a live one, that one's workflow is the
    /// answer.
    Workflow {
        /// All its jobs.
        jobs: Vec<NewJob>,
        /// The one that stands for the whole: it is final when all are.
        last: Uuid,
        /// What was asked for, in the words of the audit log.
        asked: Value,
    },
}

impl Plan {
    /// The job that stands for all of it.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Job(job) => job.id,
            Self::Workflow { last, .. } => *last,
        }
    }

    /// Sets what all its jobs share, such as their priority.
    #[must_use]
    pub fn map(self, adjust: impl Fn(NewJob) -> NewJob) -> Self {
        match self {
            Self::Job(job) => Self::Job(adjust(job)),
            Self::Workflow { jobs, last, asked } => {
                Self::Workflow { jobs: jobs.into_iter().map(adjust).collect(), last, asked }
            }
        }
    }

    /// Enqueues it, and with `force` also where the same is on its way already.
    pub async fn enqueue(self, conn: &mut PgConnection, force: bool) -> Result<Enqueued> {
        let id = self.id();
        let plan =
            if force { self.map(|job| if job.id == id { job.not_unique() } else { job }) } else { self };
        match plan {
            Self::Job(job) => Ok(enqueue(conn, vec![job]).await?[0]),
            Self::Workflow { jobs, last, .. } => workflow::enqueue_once(conn, jobs, last).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::json;
    use weirgate_queue::{Job, JobContext, JobError};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Nothing {}

    impl Job for Nothing {
        const KIND: &'static str = "nothing";
        type App = ();
        type Output = ();

        async fn run(&self, _ctx: &JobContext<()>) -> std::result::Result<(), JobError> {
            Ok(())
        }
    }

    #[test]
    fn what_is_set_for_a_plan_is_set_for_each_of_its_jobs() {
        let job = || NewJob::of(Uuid::nil(), &Nothing {}).unwrap();
        let jobs = vec![job(), job()];
        let (last, ids) = (jobs[1].id, [jobs[0].id, jobs[1].id]);
        let plan = Plan::Workflow { jobs, last, asked: json!({}) };
        assert_eq!(plan.id(), last);
        let seen = std::cell::RefCell::new(Vec::new());
        drop(plan.map(|job| {
            seen.borrow_mut().push(job.id);
            job
        }));
        assert_eq!(seen.into_inner(), ids);
    }
}
