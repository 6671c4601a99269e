//! `tenants`.

use clap::{Args, Subcommand};

use weirgate_identity::tenants::{SLUG, is_slug};

/// What can be done with tenants.
#[derive(Debug, Subcommand)]
pub enum Tenants {
    /// List the tenants
    #[command(after_help = "Examples:\n  weirgate tenants list\n  weirgate tenants list --json")]
    List {
        /// Print JSON, one tenant a line
        #[arg(long)]
        json: bool,
    },
    /// Show one tenant
    #[command(after_help = "Example:\n  weirgate tenants show acme")]
    Show {
        /// Slug or UUID of the tenant
        tenant: String,
    },
    /// Create a tenant
    #[command(after_help = "\
Examples:
  weirgate tenants create acme --name 'Acme Ltd' --time-zone Europe/London
  weirgate keys create acme")]
    Create(NewTenant),
    /// Change a tenant; what is left out stays as it is
    #[command(after_help = "\
Examples:
  weirgate tenants set acme --time-zone America/New_York
  weirgate tenants set acme --active false")]
    Set(ChangedTenant),
}

/// Options of `tenants create`.
#[derive(Debug, Args)]
pub struct NewTenant {
    /// Its name in URLs, files and job arguments: letters, digits, - and _; it never changes
    #[arg(value_parser = slug)]
    pub slug: String,
    /// Display name [default: the slug]
    #[arg(long)]
    pub name: Option<String>,
    /// Where its days begin and end: an IANA time zone such as Europe/Berlin
    #[arg(long, default_value = "UTC")]
    pub time_zone: String,
    /// Allow language models on its data
    #[arg(long)]
    pub llm_enabled: bool,
}

/// Options of `tenants set`.
#[derive(Debug, Args)]
pub struct ChangedTenant {
    /// Slug or UUID of the tenant
    pub tenant: String,
    /// Display name
    #[arg(long)]
    pub name: Option<String>,
    /// Where its days begin and end: an IANA time zone such as Europe/Berlin
    #[arg(long)]
    pub time_zone: Option<String>,
    /// Whether jobs are accepted for it: true or false
    #[arg(long, value_name = "BOOL")]
    pub active: Option<bool>,
    /// Whether it allows language models on its data: true or false
    #[arg(long, value_name = "BOOL")]
    pub llm_enabled: Option<bool>,
}

fn slug(text: &str) -> Result<String, String> {
    is_slug(text).then(|| text.to_owned()).ok_or_else(|| SLUG.to_owned())
}
