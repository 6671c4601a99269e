//! What there is of `bench` in a build without it: the command, which says how to get the rest.

use anyhow::bail;

use crate::cli::Scenario;
use crate::commands::session::Session;
use crate::config::Config;

const ABSENT: &str =
    "this build measures nothing: it was made with `--no-default-features`; build it with `--features bench`";

pub(in crate::commands) async fn run(_: Scenario, _: Option<f64>, _: bool, _: Session) -> anyhow::Result<()> {
    bail!(ABSENT)
}

pub(in crate::commands) async fn run_worker(_: usize, _: &Config) -> anyhow::Result<()> {
    bail!(ABSENT)
}

pub(in crate::commands) async fn run_server(_: Session) -> anyhow::Result<()> {
    bail!(ABSENT)
}
