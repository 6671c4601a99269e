//! The queues as a backend of apalis' tools, such as apalis-board: lists and numbers, but no jobs
//! to run.
//!
//! The numbers come from the queue views that claims are decided on, the lists from bounded walks
//! down an index.

mod statistics;

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::task::{Context, Poll};

use apalis_core::backend::codec::Codec;
use apalis_core::backend::{
    Backend, FetchById, ListAllTasks, ListQueues, ListTasks, ListWorkers, Metrics, QueueInfo, RunningWorker,
    Statistic, WireFormatBackend,
};
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::metadata::MetadataStore;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use apalis_postgres::PgTask;
use az::SaturatingAs;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgPool;

use crate::error::Result;
use crate::lanes::CountsByState;
use crate::lanes::QueueViews;
use crate::read::job;
use crate::read::list::{self, JobFilter};
use crate::read::row::JobRow;
use crate::read::workers::{self, WorkerRow};
use crate::telemetry::rollup::{self, BucketSize, RollupBucket, Tally};

pub use apalis_core::backend::Filter;
pub use apalis_core::task::status::Status;

/// Most jobs that a list goes back. To find older ones, filter.
const MAX_OFFSET: u32 = 1_000;

/// Most jobs on a page.
const MAX_PAGE_SIZE: u32 = 100;

/// Most walks for one page, each over a bounded number of jobs.
const MAX_WALKS: usize = 4;

/// The layers that a worker puts around each run, the outermost first.
const LAYERS: &str = "FinishLayer<CatchPanicLayer<Runner>>";

/// All queues, one of which may be what apalis calls the current one.
#[derive(Debug, Clone)]
pub struct BoardBackend {
    pool: PgPool,
    views: QueueViews,
    queues: BTreeSet<String>,
    current: Option<String>,
}

impl BoardBackend {
    /// A backend of these queues, none of which is the current one.
    pub fn new(pool: PgPool, views: QueueViews, queues: BTreeSet<String>) -> Self {
        Self { pool, views, queues, current: None }
    }

    /// Makes `queue` the current one; `None` when there is no such queue.
    pub fn with_current(mut self, queue: String) -> Option<Self> {
        self.queues.contains(&queue).then(|| {
            self.current = Some(queue);
            self
        })
    }

    /// The queues of a request that names none: the current one, or all where there is none.
    fn default_queues(&self) -> Vec<&str> {
        match &self.current {
            Some(queue) => vec![queue.as_str()],
            None => self.queues.iter().map(String::as_str).collect(),
        }
    }

    async fn statistics<'a>(&self, queues: impl IntoIterator<Item = &'a str>) -> Result<Vec<Statistic>> {
        let (mut all, mut oldest) = (CountsByState::new(), None::<DateTime<Utc>>);
        for queue in queues {
            let since = self.views.oldest(queue).await?;
            oldest = [oldest, since].into_iter().flatten().min();
            for (state, count) in self.views.read(queue, |view| view.activity().counts).await? {
                *all.entry(state).or_default() += count;
            }
        }
        Ok(statistics::statistics(&all, oldest))
    }

    async fn jobs(&self, queue: Option<String>, filter: &Filter) -> Result<Vec<PgTask<Value>>> {
        let states = filter.status.as_ref().map(statistics::states_of);
        // Pages are counted from 1.
        let limit = filter.page_size.unwrap_or(20).min(MAX_PAGE_SIZE);
        let offset = filter.page.saturating_sub(1).saturating_mul(limit);
        if offset >= MAX_OFFSET || limit == 0 || states.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let filter = JobFilter { states, queue, ..JobFilter::default() };
        let wanted = (offset + limit) as usize;
        let (mut found, mut before) = (Vec::with_capacity(wanted), None);
        let mut conn = self.pool.acquire().await?;
        for _ in 0..MAX_WALKS {
            let left = (wanted - found.len()).saturating_as::<i64>();
            let page = list::list(&mut conn, &filter, before, left).await?;
            found.extend(page.rows);
            before = page.next;
            if before.is_none() || found.len() >= wanted {
                break;
            }
        }
        Ok(found.into_iter().skip(offset as usize).map(task).collect())
    }

    /// How many runs ended in each of the last seven days of 24 hours.
    async fn activity(&self, queue: &str) -> Result<Vec<usize>> {
        let mut conn = self.pool.acquire().await?;
        let hours = rollup::buckets(&mut conn, Some(queue), BucketSize::Hour, 7 * 24).await?;
        let runs = |hours: &[RollupBucket]| {
            let ended = hours.iter().map(|hour| {
                let Tally { completed, retried, discarded, cancelled, .. } = &hour.tally;
                completed + retried + discarded + cancelled
            });
            ended.sum::<u64>().saturating_as::<usize>()
        };
        Ok(hours.chunks(24).map(runs).collect())
    }

    async fn workers(&self) -> Result<Vec<WorkerRow>> {
        workers::workers(&mut *self.pool.acquire().await?).await
    }
}

