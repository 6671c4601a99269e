//! The HTTP surface: the production router, without sockets.

mod auth;
mod backfills;
mod docs;
mod enqueue;
mod errors;
mod exports;
mod follow;
mod idempotency;
mod isolation;
mod list;
mod operation;
mod options;
mod pipeline;
mod results;
mod steer;
mod tickets;
mod validation;
mod why_not_running;
