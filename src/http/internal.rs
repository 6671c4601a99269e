//! `/internal`: for the service itself; every tenant.

pub(crate) mod backfills;
pub(crate) mod exports;
pub(crate) mod ingest;
pub(crate) mod jobs;
pub(crate) mod kpi;
pub(crate) mod pipelines;
pub(crate) mod tenants;
pub(crate) mod workers;
pub(crate) mod workflows;
