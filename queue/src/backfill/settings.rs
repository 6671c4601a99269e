//! How much of the fleet backfills may take.

use sqlx::PgConnection;

use crate::error::Result;
use crate::lanes::change;

/// How much of the fleet a backfill may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackfillSettings {
    /// The part of the fleet that it may take while live work waits, above 0 and up to 1. While no
    /// live work waits, it may take all.
    pub share: f64,
    /// Most of its jobs that run at once in a queue, at least 1; `None` for any number.
    pub max_running: Option<u32>,
}

impl Default for BackfillSettings {
    fn default() -> Self {
        Self { share: 0.25, max_running: None }
    }
}

/// Notifies the queues in one order, so that two such changes cannot wait on each other.
pub(super) async fn notify_settings_changed(conn: &mut PgConnection, queues: &[String]) -> Result<()> {
    let mut queues: Vec<&String> = queues.iter().collect();
    queues.sort_unstable();
    for queue in queues {
        change::publish(conn, queue).await?;
    }
    Ok(())
}
