//! `keys`.

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};

use super::values;

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Create a key and print it (it is not shown again)
    #[command(after_help = "\
Examples:
  weirgate keys create tenant_demo_cca --name dashboard
  weirgate keys create tenant_demo_cca --name auditor --scope read:kpis,read:exports --expires-in 30d")]
    Create(NewKey),
    /// List keys by their prefixes, with their scopes, expiry and last use
    #[command(after_help = "Examples:\n  weirgate keys list\n  weirgate keys list tenant_demo_cca")]
    List {
        /// Slug or UUID of a tenant [default: all tenants]
        tenant: Option<String>,
    },
    /// Revoke a key
    #[command(after_help = "Example:\n  weirgate keys revoke wg_1a2b3c4d")]
    Revoke {
        /// The key's prefix (wg_ and 8 characters), or the whole key
        key: String,
    },
    /// List the scopes that keys may have
    #[command(after_help = "Example:\n  weirgate keys scopes")]
    Scopes,
}

/// Options of `keys create`.
#[derive(Debug, Args)]
pub struct NewKey {
    /// Slug or UUID of the tenant
    pub tenant: String,
    /// What the key is for
    #[arg(long, default_value = "cli")]
    pub name: String,
    /// What it may be used for, such as read:kpis; several with commas between, or by repeating
    /// the option [default: every scope that `weirgate keys scopes` marks as default]
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    pub scopes: Vec<String>,
    #[command(flatten)]
    pub expiry: Expiry,
}

/// When a key is no longer good.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Expiry {
    /// Expire after this time, such as 90d, 12h or 30min [default: never]
    #[arg(long, value_parser = key_life)]
    pub expires_in: Option<TimeDelta>,
    /// Expire at this time (RFC 3339), such as 2026-12-31T00:00:00Z
    #[arg(long, value_parser = values::time)]
    pub expires: Option<DateTime<Utc>>,
}

fn key_life(text: &str) -> Result<TimeDelta, String> {
    let (number, unit) =
        text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "d" => Some(86_400),
        "h" => Some(3600),
        "min" => Some(60),
        _ => None,
    };
    let life = seconds.and_then(|seconds| number.parse::<u32>().ok()?.checked_mul(seconds));
    // Up to 100 years.
    let life = life.filter(|life| (1..=100 * 365 * 86_400).contains(life));
    life.map(|life| TimeDelta::seconds(life.into()))
        .ok_or_else(|| "expected a number of days, hours or minutes, such as 90d, 12h or 30min".to_owned())
}