fn task(row: JobRow) -> PgTask<Value> {
    let seconds = |at: DateTime<Utc>| at.timestamp().unsigned_abs();
    let state = row.state();
    let error =
        row.errors.as_array().and_then(|errors| errors.last()).and_then(|error| error["message"].as_str());
    let facts = [
        ("kind", Some(row.kind.clone())),
        ("state", Some(state.to_string())),
        ("tenant_id", Some(row.tenant_id.to_string())),
        ("priority", Some(row.priority.to_string())),
        ("workflow_id", row.workflow_id.map(|id| id.to_string())),
        ("backfill_id", row.backfill_id.map(|id| id.to_string())),
        ("traceparent", row.traceparent.clone()),
        ("error", error.map(str::to_owned)),
    ];
    let known: HashMap<String, String> =
        facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let task = TaskBuilder::new(row.args)
        .task_id(TaskId::from_uuid(row.id))
        .queue(row.queue.into())
        .status(statistics::status_of(state))
        .attempt(usize::from(row.attempt.unsigned_abs()))
        .max_attempts(usize::from(row.max_attempts.unsigned_abs()))
        .run_at_timestamp(seconds(row.scheduled_at))
        .lock_at(row.attempted_at.map(seconds))
        .done_at(row.finalized_at.map(seconds))
        .with_metadata(MetadataStore::from_map(known));
    task.build()
}

fn running_worker(worker: &WorkerRow, queue: &str) -> RunningWorker {
    let seconds = |at: DateTime<Utc>| at.timestamp().unsigned_abs();
    RunningWorker {
        id: format!("{}:{} {}", worker.host, worker.pid, worker.id),
        queue: queue.to_owned(),
        backend: format!("weirgate {}", worker.version),
        started_at: seconds(worker.started_at),
        last_heartbeat: seconds(worker.heartbeat_at),
        layers: LAYERS.to_owned(),
    }
}

/// A codec that leaves arguments as they are: they are JSON here and in apalis.
#[derive(Debug, Clone, Copy)]
pub struct PassThrough;

impl Codec<Value> for PassThrough {
    type Error = Infallible;
    type Compact = Value;

    fn encode(&self, value: &Value) -> std::result::Result<Value, Infallible> {
        Ok(value.clone())
    }

    fn decode(&self, value: &Value) -> std::result::Result<Value, Infallible> {
        Ok(value.clone())
    }
}

impl WireFormatBackend for BoardBackend {
    type Codec = PassThrough;
    type Compact = Value;

    fn codec(&self) -> &PassThrough {
        &PassThrough
    }
}

/// This backend never has a job to run: workers run jobs through
/// [`crate::worker::QueueBackend`].
impl Backend for BoardBackend {
    type Task = PgTask<Value>;
    type Error = crate::QueueError;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task>>> {
        Poll::Ready(None)
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl ListQueues for BoardBackend {
    async fn list_queues(&self) -> Result<Vec<QueueInfo>> {
        let workers = self.workers().await?;
        let mut all = Vec::with_capacity(self.queues.len());
        for queue in &self.queues {
            let of_it = workers.iter().filter(|worker| worker.queues.contains(queue));
            all.push(QueueInfo {
                name: queue.clone(),
                stats: self.statistics([queue.as_str()]).await?,
                workers: of_it.map(|worker| running_worker(worker, queue).id).collect(),
                activity: self.activity(queue).await?,
            });
        }
        Ok(all)
    }
}

impl ListWorkers for BoardBackend {
    async fn list_workers(&self) -> Result<Vec<RunningWorker>> {
        let queues = self.default_queues();
        let workers = self.workers().await?;
        let of_queue = |queue: &str| {
            let takes = |worker: &&WorkerRow| worker.queues.iter().any(|it| it == queue);
            workers.iter().filter(takes).map(|worker| running_worker(worker, queue)).collect::<Vec<_>>()
        };
        Ok(queues.into_iter().flat_map(of_queue).collect())
    }

    async fn list_all_workers(&self) -> Result<Vec<RunningWorker>> {
        let of = |worker: &WorkerRow| {
            worker.queues.iter().map(|queue| running_worker(worker, queue)).collect::<Vec<_>>()
        };
        Ok(self.workers().await?.iter().flat_map(of).collect())
    }
}

impl ListTasks for BoardBackend {
    async fn list_tasks(&self, filter: &Filter) -> Result<Vec<PgTask<Value>>> {
        self.jobs(self.current.clone(), filter).await
    }
}

impl ListAllTasks for BoardBackend {
    async fn list_all_tasks(&self, filter: &Filter) -> Result<Vec<PgTask<Value>>> {
        self.jobs(None, filter).await
    }
}

impl FetchById for BoardBackend {
    async fn fetch_by_id(&mut self, id: &TaskId) -> Result<Option<PgTask<Value>>> {
        // An id from a path is a text.
        let Ok(id) = id.to_string().parse() else { return Ok(None) };
        let row = job::get(&mut *self.pool.acquire().await?, id).await?;
        let is_here = |row: &JobRow| self.current.as_ref().is_none_or(|queue| row.queue == *queue);
        Ok(row.filter(is_here).map(task))
    }
}

impl Metrics for BoardBackend {
    async fn global(&self) -> Result<Vec<Statistic>> {
        self.statistics(self.queues.iter().map(String::as_str)).await
    }

    async fn fetch_by_queue(&self) -> Result<Vec<Statistic>> {
        self.statistics(self.default_queues()).await
    }
}
