//! What must hold once the load has drained, whatever was done to it. Every promise is one entry of
//! [`PROMISES`].

use std::collections::{BTreeMap, HashSet};

use sqlx::{PgPool, Row};
use uuid::Uuid;
use weirgate_queue::Job;
use weirgate_queue::lanes::reconcile;

use crate::jobs::Chore;
use crate::load::Ledger;

/// A promise, and the query for what breaks it: each row is one job or ledger row, as JSON.
struct Promise {
    name: &'static str,
    broken_by: &'static str,
}

/// `$1`: jobs that were accepted; `$2`: jobs that were refused; `$3`: when the test began, by the
/// database.
const PROMISES: &[Promise] = &[
    Promise {
        name: "lost",
        broken_by: "select to_jsonb(wanted) from unnest($1) as wanted
            where not exists (select from queue.jobs j where j.id = wanted)",
    },
    Promise {
        name: "there though refused",
        broken_by: "select to_jsonb(j) from queue.jobs j where id = any($2)",
    },
    Promise {
        name: "stuck",
        broken_by: "select to_jsonb(j) || jsonb_build_object('lease', to_jsonb(w)) from queue.jobs j
            left join queue.workers w on w.id = j.worker_id
            where state not in ('completed', 'cancelled', 'discarded') and not STILL_DUE",
    },
    Promise {
        name: "failed for good",
        broken_by: "select to_jsonb(j) from queue.jobs j where state in ('cancelled', 'discarded')",
    },
    Promise {
        name: "running under no live lease",
        broken_by: "select to_jsonb(j) from queue.jobs j where state = 'running' and not exists (
            select from queue.workers w where w.id = j.worker_id and w.lease_until > queue.now())",
    },
    Promise {
        name: "completed without a ledger row",
        broken_by: "select to_jsonb(j) from queue.jobs j
            where state = 'completed' and not coalesce((args->>'plain')::boolean, false)
              and not exists (select from ledger l where l.job = j.id)",
    },
    Promise {
        name: "twice",
        broken_by: "select jsonb_agg(to_jsonb(l)) from ledger l group by job having count(*) > 1",
    },
    Promise {
        name: "in the ledger but not by the run that completed it",
        broken_by: "select jsonb_build_object('ledger', to_jsonb(l), 'job', to_jsonb(j) - 'output') from ledger l
            left join queue.jobs j on j.id = l.job
            where j.id is null or j.state <> 'completed' or (l.run, l.attempt) <> (j.run, j.attempt)",
    },
    Promise {
        name: "enqueued with a completion not exactly once",
        broken_by: "select to_jsonb(j) - 'output' || jsonb_build_object('children', count(c.id)) from queue.jobs j
            left join queue.jobs c on (c.args->>'parent')::uuid = j.id
            where (j.args->>'chain')::integer > 0 group by j.id
            having count(c.id) <> (j.state = 'completed')::integer",
    },
    Promise {
        name: "started before what it waits on had ended",
        broken_by: "select jsonb_build_object('child', to_jsonb(c) - 'output', 'parent', to_jsonb(p) - 'output')
            from queue.job_dependencies d
            join queue.jobs c on c.id = d.child_id join queue.jobs p on p.id = d.parent_id
            where c.run > 0 and (p.finalized_at is null or p.finalized_at > c.attempted_at)",
    },
    Promise {
        name: "with a wrong count of what it waits on",
        broken_by: "select to_jsonb(c) - 'output' from queue.jobs c where pending_parents <> (
            select count(*) from queue.job_dependencies d join queue.jobs p on p.id = d.parent_id
            where d.child_id = c.id and p.finalized_at is null)",
    },
    Promise {
        name: "with an attempt that left no trace",
        broken_by: "select to_jsonb(j) - 'output' from queue.jobs j
            where state = 'completed' and (jsonb_array_length(errors) <> attempt - 1 or run < attempt)",
    },
    Promise {
        name: "with a time that is not the database's",
        broken_by: "select to_jsonb(j) - 'output' from queue.jobs j where created_at < $3::text::timestamptz or created_at > queue.now()
            or attempted_at < created_at or attempted_at > queue.now()
            or finalized_at < attempted_at or finalized_at > queue.now()",
    },
    OVER_THEIR_RATE,
    OVER_MAX_RUNNING,
];

