//! What is enqueued by the clock; [`schedules`] is the only list.

use chrono::NaiveDate;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_queue::schedule::{Definition, Missed, Schedule, ScheduledTenant, Schedules, Tick};
use weirgate_queue::{Result, read};

use crate::{DailyPipeline, enqueue_daily_pipeline};

/// Every schedule there is.
pub fn schedules() -> Schedules {
    Schedules::default().with(NightlyPipeline)
}

/// The daily pipeline of each active tenant, after its midnight, for the day that just ended.
struct NightlyPipeline;

impl Schedule for NightlyPipeline {
    fn definition(&self) -> Definition {
        Definition {
            name: DailyPipeline::NAME,
            description: "Runs each active tenant's daily pipeline for the day that has just ended in its time zone",
            cron: "0 15 0 * * *",
            time_zone: None,
            per_tenant: true,
            // A night that was missed is a day without KPIs.
            missed: Missed::All,
            missed_limit: 7,
        }
    }

    fn tenants<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<Vec<ScheduledTenant>>> {
        Box::pin(async {
            let tenants = sqlx::query_as!(
                ScheduledTenant,
                "select id, slug as name, time_zone, created_at as since from identity.tenants where is_active order by slug"
            )
            .fetch_all(conn)
            .await?;
            Ok(tenants)
        })
    }

    fn fire<'a>(&'a self, conn: &'a mut PgConnection, tick: Tick) -> BoxFuture<'a, Result<Option<Uuid>>> {
        Box::pin(async move {
            let Some(id) = tick.tenant else { return Ok(None) };
            let tenant = Tenant::find(&mut *conn, &id.to_string()).await?;
            let Some(tenant) = tenant.filter(|tenant| tenant.is_active) else { return Ok(None) };
            // The day that ended last, by the database's calendar, as that of the KPIs: the one
            // before the tick's own, but where a zone skipped that (Pacific/Apia, 2011-12-30).
            let date = sqlx::query_scalar!(
                r#"select ((identity.local_day_start(($1::timestamptz at time zone $2)::date, $2) - interval '1 microsecond')
                    at time zone $2)::date as "date!""#,
                tick.at,
                tenant.time_zone
            )
            .fetch_one(&mut *conn)
            .await?;
            Ok(Some(enqueue_whole_day(conn, &tenant, date).await?))
        })
    }
}

/// The pipeline of a day that is over. One that is on its way already will do, unless it is from
/// before the day's end: what it ingests may be of a part of the day.
async fn enqueue_whole_day(conn: &mut PgConnection, tenant: &Tenant, date: NaiveDate) -> Result<Uuid> {
    let pipeline = || DailyPipeline::new(tenant, date, |job| job);
    let enqueued = enqueue_daily_pipeline(&mut *conn, pipeline()?, false).await?;
    if enqueued.duplicate && is_of_before_its_end(conn, enqueued.id, tenant, date).await? {
        return Ok(enqueue_daily_pipeline(conn, pipeline()?, true).await?.id);
    }
    Ok(enqueued.id)
}

/// Whether a job was enqueued before the tenant's day had ended.
async fn is_of_before_its_end(
    conn: &mut PgConnection,
    job: Uuid,
    tenant: &Tenant,
    date: NaiveDate,
) -> Result<bool> {
    let Some(at) = read::enqueued_at(conn, job).await? else { return Ok(false) };
    let is_early = sqlx::query_scalar!(
        r#"select $1::timestamptz < identity.local_day_start($2::date + 1, $3) as "is_early!""#,
        at,
        date,
        tenant.time_zone
    )
    .fetch_one(conn)
    .await?;
    Ok(is_early)
}
