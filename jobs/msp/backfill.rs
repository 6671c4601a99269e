//! Backfills of KPIs, exports and daily pipelines.

mod find;
mod kind;
mod slices;

use futures_util::future::FutureExt;

use find::count;

pub use kind::BackfillKind;
pub use slices::DailySlices;

impl BackfillKind {
    /// The same for all who look on.
    pub fn describe(self) -> weirgate_web::backfill::BackfillKind {
        weirgate_web::backfill::BackfillKind {
            name: self.name(),
            stored: self.as_str(),
            jobs_of_slice: self.jobs_of_slice(),
            job_kind: self.job_kind(),
            job_queue: self.job_queue(),
            queues: self.queues(),
            count: match self {
                Self::ComputeKpi => |conn, range| count(conn, range, Self::ComputeKpi).boxed(),
                Self::GenerateExport => |conn, range| count(conn, range, Self::GenerateExport).boxed(),
                Self::Pipeline => |conn, range| count(conn, range, Self::Pipeline).boxed(),
            },
        }
    }
}
