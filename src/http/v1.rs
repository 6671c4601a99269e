//! `/v1`: for one tenant, its own data only. Every read goes through [`TenantTx`](super::tenant_tx::TenantTx).

pub(crate) mod csat;
mod export_file;
pub(crate) mod exports;
pub(crate) mod jobs;
pub(crate) mod kpis;
pub(crate) mod security_alerts;
pub(crate) mod ticket_summary;
pub(crate) mod tickets;
pub(crate) mod time_entries;
mod verifications;

pub(crate) use verifications::Verifications;
