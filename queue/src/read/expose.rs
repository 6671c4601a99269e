//! The queues as apalis' tools see a backend, such as apalis-board: lists and numbers, and nothing to run.
//!
//! Numbers come from the counts that claims are decided on, lists from bounded walks down an index.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::task::{Context, Poll};

use apalis_core::backend::codec::Codec;
use apalis_core::backend::{
    Backend, FetchById, ListAllTasks, ListQueues, ListTasks, ListWorkers, Metrics, QueueInfo, RunningWorker,
    StatType, Statistic, WireFormatBackend,
};
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::metadata::MetadataStore;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use apalis_postgres::PgTask;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgPool;

use crate::error::Result;
use crate::job::state::JobState;
use crate::lanes::Books;
use crate::lanes::facts::Counts;
use crate::read::{self, JobFilter, JobRow, WorkerRow};
use crate::telemetry::pulse::{self, Beat, Every, Tally};

pub use apalis_core::backend::Filter;
pub use apalis_core::task::status::Status;

/// Jobs that a list goes back to; whoever looks further back filters.
const FURTHEST: u32 = 1_000;

/// Jobs on a page.
const LONGEST_PAGE: u32 = 100;

/// Walks for one page, each of a bounded number of jobs.
const WALKS: usize = 4;

/// What a worker puts around each run, from the outside.
const LAYERS: &str = "FinishLayer<CatchPanicLayer<Runner>>";

/// All queues, with one of them as what apalis calls the current one.
#[derive(Debug, Clone)]
pub struct Exposed {
    pool: PgPool,
    books: Books,
    queues: BTreeSet<String>,
    current: Option<String>,
}

impl Exposed {
    /// Of these queues, and no one of them.
    pub fn new(pool: PgPool, books: Books, queues: BTreeSet<String>) -> Self {
        Self { pool, books, queues, current: None }
    }

    /// Of that one; none when there is no such queue.
    pub fn of(mut self, queue: String) -> Option<Self> {
        self.queues.contains(&queue).then(|| {
            self.current = Some(queue);
            self
        })
    }

    /// What is asked for without naming a queue is of the current one, and of all where there is none.
    fn meant(&self) -> Vec<&str> {
        match &self.current {
            Some(queue) => vec![queue.as_str()],
            None => self.queues.iter().map(String::as_str).collect(),
        }
    }

    async fn numbers<'a>(&self, queues: impl IntoIterator<Item = &'a str>) -> Result<Vec<Statistic>> {
        let (mut all, mut oldest) = (Counts::new(), None::<DateTime<Utc>>);
        for queue in queues {
            let since = self.books.oldest(queue).await?;
            oldest = [oldest, since].into_iter().flatten().min();
            for (state, count) in self.books.read(queue, |book| book.facts().counts).await? {
                *all.entry(state).or_default() += count;
            }
        }
        Ok(statistics(&all, oldest))
    }

    async fn jobs(&self, queue: Option<String>, filter: &Filter) -> Result<Vec<PgTask<Value>>> {
        let states = filter.status.as_ref().map(states_of);
        // Counted from 1, by people and by apalis.
        let limit = filter.page_size.unwrap_or(20).min(LONGEST_PAGE);
        let skipped = filter.page.saturating_sub(1).saturating_mul(limit);
        if skipped >= FURTHEST || limit == 0 || states.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let filter = JobFilter { states, queue, ..JobFilter::default() };
        let wanted = (skipped + limit) as usize;
        let (mut found, mut before) = (Vec::with_capacity(wanted), None);
        let mut conn = self.pool.acquire().await?;
        for _ in 0..WALKS {
            let left = i64::try_from(wanted - found.len()).unwrap_or(i64::MAX);
            let listed = read::list(&mut conn, &filter, before, left).await?;
            found.extend(listed.rows);
            before = listed.next;
            if before.is_none() || found.len() >= wanted {
                break;
            }
        }
        Ok(found.into_iter().skip(skipped as usize).map(task).collect())
    }

    /// Runs that ended in each of the last seven days of 24 hours.
    async fn activity(&self, queue: &str) -> Result<Vec<usize>> {
        let mut conn = self.pool.acquire().await?;
        let hours = pulse::beats(&mut conn, Some(queue), Every::Hour, 7 * 24).await?;
        let runs = |hours: &[Beat]| {
            let ended = hours.iter().map(|hour| {
                let Tally { completed, retried, discarded, cancelled, .. } = &hour.tally;
                completed + retried + discarded + cancelled
            });
            usize::try_from(ended.sum::<u64>()).unwrap_or(usize::MAX)
        };
        Ok(hours.chunks(24).map(runs).collect())
    }

    async fn workers(&self) -> Result<Vec<WorkerRow>> {
        read::workers(&mut *self.pool.acquire().await?).await
    }
}

