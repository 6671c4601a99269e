//! From a job's struct to the row that is enqueued.

use uuid::Uuid;

use crate::enqueue::new_job::NewJob;
use crate::error::Result;
use crate::job::Job;

impl NewJob {
    /// A job of kind `J` for `tenant`. While it is not final, a second one of the same kind, tenant
    /// and arguments is not stored ([`NewJob::not_unique`] and [`NewJob::unique_by`] change that).
    ///
    /// # Errors
    /// When the arguments are not representable as JSON.
    pub fn of<J: Job>(tenant: Uuid, job: &J) -> Result<Self> {
        let args = serde_json::to_value(job)?;
        Ok(Self::untyped(tenant, J::KIND, J::QUEUE, J::MAX_ATTEMPTS, args, job.subject()))
    }
}
