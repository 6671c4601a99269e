//! What the tests of several crates share.
//!
//! | for | what |
//! |---|---|
//! | a database | [`TestDb`]: one a test, copied from a [`Template`] that was migrated once; its clock is moved by the test |
//! | jobs | [`Step`], which does what the test says, and [`Probe`], which notes it; [`TestWorker`], the production worker in this process; [`TestApp`], a database, files and an application for handlers that are called without the queue |
//! | private arguments | [`TestKeys`], which seals and opens them |
//! | backfills | [`Steps`], whose slices are steps |
//! | schedules | [`Ticking`], whose ticks enqueue steps, and a [`leader`] to fire them |
//! | HTTP | [`Client`], which calls a router without sockets; [`Answer`], which checks what all answers have in common |
//! | plans | [`jobs_scans`] and [`rows_read`]: how Postgres reads for a statement |
//!
//! It knows the engine and identity. What needs a domain or the service stands beside its tests.

mod answer;
mod app;
mod client;
mod cluster;
mod database;
mod documented;
mod plan;
mod probe;
mod sealing;
mod slices;
mod template;
mod tenants;
mod ticking;
mod worker;

pub use answer::{Answer, id};
pub use app::{MOCK_DATA, TestApp};
pub use client::{Call, Client, SERVICE_TOKEN};
pub use cluster::postgres_program;
pub use database::TestDb;
pub use documented::Documented;
pub use plan::{jobs_scans, rows_read};
pub use probe::{Does, Probe, Step};
pub use sealing::TestKeys;
pub use slices::{StepSlices, Steps, expander, show};
pub use template::{ENGINE, IDENTITY, Template};
pub use tenants::{api_key, tenant};
pub use ticking::{Clockwork, Ticking, leader, scheduled_tenant};
pub use worker::{TestWorker, registry};
