//! `enqueue`: one job from the command line.

use std::cell::Cell;
use std::collections::BTreeMap;

use anyhow::{anyhow, bail};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_identity::audit::Actor;
use weirgate_queue::{Enqueued, JobState, NewJob, QueueError};
use weirgate_web::domain::{Catalog, Enqueueable};

use super::door::Door;
use super::session::Session;
use super::tenant::tenant;
use super::{confirm, follow, mock_days, remote};
use crate::cli::Enqueue;
use crate::database::Database;
use crate::output::{Closed, say, tell};

pub(super) async fn run(options: Enqueue, session: &Session) -> anyhow::Result<()> {
    let asked = checked(&session.catalog, &options)?;
    let told = Cell::new(None);
    let ended = session.with_door("enqueue", async |door| {
        confirm::times(door, options.date, options.run_at, options.yes).await?;
        let (id, duplicate) = match door {
            Door::Database(database) => {
                if let Some(day) = options.date {
                    mock_days::hint(&session.config, day, day);
                }
                let tenant = tenant(&database.pool, &options.tenant).await?;
                let enqueued = insert(asked, &options, &database, &tenant).await?;
                (enqueued.id, enqueued.duplicate)
            }
            Door::Server(client) => {
                let enqueued = remote::enqueue::enqueue(client, asked, &options).await?;
                (enqueued.id, enqueued.duplicate)
            }
        };
        told.set(options.wait.then_some(id));
        report(door, id, duplicate, options.wait).await
    });
    let ended = ended.await;
    if let (Err(error), Some(id)) = (&ended, told.get())
        && !error.is::<NotCompleted>()
        && !error.is::<Closed>()
    {
        tell!("the job continues; see it with: weirgate jobs show {id}{}", session.suffix());
    }
    ended
}

/// What is meant by the kind, when it takes the arguments that are given.
fn checked<'c>(catalog: &'c Catalog, options: &Enqueue) -> anyhow::Result<&'c Enqueueable> {
    let Enqueue { kind, date, args, .. } = options;
    let Some(asked) = catalog.enqueueable(kind) else {
        let kinds: Vec<_> = catalog.enqueueables().iter().map(|it| it.name).collect();
        bail!("there is no kind {kind:?} to be enqueued; known kinds: {}", kinds.join(", "));
    };
    let kind = asked.name;
    if date.is_some() && !asked.day {
        bail!("--date: {kind} takes no date");
    }
    let is_known = |name: &str| asked.arguments.contains(&name) || asked.day && name == "date";
    if let Some((name, _)) = args.iter().find(|(name, _)| !is_known(name)) {
        bail!("--arg {name}: {kind} has no such argument");
    }
    if asked.day && date.is_none() && !args.iter().any(|(name, _)| name == "date") {
        bail!("{kind} needs a date, such as --date 2026-01-31");
    }
    Ok(asked)
}

async fn insert(
    asked: &Enqueueable,
    options: &Enqueue,
    database: &Database,
    tenant: &Tenant,
) -> anyhow::Result<Enqueued> {
    if !tenant.is_active {
        bail!(
            "tenant {} is inactive and accepts no jobs; activate it with `weirgate tenants set {0} --active true`",
            tenant.slug
        );
    }
    let actor = Actor::cli();
    let adjust = |job: NewJob| {
        let job = job.priority(options.priority).enqueued_by(actor.name());
        match options.run_at {
            Some(at) => job.run_at(at),
            None => job,
        }
    };
    let plan = (asked.plan)(tenant, arguments(options, tenant));
    let plan = plan.map_err(|error| refused(error, asked.name, options))?.map(adjust);
    let mut tx = database.pool.begin().await?;
    let enqueued = plan.enqueue(&mut tx, options.force).await?;
    let args: BTreeMap<_, _> = options.args.iter().cloned().collect();
    let what = json!({ "kind": options.kind, "date": options.date, "args": args });
    actor.note_enqueued(&mut tx, enqueued, tenant.id, what).await?;
    tx.commit().await?;
    Ok(enqueued)
}

/// What is wrong with the value of an argument, in the words of the command line.
fn refused(error: QueueError, kind: &str, options: &Enqueue) -> anyhow::Error {
    let QueueError::Json(why) = error else { return error.into() };
    let why = why.to_string();
    let is_wrong = |value: &str| why.contains(&format!("unknown variant `{value}`"));
    if let Some((name, _)) = options.args.iter().find(|(_, value)| is_wrong(value)) {
        let expected = why.split_once(", ").map_or(&*why, |(_, expected)| expected).replace('`', "");
        return anyhow!("--arg {name}: {expected}");
    }
    anyhow!("these are not the arguments of {kind}: {why}")
}

/// What was waited for has ended otherwise.
#[derive(Debug, thiserror::Error)]
#[error("job {0} is {1}")]
struct NotCompleted(Uuid, JobState);

/// Prints the job's id, or with `to_the_end` the whole job once it is final.
///
/// # Errors
/// When that is not completed.
pub(super) async fn report(
    door: Door<'_>,
    id: Uuid,
    duplicate: bool,
    to_the_end: bool,
) -> anyhow::Result<()> {
    if !to_the_end {
        return say!("{id}{}", if duplicate { "\t(already enqueued)" } else { "" });
    }
    let job = follow::to_the_end(door, id).await?;
    say!("{}", serde_json::to_string_pretty(&job)?)?;
    if job.state != JobState::Completed {
        return Err(NotCompleted(id, job.state).into());
    }
    Ok(())
}

/// A value that is JSON other than text is taken as such, everything else as text.
fn arguments(options: &Enqueue, tenant: &Tenant) -> Value {
    let mut args = Map::new();
    args.insert("tenant".to_owned(), Value::String(tenant.id.to_string()));
    if let Some(date) = options.date {
        args.insert("date".to_owned(), Value::String(date.to_string()));
    }
    for (name, text) in &options.args {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
        args.insert(name.clone(), value);
    }
    Value::Object(args)
}
