//! Does to the engine and to the model what a command says, and compares.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use uuid::Uuid;
use weirgate_queue::lanes::change::{QueueChange, change_lane, change_queue, pause_queue};
use weirgate_queue::lanes::settings::LaneSettings;
use weirgate_queue::lanes::{LaneLimits, QueueLimits, reconcile};
use weirgate_queue::worker::checkpointer::Checkpointer;
use weirgate_queue::worker::{Claimer, RunStart};
use weirgate_test_support::TestDb;

use super::commands::{Command, HOSTS, LANES, limits};
use super::expected::Expected;

pub(super) const QUEUE: &str = "default";

/// A worker process.
pub(super) struct Host {
    pub(super) worker: Uuid,
    pub(super) claimer: Claimer,
}

pub(super) struct Case<'a> {
    pub(super) db: &'a TestDb,
    pub(super) conn: PoolConnection<Postgres>,
    pub(super) hosts: Vec<Host>,
    pub(super) checkpointer: Checkpointer,
    /// By the model's number.
    pub(super) ids: Vec<Uuid>,
    /// Each run that was handed out, by the model's number of its job.
    pub(super) starts: HashMap<(usize, i64), RunStart>,
    pub(super) expected: Expected,
    /// What happened so far, in words.
    pub(super) told: Vec<String>,
}

impl<'a> Case<'a> {
    /// On an empty queue.
    pub(super) async fn new(db: &'a TestDb) -> Result<Self> {
        let mut conn = db.pool.acquire().await?;
        sqlx::raw_sql(
            "delete from queue.jobs; delete from queue.claims; delete from queue.lane_log; delete from queue.view_checkpoints;
             delete from queue.lanes; delete from queue.queues; delete from queue.workers",
        )
        .execute(&mut *conn)
        .await?;
        let mut hosts = Vec::new();
        for _ in 0..HOSTS {
            let claimer = Claimer::open(&mut conn, QUEUE).await?;
            hosts.push(Host { worker: register(db).await?, claimer });
        }
        Ok(Self {
            db,
            conn,
            hosts,
            checkpointer: Checkpointer::default(),
            ids: Vec::new(),
            starts: HashMap::new(),
            expected: Expected::default(),
            told: Vec::new(),
        })
    }

    /// All commands; the error is the story and how it ended.
    pub(super) async fn run(&mut self, commands: &[Command]) -> Result<()> {
        for command in commands {
            self.apply(command).await?;
        }
        let discrepancies = reconcile::run_once(&mut self.conn, QUEUE).await?;
        ensure!(
            discrepancies.is_empty(),
            self.story(&format!("the lanes' counts are wrong: {discrepancies:?}"))
        );
        Ok(())
    }

    pub(super) async fn apply(&mut self, command: &Command) -> Result<()> {
        let told = self.told.len();
        let mut done = self.act(command).await;
        if done.is_ok() && self.told.len() > told {
            done = self.compare().await;
        }
        done.map_err(|error| anyhow::anyhow!(self.story(&format!("{error:#}"))))
    }

    pub(super) fn story(&self, end: &str) -> String {
        let mut story = String::from("the engine does not do what the model says:\n");
        for (number, line) in self.told.iter().enumerate() {
            let _ = writeln!(story, "  {}. {line}", number + 1);
        }
        story + "but " + end
    }

    pub(super) fn say(&mut self, what: impl Into<String>) {
        self.told.push(what.into());
    }

    async fn act(&mut self, command: &Command) -> Result<()> {
        match command {
            Command::Enqueue { lane, jobs, priority, delay, max_attempts } => {
                self.enqueue(*lane, *jobs, (*priority, *delay, *max_attempts), Vec::new()).await
            }
            Command::EnqueueChild { parents, priority, delay } => {
                self.enqueue_child(parents, *priority, *delay).await
            }
            Command::Claim { host, room } => self.claim(*host, *room).await,
            Command::Finish { running, jobs, how } => self.finish(*running, *jobs, *how).await,
            Command::StaleFinish { job, how } => self.stale_finish(*job, *how).await,
            Command::Cancel { job } => self.cancel(*job).await,
            Command::Retry { job } => self.retry(*job).await,
            Command::RunNow { job } => self.run_now(*job).await,
            Command::SetPriority { job, priority } => self.set_priority(*job, *priority).await,
            Command::LoseWorker { host, restarts } => self.lose_worker(*host, *restarts).await,
            Command::Travel(minutes) => {
                self.say(format!("{minutes} minutes pass"));
                self.expected.now += minutes;
                self.db.travel(Duration::from_mins(*minutes)).await;
                Ok(())
            }
            Command::PersistRunning => self.persist_running().await,
            Command::Promote => self.promote().await,
            Command::WriteCheckpoint => self.write_checkpoint().await,
            Command::Rebase => self.rebase().await,
            settings => self.set(settings).await,
        }
    }

