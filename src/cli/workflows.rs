//! `workflows`.

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use uuid::Uuid;
use weirgate_queue::read::WorkflowState;

use super::values::day;

/// What can be done with workflows.
#[derive(Debug, Subcommand)]
pub enum Workflows {
    /// List the newest workflows
    #[command(after_help = "\
Examples:
  weirgate workflows list --date 2026-01-20
  weirgate workflows list --tenant tenant_demo_cca --name daily_pipeline --state failed")]
    List(ListWorkflows),
    /// Show one workflow with its jobs
    #[command(after_help = "Example:\n  weirgate workflows show 0198c5d2-…")]
    Show {
        /// Its id
        id: Uuid,
    },
    /// Give its failed jobs another life, and with them what was cancelled because of them
    #[command(after_help = "Example:\n  weirgate workflows retry-failed 0198c5d2-…")]
    RetryFailed {
        /// Its id
        id: Uuid,
    },
    /// Cancel what is not over; what runs is told to stop
    #[command(after_help = "Example:\n  weirgate workflows cancel 0198c5d2-…")]
    Cancel {
        /// Its id
        id: Uuid,
    },
}

/// Options of `workflows list`.
#[derive(Debug, Args)]
pub struct ListWorkflows {
    /// Slug or UUID of a tenant
    #[arg(long)]
    pub tenant: Option<String>,
    /// The name of their kind, such as daily_pipeline
    #[arg(long)]
    pub name: Option<String>,
    /// For this day, such as 2026-01-20
    #[arg(long, value_parser = day)]
    pub date: Option<NaiveDate>,
    /// States, separated by commas: waiting, running, completed, failed, cancelled
    #[arg(long, value_delimiter = ',')]
    pub state: Vec<WorkflowState>,
    /// At most this many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,
}
