//! The database's clock, read off this process' own.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use az::SaturatingAs;
use sqlx::PgConnection;

/// How often it is asked; the quickest answer has the smallest error.
const ASKED: usize = 50;

/// What the database's clock shows at an instant of this process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    at: Instant,
    micros: i64,
}

impl Clock {
    pub(super) async fn read(conn: &mut PgConnection) -> anyhow::Result<Self> {
        let mut best: Option<(Duration, Self)> = None;
        for _ in 0..ASKED {
            let asked = Instant::now();
            let micros =
                sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
                    .fetch_one(&mut *conn)
                    .await?;
            let took = asked.elapsed();
            if best.is_none_or(|(quickest, _)| took < quickest) {
                best = Some((took, Self { at: asked + took / 2, micros }));
            }
        }
        Ok(best.context("the clock was not asked")?.1)
    }

    /// Microseconds since 1970.
    pub(super) fn micros(&self, instant: Instant) -> i64 {
        let signed = |duration: Duration| duration.as_micros().saturating_as::<i64>();
        let since = signed(instant.saturating_duration_since(self.at));
        self.micros + since - signed(self.at.saturating_duration_since(instant))
    }
}
