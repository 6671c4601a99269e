//! What the domain answers over HTTP. What needs the operations too, such as a job that is
//! followed, is among the service's tests. A file is a resource; `days` and `pages` are what
//! several have in common.

mod csat;
mod days;
mod downloads;
mod exports;
mod kpis;
mod pages;
mod rejects;
mod security_alerts;
mod tickets;
mod time_entries;
