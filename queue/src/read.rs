//! Reads: jobs as clients see them, lists, counts, workflows, workers. The caller's connection
//! decides which rows are visible.

#[macro_use]
mod job_rows;

pub mod board;
pub mod counts;
mod job;
mod list;
mod lookup;
mod output;
mod reader;
mod row;
pub mod watch;
mod workers;
mod workflow;
mod workflows;

pub use job::{get, get_abridged, parents};
pub use list::{JobFilter, JobPage, list};
pub use lookup::{
    Origin, PausedLanes, WorkerPlace, enqueued_at, is_known, kept, origin, paused_lanes, tenant_of,
    tenant_of_workflow, worker_places,
};
pub use output::{OutputText, output};
pub use reader::{JobWithPosition, Reader};
pub use row::{JobRow, WaitsOn};
pub use workers::{RunningRow, WorkerRow, live_workers, running_on, workers};
pub use workflow::{WorkflowCounts, neighbours, workflow, workflow_counts};
pub use workflows::{WorkflowFilter, WorkflowPage, WorkflowRow, WorkflowState, workflows};

pub(crate) use list::like_pattern;
