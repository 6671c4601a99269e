//! Rebuilds the view of a queue from its jobs and claims, for a restored or promoted database: its
//! log says nothing there.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::JobState;
use crate::lanes::gcra::{Gcra, Rate};
use crate::lanes::log::{self, CountChange, Snapshot};
use crate::lanes::priority_level::PriorityLevel;
use crate::lanes::settings::{self, QueueSettings};
use crate::lanes::sublane::SubLaneId;
use crate::lanes::view::{QueueView, checkpoint};

/// Every queue that any table of the engine names.
pub(crate) async fn queues(conn: &mut PgConnection) -> Result<Vec<String>> {
    let queues = sqlx::query_scalar!(
        r#"select queue as "queue!" from (
               select distinct queue from queue.jobs union select distinct queue from queue.lane_log
               union select queue from queue.view_checkpoints union select distinct queue from queue.claims
               union select name from queue.queues
           ) as known order by queue"#
    )
    .fetch_all(conn)
    .await?;
    Ok(queues)
}

/// Writes a new checkpoint of `queue` and empties its log. The caller's transaction has begun
/// `history`; claims of the queue wait until it commits.
pub(crate) async fn run(conn: &mut PgConnection, queue: &str, history: Uuid) -> Result<()> {
    let claim_seq = log::take_claim_seq(conn, queue).await?;
    let known = known_arrivals(conn, queue).await?;
    let settings = settings::load(conn, queue).await?;
    let rows = sqlx::query_file!("src/lanes/rebuild.sql", queue, claim_seq).fetch_all(&mut *conn).await?;
    let first = rows.first().expect("the snapshot itself is a row");
    let high_water = first.high_water;
    let mut view = QueueView::default();
    queue.clone_into(&mut view.queue);
    (view.history, view.claim_seq, view.now) = (history, claim_seq, first.now);
    view.snapshot = Snapshot { xmax: first.xmax, in_progress: first.in_progress.clone() };
    view.set_high_water(high_water);
    for row in rows {
        let (Some(tenant), Some(priority), Some(state), Some(jobs)) =
            (row.tenant_id, row.priority, row.state, row.count)
        else {
            continue;
        };
        let id = SubLaneId { tenant, backfill: row.backfill_id };
        view.apply_count(&CountChange::sum(id, priority, state, jobs), claim_seq);
        if state == JobState::Available {
            let level = view.sublane_mut(id).levels.entry(Reverse(priority)).or_default();
            *level = PriorityLevel::from_beginning(high_water);
            (level.available, level.cursor) = (jobs, row.lowest.unwrap_or_default());
        }
    }
    exhaust_rates(&mut view, &settings, &known);
    checkpoint::save(conn, &mut view).await
}

/// The theoretical arrival times (TAT) that are known of a queue's rates.
struct KnownArrivals {
    /// By tenant.
    lanes: HashMap<Uuid, DateTime<Utc>>,
    /// Of the queue's own rate.
    queue: Option<DateTime<Utc>>,
}

/// The latest theoretical arrival times that were written down, in any history.
async fn known_arrivals(conn: &mut PgConnection, queue: &str) -> Result<KnownArrivals> {
    let of_claims = sqlx::query!(
        r#"select t.tenant as "tenant!", max(t.tat) as "tat!"
           from queue.lane_log l cross join unnest(l.tenants, l.tats) as t (tenant, tat)
           where l.queue = $1 and l.claim_seq is not null and t.tat > queue.now() group by 1"#,
        queue
    )
    .fetch_all(&mut *conn)
    .await?;
    let of_queue = sqlx::query_scalar!(
        "select max(queue_tat) from queue.lane_log where queue = $1 and claim_seq is not null",
        queue
    )
    .fetch_one(&mut *conn)
    .await?;
    let mut lanes: HashMap<Uuid, DateTime<Utc>> = HashMap::new();
    let newest = checkpoint::newest(conn, queue).await?;
    let of_checkpoint =
        newest.iter().flat_map(|view| &view.lanes).filter_map(|(id, lane)| Some((*id, lane.tat?)));
    for (tenant, tat) in of_claims.into_iter().map(|row| (row.tenant, row.tat)).chain(of_checkpoint) {
        let latest = lanes.entry(tenant).or_insert(tat);
        *latest = tat.max(*latest);
    }
    let queue = of_queue.max(newest.as_ref().and_then(|view| view.queue_tat));
    Ok(KnownArrivals { lanes, queue })
}

/// Counts as used what each rate has allowed until now. Starts whose log was lost may have used it,
/// and no window around the loss may have more starts than the rate allows.
fn exhaust_rates(view: &mut QueueView, settings: &QueueSettings, known: &KnownArrivals) {
    let now = view.now;
    let exhausted = |rate: Option<Rate>, tat: Option<DateTime<Utc>>| match rate.map(Gcra::new) {
        Some(gcra) => Some(gcra.after(tat, now, gcra.allowed(tat, now))),
        None => tat,
    };
    let tenants = view.lanes.keys().chain(settings.lanes.keys()).chain(known.lanes.keys());
    for tenant in tenants.copied().collect::<HashSet<Uuid>>() {
        let tat = exhausted(settings.lane_limits(tenant).rate, known.lanes.get(&tenant).copied());
        view.lanes.entry(tenant).or_default().tat = tat;
    }
    view.queue_tat = exhausted(settings.queue.rate, known.queue);
}
