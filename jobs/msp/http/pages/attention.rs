//! Problems of tenants that need an operator: sources in trouble, days out of the ordinary, days
//! without KPIs.
//!
//! Each is one query along an index that holds nothing else, so that it costs what there is to
//! tell, however many tenants there are.

use askama::Template;
use sqlx::{PgConnection, PgPool};
use weirgate_web::dashboard::notice::{NAMED, Notice, Notices, named, tenants};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::shared::Shared;

use super::kpis::out_of_the_ordinary;
use super::links::{LATELY, around};
use super::missing_days;
use super::sources::{Source, Trouble};

/// All of it, in one order, as items of a list.
pub(super) async fn notices(pool: &PgPool, shared: &Shared) -> Result<String, Refusal> {
    let mut conn = pool.acquire().await?;
    let mut notices = Vec::new();
    for trouble in Trouble::ALL {
        notices.extend(in_trouble(&mut conn, trouble).await?);
    }
    notices.extend(unusual(&mut conn).await?);
    drop(conn);
    let missing = missing_days::told(pool, shared).await?;
    Ok(Notices { notices }.render()? + &missing)
}

async fn in_trouble(conn: &mut PgConnection, trouble: Trouble) -> sqlx::Result<Option<Notice>> {
    let total = sqlx::query_scalar!(
        r#"select count(*) as "total!" from msp.source_runs s join identity.tenants t on t.id = s.tenant_id
           where s.trouble = $1 and t.is_active"#,
        trouble.as_str()
    )
    .fetch_one(&mut *conn)
    .await?;
    if total == 0 {
        return Ok(None);
    }
    let sources = Source::some(conn, trouble, NAMED).await?;
    Ok(match &sources[..] {
        [one] if total == 1 => Some(Notice { text: one.sentence(), link: one.link() }),
        some => {
            let names: Vec<String> = some.iter().map(Source::name).collect();
            let text = format!("{}: {}.", trouble.of_many(total), named(&names, total));
            Some(Notice { text, link: tenants(trouble.as_str()) })
        }
    })
}

async fn unusual(conn: &mut PgConnection) -> sqlx::Result<Option<Notice>> {
    let rows = sqlx::query!(
        r#"select t.slug, k.kpi_date, k.z_score, count(*) over () as "total!"
           from msp.kpi_daily k join identity.tenants t on t.id = k.tenant_id
           where k.anomaly_detected and k.kpi_date > (queue.now() at time zone 'UTC')::date - $1::integer - 1
             and t.is_active and k.computed_at >= identity.local_day_start(k.kpi_date + 1, t.time_zone)
             and k.kpi_date >= (queue.now() at time zone t.time_zone)::date - $1::integer
           order by k.kpi_date desc, t.slug limit $2"#,
        LATELY,
        NAMED
    )
    .fetch_all(conn)
    .await?;
    let total = rows.first().map_or(0, |row| row.total);
    Ok(match &rows[..] {
        [] => None,
        [row] => {
            let why = out_of_the_ordinary(row.z_score.unwrap_or_default());
            let text = format!("{} is unusual for {}: new tickets were {why}.", row.kpi_date, row.slug);
            Some(Notice { text, link: around(&row.slug, row.kpi_date) })
        }
        rows => {
            let names: Vec<String> =
                rows.iter().map(|row| format!("{} of {}", row.kpi_date, row.slug)).collect();
            let text = format!("{total} days of the last week are unusual: {}.", named(&names, total));
            Some(Notice { text, link: tenants("unusual") })
        }
    })
}
