//! The last complete day of tenants: its KPIs, and what was out of the ordinary lately.

use std::collections::HashMap;

use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_web::dashboard::plot::{Unit, anchor};
use weirgate_web::dashboard::words::count;

use super::kpis::out_of_the_ordinary;
use super::links::{LATELY, around};

/// A KPI, and where it is shown.
pub(super) struct Kpi {
    pub(super) value: String,
    pub(super) link: String,
}

/// A day, and where it is shown.
pub(super) struct Unusual {
    pub(super) day: NaiveDate,
    pub(super) why: String,
    pub(super) link: String,
}

/// The newest day of a tenant whose KPIs were worked out after its end.
pub(super) struct LastDay {
    pub(super) day: NaiveDate,
    pub(super) link: String,
    /// In the order of [`LastDay::COLUMNS`].
    pub(super) kpis: [Kpi; 5],
}

impl LastDay {
    pub(super) const COLUMNS: [&str; 5] = ["Created", "Closed", "Open", "Worked", "Satisfaction"];
}

/// What is known of the last days of some tenants.
#[derive(Default)]
pub(super) struct LastDays {
    pub(super) last: HashMap<Uuid, LastDay>,
    /// The newest first.
    pub(super) unusual: HashMap<Uuid, Vec<Unusual>>,
}

impl LastDays {
    pub(super) async fn of(conn: &mut PgConnection, tenants: &[Uuid]) -> sqlx::Result<Self> {
        let mut days = Self::default();
        let rows = sqlx::query!(
            "select t.id, t.slug, k.kpi_date, k.tickets_created, k.tickets_closed, k.tickets_open, k.total_minutes,
                k.avg_satisfaction_score
             from identity.tenants t
             cross join lateral (
                 select * from msp.kpi_daily k
                 where k.tenant_id = t.id and k.computed_at >= identity.local_day_start(k.kpi_date + 1, t.time_zone)
                 order by k.kpi_date desc limit 1
             ) k
             where t.id = any($1)",
            tenants
        )
        .fetch_all(&mut *conn)
        .await?;
        for row in rows {
            let link = around(&row.slug, row.kpi_date);
            let kpi = |plot, value: String| Kpi { value, link: format!("{link}#{}", anchor(plot)) };
            #[expect(clippy::cast_precision_loss, reason = "minutes of a day are far below 2^52")]
            let worked = Unit::Hours.say(row.total_minutes as f64 / 60.0);
            let satisfaction =
                row.avg_satisfaction_score.map_or_else(|| "–".to_owned(), |it| Unit::Score.say(it));
            let kpis = [
                kpi("New and closed", count(row.tickets_created)),
                kpi("New and closed", count(row.tickets_closed)),
                kpi("Open and high priority", count(row.tickets_open)),
                kpi("Time worked", worked),
                kpi("Satisfaction", satisfaction),
            ];
            days.last.insert(row.id, LastDay { day: row.kpi_date, link, kpis });
        }
        days.find_unusual(conn, tenants).await?;
        Ok(days)
    }

    /// Finds what was unusual lately, and on the last complete days.
    async fn find_unusual(&mut self, conn: &mut PgConnection, tenants: &[Uuid]) -> sqlx::Result<()> {
        let (ids, last): (Vec<Uuid>, Vec<NaiveDate>) =
            self.last.iter().map(|(id, last)| (*id, last.day)).unzip();
        let rows = sqlx::query!(
            "select t.id, t.slug, k.kpi_date, k.z_score
             from identity.tenants t join msp.kpi_daily k on k.tenant_id = t.id
             left join unnest($2::uuid[], $3::date[]) as l (id, day) on l.id = t.id
             where t.id = any($1) and k.anomaly_detected
               and k.kpi_date >= least(l.day, (queue.now() at time zone t.time_zone)::date - $4::integer)
               and (k.kpi_date = l.day or k.kpi_date >= (queue.now() at time zone t.time_zone)::date - $4::integer
                   and k.computed_at >= identity.local_day_start(k.kpi_date + 1, t.time_zone))
             order by k.kpi_date desc",
            tenants,
            &ids,
            &last,
            LATELY
        )
        .fetch_all(conn)
        .await?;
        for row in rows {
            let why = out_of_the_ordinary(row.z_score.unwrap_or_default());
            let link = around(&row.slug, row.kpi_date);
            self.unusual.entry(row.id).or_default().push(Unusual { day: row.kpi_date, why, link });
        }
        Ok(())
    }
}
