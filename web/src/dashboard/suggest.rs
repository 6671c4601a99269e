//! Names that fields suggest: kinds, queues, time zones, and the first tenants.

use askama::Template;
use sqlx::PgConnection;
use weirgate_identity::SYSTEM_SLUG;
use weirgate_queue::schedule::cron::zone_names;

use crate::problem::Problem;

/// Tenants that are suggested by name. More make a page heavy, and a list that nobody reads.
const OFFERED: i64 = 200;

/// Lists for `list=` of fields.
#[derive(Debug, Default, Template)]
#[template(path = "suggestions.html")]
pub struct Suggestions {
    /// Kinds of jobs.
    pub kinds: Vec<&'static str>,
    /// Queues.
    pub queues: Vec<String>,
    /// IANA time zones.
    pub zones: Vec<&'static str>,
    /// Slugs of tenants.
    pub tenants: Vec<String>,
}

impl Suggestions {
    /// Everything that jobs are found by: these kinds and queues, and the tenants.
    pub async fn of_jobs(
        conn: &mut PgConnection,
        kinds: Vec<&'static str>,
        queues: Vec<String>,
    ) -> Result<Self, Problem> {
        let mut tenants = tenants(conn).await?;
        tenants.push(SYSTEM_SLUG.to_owned());
        Ok(Self { kinds, queues, tenants, ..Self::default() })
    }

    /// Time zones alone.
    pub fn of_zones() -> Self {
        Self { zones: zone_names().collect(), ..Self::default() }
    }

    /// Active tenants alone.
    pub async fn of_tenants(conn: &mut PgConnection) -> Result<Self, Problem> {
        Ok(Self { tenants: tenants(conn).await?, ..Self::default() })
    }
}

async fn tenants(conn: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!("select slug from identity.tenants where is_active order by slug limit $1", OFFERED)
        .fetch_all(conn)
        .await
}