/// What apalis calls a state.
fn status_of(state: JobState) -> Status {
    match state {
        JobState::Waiting | JobState::Scheduled | JobState::Available => Status::Pending,
        JobState::Running => Status::Running,
        JobState::Retryable => Status::Failed,
        JobState::Completed => Status::Done,
        JobState::Discarded | JobState::Cancelled => Status::Killed,
    }
}

fn states_of(status: &Status) -> Vec<JobState> {
    JobState::ALL.into_iter().filter(|state| status_of(*state) == *status).collect()
}

/// Under the titles that apalis' tools know.
fn statistics(counts: &Counts, oldest: Option<DateTime<Utc>>) -> Vec<Statistic> {
    let of = |status: &Status| states_of(status).iter().filter_map(|state| counts.get(state)).sum::<i64>();
    let number = |title: &str, value: i64, priority| Statistic {
        title: title.to_owned(),
        stat_type: StatType::Number,
        value: value.max(0).to_string(),
        priority: Some(priority),
    };
    let (pending, running, failed) = (of(&Status::Pending), of(&Status::Running), of(&Status::Failed));
    let mut all = vec![
        number("RUNNING_JOBS", running, 1),
        number("PENDING_JOBS", pending, 1),
        number("FAILED_JOBS", failed, 1),
        number("QUEUE_BACKLOG", counts.get(&JobState::Available).copied().unwrap_or(0), 2),
        number("ACTIVE_JOBS", pending + running + failed, 2),
        number("DONE_JOBS", of(&Status::Done), 2),
        number("KILLED_JOBS", of(&Status::Killed), 2),
        number("TOTAL_JOBS", counts.values().sum(), 2),
    ];
    let (done, killed) = (of(&Status::Done).max(0), of(&Status::Killed).max(0));
    if let Some(per_mille) = (done * 1000).checked_div(done + killed) {
        // Of those that are still kept.
        all.push(Statistic {
            title: "SUCCESS_RATE".to_owned(),
            stat_type: StatType::Percentage,
            value: format!("{}.{}", per_mille / 10, per_mille % 10),
            priority: Some(2),
        });
    }
    all.extend(oldest.map(|at| Statistic {
        title: "OLDEST_PENDING_JOB".to_owned(),
        stat_type: StatType::Timestamp,
        value: at.timestamp().to_string(),
        priority: Some(3),
    }));
    all
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
        .status(status_of(state))
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

/// Arguments are JSON here and there.
#[derive(Debug, Clone, Copy)]
pub struct AsStored;

impl Codec<Value> for AsStored {
    type Error = Infallible;
    type Compact = Value;

    fn encode(&self, value: &Value) -> std::result::Result<Value, Infallible> {
        Ok(value.clone())
    }

    fn decode(&self, value: &Value) -> std::result::Result<Value, Infallible> {
        Ok(value.clone())
    }
}

impl WireFormatBackend for Exposed {
    type Codec = AsStored;
    type Compact = Value;

    fn codec(&self) -> &AsStored {
        &AsStored
    }
}

/// Jobs are run through [`crate::worker::backend::QueueBackend`].
impl Backend for Exposed {
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

impl ListQueues for Exposed {
    async fn list_queues(&self) -> Result<Vec<QueueInfo>> {
        let workers = self.workers().await?;
        let mut all = Vec::with_capacity(self.queues.len());
        for queue in &self.queues {
            let of_it = workers.iter().filter(|worker| worker.queues.contains(queue));
            all.push(QueueInfo {
                name: queue.clone(),
                stats: self.numbers([queue.as_str()]).await?,
                workers: of_it.map(|worker| running_worker(worker, queue).id).collect(),
                activity: self.activity(queue).await?,
            });
        }
        Ok(all)
    }
}

impl ListWorkers for Exposed {
    async fn list_workers(&self) -> Result<Vec<RunningWorker>> {
        let meant = self.meant();
        let workers = self.workers().await?;
        let of_queue = |queue: &str| {
            let takes = |worker: &&WorkerRow| worker.queues.iter().any(|it| it == queue);
            workers.iter().filter(takes).map(|worker| running_worker(worker, queue)).collect::<Vec<_>>()
        };
        Ok(meant.into_iter().flat_map(of_queue).collect())
    }

    async fn list_all_workers(&self) -> Result<Vec<RunningWorker>> {
        let of = |worker: &WorkerRow| {
            worker.queues.iter().map(|queue| running_worker(worker, queue)).collect::<Vec<_>>()
        };
        Ok(self.workers().await?.iter().flat_map(of).collect())
    }
}

impl ListTasks for Exposed {
    async fn list_tasks(&self, filter: &Filter) -> Result<Vec<PgTask<Value>>> {
        self.jobs(self.current.clone(), filter).await
    }
}

impl ListAllTasks for Exposed {
    async fn list_all_tasks(&self, filter: &Filter) -> Result<Vec<PgTask<Value>>> {
        self.jobs(None, filter).await
    }
}

impl FetchById for Exposed {
    async fn fetch_by_id(&mut self, id: &TaskId) -> Result<Option<PgTask<Value>>> {
        // A path's id comes as text.
        let Ok(id) = id.to_string().parse() else { return Ok(None) };
        let row = read::get(&mut *self.pool.acquire().await?, id).await?;
        let is_here = |row: &JobRow| self.current.as_ref().is_none_or(|queue| row.queue == *queue);
        Ok(row.filter(is_here).map(task))
    }
}

impl Metrics for Exposed {
    async fn global(&self) -> Result<Vec<Statistic>> {
        self.numbers(self.queues.iter().map(String::as_str)).await
    }

    async fn fetch_by_queue(&self) -> Result<Vec<Statistic>> {
        self.numbers(self.meant()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_an_empty_queue_and_of_one_with_failures() {
        let value = |counts: &Counts, title: &str| {
            statistics(counts, None).into_iter().find(|it| it.title == title).map(|it| it.value)
        };
        let mut counts = Counts::new();
        assert_eq!(value(&counts, "TOTAL_JOBS").as_deref(), Some("0"));
        assert_eq!(value(&counts, "SUCCESS_RATE"), None);
        for (state, count) in JobState::ALL.into_iter().zip(1..) {
            counts.insert(state, count);
        }
        let count = |states: &[JobState]| states.iter().map(|state| counts[state]).sum::<i64>();
        let (done, killed) =
            (count(&[JobState::Completed]), count(&[JobState::Discarded, JobState::Cancelled]));
        assert_eq!(value(&counts, "DONE_JOBS"), Some(done.to_string()));
        assert_eq!(value(&counts, "KILLED_JOBS"), Some(killed.to_string()));
        assert_eq!(value(&counts, "FAILED_JOBS"), Some(count(&[JobState::Retryable]).to_string()));
        assert_eq!(value(&counts, "TOTAL_JOBS"), Some(counts.values().sum::<i64>().to_string()));
        let rate: f64 = value(&counts, "SUCCESS_RATE").unwrap().parse().unwrap();
        let (done, killed) =
            (f64::from(i32::try_from(done).unwrap()), f64::from(i32::try_from(killed).unwrap()));
        assert!((rate - 100.0 * done / (done + killed)).abs() < 0.1, "{rate}");
    }

    #[test]
    fn every_state_is_one_status_and_none_is_lost() {
        let all =
            [Status::Pending, Status::Queued, Status::Running, Status::Done, Status::Failed, Status::Killed];
        let states: Vec<JobState> = all.iter().flat_map(states_of).collect();
        assert_eq!(states.len(), JobState::ALL.len());
        assert!(JobState::ALL.iter().all(|state| states.contains(state)));
    }
}
