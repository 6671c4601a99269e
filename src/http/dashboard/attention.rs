//! What of tenants needs somebody: those that are paused, sources in trouble, days out of the
//! ordinary; and schedules that are off.
//!
//! Each is one query along an index that holds nothing else, so that it costs what there is to
//! tell, however many tenants there are.

use az::SaturatingAs;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT};
use weirgate_queue::read;
use weirgate_queue::schedule::{self, Schedules};

use super::kpis::out_of_the_ordinary;
use super::notice::{LATELY, NAMED, Notice, around, named, tenants};
use super::sources::{Source, Trouble};
use super::words::of;

/// All of it, in one order.
pub(super) async fn notices(
    conn: &mut PgConnection,
    schedules: &Schedules,
) -> weirgate_queue::Result<Vec<Notice>> {
    let mut notices = turned_off(conn, schedules).await?;
    notices.extend(paused(conn).await?);
    for trouble in Trouble::ALL {
        notices.extend(in_trouble(conn, trouble).await?);
    }
    notices.extend(unusual(conn).await?);
    Ok(notices)
}

async fn turned_off(conn: &mut PgConnection, schedules: &Schedules) -> weirgate_queue::Result<Vec<Notice>> {
    let names = schedule::disabled(conn, schedules).await?;
    let notice = |name: &str| Notice {
        text: format!("Schedule {name} is paused."),
        link: format!("/dashboard/schedules#{name}"),
    };
    Ok(names.into_iter().map(notice).collect())
}

async fn paused(conn: &mut PgConnection) -> sqlx::Result<Vec<Notice>> {
    let lanes = read::paused_lanes(&mut *conn).await?;
    let (system, of_tenants): (Vec<_>, Vec<_>) = lanes.into_iter().partition(|it| it.tenant == SYSTEM_TENANT);
    let ids: Vec<Uuid> = of_tenants.iter().map(|it| it.tenant).collect();
    let mut paused = sqlx::query!(
        r#"select id, slug, count(*) over () as "total!" from identity.tenants
           where id = any($1) and is_active order by id limit $2"#,
        &ids,
        NAMED + 1
    )
    .fetch_all(conn)
    .await?;
    let one = |slug: &str, queues: &[String]| Notice {
        text: format!(
            "{slug} is paused in {} {}.",
            if queues.len() == 1 { "queue" } else { "queues" },
            queues.join(", ")
        ),
        link: format!("/dashboard/tenants/{slug}"),
    };
    let mut notices: Vec<_> = system.iter().map(|it| one(SYSTEM_SLUG, &it.queues)).collect();
    let total = paused.first().map_or(0, |row| row.total);
    match &mut paused[..] {
        [] => {}
        [row] => {
            let lanes = of_tenants.iter().find(|it| it.tenant == row.id);
            notices.extend(lanes.map(|it| one(&row.slug, &it.queues)));
        }
        rows => {
            rows.sort_unstable_by(|a, b| a.slug.cmp(&b.slug));
            let names: Vec<String> = rows.iter().map(|row| row.slug.clone()).collect();
            let names = &names[..names.len().min(NAMED.saturating_as::<usize>())];
            let text = format!("{} paused: {}.", of(total, "tenant is", "tenants are"), named(names, total));
            notices.push(Notice { text, link: super::notice::tenants("paused") });
        }
    }
    Ok(notices)
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
