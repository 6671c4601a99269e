//! Which ticks are due, and the rows that let each of them fire only once.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use sqlx::PgConnection;
use uuid::Uuid;

use super::settings::ScheduleSettings;
use super::{Missed, Tick};
use crate::error::Result;
use crate::schedule::cron::Cron;

/// A tick that did not fire for this long was missed: long enough for another leader to take over,
/// short enough for `skip` to mean something.
const MISSED_AFTER: TimeDelta = TimeDelta::minutes(1);

/// What is to be done about the ticks that are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DueTicks {
    /// The ticks that are to fire, oldest first.
    pub(crate) fire: Vec<DateTime<Utc>>,
    /// Where none is to fire, the newest tick that is skipped. Recording it decides all ticks
    /// before it as well.
    pub(crate) skip: Option<DateTime<Utc>>,
}

/// The ticks after `after` up to `now`, decided by the schedule's policy for missed ticks.
pub(crate) fn due(
    cron: &Cron,
    zone: Tz,
    settings: &ScheduleSettings,
    after: DateTime<Utc>,
    now: DateTime<Utc>,
) -> DueTicks {
    let in_time_after = (now - MISSED_AFTER).max(after);
    let in_time: Vec<_> = cron.between(in_time_after, now, zone).collect();
    let missed_to_fire = match settings.missed {
        Missed::Skip => 0,
        Missed::One => usize::from(in_time.is_empty()),
        Missed::All => usize::from(settings.missed_limit),
    };
    let mut missed = cron.between_backwards(in_time_after, after, zone);
    let mut fire: Vec<_> = missed.by_ref().take(missed_to_fire).collect();
    let newest_skipped = missed.next();
    fire.reverse();
    fire.extend(in_time);
    DueTicks { skip: newest_skipped.filter(|_| fire.is_empty()), fire }
}

/// For each tenant that has one, the newest tick that was decided: fired or skipped.
pub(crate) async fn newest_decided(
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

/// Records that the caller's transaction fires a tick. Returns `false` when the tick was decided
/// before, or the schedule was paused or changed since the tick was found due: then it must not
/// fire. Waits for another transaction that is about to decide the same tick.
pub(crate) async fn record_fired(conn: &mut PgConnection, schedule: &str, tick: Tick) -> Result<bool> {
    insert(conn, schedule, tick, true).await
}

/// Records which job stands for what a tick enqueued.
pub(crate) async fn record_job(
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

/// Records that a tick, and with it all before it, will not fire.
pub(crate) async fn record_skipped(conn: &mut PgConnection, schedule: &str, tick: Tick) -> Result<bool> {
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
