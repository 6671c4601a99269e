//! Log lines, to standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Config, LogFormat};

/// Starts logging as the settings say; a `quiet` command shows warnings only, unless told
/// otherwise.
pub(crate) fn start(config: &Config, quiet: bool) {
    let said = std::env::var("WEIRGATE_LOG").is_ok_and(|value| !value.trim().is_empty());
    let filter = if quiet && !said { "warn,sqlx::query=error" } else { config.log.as_str() };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_span_events(FmtSpan::NONE)
        // They would go to standard error, too, and end the thread where nobody reads it.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // A second start, as in tests, keeps the first.
    let _ = match config.log_format {
        LogFormat::Pretty => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
}
