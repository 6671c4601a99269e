//! `enqueue`: one job from the command line.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Map, Value};
use sqlx::PgPool;
use uuid::Uuid;
use weirgate_jobs::{DailyPipeline, Tenant, enqueue_daily_pipeline};
use weirgate_queue::query::{self, JobRow};
use weirgate_queue::{Enqueued, JobState, NewJob, QueueError, enqueue};

use super::jobs::{describe, name_tenants};
use super::tenant;
use crate::app::Parts;
use crate::cli::Enqueue;
use crate::config::Config;
use crate::database::Database;

pub(super) async fn run(options: Enqueue, config: &Config) -> anyhow::Result<()> {
    let parts = Parts::new(config)?;
    let database = Database::attach(config, "enqueue").await?;
    let registry = weirgate_jobs::registry(parts.with(database.pool.clone()));
    let tenant = tenant(&database.pool, &options.tenant).await?;
    if !tenant.is_active {
        bail!("tenant {} is not active", tenant.slug);
    }
    let adjust = |job: NewJob| {
        let job = job.priority(options.priority);
        match options.run_at {
            Some(at) => job.run_at(at),
            None => job,
        }
    };
    let mut tx = database.pool.begin().await?;
    let enqueued = if options.kind == "pipeline_daily" {
        let date = options.date.context("pipeline_daily needs --date")?;
        enqueue_daily_pipeline(&mut tx, DailyPipeline::new(&tenant, date, adjust)?, options.force).await?
    } else {
        let job =
            registry.new_job(&options.kind, tenant.id, arguments(&options, &tenant)).map_err(|error| {
                match error {
                    QueueError::UnknownKind(_) => {
                        let kinds: Vec<_> = registry.kinds().chain(["pipeline_daily"]).collect();
                        anyhow::anyhow!("{error}; known kinds: {}", kinds.join(", "))
                    }
                    QueueError::Json(why) => {
                        anyhow::anyhow!("these are not the arguments of {}: {why}", options.kind)
                    }
                    other => other.into(),
                }
            })?;
        let job = if options.force { job.not_unique() } else { job };
        enqueue(&mut tx, vec![adjust(job)]).await?[0]
    };
    tx.commit().await?;
    report(&database.pool, enqueued, options.wait).await?;
    database.close().await
}

/// Prints the job's id, or with `to_the_end` the whole job once it is final.
///
/// # Errors
/// When that is not completed.
pub(super) async fn report(pool: &PgPool, enqueued: Enqueued, to_the_end: bool) -> anyhow::Result<()> {
    if !to_the_end {
        println!("{}{}", enqueued.id, if enqueued.duplicate { "\t(was on its way already)" } else { "" });
        return Ok(());
    }
    let mut job = wait(pool, enqueued.id).await?;
    name_tenants(&mut *pool.acquire().await?, std::slice::from_mut(&mut job)).await?;
    println!("{}", serde_json::to_string_pretty(&describe(&job))?);
    if job.state() != JobState::Completed {
        bail!("job {} is {}", job.id, job.state);
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

async fn wait(pool: &PgPool, id: Uuid) -> anyhow::Result<JobRow> {
    loop {
        let job = query::get(&mut *pool.acquire().await?, id).await?.ok_or(QueueError::UnknownJob(id))?;
        if job.state().is_final() {
            return Ok(job);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
