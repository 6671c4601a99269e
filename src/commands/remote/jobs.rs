//! `jobs`, of a server.

use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::control::bulk::BulkAction;

use crate::cli::Filter;
use crate::client::{Call, Client};
use crate::commands::job::{Job, JobReport};

/// How long somebody who waits for a job goes on while the server is away: as long as a restart or
/// an update may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// A job that was enqueued, or was on its way already.
#[derive(Deserialize)]
pub(in crate::commands) struct Enqueued {
    pub(in crate::commands) id: Uuid,
    pub(in crate::commands) duplicate: bool,
}

/// How many jobs an action would touch.
#[derive(Deserialize)]
pub(in crate::commands) struct Count {
    pub(in crate::commands) count: u64,
    pub(in crate::commands) exact: bool,
}

pub(in crate::commands) async fn list(client: &Client, filter: &Filter, limit: usize) -> Result<Vec<Job>> {
    let mut call = Call::get(["internal", "jobs"]);
    for (name, value) in members(filter) {
        call = match value {
            Value::Object(args) => args.iter().fold(call, |call, (arg, value)| {
                call.query(&format!("args.{arg}"), value.as_str().unwrap_or_default())
            }),
            Value::Array(names) => {
                names.iter().fold(call, |call, value| call.query(name, value.as_str().unwrap_or_default()))
            }
            Value::String(text) => call.query(name, &text),
            other => call.query(name, &other),
        };
    }
    client.list(&named(call, filter, ""), limit).await
}

pub(in crate::commands) async fn show(client: &Client, id: Uuid) -> Result<JobReport> {
    client.ask(&job(id)).await
}

/// A job, once it is final or `hold` has passed.
pub(in crate::commands) async fn follow(client: &Client, id: Uuid, hold: Duration) -> Result<JobReport> {
    let call = job(id).patient(PATIENCE);
    client.ask(&if hold.is_zero() { call } else { call.held(hold) }).await
}

fn job(id: Uuid) -> Call {
    Call::get(["internal".to_owned(), "jobs".to_owned(), id.to_string()])
}

/// Where a job stands after `verb` was done to it.
pub(in crate::commands) async fn act(client: &Client, id: Uuid, verb: &str) -> Result<JobState> {
    let job: Job = client.ask(&Call::post(["internal", "jobs", &id.to_string(), verb])).await?;
    Ok(job.state)
}

/// How many jobs a bulk action would touch.
pub(in crate::commands) async fn count(
    client: &Client,
    action: BulkAction,
    filter: &Filter,
    all: bool,
) -> Result<Count> {
    client.ask(&bulk_call(action, filter, all, true)).await
}

pub(in crate::commands) async fn bulk(
    client: &Client,
    action: BulkAction,
    filter: &Filter,
    all: bool,
) -> Result<Enqueued> {
    client.ask(&bulk_call(action, filter, all, false)).await
}

fn bulk_call(action: BulkAction, filter: &Filter, all: bool, dry_run: bool) -> Call {
    let mut given: Map<String, Value> =
        members(filter).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if all {
        given.insert("all".to_owned(), true.into());
    }
    let body = json!({ "action": action.to_string(), "filter": given, "dry_run": dry_run });
    named(Call::post(["internal", "jobs", "bulk"]).json(body), filter, "filter.")
}

/// What a filter names, as the API calls it.
fn members(filter: &Filter) -> Vec<(&'static str, Value)> {
    let text = |value: &Option<String>| value.clone().map(Value::from);
    let id = |value: Option<Uuid>| value.map(|id| Value::from(id.to_string()));
    let states: Vec<Value> = filter.state.iter().map(|state| state.as_str().into()).collect();
    let args: Map<String, Value> =
        filter.arg.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let all = [
        ("state", (!states.is_empty()).then_some(Value::Array(states))),
        ("kind", text(&filter.kind)),
        ("queue", text(&filter.queue)),
        ("tenant_id", text(&filter.tenant)),
        ("date", filter.date.map(|date| date.to_string().into())),
        ("workflow_id", id(filter.workflow)),
        ("backfill_id", id(filter.backfill)),
        ("failure_id", filter.failure.map(Value::from)),
        ("created_after", filter.created_after.map(|at| at.to_rfc3339().into())),
        ("created_before", filter.created_before.map(|at| at.to_rfc3339().into())),
        ("q", text(&filter.q)),
        ("args", (!args.is_empty()).then_some(Value::Object(args))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What is wrong with a filter is said by its options.
fn named(call: Call, filter: &Filter, before: &str) -> Call {
    let options = [
        ("state", "--state"),
        ("kind", "--kind"),
        ("queue", "--queue"),
        ("tenant_id", "--tenant"),
        ("workflow_id", "--workflow"),
        ("backfill_id", "--backfill"),
        ("failure_id", "--failure"),
        ("created_after", "--created-after"),
        ("created_before", "--created-before"),
        ("q", "--q"),
    ];
    let fields = options.map(|(field, option)| (field.to_owned(), option.to_owned()));
    let args = filter.arg.iter().map(|(name, _)| (format!("args.{name}"), format!("--arg {name}")));
    let all = fields.into_iter().chain(args);
    all.fold(call, |call, (field, option)| call.option(&format!("{before}{field}"), option))
}
