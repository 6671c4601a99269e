//! Rebuilds a queue's view from its jobs and claims, for a database that lives on with another history.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::JobState;
use crate::lanes::book::{Book, Level};
use crate::lanes::gcra::Gcra;
use crate::lanes::limits::{self, Rate, Settings};
use crate::lanes::log::{self, Count, Seen};

/// Every queue of which anything is known.
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

/// Writes the view of `queue` down anew and empties its log. The caller's transaction has begun `history`; claims of the
/// queue wait until it commits.
pub(crate) async fn run(conn: &mut PgConnection, queue: &str, history: Uuid) -> Result<()> {
    let no = log::take_turn(conn, queue).await?;
    let arrivals = arrivals(conn, queue).await?;
    let settings = limits::settings(conn, queue).await?;
    let rows = sqlx::query_file!("src/lanes/rebuild.sql", queue, no).fetch_all(&mut *conn).await?;
    let first = rows.first().expect("the snapshot itself is a row");
    let mut view = Book::default();
    queue.clone_into(&mut view.queue);
    (view.history, view.no, view.now) = (history, no, first.now);
    view.seen = Seen { xmax: first.xmax, under_way: first.under_way.clone() };
    view.claimed_up_to(first.claimed);
    let claimed = first.claimed;
    for row in rows {
        let (Some(tenant), Some(priority), Some(state), Some(change)) =
            (row.tenant_id, row.priority, row.state, row.count)
        else {
            continue;
        };
        let count = Count {
            tenant,
            backfill: row.backfill_id,
            priority,
            state: state.parse().expect("the enum's names are the states'"),
            change,
            txid: 0,
            lowest: None,
            returned: false,
            claimed: None,
        };
        view.count(&count, no);
        if count.state == JobState::Available {
            let level = view.flow(count.flow()).levels.entry(Reverse(priority)).or_default();
            *level = Level::from_beginning(claimed);
            (level.available, level.from) = (change, row.lowest.unwrap_or_default());
        }
    }
    use_up(&mut view, &settings, &arrivals);
    log::save(conn, &mut view).await
}

/// What was known of a queue's rates.
struct Arrivals {
    lanes: HashMap<Uuid, DateTime<Utc>>,
    queue: Option<DateTime<Utc>>,
}

/// The latest theoretical arrival times that were written down, in whichever history.
async fn arrivals(conn: &mut PgConnection, queue: &str) -> Result<Arrivals> {
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
    let saved = log::newest(conn, queue).await?;
    let of_view = saved.iter().flat_map(|view| &view.lanes).filter_map(|(id, lane)| Some((*id, lane.tat?)));
    for (tenant, tat) in of_claims.into_iter().map(|row| (row.tenant, row.tat)).chain(of_view) {
        let latest = lanes.entry(tenant).or_insert(tat);
        *latest = tat.max(*latest);
    }
    let queue = of_queue.max(saved.as_ref().and_then(|view| view.queue_tat));
    Ok(Arrivals { lanes, queue })
}

/// Starts of which nothing came along may have been made until now: what each rate allowed by then counts as used, so
/// that no window around the loss has more starts than the rate allows.
fn use_up(view: &mut Book, settings: &Settings, arrivals: &Arrivals) {
    let now = view.now;
    let used = |rate: Option<Rate>, tat: Option<DateTime<Utc>>| match rate.map(Gcra::new) {
        Some(gcra) => Some(gcra.after(tat, now, gcra.allowed(tat, now))),
        None => tat,
    };
    let known = view.lanes.keys().chain(settings.lanes.keys()).chain(arrivals.lanes.keys());
    for tenant in known.copied().collect::<HashSet<Uuid>>() {
        let tat = used(settings.lane(tenant).rate, arrivals.lanes.get(&tenant).copied());
        view.lanes.entry(tenant).or_default().tat = tat;
    }
    view.queue_tat = used(settings.queue.rate, arrivals.queue);
}
