//! The log of a queue's lanes: rows that nobody updates, read once each by every host.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::JobState;
use crate::lanes::book::{Book, FlowId};

/// Which transactions a reader has seen: all below `xmax` but those that were under way then.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Seen {
    pub(crate) xmax: i64,
    pub(crate) under_way: Vec<i64>,
}

impl Count {
    pub(crate) fn flow(&self) -> FlowId {
        FlowId { tenant: self.tenant, backfill: self.backfill }
    }
}

impl Seen {
    fn oldest_unseen(&self) -> i64 {
        self.under_way.iter().copied().min().unwrap_or(self.xmax)
    }

    /// Whether it has seen what this transaction did.
    pub(crate) fn has(&self, txid: i64) -> bool {
        txid < self.xmax && !self.under_way.contains(&txid)
    }
}

/// What is new since the last look.
pub(crate) struct News {
    pub(crate) seen: Seen,
    /// The history that it was read in.
    pub(crate) history: Uuid,
    /// When the process of the server began.
    pub(crate) server: DateTime<Utc>,
    /// The database's time of this look.
    pub(crate) now: DateTime<Utc>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) counts: Vec<Count>,
    /// What the claims among them were decided on, by turn: each on all that the one before was, and more.
    pub(crate) sights: Vec<(i64, Seen)>,
}

/// A claim or a change of settings.
pub(crate) struct Turn {
    pub(crate) no: i64,
    /// Who claimed; none when settings changed.
    pub(crate) worker: Option<Uuid>,
    pub(crate) virtual_times: [f64; 2],
    pub(crate) queue_tat: Option<DateTime<Utc>>,
    pub(crate) flows: Vec<FlowTurn>,
}

/// What a claim left a flow with.
pub(crate) struct FlowTurn {
    pub(crate) tenant: Uuid,
    pub(crate) backfill: Option<Uuid>,
    pub(crate) tag: f64,
    pub(crate) tat: Option<DateTime<Utc>>,
}

/// By how much the number of jobs of a flow in a state changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) tenant: Uuid,
    pub(crate) backfill: Option<Uuid>,
    pub(crate) priority: i16,
    pub(crate) state: JobState,
    pub(crate) change: i64,
    /// The transaction that changed it.
    pub(crate) txid: i64,
    /// Lowest `seq` that became available.
    pub(crate) lowest: Option<i64>,
    /// This one job came back: `lowest` is its `seq`.
    pub(crate) returned: bool,
    /// What a claim has taken.
    pub(crate) claimed: Option<Claimed>,
}

/// How far a claim has come in a lane: past everything there but what came back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claimed {
    pub(crate) turn: i64,
    /// The `seq` after the last that it took.
    pub(crate) past: i64,
}

