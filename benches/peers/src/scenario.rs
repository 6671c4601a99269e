//! What is measured, of each peer in a database of its own.

mod drain;
mod enqueue;
mod history;
mod latency;
mod pinned;
mod steady;
mod stream;
mod wal;

use std::time::Duration;

use clap::ValueEnum;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::peer::{Peer, Producer};
use crate::report::Report;
use crate::work::Work;

/// Jobs in one bulk call.
const BULK: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Scenario {
    Floor,
    Drain,
    Enqueue,
    Latency,
    Steady,
    Pinned,
    History,
    Wal,
}

impl Scenario {
    pub(crate) const ALL: [Self; 8] = [
        Self::Floor,
        Self::Drain,
        Self::Enqueue,
        Self::Latency,
        Self::Steady,
        Self::Pinned,
        Self::History,
        Self::Wal,
    ];

    /// As `weirgate bench` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Drain => "drain",
            Self::Enqueue => "enqueue",
            Self::Latency => "latency",
            Self::Steady => "steady",
            Self::Pinned => "pinned",
            Self::History => "history",
            Self::Wal => "wal",
        }
    }

    /// What `weirgate bench` is told besides.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            // Of these, two tenths alone and four beside a transaction that is left open.
            Self::Pinned => &["--minutes", "2.5"],
            _ => &[],
        }
    }

    /// How long it may take.
    pub(crate) fn limit(self) -> Duration {
        match self {
            // Ours makes ten million finished jobs for it.
            Self::History => Duration::from_mins(10),
            _ => Duration::from_mins(4),
        }
    }
}

/// Where a peer is measured.
struct Stage {
    peer: &'static dyn Peer,
    url: String,
    /// For looking on.
    pool: PgPool,
}

/// Measures one peer in an empty database.
pub(crate) async fn measure(
    scenario: Scenario,
    peer: &'static dyn Peer,
    url: &str,
) -> anyhow::Result<Report> {
    peer.migrate(url).await?;
    let pool = PgPoolOptions::new().max_connections(2).connect(url).await?;
    let stage = Stage { peer, url: url.to_owned(), pool };
    let mut report = Report::new(scenario.name());
    match scenario {
        Scenario::Floor => anyhow::bail!("the floor is plain SQL: `weirgate bench floor` measures it"),
        Scenario::Drain => drain::run(&stage, &mut report).await?,
        Scenario::Enqueue => enqueue::run(&stage, &mut report).await?,
        Scenario::Latency => latency::run(&stage, &mut report).await?,
        Scenario::Steady => steady::run(&stage, &mut report).await?,
        Scenario::Pinned => pinned::run(&stage, &mut report).await?,
        Scenario::History => history::run(&stage, &mut report).await?,
        Scenario::Wal => wal::run(&stage, &mut report).await?,
    }
    Ok(report)
}

impl Stage {
    /// Enqueues that many, `at_once` in a call.
    async fn fill(&self, jobs: usize, at_once: usize) -> anyhow::Result<()> {
        let producer = self.peer.producer(&self.url, 1).await?;
        fill(&*producer, jobs, at_once).await
    }

    /// As autovacuum leaves it. Without a checkpoint, so that whole pages in the WAL are nobody's.
    async fn settle(&self) -> anyhow::Result<()> {
        sqlx::raw_sql("vacuum (analyze)").execute(&self.pool).await?;
        Ok(())
    }

    async fn unfinished(&self) -> anyhow::Result<u64> {
        // Rolled back, so that it is not among the commits counted.
        let mut tx = self.pool.begin().await?;
        let count: i64 = sqlx::query_scalar(self.peer.unfinished()).fetch_one(&mut *tx).await?;
        tx.rollback().await?;
        Ok(u64::try_from(count.max(0))?)
    }
}

async fn fill(producer: &dyn Producer, jobs: usize, at_once: usize) -> anyhow::Result<()> {
    let mut left = jobs;
    while left > 0 {
        let now = left.min(at_once);
        producer.many(Work::many(now)).await?;
        left -= now;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}
