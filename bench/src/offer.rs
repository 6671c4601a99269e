//! Jobs that come when they come, whatever becomes of those before: an open loop.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;
use weirgate_queue::{NewJob, enqueue};

use super::stage::{Stage, tenants};
use super::work::Work;

const TENANTS: u128 = 50;
/// Most jobs of one transaction of a producer that is late.
const MOST: usize = 500;

/// How many jobs come, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    /// Jobs a second.
    pub(super) rate: u32,
    pub(super) lasts: Duration,
    /// Jobs that are due at the same time, for one transaction.
    pub(super) batch: u32,
    /// Connections that take turns.
    pub(super) producers: u32,
    pub(super) takes_ms: u64,
}

impl Offer {
    pub(super) fn jobs(&self) -> u64 {
        u64::from(self.batches()) * u64::from(self.batch)
    }

    fn batches(&self) -> u32 {
        let jobs = self.lasts.as_micros() * u128::from(self.rate) / 1_000_000;
        u32::try_from(jobs / u128::from(self.batch)).expect("a few hours")
    }

    /// When a job is due, from the beginning on.
    pub(super) fn due(&self, job: u64) -> Duration {
        let jobs_before = job - job % u64::from(self.batch);
        Duration::from_micros(jobs_before * 1_000_000 / u64::from(self.rate))
    }

    fn batch_due(&self, batch: u32) -> Duration {
        self.due(u64::from(batch) * u64::from(self.batch))
    }

    /// Offers all of them, from `begin` on. A producer that is late catches up with all that is due
    /// by then.
    pub(super) async fn make(self, stage: &Stage, begin: Instant) -> anyhow::Result<()> {
        let pool = stage.connections_of(usize::try_from(self.producers)?);
        let mut producers = JoinSet::new();
        for first in 0..self.producers {
            let mut conn = pool.acquire().await?;
            producers.spawn(async move { self.produce(&mut conn, begin, first).await });
        }
        while let Some(ended) = producers.join_next().await {
            ended??;
        }
        pool.close().await;
        Ok(())
    }

    async fn produce(&self, conn: &mut PgConnection, begin: Instant, first: u32) -> anyhow::Result<()> {
        let tenants = tenants(0, TENANTS);
        let mut next = first;
        while next < self.batches() {
            tokio::time::sleep_until((begin + self.batch_due(next)).into()).await;
            let now = begin.elapsed();
            let mut jobs = Vec::new();
            while next < self.batches() && self.batch_due(next) <= now && jobs.len() < MOST {
                self.add(next, &tenants, &mut jobs)?;
                next += self.producers;
            }
            let mut tx = conn.begin().await?;
            enqueue(&mut tx, jobs).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    fn add(&self, batch: u32, tenants: &[Uuid], to: &mut Vec<NewJob>) -> anyhow::Result<()> {
        let from = u64::from(batch) * u64::from(self.batch);
        for job in from..from + u64::from(self.batch) {
            let tenant = tenants[usize::try_from(job)? % tenants.len()];
            let work = Work { takes_ms: self.takes_ms, slice: Some(job) };
            to.push(NewJob::of(tenant, &work)?.not_unique());
        }
        Ok(())
    }

    pub(super) fn describe(&self) -> Value {
        json!({
            "jobs_per_s": self.rate,
            "seconds": self.lasts.as_secs_f64(),
            "batch": self.batch,
            "producers": self.producers,
            "tenants": 50,
            "takes_ms": self.takes_ms,
            "unique": false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_due_when_its_first_job_is() {
        let lasts = Duration::from_secs(2);
        let offer = Offer { rate: 5_000, lasts, batch: 10, producers: 4, takes_ms: 1 };
        assert_eq!(offer.jobs(), 10_000);
        let due = [0, 9, 10, 5_000].map(|job| offer.due(job).as_millis());
        assert_eq!(due, [0, 0, 2, 1_000]);
    }
}