/// Reads what `seen` does not hold.
pub(crate) async fn news(conn: &mut PgConnection, queue: &str, seen: &Seen) -> Result<News> {
    let rows = sqlx::query!(
        r#"
        with look as materialized (
            select pg_snapshot_xmax(snapshot)::text::bigint as xmax, array(select x::text::bigint from pg_snapshot_xip(snapshot) as x) as under_way,
                queue.now() as now, queue.history_id() as history,
                pg_postmaster_start_time() as server
            from (select pg_current_snapshot() as snapshot) as s
        )
        select
            xmax as "xmax!", under_way as "under_way!", now as "now!", history as "history!", server as "server!",
            l.txid as "txid?", l.claim_seq as "claim_seq?", l.of_claim_seq, l.requeued as "requeued?", l.worker_id as "worker_id?",
            l.virtual_times as "virtual_times?", l.queue_tat as "queue_tat?",
            l.snapshot_xmax, l.snapshot_xip,
            l.tenants as "tenants?", l.backfills as "backfills?: Vec<Option<Uuid>>", l.priorities as "priorities?",
            l.states::text[] as "states?: Vec<String>", l.changes as "changes?", l.lowest as "lowest?: Vec<Option<i64>>",
            l.tags as "tags?", l.tats as "tats?: Vec<Option<DateTime<Utc>>>"
        from look
        left join lateral (
            -- Written so that each is a search of the index, whatever the statistics say: one condition with `or`, or with
            -- `any`, becomes a walk over the queue's whole log. The parameters are hidden from the planner, which otherwise
            -- plans anew for each.
            select * from queue.lane_log where queue = (select $1::text) and txid >= (select $2::bigint)
            union all
            select late.* from unnest((select $3::bigint[])) as x
            cross join lateral (select * from queue.lane_log where queue = (select $1::text) and txid = x offset 0) as late
        ) l on true
        order by l.claim_seq
        "#,
        queue,
        seen.xmax,
        &seen.under_way
    )
    .fetch_all(conn)
    .await?;
    let first = rows.first().expect("the look itself is a row");
    let mut news = News {
        seen: Seen { xmax: first.xmax, under_way: first.under_way.clone() },
        history: first.history,
        server: first.server,
        now: first.now,
        turns: Vec::new(),
        counts: Vec::new(),
        sights: Vec::new(),
    };
    for row in rows {
        let Some(tenants) = row.tenants else { continue };
        let backfills = row.backfills.unwrap_or_default();
        if let Some(no) = row.claim_seq {
            let (tags, arrivals) = (row.tags.unwrap_or_default(), row.tats.unwrap_or_default());
            let flows = (0..tenants.len())
                .map(|i| FlowTurn {
                    tenant: tenants[i],
                    backfill: backfills[i],
                    tag: tags[i],
                    tat: arrivals[i],
                })
                .collect();
            let virtual_times = row.virtual_times.and_then(|times| times.try_into().ok()).unwrap_or_default();
            news.turns.push(Turn {
                no,
                worker: row.worker_id,
                virtual_times,
                queue_tat: row.queue_tat,
                flows,
            });
        } else {
            let (priorities, states) = (row.priorities.unwrap_or_default(), row.states.unwrap_or_default());
            let (changes, lowest) = (row.changes.unwrap_or_default(), row.lowest.unwrap_or_default());
            let sight =
                row.snapshot_xmax.zip(row.snapshot_xip).map(|(xmax, under_way)| Seen { xmax, under_way });
            news.sights.extend(row.of_claim_seq.zip(sight));
            news.counts.extend((0..tenants.len()).map(|i| Count {
                claimed: row.of_claim_seq.zip(lowest[i]).map(|(turn, past)| Claimed { turn, past }),
                tenant: tenants[i],
                backfill: backfills[i],
                priority: priorities[i],
                state: states[i].parse().expect("the enum's names are the states'"),
                change: i64::from(changes[i]),
                txid: row.txid.unwrap_or_default(),
                lowest: if row.of_claim_seq.is_some() { None } else { lowest[i] },
                returned: row.requeued.unwrap_or_default(),
            }));
        }
    }
    news.sights.sort_unstable_by_key(|(turn, _)| *turn);
    Ok(news)
}

/// Takes the next turn without a claim: what is decided on the picture before it will find its number taken.
///
/// Its number.
pub(crate) async fn take_turn(conn: &mut PgConnection, queue: &str) -> Result<i64> {
    // Others wait for this turn: a process that is stopped in its transaction must not hold them up.
    sqlx::query!("select set_config('idle_in_transaction_session_timeout', '5s', true)")
        .fetch_one(&mut *conn)
        .await?;
    loop {
        let taken = sqlx::query_scalar!(
            r#"insert into queue.lane_log (queue, claim_seq)
             select $1, greatest(
                 (select coalesce(max(claim_seq), 0) from queue.lane_log where queue = $1 and claim_seq is not null),
                 (select coalesce(max(claim_seq), 0) from queue.view_checkpoints where queue = $1)) + 1
             on conflict (queue, claim_seq) where claim_seq is not null do nothing returning claim_seq as "claim_seq!""#,
            queue
        )
        .fetch_optional(&mut *conn)
        .await?;
        if let Some(no) = taken {
            return Ok(no);
        }
    }
}

