//! What operators do that takes so long that a job does it: jobs of no domain, which every worker
//! runs.

mod bulk_jobs;
mod workflow_retry;

use sqlx::PgPool;
use weirgate_identity::scopes::Scope;
use weirgate_queue::Kinds;

use weirgate_web::domain::Domain;

pub use bulk_jobs::{BulkDone, BulkJobs, BulkRefused};
pub use workflow_retry::{WorkflowRetry, retry_failed};

/// To follow jobs.
pub(crate) const READ_JOBS: Scope = Scope {
    name: "read:jobs",
    text: "Read jobs: list them, look at one, follow its events",
    by_default: true,
};

/// The operations, in the form of a domain.
pub(crate) fn domain<S: Clone + Send + Sync + 'static>() -> Domain<PgPool, S> {
    Domain {
        kinds: Kinds::default().with::<BulkJobs>(),
        scopes: vec![READ_JOBS],
        ..Domain::new("operations")
    }
}
