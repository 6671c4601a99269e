//! The kinds of jobs that a program knows, and the handler of each.
//!
//! [`Kinds`] is the list, one line a kind. With an application to run in it becomes a [`Registry`],
//! which is what a worker needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rand::Rng;
use serde_json::Value;

use crate::backfill::Slices;
use crate::claim::ClaimedJob;
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
}

impl<A: 'static> Kind<A> {
    /// The same kind for callers that have another context.
    fn called_with<B>(
        self,
        context: impl Fn(JobContext<B>) -> JobContext<A> + Send + Sync + 'static,
    ) -> Kind<B> {
        let Self { queue, retry, timeout, handler } = self;
        Kind { queue, retry, timeout, handler: Arc::new(move |args, ctx| handler(args, context(ctx))) }
    }
}

/// Kinds of jobs by their permanent names, without an application to run in.
pub struct Kinds<A>(BTreeMap<&'static str, Kind<A>>);

impl<A> Clone for Kind<A> {
    fn clone(&self) -> Self {
        let Self { queue, retry, timeout, handler } = self;
        Self { queue, retry: *retry, timeout: *timeout, handler: handler.clone() }
    }
}

impl<A> Clone for Kinds<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

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
    /// When there is a kind of this name already.
    #[must_use]
    pub fn with<J: Job<App = A>>(mut self) -> Self {
        let kind = Kind {
            queue: J::QUEUE,
            retry: J::retry(),
            timeout: J::timeout(),
            handler: Arc::new(|args, ctx| Box::pin(run::<J>(args, ctx))),
        };
        assert!(self.0.insert(J::KIND, kind).is_none(), "two jobs are named {}", J::KIND);
        self
    }

    /// Adds the kinds of a part of the application, whose handlers share what `app` picks out of
    /// this one: so several domains, each with an application of its own, run in one worker.
    ///
    /// # Panics
    /// When both have a kind of the same name.
    #[must_use]
    pub fn merge<B: Send + Sync + 'static>(
        self,
        other: Kinds<B>,
        app: impl Fn(&A) -> &Arc<B> + Clone + Send + Sync + 'static,
    ) -> Self {
        let within = |(name, kind): (_, Kind<B>)| {
            let app = app.clone();
            let kind = kind.called_with(move |ctx: JobContext<A>| {
                let part = app(&ctx.app).clone();
                ctx.with_app(part)
            });
            (name, kind)
        };
        self.join(Kinds(other.0.into_iter().map(within).collect()))
    }

    /// Adds kinds of the same application.
    ///
    /// # Panics
    /// When both have a kind of the same name.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        for (name, kind) in other.0 {
            assert!(self.0.insert(name, kind).is_none(), "two jobs are named {name}");
        }
        self
    }

    /// Keeps the kinds alone that wait in one of these queues.
    #[must_use]
    pub fn in_queues(mut self, queues: &BTreeSet<String>) -> Self {
        self.0.retain(|_, kind| queues.contains(kind.queue));
        self
    }

    /// The names of the kinds, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.keys().copied().collect()
    }

    /// The queues in which jobs of these kinds wait.
    pub fn queues(&self) -> BTreeSet<&'static str> {
        self.0.values().map(|kind| kind.queue).collect()
    }

    /// Makes the registry of a worker whose handlers share `app`.
    pub fn run_with(self, app: Arc<A>) -> Registry {
        let shared = move || app.clone();
        let bound = |(name, kind): (_, Kind<A>)| {
            let shared = shared.clone();
            (name, kind.called_with(move |ctx: JobContext<()>| ctx.with_app(shared())))
        };
        let kinds = Kinds(self.0.into_iter().map(bound).collect());
        Registry { kinds, slices: Vec::new(), meter: OnceLock::new() }
    }
}

/// The kinds that a worker runs, with the application that their handlers share. A worker is
/// compiled once, whatever that is.
pub struct Registry {
    kinds: Kinds<()>,
    slices: Vec<Arc<dyn Slices>>,
    /// Made when it is first used, as all kinds are there by then.
    meter: OnceLock<Meter>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kinds.fmt(f)
    }
}

impl Registry {
    /// Adds what turns slices of backfills into jobs, for the kinds of backfills that `slices`
    /// knows. Workers leave other backfills to workers that know them.
    #[must_use]
    pub fn with_slices(mut self, slices: Arc<dyn Slices>) -> Self {
        self.slices.push(slices);
        self
    }

    pub(crate) fn slices(&self) -> Vec<Arc<dyn Slices>> {
        self.slices.clone()
    }

    /// The names of the kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.0.keys().copied()
    }

    /// The queues in which jobs of its kinds wait.
    pub fn queues(&self) -> BTreeSet<&'static str> {
        self.kinds.queues()
    }

    /// The counters of the worker that runs these kinds.
    pub fn meter(&self) -> &Meter {
        self.meter.get_or_init(|| Meter::new(self.kinds.0.iter().map(|(name, kind)| (*name, kind.queue))))
    }

    pub(crate) async fn run(&self, job: &ClaimedJob, ctx: JobContext<()>) -> Result<Outcome, JobError> {
        let Some(kind) = self.kinds.0.get(job.kind.as_str()) else {
            // A newer version of the program may know the kind: the retry is for that one.
            return Err(JobError::failed("unknown_kind", QueueError::UnknownKind(job.kind.clone())));
        };
        let handler = (kind.handler)(job.args.clone(), ctx);
        tokio::time::timeout(kind.timeout, handler).await.unwrap_or_else(|_| {
            Err(JobError::failed("timed_out", anyhow::anyhow!("took longer than {:?}", kind.timeout)))
        })
    }

    /// What an attempt that ended in `error` means for its job: a retry, unless attempts are used
    /// up or the error says otherwise.
    pub(crate) fn outcome_of_error(&self, job: &ClaimedJob, error: JobError, rng: &mut impl Rng) -> Outcome {
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
        JobError::discard("bad_arguments", format!("wrong arguments for {}: {error}", J::KIND))
    })?;
    let output = job.run(&ctx).await?;
    Ok(ctx.outcome(serde_json::to_value(output)?))
}