    async fn set(&mut self, command: &Command) -> Result<()> {
        let expected = &mut self.expected;
        let (text, lane) = match command {
            Command::PauseLane { lane, paused } => {
                (expected.lanes[*lane].paused, expected.lanes[*lane].has_settings) = (*paused, true);
                (format!("{} lane {lane}", if *paused { "pause" } else { "resume" }), Some(*lane))
            }
            Command::LimitLane { lane, limits: own } => {
                (expected.lanes[*lane].limits, expected.lanes[*lane].has_settings) = (*own, true);
                let words = own.map_or_else(|| "do as the queue says".to_owned(), lane_limits);
                (format!("lane {lane} may {words}"), Some(*lane))
            }
            Command::PauseQueue(paused) => {
                expected.paused = *paused;
                pause_queue(&mut self.conn, QUEUE, *paused).await?;
                (format!("{} the queue", if *paused { "pause" } else { "resume" }), None)
            }
            Command::LimitQueue { rate, max_running, lanes } => {
                expected.limits = QueueLimits { rate: *rate, max_running: *max_running };
                expected.lane_limits = *lanes;
                change_queue(&mut self.conn, QUEUE, QueueChange::to(expected.limits, *lanes)).await?;
                (
                    format!(
                        "the queue may {}; a lane may {}",
                        limits(*rate, *max_running),
                        lane_limits(*lanes)
                    ),
                    None,
                )
            }
            other => unreachable!("{other:?} is no setting"),
        };
        if let Some(lane) = lane {
            let of = &expected.lanes[lane];
            let settings = LaneSettings { paused: of.paused, limits: of.limits };
            change_lane(&mut self.conn, QUEUE, tenant(lane), settings.into()).await?;
        }
        self.say(text);
        Ok(())
    }

    /// Every job of the engine against the model's.
    async fn compare(&mut self) -> Result<()> {
        let jobs: Vec<(Uuid, String, i16, i64)> =
            sqlx::query_as(
                "select id, case when t.run is null then state::text else 'running' end,
                     case when t.run is null then attempt else (attempt + 1)::smallint end, coalesce(t.run, j.run)
                 from queue.jobs j
                 left join queue.in_flight t on t.seq = j.seq and t.run = j.run + 1 and j.state = 'available'
                 order by j.seq",
            )
            .fetch_all(&mut *self.conn)
            .await?;
        ensure!(jobs.len() == self.ids.len(), "there are {} jobs, not {}", jobs.len(), self.ids.len());
        let mut differences = Vec::new();
        for (number, (id, state, attempt, run)) in jobs.into_iter().enumerate() {
            ensure!(id == self.ids[number], "the order of enqueueing is not that of seq at job {number}");
            let says = &self.expected.jobs[number];
            let is = format!("{state} (attempt {attempt}, run {run})");
            let says = format!("{} (attempt {}, run {})", says.state, says.attempt, says.run);
            if is != says {
                differences.push(format!("job {number} is {is}, the model says {says}"));
            }
        }
        ensure!(differences.is_empty(), differences.join("; "));
        Ok(())
    }
}

/// With a lease that outlasts every journey.
pub(super) async fn register(db: &TestDb) -> Result<Uuid> {
    let worker = db.register_worker().await;
    sqlx::query("update queue.workers set lease_until = queue.now() + interval '10 years' where id = $1")
        .bind(worker)
        .execute(&db.pool)
        .await?;
    Ok(worker)
}

pub(super) fn tenant(lane: usize) -> Uuid {
    debug_assert!(lane < LANES);
    Uuid::from_u128(lane as u128 + 1)
}

fn lane_limits(of: LaneLimits) -> String {
    format!("{} (weight {})", limits(of.rate, of.max_running), of.weight)
}
