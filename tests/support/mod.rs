//! What the tests share: a Postgres of their own, a database a test, a clock to travel with, jobs to run.

mod api;
mod app;
mod cluster;
#[cfg(feature = "otlp")]
mod collector;
mod database;
mod documented;
pub(crate) mod person;
pub(crate) mod plan;
mod probe;
mod process;
mod slices;
mod ticking;
mod upstream;
mod worker;

pub(crate) use api::{Answer, Call, TestApi, id};
pub(crate) use app::{MOCK_DATA, TestApp, all_domains, registry_with, tenant};
pub(crate) use cluster::program as postgres_program;
#[cfg(feature = "otlp")]
pub(crate) use collector::{Collector, Seen};
pub(crate) use database::{TestDb, rows_read};
pub(crate) use probe::{Does, Probe, Step, registry};
pub(crate) use process::{Process, weirgate};
pub(crate) use slices::{StepSlices, Steps, expander, show};
pub(crate) use ticking::{Ticking, leader, tenant as scheduled_tenant};
pub(crate) use upstream::{Reply, Upstream};
pub(crate) use worker::TestWorker;
