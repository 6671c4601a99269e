//! When each transaction became visible, without a query on any table.
//!
//! `finalized_at` is when the finishing transaction began. This module finds out when it had
//! committed: snapshots that are taken one after the other tell which transactions are over, and
//! the `xmin` of a finished row tells which one finished it.

use std::collections::{HashMap, HashSet};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio_util::sync::CancellationToken;

/// Takes snapshots until it is stopped.
pub(super) struct Commits {
    stop: CancellationToken,
    thread: JoinHandle<anyhow::Result<Seen>>,
}

/// When each transaction was first seen to be over, in microseconds of the database's clock: never
/// too early, and too late by at most the time between two snapshots.
#[derive(Debug, Default)]
pub(super) struct Seen(HashMap<u32, i64>);

impl Seen {
    /// By the `xmin` of a row that the transaction wrote.
    pub(super) fn at(&self, xmin: i64) -> anyhow::Result<i64> {
        let over = u32::try_from(xmin).ok().and_then(|xid| self.0.get(&xid));
        over.copied().with_context(|| format!("transaction {xmin} was not seen to end"))
    }

    /// Of transactions that were not over at the last snapshot, those that are at `now`.
    fn add(&mut self, last: &Snapshot, now: &Snapshot, micros: i64) {
        let open = last.running.iter().copied().chain(last.next..now.next);
        for xid in open.filter(|xid| !now.running.contains(xid)) {
            // A row has the lower half of the number.
            self.0.insert(u32::try_from(xid & 0xffff_ffff).expect("half"), micros);
        }
    }
}

/// The transactions that run, and the number of the next one.
struct Snapshot {
    running: HashSet<u64>,
    next: u64,
}

impl Snapshot {
    /// From Postgres' `xmin:xmax:xip,xip`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':').skip(1);
        let next = parts.next()?.parse().ok()?;
        let running = parts.next()?.split(',').filter(|xid| !xid.is_empty()).map(str::parse);
        Some(Self { running: running.collect::<Result<_, _>>().ok()?, next })
    }
}

impl Commits {
    /// With a pause of `every` between snapshots.
    pub(super) fn watch(options: PgConnectOptions, every: Duration) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        // Tokio's timers count whole milliseconds, and its threads have other things to do.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let watch = watch(options, every, stop.clone());
        let thread = std::thread::spawn(move || runtime.block_on(watch));
        Ok(Self { stop, thread })
    }

    pub(super) async fn stop(self) -> anyhow::Result<Seen> {
        self.stop.cancel();
        let ended = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        ended.map_err(|_| anyhow!("the watcher of commits panicked"))?
    }
}

async fn watch(options: PgConnectOptions, every: Duration, stop: CancellationToken) -> anyhow::Result<Seen> {
    let mut conn = options.connect().await?;
    // All snapshots are taken in one transaction, as further commits would be counted. It holds
    // nothing between its statements.
    let mut tx = conn.begin().await?;
    let mut seen = Seen::default();
    let mut last: Option<Snapshot> = None;
    loop {
        // One more after the word to stop.
        let stopped = stop.is_cancelled();
        let (text, micros): (String, i64) = sqlx::query_as(
            "select pg_current_snapshot()::text, (extract(epoch from clock_timestamp()) * 1000000)::bigint",
        )
        .fetch_one(&mut *tx)
        .await?;
        let now = Snapshot::parse(&text).with_context(|| format!("a snapshot that reads {text:?}"))?;
        if let Some(last) = &last {
            seen.add(last, &now, micros);
        }
        last = Some(now);
        if stopped {
            tx.rollback().await?;
            conn.close().await?;
            return Ok(seen);
        }
        std::thread::sleep(every);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_over_when_a_snapshot_no_longer_has_it() {
        let mut seen = Seen::default();
        let [first, second, third] =
            ["10:12:10", "10:15:10,13", "15:15:"].map(|text| Snapshot::parse(text).expect("well-formed"));
        seen.add(&first, &second, 1);
        seen.add(&second, &third, 2);
        let over = [10, 11, 12, 13, 14].map(|xid| seen.at(xid).ok());
        assert_eq!(over, [Some(2), None, Some(1), Some(2), Some(1)]);
    }
}
