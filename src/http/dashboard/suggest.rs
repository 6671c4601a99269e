//! Names that fields suggest: kinds, queues, and the first tenants.

use askama::Template;
use sqlx::PgConnection;
use weirgate_identity::SYSTEM_SLUG;
use weirgate_web::domain::Catalog;
use weirgate_web::problem::Problem;

use crate::queues;

/// Tenants that are suggested by name. More make a page heavy, and a list that nobody reads.
const OFFERED: i64 = 200;

/// Lists for `list=` of fields.
#[derive(Debug, Default, Template)]
#[template(path = "suggestions.html")]
pub(super) struct Suggestions {
    pub(super) kinds: Vec<&'static str>,
    pub(super) queues: Vec<String>,
    pub(super) tenants: Vec<String>,
}

impl Suggestions {
    /// Everything that jobs are found by.
    pub(super) async fn of_jobs(conn: &mut PgConnection, catalog: &Catalog) -> Result<Self, Problem> {
        let mut tenants = tenants(conn).await?;
        tenants.push(SYSTEM_SLUG.to_owned());
        Ok(Self {
            kinds: catalog.kinds().iter().copied().collect(),
            queues: queues::known(conn, catalog, None).await?.into_iter().collect(),
            tenants,
        })
    }

    /// Active tenants alone.
    pub(super) async fn of_tenants(conn: &mut PgConnection) -> Result<Self, Problem> {
        Ok(Self { tenants: tenants(conn).await?, ..Self::default() })
    }
}

async fn tenants(conn: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!("select slug from identity.tenants where is_active order by slug limit $1", OFFERED)
        .fetch_all(conn)
        .await
}
