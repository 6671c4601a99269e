//! What a backfill does for each tenant and day.

use std::str::FromStr;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use weirgate_identity::Tenant;
use weirgate_queue::backfill::Slice;
use weirgate_queue::{Job, NewJob};

use crate::{ComputeKpi, DailyPipeline, ExportFormat, GenerateExport, IngestTickets};

/// What is done for each tenant and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillKind {
    /// The job `compute_kpi`.
    ComputeKpi,
    /// The job `generate_export`, as JSON.
    GenerateExport,
    /// The daily pipeline.
    #[serde(rename = "daily_pipeline", alias = "pipeline")]
    Pipeline,
}

impl BackfillKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::ComputeKpi, Self::GenerateExport, Self::Pipeline];

    /// The name for people, in requests and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pipeline => DailyPipeline::NAME,
            other => other.as_str(),
        }
    }

    /// The name in the database; in requests an older one, which is still taken.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ComputeKpi => ComputeKpi::KIND,
            Self::GenerateExport => GenerateExport::KIND,
            Self::Pipeline => "pipeline",
        }
    }

    /// Most jobs that a slice becomes.
    pub const fn jobs_of_slice(self) -> u64 {
        match self {
            Self::ComputeKpi | Self::GenerateExport => 1,
            Self::Pipeline => DailyPipeline::JOBS,
        }
    }

    /// The kind of the job that stands for a slice.
    pub(crate) const fn job_kind(self) -> &'static str {
        match self {
            Self::ComputeKpi => ComputeKpi::KIND,
            Self::GenerateExport | Self::Pipeline => GenerateExport::KIND,
        }
    }

    /// The queue of that job.
    pub(crate) const fn job_queue(self) -> &'static str {
        match self {
            Self::ComputeKpi => ComputeKpi::QUEUE,
            Self::GenerateExport | Self::Pipeline => GenerateExport::QUEUE,
        }
    }

    /// The queues of all its jobs.
    pub(super) const fn queues(self) -> &'static [&'static str] {
        match self {
            Self::ComputeKpi => &[ComputeKpi::QUEUE],
            Self::GenerateExport => &[GenerateExport::QUEUE],
            Self::Pipeline => &[GenerateExport::QUEUE, IngestTickets::QUEUE, ComputeKpi::QUEUE],
        }
    }

    pub(super) fn slice(
        self,
        number: u64,
        tenant: &Tenant,
        date: NaiveDate,
    ) -> weirgate_queue::Result<Slice> {
        let named = || tenant.into();
        Ok(match self {
            Self::ComputeKpi => {
                Slice::one(number, NewJob::of(tenant.id, &ComputeKpi { tenant: named(), date })?)
            }
            Self::GenerateExport => {
                let job = GenerateExport { tenant: named(), date, format: ExportFormat::Json };
                Slice::one(number, NewJob::of(tenant.id, &job)?)
            }
            Self::Pipeline => {
                let pipeline = DailyPipeline::new(tenant, date, |job| job)?;
                Slice { number, last: pipeline.last(), jobs: pipeline.into_jobs()? }
            }
        })
    }
}

impl FromStr for BackfillKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| [kind.name(), kind.as_str()].contains(&text)).ok_or(())
    }
}
