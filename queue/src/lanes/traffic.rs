//! What goes through the queues, and which workers claim from them.

use std::collections::{BTreeSet, HashMap};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;

/// Seconds over which [`traffic`] is measured.
pub const WINDOW_S: u32 = 60;

/// Jobs a second, over the last [`WINDOW_S`] seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// Attempts that started.
    pub started: f64,
    /// Jobs that ended: completed, cancelled or discarded.
    pub finished: f64,
}

/// The live workers of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueWorkers {
    /// Worker processes that claim from it.
    pub count: i64,
    /// Jobs that they can run at once.
    pub capacity: i64,
}

/// What goes through `queue`, summed up from its log of the last minute. It reads no jobs.
pub async fn traffic(conn: &mut PgConnection, queue: &str) -> Result<Traffic> {
    let row = sqlx::query!(
        r#"
        with base as (
            -- A checkpoint is written about every minute while there is much to sum up; its
            -- transactions bound the part of the log that is read.
            select coalesce((
                select oldest_txid from queue.view_checkpoints
                where queue = $1 and at <= queue.now() - make_interval(secs => $2) order by at desc limit 1), 0) as xid
        )
        select coalesce(sum(c.change) filter (where c.state = 'running'), 0) as "started!",
            coalesce(sum(c.change) filter (where c.state in ('completed', 'cancelled', 'discarded')), 0) as "finished!"
        from queue.lane_log l cross join lateral unnest(l.states, l.changes) as c (state, change)
        where l.queue = $1 and l.txid >= (select xid from base) and l.at > queue.now() - make_interval(secs => $2)
          and c.change > 0
        "#,
        queue,
        f64::from(WINDOW_S)
    )
    .fetch_one(conn)
    .await?;
    #[expect(clippy::cast_precision_loss, reason = "counts of a minute")]
    let per_second = |count: i64| count as f64 / f64::from(WINDOW_S);
    Ok(Traffic { started: per_second(row.started), finished: per_second(row.finished) })
}

/// Attempts that started in the last [`WINDOW_S`] seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneStarts {
    /// Those of one lane.
    pub lane: i64,
    /// Those of its whole queue.
    pub queue: i64,
}

/// What the lane of `tenant` and the whole `queue` started, from the log of the last minute. It
/// reads no jobs.
pub async fn lane_starts(conn: &mut PgConnection, queue: &str, tenant: Uuid) -> Result<LaneStarts> {
    let starts = sqlx::query_as!(
        LaneStarts,
        r#"
        with base as (
            select coalesce((
                select oldest_txid from queue.view_checkpoints
                where queue = $1 and at <= queue.now() - make_interval(secs => $2) order by at desc limit 1), 0) as xid
        )
        select coalesce(sum(c.change) filter (where c.tenant_id = $3), 0) as "lane!", coalesce(sum(c.change), 0) as "queue!"
        from queue.lane_log l cross join lateral unnest(l.tenants, l.states, l.changes) as c (tenant_id, state, change)
        where l.queue = $1 and l.txid >= (select xid from base) and l.at > queue.now() - make_interval(secs => $2)
          and l.of_claim_seq is not null and c.state = 'running'
        "#,
        queue,
        f64::from(WINDOW_S),
        tenant
    )
    .fetch_one(conn)
    .await?;
    Ok(starts)
}

/// The live workers, by queue.
pub async fn workers(conn: &mut PgConnection) -> Result<HashMap<String, QueueWorkers>> {
    let rows = sqlx::query!(
        r#"select name as "name!", count(*) as "count!", sum(coalesce((w.queue_capacity ->> name)::bigint, w.capacity))::bigint as "capacity!"
           from queue.workers w cross join unnest(w.queues) as name
           where w.lease_until > queue.now() and w.drain_requested_at is null group by name"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.name, QueueWorkers { count: row.count, capacity: row.capacity }))
        .collect())
}

/// The queues that a live worker claims from, and those that have settings: of their own, or of the
/// lane of `tenant`.
pub async fn known_queues(conn: &mut PgConnection, tenant: Option<Uuid>) -> Result<BTreeSet<String>> {
    let names = sqlx::query_scalar!(
        r#"select name as "name!" from queue.queues
           union select unnest(queues) from queue.workers where lease_until > queue.now()
           union select queue from queue.lanes where tenant_id = $1"#,
        tenant
    )
    .fetch_all(conn)
    .await?;
    Ok(names.into_iter().collect())
}

/// The queues whose jobs a view counts, whether or not a worker claims from them now.
pub async fn counted_queues(conn: &mut PgConnection) -> Result<Vec<String>> {
    let names = sqlx::query_scalar!(
        r#"
        -- From one queue's entries to the next one's, as there are many entries and few queues.
        with recursive logged (queue) as (
            (select queue from queue.lane_log order by queue limit 1)
            union all
            select (select l.queue from queue.lane_log l where l.queue > logged.queue order by l.queue limit 1)
            from logged where logged.queue is not null
        )
        select queue as "queue!" from logged where queue is not null union select queue from queue.view_checkpoints order by 1
        "#
    )
    .fetch_all(conn)
    .await?;
    Ok(names)
}
