//! What the tests of the service share: its API, its program, somebody in front of its dashboard.
//! The rest is in `weirgate_test_support`.

mod api;
mod app;
#[cfg(feature = "otlp")]
mod collector;
pub(crate) mod member;
pub(crate) mod person;
mod process;

pub(crate) use api::{TestApi, secret_keys};
pub(crate) use app::{all_domains, database, registry_with};
#[cfg(feature = "otlp")]
pub(crate) use collector::{Collector, Seen};
pub(crate) use process::{Process, weirgate};
