//! Sources in trouble, in words: what the last ingest of a tenant's dataset came to, and where that
//! is shown.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::read;
use weirgate_web::dashboard::when::span;
use weirgate_web::dashboard::words::{count, of};

use crate::sources::Dataset;

/// What is wrong with a source, as `source_runs.trouble` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No ingest has completed since one failed for good.
    Failing,
    /// The last ingest read nothing, and one before it had rows.
    Empty,
    /// The last ingest rejected more than a tenth of its rows.
    Rejecting,
}

impl Trouble {
    pub(super) const ALL: [Self; 3] = [Self::Failing, Self::Empty, Self::Rejecting];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Empty => "empty",
            Self::Rejecting => "rejecting",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// The beginning of a sentence on several sources.
    pub(super) fn of_many(self, total: i64) -> String {
        let sources = of(total, "source", "sources");
        match self {
            Self::Failing => format!("{sources} cannot be read"),
            Self::Empty => format!("{sources} returned no rows but had some before"),
            Self::Rejecting => format!("{sources} had over 10 % of their rows rejected"),
        }
    }
}

/// A source in trouble.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) tenant: Uuid,
    slug: String,
    dataset: String,
    trouble: Trouble,
    read: i64,
    rejected: i64,
    rows_before: i64,
    /// The ingest that says so, as long as it is kept.
    job: Option<Uuid>,
    since: Option<DateTime<Utc>>,
    code: String,
    message: String,
    now: DateTime<Utc>,
}

impl Source {
    /// The first ones in such trouble, of active tenants.
    pub(super) async fn some(
        conn: &mut PgConnection,
        trouble: Trouble,
        limit: i64,
    ) -> sqlx::Result<Vec<Self>> {
        Self::find(conn, Some(trouble), None, limit).await
    }

    /// All of these tenants.
    pub(super) async fn of(conn: &mut PgConnection, tenants: &[Uuid]) -> sqlx::Result<Vec<Self>> {
        Self::find(conn, None, Some(tenants), i64::MAX).await
    }

    async fn find(
        conn: &mut PgConnection,
        trouble: Option<Trouble>,
        tenants: Option<&[Uuid]>,
        limit: i64,
    ) -> sqlx::Result<Vec<Self>> {
        let rows = sqlx::query!(
            r#"select s.tenant_id, t.slug, s.dataset, s.trouble as "trouble!", coalesce(s.read, 0) as "read!",
                coalesce(s.rejected, 0) as "rejected!", s.rows_before,
                coalesce(s.failed_job_id, s.job_id) as job,
                coalesce(s.failed_since, s.finished_at) as since, s.error_code, s.error_message, queue.now() as "now!"
               from msp.source_runs s join identity.tenants t on t.id = s.tenant_id
               where s.trouble is not null and ($1::text is null or s.trouble = $1 and t.is_active)
                 and ($2::uuid[] is null or s.tenant_id = any($2))
               order by s.tenant_id, s.dataset limit $3"#,
            trouble.map(Trouble::as_str),
            tenants,
            limit
        )
        .fetch_all(&mut *conn)
        .await?;
        let jobs: Vec<Uuid> = rows.iter().filter_map(|row| row.job).collect();
        let kept = read::kept(conn, &jobs).await?;
        let sources = rows.into_iter().filter_map(|row| {
            Some(Self {
                tenant: row.tenant_id,
                slug: row.slug,
                dataset: row.dataset,
                trouble: Trouble::named(&row.trouble)?,
                read: row.read,
                rejected: row.rejected,
                rows_before: row.rows_before,
                job: row.job.filter(|job| kept.contains(job)),
                since: row.since,
                code: row.error_code.unwrap_or_default(),
                message: row.error_message.unwrap_or_default(),
                now: row.now,
            })
        });
        Ok(sources.collect())
    }

    /// What it is of, for people.
    fn of_what(&self) -> &str {
        match Dataset::from_name(&self.dataset) {
            Some(Dataset::Tickets) => "tickets",
            Some(Dataset::TimeEntries) => "time entries",
            Some(Dataset::Csat) => "CSAT surveys",
            Some(Dataset::SecurityAlerts) => "security alerts",
            None => &self.dataset,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{} of {}", self.of_what(), self.slug)
    }

    pub(super) fn sentence(&self) -> String {
        format!("The {} of {} {}.", self.of_what(), self.slug, self.what())
    }

    /// The same for a list of the tenant's own.
    pub(super) fn brief(&self) -> String {
        format!("{} {}", self.of_what(), self.what())
    }

    fn what(&self) -> String {
        let ago = self.since.map_or_else(String::new, |at| span(self.now - at));
        match self.trouble {
            Trouble::Failing => format!("could not be read for {ago} ({})", self.code),
            Trouble::Empty => {
                let before = of(self.rows_before, "row", "rows");
                format!("had no rows in the last ingest, {ago} ago ({before} before)")
            }
            Trouble::Rejecting => {
                format!("had {} of {} rejected", count(self.rejected), of(self.read, "row", "rows"))
            }
        }
    }

    /// Why it cannot be read.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Where that is shown: the rows, or the job; the source's other jobs, where that one was
    /// deleted.
    pub(super) fn link(&self) -> String {
        let Self { slug, dataset, .. } = self;
        match (self.trouble, self.job) {
            (Trouble::Rejecting, _) => format!("/dashboard/rejects?tenant_id={slug}&dataset={dataset}"),
            (_, Some(job)) => format!("/dashboard/jobs/{job}"),
            (_, None) => format!("/dashboard/jobs?tenant_id={slug}&kind=ingest_{dataset}"),
        }
    }
}
