//! The HTTP surface: the production router with all domains, without sockets.
//!
//! A file is named like the route that it tests: `jobs`, `jobs_bulk`, `schedules_run`,
//! `dashboard_queues`. The others are about what routes have in common: who may call (`auth`,
//! `deactivation`, `guesses`, `isolation`, `sign_in_limits`, `strangers`), what is asked
//! (`clients`, `idempotency`, `parameters`, `repeats`, `validation`) and what is answered
//! (`answers`, `bounded`, `errors`, `large`, `tables`, `tenant_errors`, `traces`).

mod account;
mod accounts;
mod accounts_apps;
mod answers;
mod api_keys;
mod audit;
mod audit_acts;
mod audit_pages;
mod auth;
mod backfill_days;
mod backfills;
#[cfg(feature = "board")]
mod board;
mod bounded;
mod clients;
mod dashboard;
mod dashboard_attention;
mod dashboard_backfills;
mod dashboard_filter;
mod dashboard_job;
mod dashboard_jobs;
mod dashboard_kpis;
mod dashboard_queues;
mod dashboard_rejects;
mod dashboard_schedules;
mod dashboard_tenant_forms;
mod dashboard_tenants;
mod dashboard_workers;
mod dashboard_workflows;
mod deactivation;
mod docs;
mod enqueue;
mod enqueue_batches;
mod enqueue_options;
mod errors;
mod failures;
mod guesses;
mod idempotency;
mod invitations;
mod isolation;
mod jobs;
mod jobs_bulk;
mod jobs_cancel_and_retry;
mod jobs_follow;
mod jobs_of_a_day;
mod jobs_why_blocked;
mod jobs_why_not_running;
mod large;
mod limits;
mod login;
mod metrics;
mod oauth;
mod parameters;
mod pipelines;
mod queues;
mod refresh;
mod rejects;
mod repeats;
mod schedules;
mod schedules_run;
mod scopes;
mod secrets;
mod sign_in_limits;
mod strangers;
mod tables;
mod tenant_errors;
mod tenants;
#[cfg(feature = "otlp")]
mod traces;
mod validation;
mod workers;
mod workflows;
