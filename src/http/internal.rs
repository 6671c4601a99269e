//! `/internal`: for the service itself; every tenant.

pub(crate) mod audit;
pub(crate) mod backfills;
pub(crate) mod bulk;
pub(crate) mod failures;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod queues;
pub(crate) mod schedules;
pub(crate) mod tenants;
pub(crate) mod workers;
pub(crate) mod workflows;
