//! Who is who: the tenants that jobs are for, the API keys that they call with, the people who sign
//! in, and who of them did what.
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
//! | [`accounts`] | people who sign in; [`passwords`] how theirs are hashed, [`invitations`] links by which they choose one |
//! | [`roles`] | roles and their scopes, as data of each domain; [`platform`] the roles of the dashboard |
//! | [`admins`] | one account that may say who may do what always stays |
//! | [`memberships`] | what accounts may do, and where |
//! | [`sign_in`] | whether an email and a password belong together |
//! | [`sessions`] | who is signed in by a cookie, and from which browsers they have signed in before |
//! | [`clients`] | browser apps that people sign in to by OAuth; [`pkce`] how they prove that a code is theirs |
//! | [`grants`] | sign-ins that tokens are given out under, their codes and refresh tokens |
//! | [`secret_keys`] | `WEIRGATE_SECRET_KEY`: what is sealed with it, and opened again |
//! | [`signing_keys`], [`access_token`] | the keys that sign access tokens, how they follow one another; such tokens are made and checked |
//! | [`tokens`] | access tokens of people, given out under grants and checked against them |
//! | [`scopes`] | what a credential may be used for under `/v1`, and what a new API key may be given |
//! | [`audit`] | who did what to what, and how that was before and is after |
//! | [`read_tx`], [`tenant_tx`], [`super_tx`] | reads that cannot write; reads that see one tenant's rows alone, under row-level security; reads over all tenants |
//! | [`desk_tx`] | writes that change one tenant's rows alone, under row-level security |
//!
//! Every change of these ends in a function that takes the caller's connection, so that the change
//! and its entry in the audit commit together. The database's `queue.now()` is the only clock.

pub mod access_token;
pub mod accounts;
pub mod admins;
pub mod audit;
pub mod clients;
pub mod desk_tx;
pub mod grants;
pub mod invitations;
pub mod keys;
pub mod memberships;
mod os_random;
pub mod passwords;
pub mod pkce;
pub mod platform;
pub mod read_tx;
pub mod roles;
pub mod scopes;
pub mod secret_keys;
pub mod sessions;
pub mod sign_in;
pub mod signing_keys;
pub mod super_tx;
pub mod tenant;
pub mod tenant_tx;
pub mod tenants;
pub mod tokens;

pub use secret_keys::{SealingError, SecretKey, SecretKeys};
pub use signing_keys::KeySet;
pub use tenant::{SYSTEM_SLUG, SYSTEM_TENANT, Tenant, TenantRef, TenantSlug, TenantsError};

/// The history of the schema `identity`. It builds on `queue`.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/identity");
