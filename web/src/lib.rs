//! What every HTTP surface of Weirgate shares, so that a domain's handlers import this crate and
//! never the service.
//!
//! A handler reads like this: it takes what it needs of the request, does one query or enqueues one
//! job, and answers with a type of its own. All else is here.
//!
//! **A request** comes in on a [`connections`] place, through [`layers`] ([`observe`]: its id,
//! trace, log line and figures), and past a guard ([`auth`]), which also holds it to its budget
//! ([`callers`], [`permits`]). **An answer** is a resource, a [`page`] of them, a [`table`] as CSV,
//! or a [`problem`].
//!
//! | module | what it is about |
//! |---|---|
//! | [`state`] | [`Web`], the state that all handlers share; they take it, or a part of it, by `FromRef` |
//! | [`auth`], [`access`], [`callers`], [`key_lookups`], [`watchers`] | who calls: the service by its token, a tenant by its API key, a person by an access token; answers end with the credential that they were asked with |
//! | [`auth`], [`callers`], [`key_lookups`], [`watchers`] | who calls: the service by its token, a tenant by its API key; answers end with the credential that they were asked with |
//! | [`scoped`] | routes for tenants, each with the scope that it asks for |
//! | [`permits`], [`reads`] | how many queries a caller may have at once; reads within that |
//! | [`params`], [`query_params!`], [`parse`], [`date_range`], [`day`], [`extract`], [`members`], [`prefer`], [`accept`] | what requests say: query, path, body, headers; all that is wrong is told at once |
//! | [`context`], [`base_url`], [`client_address`] | what a handler may know of its request: id, trace, absolute URL, where it came from |
//! | [`problem`], [`page`], [`table`], [`csv_line`] | what is answered: errors (RFC 9457), lists by cursor, lists as CSV |
//! | [`idempotency`], [`plan`], [`batcher`], [`enqueue`] | a request that enqueues: once under its key, many in one transaction, answered 202 |
//! | [`job`], [`attempt`], [`why`], [`reason`], [`presentation`], [`tenant_errors`], [`slugs`] | the job resource, and what is told of it to whom |
//! | [`backfill`] | backfills over days of tenants |
//! | [`follow`], [`job_list`] | looking at jobs: at once, after a wait, as server-sent events; lists |
//! | [`dashboard`] | what every page has: who is signed in, frame, forms, refusals |
//! | [`parts`] | what a domain needs beside the shared state |
//! | [`history`] | the migrations of a schema |
//! | [`domain`] | what a domain brings, and what all domains of a process have |
//! | [`openapi`], [`document`], [`schemas`] | what many operations of the `OpenAPI` document have in common |
//! | [`tls`] | TLS of HTTP clients, which a process has one provider of |
//! | [`layers`], [`observe`], [`traces`], [`connections`], [`recent`] | around every request, and below it |

// Templates name this crate as those of other crates do, which extend them.
extern crate self as weirgate_web;

pub mod accept;
pub mod access;
pub mod attempt;
pub mod auth;
pub mod backfill;
pub mod base_url;
pub mod batcher;
pub mod callers;
pub mod client_address;
pub mod connections;
pub mod context;
pub mod csv_line;
pub mod dashboard;
pub mod date_range;
pub mod day;
pub mod document;
pub mod domain;
pub mod enqueue;
pub mod extract;
pub mod follow;
pub mod history;
pub mod idempotency;
pub mod job;
pub mod job_list;
pub mod key_lookups;
pub mod layers;
pub mod members;
pub mod observe;
pub mod openapi;
pub mod page;
pub mod params;
pub mod parse;
pub mod parts;
pub mod permits;
pub mod plan;
pub mod prefer;
pub mod presentation;
pub mod problem;
mod query_params;
pub mod reads;
pub mod reason;
pub mod recent;
pub mod schemas;
pub mod scoped;
pub mod slugs;
pub mod state;
pub mod table;
pub mod tenant_errors;
pub mod tls;
pub mod traces;
pub mod watchers;
pub mod why;

pub use state::{Web, WebConfig};
