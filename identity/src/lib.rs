//! Who is who: the tenants that jobs are for, the API keys that they call with, the people who sign
//! in to the dashboard, and who of them did what.
//!
//! This crate holds the types and their SQL. It knows neither HTTP nor any kind of job: `web` turns
//! what a request presents (a key, a cookie, the service token) into what is found here, a domain
//! (`jobs/…`) finds here whose data it works on, and the commands make, change and list all of it.
//!
//! | module | what it is about |
//! |---|---|
//! | [`tenant`] | [`Tenant`]: found by slug or UUID; in a job's arguments a [`TenantRef`] |
//! | [`tenants`] | tenants are listed, made and changed |
//! | [`keys`] | API keys: their form, who holds which, when each was used; [`keys::issuing`] gives them out |
//! | [`scopes`] | what a credential may be used for under `/v1`, and what a new API key may be given |
//! | [`users`] | people who sign in: roles and passwords |
//! | [`sessions`] | who is signed in, and from which browsers they have signed in before |
//! | [`audit`] | who did what to what, and how that was before and is after |
//! | [`read_tx`], [`tenant_tx`] | reads that cannot write; reads that see one tenant's rows alone, under row-level security |
//!
//! Every change of these ends in a function that takes the caller's connection, so that the change
//! and its entry in the audit commit together. The database's `queue.now()` is the only clock.

pub mod audit;
pub mod keys;
pub mod read_tx;
pub mod scopes;
pub mod sessions;
pub mod tenant;
pub mod tenant_tx;
pub mod tenants;
pub mod users;

pub use tenant::{SYSTEM_SLUG, SYSTEM_TENANT, Tenant, TenantRef, TenantSlug, TenantsError};

/// The history of the schema `identity`. It builds on `queue`.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/identity");
