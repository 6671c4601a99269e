//! Backfills of steps: slice `n` is the step with that label; tenants take turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::backfill::{
    self, Backfill, BackfillSettings, Expansion, NewBackfill, Slice, SliceQuery, Slices, TenantScope,
};
use weirgate_queue::worker::expander::Expander;
use weirgate_queue::{NewJob, OnFailure};

use crate::{Does, Step, TestDb};

/// The plan that the slices are made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Steps {
    pub tenants: u64,
    pub does: Does,
    /// Only slices whose number is a multiple of this have something to do.
    pub every: u64,
    /// The expansion claims to have examined more slices than there are.
    pub overdoes: bool,
    /// Each slice is a workflow of two jobs.
    pub pairs: bool,
}

impl Steps {
    pub fn that(does: Does) -> Self {
        Self { tenants: 3, does, every: 1, overdoes: false, pairs: false }
    }

    /// Makes a backfill of `total` slices.
    pub async fn backfill(self, db: &TestDb, total: u64, settings: BackfillSettings) -> Uuid {
        let id = Uuid::now_v7();
        let new = NewBackfill {
            kind: "steps".to_owned(),
            spec: Value::Null,
            plan: serde_json::to_value(self).unwrap(),
            total,
            queues: vec!["default".to_owned()],
            priority: 5,
            settings,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        };
        let mut tx = db.pool.begin().await.unwrap();
        backfill::create(&mut tx, id, &new).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// The tenant of a slice.
    pub fn tenant(&self, n: u64) -> Uuid {
        Uuid::from_u128(u128::from(n % self.tenants))
    }

    fn slice(&self, n: u64) -> Slice {
        let tenant = self.tenant(n);
        let last = NewJob::of(tenant, &Step::new(&n.to_string(), self.does.clone())).unwrap();
        if !self.pairs {
            return Slice::one(n, last);
        }
        let first = Step::new(&format!("before {n}"), Does::Succeed);
        let first = NewJob::of(tenant, &first).unwrap().not_unique();
        Slice { number: n, last: last.id, jobs: vec![last.after(first.id, OnFailure::Cancel), first] }
    }
}

/// Knows only [`Steps`].
#[derive(Debug, Default)]
pub struct StepSlices {
    /// Whether the connection dies within the next expansion.
    pub dies: AtomicBool,
}

impl Slices for StepSlices {
    fn knows(&self, kind: &str) -> bool {
        kind == "steps"
    }

    fn expand<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        _: &'a str,
        plan: &'a Value,
        query: SliceQuery<'a>,
    ) -> BoxFuture<'a, weirgate_queue::Result<Expansion>> {
        async move {
            if self.dies.swap(false, Ordering::Relaxed) {
                sqlx::query("select pg_terminate_backend(pg_backend_pid())").execute(conn).await?;
            }
            let steps = Steps::deserialize(plan)?;
            let SliceQuery { range, tenants, limit } = query;
            let look = range.start..range.end.min(range.start + 1000);
            let is_wanted = |n: &u64| match tenants {
                TenantScope::AllExcept(others) => !others.contains(&steps.tenant(*n)),
                TenantScope::Only(one) => one == steps.tenant(*n),
            };
            let due: Vec<u64> =
                look.clone().filter(|n| n % steps.every == 0).filter(is_wanted).take(limit).collect();
            let next = if due.len() < limit { look.end } else { due[limit - 1] + 1 };
            let next = if steps.overdoes { range.end + 1 } else { next };
            Ok(Expansion { next, slices: due.into_iter().map(|n| steps.slice(n)).collect() })
        }
        .boxed()
    }

    fn count(&self, plan: &Value, from: &[(Uuid, u64)], end: u64) -> weirgate_queue::Result<u64> {
        let steps = Steps::deserialize(plan)?;
        let of = |(id, from): &(Uuid, u64)| (*from..end).filter(|n| steps.tenant(*n) == *id).count() as u64;
        Ok(from.iter().map(of).sum())
    }
}

pub fn expander() -> Expander {
    Expander::new(vec![Arc::new(StepSlices::default())])
}

/// The backfill as it is now.
pub async fn show(db: &TestDb, id: Uuid) -> Backfill {
    let mut conn = db.pool.acquire().await.unwrap();
    backfill::get(&mut conn, id).await.unwrap().expect("the backfill is there")
}
