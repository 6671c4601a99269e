//! What operators do that takes so long that a job does it, and what the service itself does by the
//! clock: jobs of no domain, which every worker runs.

mod bulk_jobs;
mod rotate_signing_keys;
mod workflow_retry;

use sqlx::PgPool;
use weirgate_identity::SecretKeys;
use weirgate_identity::scopes::Scope;
use weirgate_queue::Kinds;
use weirgate_queue::schedule::Schedules;
use weirgate_web::domain::Domain;

pub use bulk_jobs::{BulkDone, BulkJobs, BulkRefused};
pub use rotate_signing_keys::{RotateSigningKeys, RotatedSigningKeys};
pub use workflow_retry::{WorkflowRetry, retry_failed};

/// To follow jobs.
pub(crate) const READ_JOBS: Scope = Scope {
    name: "read:jobs",
    text: "Read jobs: list them, look at one, follow its events",
    by_default: true,
};

/// What their jobs need.
#[derive(Debug)]
pub struct Operations {
    /// The database.
    pub pool: PgPool,
    /// What its secrets are sealed with; none where nobody has set it.
    pub secret_keys: Option<SecretKeys>,
}

/// The operations, in the form of a domain.
pub(crate) fn domain<S: Clone + Send + Sync + 'static>() -> Domain<Operations, S> {
    Domain {
        kinds: Kinds::default().with::<BulkJobs>().with::<RotateSigningKeys>(),
        schedules: Schedules::default().with(rotate_signing_keys::Hourly),
        scopes: vec![READ_JOBS],
        ..Domain::new("operations")
    }
}
