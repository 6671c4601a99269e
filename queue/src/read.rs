//! Reads: jobs as clients see them, lists, counts, workflows and workers.
//!
//! Every function takes the caller's connection, whose role decides which rows are visible: under
//! the role `weirgate_tenant`, and with a tenant's id in the setting `weirgate.tenant`, these are
//! the rows of that tenant. No read takes a lock that claims wait for, and each costs a bounded
//! walk down an index, however many jobs there are.
//!
//! - [`get`] reads a job, [`list`] a page of jobs by a [`JobFilter`], and [`counts`] tells how many
//!   match it.
//! - [`Reader`] reads single jobs for many callers at once; [`watch`] follows jobs until they
//!   change.
//! - [`workflows`] lists workflows, and [`workflow()`] reads the jobs of one.
//! - [`workers`] lists the worker processes and what they run.
//! - [`board`] is a backend for the tools of apalis.

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
