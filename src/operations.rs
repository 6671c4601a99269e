//! What operators do that takes so long that a job does it: jobs of no domain, which every worker
//! runs.

mod bulk_jobs;
mod workflow_retry;

use sqlx::PgPool;
use weirgate_queue::Kinds;

use weirgate_web::domain::Domain;

pub use bulk_jobs::{BulkDone, BulkJobs, BulkRefused};
pub use workflow_retry::{WorkflowRetry, retry_failed};

/// The operations, in the form of a domain.
pub(crate) fn domain<S: Clone + Send + Sync + 'static>() -> Domain<PgPool, S> {
    Domain { kinds: Kinds::default().with::<BulkJobs>(), ..Domain::new("operations") }
}
