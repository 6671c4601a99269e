//! What the service asks for: jobs for a tenant, what they have made, rows that they could not
//! take.

pub(crate) mod exports;
pub(crate) mod ingest;
pub(crate) mod kpi;
pub(crate) mod pipelines;
pub(crate) mod rejects;
pub(crate) mod results;
