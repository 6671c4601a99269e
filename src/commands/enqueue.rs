//! `enqueue`: one job from the command line.

use std::cell::Cell;
use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use weirgate_jobs::{App, DailyPipeline, Tenant, enqueue_daily_pipeline};
use weirgate_queue::{Enqueued, JobState, NewJob, QueueError, Registry, enqueue};

use super::jobs::described;
use super::session::Session;
use super::{confirm, follow, mock_days, tenant};
use crate::app::Parts;
use crate::audit::Actor;
use crate::cli::Enqueue;
use crate::database::Database;
use crate::output::{say, tell};
use crate::signals::Interrupted;

pub(super) async fn run(options: Enqueue, session: &Session) -> anyhow::Result<()> {
    confirm::home(&session.config, &session.stop).await?;
    let parts = Parts::new(&session.config)?;
    let told = Cell::new(None);
    let ended = session.with_database("enqueue", async |database| {
        confirm::times(&database.pool, options.date, options.run_at, options.yes).await?;
        if let Some(day) = options.date {
            mock_days::hint(&session.config, day, day);
        }
        let registry = weirgate_jobs::registry(parts.with(database.pool.clone()));
        let tenant = tenant(&database.pool, &options.tenant).await?;
        let enqueued = insert(&options, database, &registry, &tenant).await?;
        told.set(options.wait.then_some(enqueued.id));
        report(&database.pool, enqueued, options.wait).await
    });
    let ended = ended.await;
    if let (Err(error), Some(id)) = (&ended, told.get())
        && error.is::<Interrupted>()
    {
        tell!("the job goes on by itself; look at it with: weirgate jobs show {id}");
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
    let what = json!({ "kind": options.kind, "date": options.date, "args": options.args.iter().cloned().collect::<BTreeMap<_, _>>() });
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
            if why.contains("missing field `date`") {
                return anyhow::anyhow!("{kind} needs its day, such as --date 2026-01-31");
            }
            anyhow::anyhow!("these are not the arguments of {kind}: {why}")
        }
        other => other.into(),
    }
}

/// Prints the job's id, or with `to_the_end` the whole job once it is final.
///
/// # Errors
/// When that is not completed.
pub(super) async fn report(pool: &PgPool, enqueued: Enqueued, to_the_end: bool) -> anyhow::Result<()> {
    if !to_the_end {
        return say!("{}{}", enqueued.id, if enqueued.duplicate { "\t(was on its way already)" } else { "" });
    }
    let job = follow::to_the_end(pool, enqueued.id).await?;
    let (id, state) = (job.id, job.state());
    let described = described(&mut *pool.acquire().await?, job).await?;
    say!("{}", serde_json::to_string_pretty(&described)?)?;
    if state != JobState::Completed {
        bail!("job {id} is {state}");
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
