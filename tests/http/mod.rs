//! The HTTP surface: the production router, without sockets.

mod auth;
mod backfills;
mod bulk;
mod dashboard;
mod docs;
mod enqueue;
mod errors;
mod exports;
mod follow;
mod idempotency;
mod intake;
mod isolation;
mod limits;
mod list;
mod operation;
mod options;
mod pipeline;
mod queues;
mod results;
mod schedules;
mod steer;
mod tickets;
mod validation;
mod why_blocked;
mod why_not_running;
mod workflows;
