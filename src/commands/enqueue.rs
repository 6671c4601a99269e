//! `enqueue`: one job from the command line.

use std::cell::Cell;
use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_identity::audit::Actor;
use weirgate_jobs::{App, DailyPipeline, enqueue_daily_pipeline};
use weirgate_queue::{Enqueued, JobState, NewJob, QueueError, Registry, enqueue};

use super::door::Door;
use super::session::Session;
use super::{confirm, follow, mock_days, remote, tenant};
use crate::app::Parts;
use crate::cli::Enqueue;
use crate::database::Database;
use crate::output::{Closed, say, tell};

pub(super) async fn run(options: Enqueue, session: &Session) -> anyhow::Result<()> {
    let parts = if session.server.is_none() {
        confirm::home(&session.config, &session.stop).await?;
        Some(Parts::new(&session.config)?)
    } else {
        None
    };
    let told = Cell::new(None);
    let ended = session.with_door("enqueue", async |door| {
        confirm::times(door, options.date, options.run_at, options.yes).await?;
        let (id, duplicate) = match door {
            Door::Database(database) => {
                if let Some(day) = options.date {
                    mock_days::hint(&session.config, day, day);
                }
                let parts = parts.context("the parts of the application are made for the database")?;
                let registry = weirgate_jobs::registry(parts.with(database.pool.clone()));
                let tenant = tenant(&database.pool, &options.tenant).await?;
                let enqueued = insert(&options, database, &registry, &tenant).await?;
                (enqueued.id, enqueued.duplicate)
            }
            Door::Server(client) => {
                let enqueued = remote::enqueue::enqueue(client, &options).await?;
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
        tell!("the job goes on by itself; look at it with: weirgate jobs show {id}{}", session.suffix());
    }
    ended
}

async fn insert(
    options: &Enqueue,
    database: &Database,
    registry: &Registry<App>,
    tenant: &Tenant,
) -> anyhow::Result<Enqueued> {
    if !tenant.is_active {
        bail!(
            "tenant {} is not active, so that no job is accepted for it; `weirgate tenants set {0} --active true` changes that",
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
    let mut tx = database.pool.begin().await?;
    // The daily pipeline is no kind, but a workflow of six jobs.
    let enqueued = if DailyPipeline::kind(&options.kind) == DailyPipeline::NAME {
        let date = options.date.context("the daily pipeline needs its day, such as --date 2026-01-31")?;
        if let Some((name, _)) = options.args.first() {
            bail!("--arg {name}: the daily pipeline has no arguments but --date");
        }
        enqueue_daily_pipeline(&mut tx, DailyPipeline::new(tenant, date, adjust)?, options.force).await?
    } else {
        let job = registry.new_job(&options.kind, tenant.id, arguments(options, tenant));
        let job = job.map_err(|error| refused(error, options, registry))?;
        let job = if options.force { job.not_unique() } else { job };
        enqueue(&mut tx, vec![adjust(job)]).await?[0]
    };
    let args: BTreeMap<_, _> = options.args.iter().cloned().collect();
    let what = json!({ "kind": options.kind, "date": options.date, "args": args });
    actor.note_enqueued(&mut tx, enqueued, tenant.id, what).await?;
    tx.commit().await?;
    Ok(enqueued)
}

/// What is wrong with a kind or its arguments, in the words of the command line.
fn refused(error: QueueError, options: &Enqueue, registry: &Registry<App>) -> anyhow::Error {
    let kind = &options.kind;
    match error {
        QueueError::UnknownKind(_) => {
            let kinds: Vec<_> = registry.kinds().chain([DailyPipeline::NAME]).collect();
            anyhow::anyhow!("{error}; known kinds: {}", kinds.join(", "))
        }
        QueueError::Json(why) => {
            let why = why.to_string();
            let named = |name: &str| why.contains(&format!("unknown field `{name}`"));
            if named("date") && options.date.is_some() {
                return anyhow::anyhow!("--date: {kind} takes no day; it takes in all that its source has");
            }
            if let Some((name, _)) = options.args.iter().find(|(name, _)| named(name)) {
                return anyhow::anyhow!("--arg {name}: {kind} has no such argument ({why})");
            }
            if let Some((name, _)) =
                options.args.iter().find(|(_, value)| why.contains(&format!("unknown variant `{value}`")))
            {
                let expected = why.split_once(", ").map_or(&*why, |(_, expected)| expected).replace('`', "");
                return anyhow::anyhow!("--arg {name}: {expected}");
            }
            if why.contains("missing field `date`") {
                return anyhow::anyhow!("{kind} needs its day, such as --date 2026-01-31");
            }
            anyhow::anyhow!("these are not the arguments of {kind}: {why}")
        }
        other => other.into(),
    }
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
        return say!("{id}{}", if duplicate { "\t(was on its way already)" } else { "" });
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