/// Starts of every claim, from the log that each writes: nothing forgets one, not even a job's next
/// attempt.
const OVER_THEIR_RATE: Promise = Promise {
    name: "starts over a lane's rate",
    broken_by: "
        with started as (
            select l.tenant_id, g.at, c.change, (l.limits->>'burst')::integer as burst,
                (l.limits->>'period_ms')::float8 * 1000 / (l.limits->>'rate')::float8 as interval_us,
                sum(c.change) over (partition by l.tenant_id order by g.at) as until_now
            from queue.lane_log g
            cross join unnest(g.tenants, g.states, g.changes) as c (tenant_id, state, change)
            join queue.lanes l on l.queue = g.queue and l.tenant_id = c.tenant_id and l.limits ? 'rate'
            where c.state = 'running' and c.change > 0
        )
        select jsonb_build_object('from', to_jsonb(a), 'to', to_jsonb(b)) from started a
        join started b on b.tenant_id = a.tenant_id and b.at >= a.at
        where b.until_now - a.until_now + a.change
            > a.burst + floor(extract(epoch from b.at - a.at) * 1000000 / a.interval_us)",
};

const OVER_MAX_RUNNING: Promise = Promise {
    name: "running beside more than a lane may",
    broken_by:
        "
        select to_jsonb(j) - 'output' from queue.jobs j
        join queue.lanes l on l.queue = j.queue and l.tenant_id = j.tenant_id and l.limits ? 'max_running'
        where (l.limits->>'max_running')::integer < (
            select count(*) from queue.jobs o
            where o.queue = j.queue and o.tenant_id = j.tenant_id
              and o.attempted_at <= j.attempted_at and coalesce(o.finalized_at, 'infinity') > j.attempted_at)",
};

/// A job that rightly waits for its time.
const STILL_DUE: &str = "(state = 'scheduled' and scheduled_at > queue.now() + interval '1 hour')";

/// How the load ended.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) accepted: usize,
    pub(crate) completed: i64,
    pub(crate) still_due: i64,
    pub(crate) ledger_rows: i64,
    /// Failed attempts by their code.
    failures: BTreeMap<String, i64>,
    /// Runs that were given back without counting as an attempt.
    pub(crate) handed_back: i64,
    /// Starts in lanes with limits.
    pub(crate) limited: i64,
    /// Enqueues whose commit got no answer.
    pub(crate) unknown: usize,
}

impl Counts {
    /// Attempts that ended with this code.
    pub(crate) fn failed(&self, code: &str) -> i64 {
        self.failures.get(code).copied().unwrap_or_default()
    }

    /// Attempts that ended with their worker's lease.
    pub(crate) fn rescued(&self) -> i64 {
        self.failed("worker_lost")
    }

    /// Attempts that failed by themselves, by their code.
    pub(crate) fn failures(&self) -> String {
        let own = self.failures.iter().filter(|(code, _)| *code != "worker_lost");
        let own: Vec<String> = own.map(|(code, count)| format!("{count} {code}")).collect();
        if own.is_empty() { "no failures".to_owned() } else { own.join(", ") }
    }
}

