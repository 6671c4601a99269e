//! What these tests share.

mod api;
mod app;
mod upstream;

pub(crate) use api::TestApi;
pub(crate) use app::{TestApp, database, demo_app, new_app};
pub(crate) use upstream::{Reply, Upstream};
