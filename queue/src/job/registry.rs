//! Which handler runs which kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rand::Rng;
use serde_json::Value;
use uuid::Uuid;

use crate::backfill::Slices;
use crate::claim::ClaimedJob;
use crate::enqueue::NewJob;
use crate::error::{QueueError, Result};
use crate::finish::Outcome;
use crate::job::retry::RetryPolicy;
use crate::job::{Job, JobContext, JobError};
use crate::telemetry::meter::Meter;

type Handler<A> =
    Arc<dyn Fn(Value, JobContext<A>) -> BoxFuture<'static, Result<Outcome, JobError>> + Send + Sync>;

struct Kind<A> {
    queue: &'static str,
    retry: RetryPolicy,
    timeout: Duration,
    handler: Handler<A>,
    new_job: fn(Uuid, Value) -> Result<NewJob>,
}

/// Kinds of jobs by their permanent names, before they have an application to run in.
pub struct Kinds<A>(BTreeMap<&'static str, Kind<A>>);

impl<A> Default for Kinds<A> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<A> fmt::Debug for Kinds<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl<A: Send + Sync + 'static> Kinds<A> {
    /// Adds a kind.
    ///
    /// # Panics
    /// When another one has the same name.
    #[must_use]
    pub fn with<J: Job<App = A>>(mut self) -> Self {
        let kind = Kind {
            queue: J::QUEUE,
            retry: J::retry(),
            timeout: J::timeout(),
            handler: Arc::new(|args, ctx| Box::pin(run::<J>(args, ctx))),
            new_job: |tenant, args| NewJob::of(tenant, &serde_json::from_value::<J>(args)?),
        };
        assert!(self.0.insert(J::KIND, kind).is_none(), "two jobs are named {}", J::KIND);
        self
    }

    /// Their names, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.keys().copied().collect()
    }

    /// The queues they wait in.
    pub fn queues(&self) -> BTreeSet<&'static str> {
        self.0.values().map(|kind| kind.queue).collect()
    }

    /// What a worker needs to run them: their handlers share `app`.
    pub fn run_with(self, app: Arc<A>) -> Registry<A> {
        Registry { app, kinds: self, slices: None, meter: OnceLock::new() }
    }
}

/// Every kind that a worker can run, by its permanent name.
pub struct Registry<A> {
    app: Arc<A>,
    kinds: Kinds<A>,
    slices: Option<Arc<dyn Slices>>,
    /// Made when all kinds are there.
    meter: OnceLock<Meter>,
}

impl<A> fmt::Debug for Registry<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kinds.fmt(f)
    }
}

impl<A: Send + Sync + 'static> Registry<A> {
    /// No kinds yet; handlers will share `app`.
    pub fn new(app: Arc<A>) -> Self {
        Kinds::default().run_with(app)
    }

    /// Adds a kind.
    ///
    /// # Panics
    /// When another one has the same name.
    #[must_use]
    pub fn with<J: Job<App = A>>(self) -> Self {
        Self { kinds: self.kinds.with::<J>(), meter: OnceLock::new(), ..self }
    }

    /// Says what the slices of backfills become; without it, its workers leave backfills to others.
    #[must_use]
    pub fn with_slices(mut self, slices: Arc<dyn Slices>) -> Self {
        self.slices = Some(slices);
        self
    }

    pub(crate) fn slices(&self) -> Option<Arc<dyn Slices>> {
        self.slices.clone()
    }

    /// The application that handlers share.
    pub fn app(&self) -> &Arc<A> {
        &self.app
    }

    /// The names of the kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.0.keys().copied()
    }

    /// The queues its kinds wait in.
    pub fn queues(&self) -> BTreeSet<&'static str> {
        self.kinds.queues()
    }

    /// What the worker that runs them counts.
    pub fn meter(&self) -> &Meter {
        self.meter.get_or_init(|| Meter::new(self.kinds.0.iter().map(|(name, kind)| (*name, kind.queue))))
    }

    /// A job of a kind known by name only.
    ///
    /// # Errors
    /// [`QueueError::UnknownKind`]; [`QueueError::Json`] when the arguments are not that kind's.
    pub fn new_job(&self, kind: &str, tenant: Uuid, args: Value) -> Result<NewJob> {
        let kind = self.kinds.0.get(kind).ok_or_else(|| QueueError::UnknownKind(kind.to_owned()))?;
        (kind.new_job)(tenant, args)
    }

    pub(crate) async fn run(&self, job: &ClaimedJob, ctx: JobContext<A>) -> Result<Outcome, JobError> {
        let Some(kind) = self.kinds.0.get(job.kind.as_str()) else {
            // Another version of the program may know it: leave it for that one.
            return Err(JobError::failed("unknown_kind", QueueError::UnknownKind(job.kind.clone())));
        };
        let handler = (kind.handler)(job.args.clone(), ctx);
        tokio::time::timeout(kind.timeout, handler).await.unwrap_or_else(|_| {
            Err(JobError::failed("timed_out", anyhow::anyhow!("took longer than {:?}", kind.timeout)))
        })
    }

    /// What a failed attempt means for the job.
    pub(crate) fn judge(&self, job: &ClaimedJob, error: JobError, rng: &mut impl Rng) -> Outcome {
        match error {
            JobError::Cancelled => Outcome::Cancelled,
            JobError::Snooze(delay) => Outcome::Snoozed(delay),
            JobError::Discard { code, message } => Outcome::Discarded { code: code.to_owned(), message },
            JobError::Failed { code, source, retry_after } => {
                let (code, message) = (code.to_owned(), format!("{source:#}"));
                if job.run.attempt >= job.max_attempts {
                    return Outcome::Discarded { code, message };
                }
                let policy =
                    self.kinds.0.get(job.kind.as_str()).map_or_else(RetryPolicy::default, |kind| kind.retry);
                let delay = retry_after.unwrap_or_else(|| policy.delay(job.run.attempt, rng));
                Outcome::Retry { code, message, delay }
            }
        }
    }
}

async fn run<J: Job>(args: Value, ctx: JobContext<J::App>) -> Result<Outcome, JobError> {
    let job: J = serde_json::from_value(args).map_err(|error| {
        JobError::discard("bad_arguments", format!("not the arguments of {}: {error}", J::KIND))
    })?;
    let output = job.run(&ctx).await?;
    Ok(ctx.outcome(serde_json::to_value(output)?))
}