/// The oldest claim of the queue, from `since` on, that is not worked off; `next` where there is none.
pub(crate) async fn oldest_claim(conn: &mut PgConnection, queue: &str, since: i64, next: i64) -> Result<i64> {
    let no = sqlx::query_scalar!(
        "select min(claim_seq) from queue.claims where queue = $1 and claim_seq >= $2",
        queue,
        since
    )
    .fetch_one(conn)
    .await?;
    Ok(no.unwrap_or(next))
}

/// Jobs that the live workers of the queue can run at once.
pub(crate) async fn slots(conn: &mut PgConnection, queue: &str) -> Result<i64> {
    let slots = sqlx::query_scalar!(
        r#"select coalesce(sum(coalesce((queue_slots ->> $1::text)::bigint, capacity)), 0)::bigint as "slots!" from queue.workers
           where $1 = any(queues) and lease_until > queue.now() and drain_requested_at is null"#,
        queue
    )
    .fetch_one(conn)
    .await?;
    Ok(slots)
}

/// The newest view that was written down in this history, or an empty one.
pub(crate) async fn load(conn: &mut PgConnection, queue: &str) -> Result<Book> {
    let row = sqlx::query!(
        r#"select h.id as "history!", pg_postmaster_start_time() as "server!", b.view as "book?: Json<Book>"
           from (select queue.history_id() as id) h
           left join lateral (
               select view from queue.view_checkpoints where queue = $1 and history = h.id order by at desc limit 1
           ) b on true"#,
        queue
    )
    .fetch_one(conn)
    .await?;
    let mut book = row.book.map(|json| json.0).unwrap_or_default();
    queue.clone_into(&mut book.queue);
    (book.history, book.server) = (row.history, row.server);
    Ok(book)
}

/// The newest view that was written down in any history.
pub(crate) async fn newest(conn: &mut PgConnection, queue: &str) -> Result<Option<Book>> {
    let book = sqlx::query_scalar!(
        r#"select view as "book: Json<Book>" from queue.view_checkpoints where queue = $1 order by at desc limit 1"#,
        queue
    )
    .fetch_optional(conn)
    .await?;
    Ok(book.map(|json| json.0))
}

/// Whether workers of another history than `history` may still run what they claimed in it.
pub(crate) async fn lost_workers(conn: &mut PgConnection, history: Uuid) -> Result<bool> {
    let live = sqlx::query_scalar!(
        r#"select exists (
               select from queue.workers where history is distinct from $1 and lease_until > queue.now()) as "live!""#,
        history
    )
    .fetch_one(conn)
    .await?;
    Ok(live)
}

/// Writes a book down for hosts that begin to read.
pub(crate) async fn save(conn: &mut PgConnection, book: &mut Book) -> Result<()> {
    sqlx::query!(
        "insert into queue.view_checkpoints (queue, at, oldest_txid, claim_seq, view, history) values ($1, queue.now(), $2, $3, $4, $5)
         on conflict do nothing",
        book.queue,
        book.seen.oldest_unseen(),
        book.no,
        Json(&*book) as _,
        book.history
    )
    .execute(conn)
    .await?;
    book.written();
    Ok(())
}

/// Deletes what every book of the last ten minutes holds, and the books before; returns how many rows.
///
/// A host that has not looked for longer than [`Book::MAX_AGE`] begins anew from a book.
pub(crate) async fn prune(conn: &mut PgConnection, queue: &str) -> Result<u64> {
    let deleted = sqlx::query!(
        "with base as (
            select at, oldest_txid, claim_seq from queue.view_checkpoints
            where queue = $1 and at < queue.now() - interval '10 minutes' order by at desc limit 1
        ), books as (
            delete from queue.view_checkpoints b using base where b.queue = $1 and b.at < base.at
        )
        delete from queue.lane_log l using base
        where l.queue = $1 and l.txid < base.oldest_txid and (l.claim_seq is null or l.claim_seq < base.claim_seq)",
        queue
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(deleted)
}
