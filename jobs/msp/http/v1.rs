//! What a tenant reads of its own data. Every read goes through
//! [`TenantTx`](weirgate_identity::tenant_tx::TenantTx).

pub(crate) mod csat;
mod expected_file;
mod export_file;
pub(crate) mod exports;
pub(crate) mod kpis;
pub(crate) mod security_alerts;
pub(crate) mod ticket_summary;
pub(crate) mod tickets;
pub(crate) mod time_entries;
mod verifications;
