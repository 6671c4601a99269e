//! Works out the KPIs of one tenant and day, from the raw tables only: in any order, and again,
//! gives the same.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use weirgate_identity::{Tenant, TenantRef};
use weirgate_queue::{Job, JobContext, JobError};

use crate::App;

/// Works out the KPIs of one tenant and day.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeKpi {
    /// Whose KPIs.
    pub tenant: TenantRef,
    /// The day, in the tenant's time zone.
    #[serde(deserialize_with = "weirgate_web::day::strict")]
    pub date: NaiveDate,
}

/// The KPIs, as in `kpi_daily`; its columns say what each is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns of kpi_daily, commented in the migration")]
pub struct Kpis {
    pub total_minutes: i64,
    pub billable_minutes: i64,
    pub non_billable_minutes: i64,
    pub avg_resolution_minutes: Option<f64>,
    pub first_call_resolution_rate: Option<f64>,
    pub avg_satisfaction_score: Option<f64>,
    pub tickets_created: i64,
    pub tickets_closed: i64,
    pub tickets_open: i64,
    pub tickets_high_priority: i64,
    pub anomaly_detected: bool,
    pub z_score: Option<f64>,
}

impl Job for ComputeKpi {
    const KIND: &'static str = "compute_kpi";
    const QUEUE: &'static str = "kpi";
    type App = App;
    type Output = Kpis;

    fn subject(&self) -> Option<String> {
        Some(self.date.to_string())
    }

    async fn run(&self, ctx: &JobContext<App>) -> Result<Kpis, JobError> {
        let mut tx = ctx.app.pool.begin().await?;
        let tenant = Tenant::of_job(&mut tx, ctx, &self.tenant).await?;
        let kpis = sqlx::query_file_as!(Kpis, "./jobs/compute_kpi.sql", tenant.id, self.date)
            .fetch_one(&mut *tx)
            .await?;
        ctx.finish_in(tx, &kpis).await?;
        Ok(kpis)
    }
}