/// Checks every promise.
///
/// # Errors
/// Names every broken promise, with rows that break it.
pub(crate) async fn check(db: &PgPool, ledger: &Ledger, began: &str) -> Result<Counts, String> {
    let mut wrong = Vec::new();
    for promise in PROMISES {
        let sql = promise.broken_by.replace("STILL_DUE", STILL_DUE);
        let rows: Vec<serde_json::Value> = sqlx::query(sqlx::AssertSqlSafe(with_parameters(&sql)))
            .bind(&ledger.accepted)
            .bind(&ledger.refused)
            .bind(began)
            .fetch_all(db)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        report(&mut wrong, promise.name, &rows);
    }
    let (unknown, torn) = unknown(db, ledger).await;
    report(&mut wrong, "torn: part of a transaction is there", &torn);
    report(&mut wrong, "wrong counts of lanes", &discrepancies(db).await);
    let counts = count(db, ledger, &unknown).await;
    let explained = ledger.accepted.len() + unknown.len();
    let ended_or_due = counts.completed + counts.still_due;
    if i64::try_from(counts.accepted).unwrap() != ended_or_due {
        wrong.push(format!(
            "{} were accepted ({explained} by producers), but {ended_or_due} have ended or are still due",
            counts.accepted
        ));
    }
    if wrong.is_empty() { Ok(counts) } else { Err(format!("{}\n{counts:?}", wrong.join("\n"))) }
}

/// What the reconciler has to repair: nothing, ever.
async fn discrepancies(db: &PgPool) -> Vec<serde_json::Value> {
    let mut conn = db.acquire().await.unwrap();
    let discrepancies = reconcile::run_once(&mut conn, Chore::QUEUE).await.unwrap();
    discrepancies.into_iter().map(|discrepancy| format!("{discrepancy:?}").into()).collect()
}

/// Every query gets the same parameters, so each must use them.
fn with_parameters(sql: &str) -> String {
    format!("with given as (select $1::uuid[], $2::uuid[], $3::text) select * from ({sql}) as broken")
}

fn report(wrong: &mut Vec<String>, name: &str, rows: &[serde_json::Value]) {
    if !rows.is_empty() {
        let shown: Vec<String> = rows.iter().take(5).map(|row| format!("    {row}")).collect();
        wrong.push(format!("{} {name}, such as\n{}", rows.len(), shown.join("\n")));
    }
}

/// The jobs that are there of transactions without an answer, and those transactions that are there
/// in part.
async fn unknown(db: &PgPool, ledger: &Ledger) -> (Vec<Uuid>, Vec<serde_json::Value>) {
    let all: Vec<Uuid> = ledger.unknown.concat();
    let found: HashSet<Uuid> = sqlx::query_scalar("select id from queue.jobs where id = any($1)")
        .bind(&all)
        .fetch_all(db)
        .await
        .unwrap()
        .into_iter()
        .collect();
    let torn = ledger.unknown.iter().filter(|ids| {
        let there = ids.iter().filter(|id| found.contains(id)).count();
        there != 0 && there != ids.len()
    });
    let torn = torn.map(|ids| serde_json::json!(ids)).collect();
    (found.into_iter().collect(), torn)
}

async fn count(db: &PgPool, ledger: &Ledger, unknown: &[Uuid]) -> Counts {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "select count(*) filter (where state = 'completed'), count(*) filter (where {STILL_DUE}),
            (select count(*) from ledger),
            coalesce(sum(run - attempt), 0)::bigint,
            count(*) filter (where args->>'parent' is not null),
            coalesce(sum(run) filter (where tenant_id in (select tenant_id from queue.lanes)), 0)::bigint
         from queue.jobs"
    )))
    .fetch_one(db)
    .await
    .unwrap();
    let failures: Vec<(String, i64)> = sqlx::query_as(
        "select e->>'code', count(*) from queue.jobs, jsonb_array_elements(errors) as e group by 1",
    )
    .fetch_all(db)
    .await
    .unwrap();
    let followed = usize::try_from(row.get::<i64, _>(4)).unwrap();
    Counts {
        accepted: ledger.accepted.len() + unknown.len() + followed,
        completed: row.get(0),
        still_due: row.get(1),
        ledger_rows: row.get(2),
        failures: failures.into_iter().collect(),
        handed_back: row.get(3),
        limited: row.get(5),
        unknown: ledger.unknown.len(),
    }
}
