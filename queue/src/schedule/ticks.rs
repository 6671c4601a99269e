//! Which ticks are due, and the rows that make each of them count once.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Missed, Settings, Tick};
use crate::error::Result;
use crate::schedule::cron::Cron;

/// A tick this old was missed: long enough for another leader to take over, short enough for `skip` to mean something.
const IN_TIME: TimeDelta = TimeDelta::minutes(1);

/// What to do about the ticks that have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    /// To fire, oldest first.
    pub(crate) fire: Vec<DateTime<Utc>>,
    /// The newest that is passed over, where nothing fires: from then on, those before it are past too.
    pub(crate) passed_over: Option<DateTime<Utc>>,
}

/// The ticks after `after` up to `now`, by the schedule's policy.
pub(crate) fn due(
    cron: &Cron,
    zone: Tz,
    settings: &Settings,
    after: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Due {
    let late = (now - IN_TIME).max(after);
    let in_time: Vec<_> = cron.between(late, now, zone).collect();
    let take = match settings.missed {
        Missed::Skip => 0,
        Missed::One => usize::from(in_time.is_empty()),
        Missed::All => usize::from(settings.missed_limit),
    };
    let mut missed = cron.back_from(late, after, zone);
    let mut fire: Vec<_> = missed.by_ref().take(take).collect();
    let passed_over = missed.next();
    fire.reverse();
    fire.extend(in_time);
    Due { passed_over: passed_over.filter(|_| fire.is_empty()), fire }
}

/// The newest tick that was decided, for each of the tenants that have one.
pub(crate) async fn newest(
    conn: &mut PgConnection,
    schedule: &str,
    tenants: &[Uuid],
) -> Result<Vec<(Uuid, DateTime<Utc>)>> {
    let rows = sqlx::query!(
        r#"select t.id as "id!", newest.tick
           from unnest($2::uuid[]) as t (id)
           cross join lateral (
               select tick from queue.schedule_ticks
               where tenant_id = t.id and schedule = $1 order by tick desc limit 1
           ) newest"#,
        schedule,
        tenants
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.tick)).collect())
}

/// Takes a tick for the transaction that will fire it; false when it was decided before, or the schedule was paused or
/// changed since the tick was found due. A transaction that is about to decide the same is waited for.
pub(crate) async fn claim(conn: &mut PgConnection, schedule: &str, tick: Tick) -> Result<bool> {
    insert(conn, schedule, tick, true).await
}

/// Notes which job stands for what a tick enqueued.
pub(crate) async fn note_job(
    conn: &mut PgConnection,
    schedule: &str,
    tick: Tick,
    job: Option<Uuid>,
) -> Result<()> {
    sqlx::query!(
        "update queue.schedule_ticks set job_id = $4
         where tenant_id = $1 and schedule = $2 and tick = $3 and $4::uuid is not null",
        tick.tenant.unwrap_or_default(),
        schedule,
        tick.at,
        job
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a tick, and all before it, will not fire.
pub(crate) async fn pass_over(conn: &mut PgConnection, schedule: &str, tick: Tick) -> Result<bool> {
    insert(conn, schedule, tick, false).await
}

async fn insert(conn: &mut PgConnection, schedule: &str, tick: Tick, fired: bool) -> Result<bool> {
    let inserted = sqlx::query!(
        "insert into queue.schedule_ticks (tenant_id, schedule, tick, fired, decided_at)
         select $1, name, $3, $4, queue.now()
         from queue.schedules where name = $2 and enabled and since < $3 for share
         on conflict do nothing",
        tick.tenant.unwrap_or_default(),
        schedule,
        tick.at,
        fired
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(inserted == 1)
}
