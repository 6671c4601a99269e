//! The connection to Postgres: how the engine's connections are set up, how long an answer may
//! take, and which history of the database its views belong to; and [`column`], by which a
//! statement gets many rows at once.
//!
//! A program connects with [`connect_options`], so that Postgres plans the engine's statements as
//! they were written, and brings the schema up to date with [`MIGRATOR`](crate::MIGRATOR).

pub(crate) mod column;
pub(crate) mod connect;
pub(crate) mod deadline;
pub mod history;
pub(crate) mod sticky;
