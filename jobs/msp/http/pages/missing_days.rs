//! Days of active tenants that are over, of the last thirty, of which there are no KPIs.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use chrono::NaiveDate;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_web::dashboard::notice::{NAMED, Notice, Notices, named, tenants};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::shared::Shared;
use weirgate_web::dashboard::words::of;

use super::links::kpis;

/// A month of every tenant is looked through, so the overview does it so often for all who look,
/// and not each time.
const FRESH: Duration = Duration::from_mins(1);

/// Of one tenant.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) id: Uuid,
    pub(super) slug: String,
    days: i64,
    first: NaiveDate,
    last: NaiveDate,
    /// How many tenants there are with such days.
    total: i64,
}

impl Missing {
    /// Of these tenants.
    pub(super) async fn of(conn: &mut PgConnection, tenants: &[Uuid]) -> sqlx::Result<Vec<Self>> {
        Self::find(conn, Some(tenants), None, "", i64::MAX).await
    }

    /// Of tenants after a slug, with a text in their slugs or names.
    pub(super) async fn page(
        conn: &mut PgConnection,
        text: Option<&str>,
        after: &str,
        limit: i64,
    ) -> sqlx::Result<Vec<Self>> {
        Self::find(conn, None, text, after, limit).await
    }

    async fn find(
        conn: &mut PgConnection,
        tenants: Option<&[Uuid]>,
        text: Option<&str>,
        after: &str,
        limit: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_file_as!(Self, "./http/pages/missing_days.sql", tenants, text, after, limit)
            .fetch_all(conn)
            .await
    }

    pub(super) fn brief(&self) -> String {
        of(self.days, "day without KPIs", "days without KPIs")
    }

    /// The KPIs among which they are missing.
    pub(super) fn link(&self) -> String {
        kpis(&self.slug, self.first, self.last)
    }

    fn sentence(&self) -> String {
        let Self { slug, days, first, last, .. } = self;
        match days {
            1 => format!("{slug} has no KPIs for {first}."),
            days => {
                format!("{slug} has no KPIs for {} between {first} and {last}.", of(*days, "day", "days"))
            }
        }
    }
}

/// What the overview tells of them, as items of its list.
pub(super) async fn told(pool: &PgPool, shared: &Shared) -> Result<Arc<str>, Refusal> {
    let tell = async || {
        let first = Missing::page(&mut *pool.acquire().await?, None, "", NAMED).await?;
        let notices = notice(&first).into_iter().collect();
        Ok(Notices { notices }.render()?)
    };
    shared.get("days without KPIs", FRESH, tell).await
}

fn notice(first: &[Missing]) -> Option<Notice> {
    match first {
        [] => None,
        [one] => Some(Notice { text: one.sentence(), link: one.link() }),
        [one, ..] => {
            let names: Vec<String> = first.iter().map(|it| it.slug.clone()).collect();
            let names = named(&names, one.total);
            let text = format!(
                "{} have days without KPIs in the last month: {names}.",
                of(one.total, "tenant", "tenants")
            );
            Some(Notice { text, link: tenants("missing") })
        }
    }
}
