//! What needs an operator, whatever the domains: tenants that are paused, and schedules that are off.
//!
//! Each is one query along an index that holds nothing else, so that it costs what there is to
//! tell, however many tenants there are.

use az::SaturatingAs;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT};
use weirgate_queue::read;
use weirgate_queue::schedule::{self, Schedules};
use weirgate_web::dashboard::notice::{NAMED, Notice, named, tenants};
use weirgate_web::dashboard::words::of;

/// All of it, in one order.
pub(super) async fn notices(
    conn: &mut PgConnection,
    schedules: &Schedules,
) -> weirgate_queue::Result<Vec<Notice>> {
    let mut notices = turned_off(conn, schedules).await?;
    notices.extend(paused(conn).await?);
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
            notices.push(Notice { text, link: tenants("paused") });
        }
    }
    Ok(notices)
}
