//! Writes the day of a tenant (KPIs, tickets, time entries) as one file.

use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use file::{ExportFile, Written};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weirgate_identity::{Tenant, TenantRef};
use weirgate_queue::{Job, JobContext, JobError};
use weirgate_web::parse::Parse;

use crate::App;

mod content;
mod file;

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// One JSON document.
    Json,
    /// One table; the first column says what a line is.
    Csv,
}

impl Parse for ExportFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            _ => Err("expected json or csv".to_owned()),
        }
    }
}

impl ExportFormat {
    /// The name, and the ending of the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Writes the day of a tenant as one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateExport {
    /// Whose day.
    pub tenant: TenantRef,
    /// The day, in the tenant's time zone.
    #[serde(deserialize_with = "weirgate_web::day::strict")]
    pub date: NaiveDate,
    /// How it is written.
    pub format: ExportFormat,
}

/// The file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its id under `/v1/exports`.
    pub export_id: Uuid,
    /// Size in bytes.
    pub bytes: i64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

impl Job for GenerateExport {
    const KIND: &'static str = "generate_export";
    const QUEUE: &'static str = "export";
    type App = App;
    type Output = Export;

    fn subject(&self) -> Option<String> {
        Some(self.date.to_string())
    }

    async fn run(&self, ctx: &JobContext<App>) -> Result<Export, JobError> {
        let mut tx = ctx.app.pool.begin().await?;
        // One picture of the data for the whole file.
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        // It locks nothing, and waits as long as the object store takes.
        sqlx::query("set local idle_in_transaction_session_timeout = 0").execute(&mut *tx).await?;
        // Nor is it gone while it takes nothing from the connection meanwhile; keepalives find a
        // host that is.
        sqlx::query("set local tcp_user_timeout = 0").execute(&mut *tx).await?;
        let tenant = Tenant::of_job(&mut tx, ctx, &self.tenant).await?;
        let path = self.path(ctx, &tenant);
        let mut file = ExportFile::create(Arc::clone(&ctx.app.exports), path.clone());
        let content = match self.format {
            ExportFormat::Json => content::write_json(&mut tx, &tenant, self.date, &mut file).await,
            ExportFormat::Csv => content::write_csv(&mut tx, &tenant, self.date, &mut file).await,
        };
        let written = file.end(content).await?;
        tx.commit().await?;
        self.record(ctx, &tenant, &path, written).await
    }
}

impl GenerateExport {
    /// Of this run alone, in the tenant's own folder: whoever has read of a file gets that one,
    /// also while it is written anew.
    fn path(&self, ctx: &JobContext<App>, tenant: &Tenant) -> Path {
        let run = ctx.run().map_or(0, |run| run.run);
        Path::from(format!("{}/{}/{}.{run}.{}", tenant.id, self.date, ctx.job_id(), self.format))
    }

    async fn record(
        &self,
        ctx: &JobContext<App>,
        tenant: &Tenant,
        path: &Path,
        written: Written,
    ) -> Result<Export, JobError> {
        let mut tx = ctx.app.pool.begin().await?;
        let replaced = sqlx::query_scalar!(
            "select object_path from msp.exports where tenant_id = $1 and export_date = $2 and format = $3 for update",
            tenant.id,
            self.date,
            self.format.as_str()
        )
        .fetch_optional(&mut *tx)
        .await?;
        let export_id = sqlx::query_scalar!(
            "insert into msp.exports (tenant_id, id, export_date, format, object_path, bytes, sha256, job_id, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, queue.now())
             on conflict (tenant_id, export_date, format) do update
             set object_path = excluded.object_path, bytes = excluded.bytes, sha256 = excluded.sha256,
                 job_id = excluded.job_id, created_at = excluded.created_at
             returning id",
            tenant.id,
            Uuid::now_v7(),
            self.date,
            self.format.as_str(),
            path.as_ref(),
            written.bytes,
            written.sha256,
            ctx.job_id()
        )
        .fetch_one(&mut *tx)
        .await?;
        let export = Export { export_id, bytes: written.bytes, sha256: written.sha256 };
        ctx.finish_in(tx, &export).await?;
        if let Some(replaced) = replaced.map(Path::from).filter(|replaced| replaced != path) {
            forget(ctx, tenant, &replaced).await;
        }
        Ok(export)
    }
}

/// Removes a file that no export names any more. One that an earlier version wrote lies under a
/// slug, which may have been another tenant's since: it stays.
async fn forget(ctx: &JobContext<App>, tenant: &Tenant, replaced: &Path) {
    if !replaced.prefix_matches(&Path::from(tenant.id.to_string())) {
        return;
    }
    match ctx.app.exports.delete(replaced).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
        Err(error) => {
            tracing::warn!(path = %replaced, %error, "could not remove an export that was written anew");
        }
    }
}
