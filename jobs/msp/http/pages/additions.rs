//! What this domain adds to the overview and to the list of tenants: how sources and KPIs stand.

use std::collections::HashMap;

use askama::Template;
use futures_util::future::{BoxFuture, FutureExt};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_web::dashboard::additions::{Additions, Figure, TenantsAsked};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::shared::Shared;
use weirgate_web::dashboard::words::count;

use super::attention;
use super::last_days::{LastDay, LastDays, Unusual};
use super::links::LATELY;
use super::missing_days::Missing;
use super::sources::{Source, Trouble};

/// Days without KPIs, among what tenants can be picked by.
const MISSING: &str = "missing";

/// How sources and KPIs of tenants stand.
#[derive(Debug)]
pub(crate) struct OfSourcesAndKpis;

impl Additions for OfSourcesAndKpis {
    fn notices<'a>(&'a self, pool: &'a PgPool, shared: &'a Shared) -> BoxFuture<'a, Result<String, Refusal>> {
        attention::notices(pool, shared).boxed()
    }

    fn figures<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<Vec<Figure>, Refusal>> {
        async move {
            let (name, link) = ("Rejected rows", "/dashboard/rejects");
            let value = count(rejected(conn).await?);
            Ok(vec![Figure { name, link, value, remark: "in the latest ingests" }])
        }
        .boxed()
    }

    fn explanation(&self) -> String {
        include_str!("tenant_explanation.html").to_owned()
    }

    fn columns(&self) -> String {
        let heads =
            LastDay::COLUMNS.map(|name| format!(r#"<th scope="col" class="number">{name}</th>"#)).concat();
        format!(
            r#"<th scope="col">Last complete day</th>{heads}<th scope="col">Unusual</th><th scope="col">Source problems</th>"#
        )
    }

    fn cells<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        tenants: &'a [Uuid],
    ) -> BoxFuture<'a, Result<HashMap<Uuid, String>, Refusal>> {
        cells(conn, tenants).boxed()
    }

    fn picks(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            (Trouble::Failing.as_str(), "with an unreadable source"),
            (Trouble::Empty.as_str(), "with a source that became empty"),
            (Trouble::Rejecting.as_str(), "with over 10 % of rows rejected"),
            ("unusual", "with an unusual day"),
            (MISSING, "with days without KPIs"),
        ]
    }

    fn pick<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        asked: TenantsAsked<'a>,
    ) -> BoxFuture<'a, Result<Vec<Uuid>, Refusal>> {
        async move {
            let TenantsAsked { show, text, after, most } = asked;
            if show == MISSING {
                let missing = Missing::page(conn, text, after, most).await?;
                return Ok(missing.into_iter().map(|it| it.id).collect());
            }
            let picked = sqlx::query_file_scalar!("./http/pages/pick.sql", after, text, show, LATELY, most);
            Ok(picked.fetch_all(conn).await?)
        }
        .boxed()
    }
}

/// Rows that the latest ingests of active tenants rejected.
async fn rejected(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select coalesce(sum(rejected), 0)::bigint as "rejected!"
           from msp.source_runs s join identity.tenants t on t.id = s.tenant_id where s.rejected > 0 and t.is_active"#
    )
    .fetch_one(conn)
    .await
}

/// A link, as in a cell.
struct Linked {
    text: String,
    link: String,
    /// More of it.
    title: String,
}

#[derive(Template)]
#[template(path = "tenant_cells.html")]
struct Cells {
    last: Option<LastDay>,
    missing: Option<Linked>,
    unusual: Vec<Unusual>,
    sources: Vec<Linked>,
}

async fn cells(conn: &mut PgConnection, tenants: &[Uuid]) -> Result<HashMap<Uuid, String>, Refusal> {
    let mut days = LastDays::of(conn, tenants).await?;
    let mut missing: HashMap<Uuid, Linked> = HashMap::new();
    for it in Missing::of(conn, tenants).await? {
        missing.insert(it.id, Linked { text: it.brief(), link: it.link(), title: String::new() });
    }
    let mut sources: HashMap<Uuid, Vec<Linked>> = HashMap::new();
    for it in Source::of(conn, tenants).await? {
        let linked = Linked { text: it.brief(), link: it.link(), title: it.message().to_owned() };
        sources.entry(it.tenant).or_default().push(linked);
    }
    let mut cells = HashMap::new();
    for id in tenants {
        let of_tenant = Cells {
            last: days.last.remove(id),
            missing: missing.remove(id),
            unusual: days.unusual.remove(id).unwrap_or_default(),
            sources: sources.remove(id).unwrap_or_default(),
        };
        cells.insert(*id, of_tenant.render()?);
    }
    Ok(cells)
}
