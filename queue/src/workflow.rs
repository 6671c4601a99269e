//! Workflows: jobs with dependencies, enqueued in one transaction.
//!
//! A child waits until its parents are final. What it knows of them is kept on the edges
//! (`pending`, `passed` or `failed`) and counted on the child, so that each end or retry of a
//! parent costs one update an edge, whatever the shape of the graph:
//!
//! - When no edge is pending, the child is released.
//! - When an edge failed (its parent was discarded or cancelled, and the edge does not say to
//!   continue), the child is cancelled with the error `dependency_failed`, and that is propagated
//!   to its own children in turn.
//! - When a parent is retried, its edges are pending again: children that still wait, wait for it
//!   too. Children that were cancelled because of failed parents are retried once none of their
//!   edges is failed. A child that somebody cancelled by hand stays cancelled, and so does one with
//!   a live duplicate (a job with its unique key): it can be retried when that job is final.
//!
//! The transaction that changes a parent propagates that to up to 500 edges. It records what is
//! left, and [`worker::resolver`](crate::worker::resolver) resolves those dependents in
//! transactions of the same size, so that no number of children makes a long transaction.

pub(crate) mod builder;
mod cancel;
mod cause;
mod children;
pub(crate) mod graph;
pub(crate) mod link;
mod parent;
mod propagate;
mod retry;
pub(crate) mod title;

pub use builder::{Step, enqueue_once};
pub use cancel::cancel;
pub use cause::{Cause, Edge, causes, edges};
pub use parent::Parent;
pub use retry::{RetryCounts, has_more_failed_than, retry_failed};
pub use title::{WorkflowTitle, title};

pub(crate) use parent::parents_of;
pub(crate) use propagate::{RESOLVER_WAKE_NAME, propagate_ends, propagate_retry, resolve_deferred};
