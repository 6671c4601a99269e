//! Does to the engine and to the model what a command says, and compares.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, Postgres};
use uuid::Uuid;
use weirgate_queue::claim::{Claimer, Room};
use weirgate_queue::finish::{Finish, Outcome, finish};
use weirgate_queue::lanes::limits::{LaneSettings, QueueLimits, pause_queue, set_lane, set_queue_limits};
use weirgate_queue::lanes::reconcile;
use weirgate_queue::maintenance::{bookkeeper, promoter, rescuer};
use weirgate_queue::{JobState, NewJob, OnFailure, QueueError, control, enqueue};

use super::commands::{Command, HOSTS, How, LANES, Minutes};
use super::expected::Expected;
use crate::support::{Does, Step, TestDb};

const QUEUE: &str = "default";

/// A worker process.
struct Host {
    worker: Uuid,
    claimer: Claimer,
}

pub(super) struct Case<'a> {
    db: &'a TestDb,
    conn: PoolConnection<Postgres>,
    hosts: Vec<Host>,
    /// By the model's number.
    ids: Vec<Uuid>,
    pub(super) expected: Expected,
    /// What happened so far, in words.
    told: Vec<String>,
}

impl<'a> Case<'a> {
    /// On an empty queue.
    pub(super) async fn new(db: &'a TestDb) -> Result<Self> {
        let mut conn = db.pool.acquire().await?;
        sqlx::raw_sql(
            "delete from queue.jobs; delete from queue.lane_log; delete from queue.lane_books;
             delete from queue.lanes; delete from queue.queues; delete from queue.workers",
        )
        .execute(&mut *conn)
        .await?;
        let mut hosts = Vec::new();
        for _ in 0..HOSTS {
            let claimer = Claimer::open(&mut conn, QUEUE).await?;
            hosts.push(Host { worker: register(db).await?, claimer });
        }
        Ok(Self { db, conn, hosts, ids: Vec::new(), expected: Expected::default(), told: Vec::new() })
    }

    /// All commands; the error is the story and how it ended.
    pub(super) async fn run(&mut self, commands: &[Command]) -> Result<()> {
        for command in commands {
            self.apply(command).await?;
        }
        let drifts = reconcile::run_once(&mut self.conn, QUEUE).await?;
        ensure!(drifts.is_empty(), self.story(&format!("the lanes' counts are adrift: {drifts:?}")));
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

    fn say(&mut self, what: impl Into<String>) {
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
            Command::LoseWorker { host, restarts } => self.lose_worker(*host, *restarts).await,
            Command::Travel(minutes) => {
                self.say(format!("{minutes} minutes pass"));
                self.expected.now += minutes;
                self.db.travel(Duration::from_mins(*minutes)).await;
                Ok(())
            }
            Command::Promote => {
                self.say("promote");
                let promoted = promoter::run_once(&self.db.pool).await?;
                let due = self.expected.promote();
                ensure!(promoted == due as u64, "{promoted} were promoted; {due} were due");
                Ok(())
            }
            Command::WriteBook => self.write_book().await,
            settings => self.set(settings).await,
        }
    }

    async fn enqueue(
        &mut self,
        lane: usize,
        jobs: usize,
        (priority, delay, max_attempts): (i16, Minutes, i16),
        parents: Vec<(usize, OnFailure)>,
    ) -> Result<()> {
        let first = self.ids.len();
        let mut line = format!("enqueue {} in lane {lane}", numbers(first..first + jobs));
        let details = [("priority", i64::from(priority), 0), ("minutes later", delay.cast_signed(), 0)];
        for (name, value, usual) in details.into_iter().chain([("attempts", max_attempts.into(), 3)]) {
            if value != usual {
                let _ = write!(line, ", {name}: {value}");
            }
        }
        for (parent, on_failure) in &parents {
            let _ = write!(line, ", after job {parent} (on failure {on_failure:?})");
        }
        self.say(line);
        let mut new = Vec::new();
        for _ in 0..jobs {
            let job = NewJob::of(tenant(lane), &Step::new("job", Does::Succeed))?.not_unique();
            let job = job.priority(priority).max_attempts(max_attempts).delay(Duration::from_mins(delay));
            let after = |job: NewJob, (parent, on_failure): &(usize, OnFailure)| {
                job.after(self.ids[*parent], *on_failure)
            };
            new.push(parents.iter().fold(job, after));
            self.expected.enqueue(lane, (priority, delay, max_attempts), parents.clone());
        }
        self.ids.extend(new.iter().map(|job| job.id));
        let mut tx = self.conn.begin().await?;
        enqueue(&mut tx, new).await?;
        Ok(tx.commit().await?)
    }

    /// In the lane of its first parent.
    async fn enqueue_child(
        &mut self,
        newest: &[(usize, OnFailure)],
        priority: i16,
        delay: Minutes,
    ) -> Result<()> {
        let mut parents: Vec<(usize, OnFailure)> = Vec::new();
        for (newest, on_failure) in newest {
            let Some(parent) = self.newest(*newest) else { return Ok(()) };
            if parents.iter().all(|(other, _)| *other != parent) {
                parents.push((parent, *on_failure));
            }
        }
        let lane = self.expected.jobs[parents[0].0].lane;
        self.enqueue(lane, 1, (priority, delay, 3), parents).await
    }

    fn newest(&self, number: usize) -> Option<usize> {
        (0..self.ids.len()).rev().cycle().nth(number)
    }

    async fn claim(&mut self, host: usize, room: usize) -> Result<()> {
        self.say(format!("host {host} claims with room for {room}"));
        let Host { worker, claimer } = &mut self.hosts[host];
        let mut tries = 0;
        let claimed = loop {
            let claim = claimer.claim(&mut self.conn, *worker, Room::of(room)).await?;
            if !claim.jobs.is_empty() || !claim.again {
                break claim.jobs;
            }
            tries += 1;
            ensure!(tries < 3, "its turn comes late, and nobody else claims");
        };
        let jobs = claimed.iter().map(|job| self.ids.iter().position(|id| *id == job.run.job));
        let jobs: Vec<usize> = jobs.collect::<Option<_>>().context("a job that was never enqueued")?;
        let line = self.told.last_mut().expect("told above");
        *line += &format!(", gets {}", numbers(jobs.iter().copied()));
        self.expected.claim(host, room, &jobs)?;
        for (job, claimed) in jobs.into_iter().zip(claimed) {
            let says = &self.expected.jobs[job];
            let run = &claimed.run;
            ensure!(
                (run.run, u16::try_from(says.attempt)?, run.tenant)
                    == (says.run, run.attempt, tenant(says.lane)),
                "job {job} was handed out as {run:?}"
            );
        }
        Ok(())
    }

    async fn finish(&mut self, newest: usize, jobs: usize, how: How) -> Result<()> {
        let running: Vec<_> = self.expected.running().collect();
        let jobs: Vec<_> =
            running.iter().rev().cycle().skip(newest).take(jobs.min(running.len())).copied().collect();
        if jobs.is_empty() {
            return Ok(());
        }
        self.say(format!("{} ends: {how:?}", numbers(jobs.iter().copied())));
        let finishes = jobs.iter().map(|job| {
            let of = &self.expected.jobs[*job];
            Finish { job: self.ids[*job], run: of.run, outcome: outcome(how, of.attempt < of.max_attempts) }
        });
        let finishes = finishes.collect();
        let mut tx = self.conn.begin().await?;
        let applied = finish(&mut tx, finishes).await?;
        tx.commit().await?;
        for job in &jobs {
            self.expected.finish(*job, how);
            ensure!(applied.contains(&self.ids[*job]), "the finish of job {job} was taken for stale");
        }
        Ok(())
    }

    /// By the run before the one that runs, or by the last one of a job that does not run.
    async fn stale_finish(&mut self, newest: usize, how: How) -> Result<()> {
        let Some(job) = self.newest(newest) else { return Ok(()) };
        let of = &self.expected.jobs[job];
        let run = of.run - i64::from(of.state == JobState::Running);
        self.say(format!("run {run} of job {job} ends late: {how:?}"));
        let stale = Finish { job: self.ids[job], run, outcome: outcome(how, true) };
        let mut tx = self.conn.begin().await?;
        let applied = finish(&mut tx, vec![stale]).await?;
        tx.commit().await?;
        ensure!(applied.is_empty(), "it was applied");
        Ok(())
    }

    async fn cancel(&mut self, newest: usize) -> Result<()> {
        let Some(job) = self.newest(newest) else { return Ok(()) };
        self.say(format!("cancel job {job}"));
        let mut tx = self.conn.begin().await?;
        let answer = control::cancel(&mut tx, self.ids[job]).await?;
        tx.commit().await?;
        let says = self.expected.cancel(job);
        ensure!(answer == says, "the answer is {answer}, the model says {says}");
        Ok(())
    }

    async fn retry(&mut self, newest: usize) -> Result<()> {
        let Some(job) = self.newest(newest) else { return Ok(()) };
        self.say(format!("retry job {job}"));
        let mut tx = self.conn.begin().await?;
        let answer = match control::retry(&mut tx, self.ids[job]).await {
            Ok(state) => Some(state),
            Err(QueueError::WrongState { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        tx.commit().await?;
        let says = self.expected.retry(job);
        ensure!(answer == says, "the answer is {answer:?}, the model says {says:?}");
        Ok(())
    }

    /// Its lease runs out, the jobs are rescued, and the host goes on under a new lease.
    async fn lose_worker(&mut self, host: usize, restarts: bool) -> Result<()> {
        self.say(format!(
            "the worker of host {host} is lost{}",
            if restarts { ", the host restarts" } else { "" }
        ));
        let Host { worker, claimer } = &mut self.hosts[host];
        sqlx::query("update queue.workers set lease_until = queue.now() where id = $1")
            .bind(*worker)
            .execute(&mut *self.conn)
            .await?;
        let claim = claimer.claim(&mut self.conn, *worker, Room::of(6)).await?;
        ensure!(claim.jobs.is_empty(), "it claims without a lease");
        let rescued = rescuer::run_once(&self.db.pool).await?;
        let held = self.expected.rescue(host);
        ensure!(rescued == held as u64, "{rescued} were rescued; it held {held}");
        *worker = register(self.db).await?;
        if restarts {
            *claimer = Claimer::open(&mut self.conn, QUEUE).await?;
        }
        Ok(())
    }

    /// The log, made long enough by changes of nothing, is summed up, and pruned where an older book allows.
    async fn write_book(&mut self) -> Result<()> {
        self.say("the log is summed up");
        sqlx::query(
            "insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
             select $1, array_agg($2), array_agg(null::uuid), array_agg(0), array_agg('completed'::queue.job_state),
                 array_agg(0), array_agg(null::bigint)
             from generate_series(1, 1000)",
        )
        .bind(QUEUE)
        .bind(tenant(0))
        .execute(&mut *self.conn)
        .await?;
        bookkeeper::run_once(&self.db.pool).await?;
        let books: i64 =
            sqlx::query_scalar("select count(*) from queue.lane_books").fetch_one(&mut *self.conn).await?;
        ensure!(books > 0, "no book was written");
        Ok(())
    }

    async fn set(&mut self, command: &Command) -> Result<()> {
        let expected = &mut self.expected;
        let (line, lane) = match command {
            Command::PauseLane { lane, paused } => {
                expected.lanes[*lane].paused = *paused;
                (format!("{} lane {lane}", if *paused { "pause" } else { "resume" }), Some(*lane))
            }
            Command::LimitLane { lane, limits } => {
                expected.lanes[*lane].limits = *limits;
                (
                    limits.map_or_else(
                        || format!("lane {lane} has no limits of its own"),
                        |limits| format!("lane {lane} may {limits:?}"),
                    ),
                    Some(*lane),
                )
            }
            Command::PauseQueue(paused) => {
                expected.paused = *paused;
                pause_queue(&mut self.conn, QUEUE, *paused).await?;
                (format!("{} the queue", if *paused { "pause" } else { "resume" }), None)
            }
            Command::LimitQueue { rate, max_running, lanes } => {
                expected.limits = QueueLimits { rate: *rate, max_running: *max_running };
                expected.lane_limits = *lanes;
                set_queue_limits(&mut self.conn, QUEUE, expected.limits, *lanes).await?;
                (format!("the queue may {:?}, each lane {lanes:?}", expected.limits), None)
            }
            other => unreachable!("{other:?} is no setting"),
        };
        if let Some(lane) = lane {
            let of = &expected.lanes[lane];
            let settings = LaneSettings { paused: of.paused, limits: of.limits };
            set_lane(&mut self.conn, QUEUE, tenant(lane), settings).await?;
        }
        self.say(line);
        Ok(())
    }

    /// Every job of the engine against the model's.
    async fn compare(&mut self) -> Result<()> {
        let jobs: Vec<(Uuid, String, i16, i64)> =
            sqlx::query_as("select id, state::text, attempt, run from queue.jobs order by seq")
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
async fn register(db: &TestDb) -> Result<Uuid> {
    let worker = db.register_worker().await;
    sqlx::query("update queue.workers set lease_until = queue.now() + interval '10 years' where id = $1")
        .bind(worker)
        .execute(&db.pool)
        .await?;
    Ok(worker)
}

fn tenant(lane: usize) -> Uuid {
    debug_assert!(lane < LANES);
    Uuid::from_u128(lane as u128 + 1)
}

fn outcome(how: How, attempts_left: bool) -> Outcome {
    let (code, message) = (String::from("test"), String::from("as the test says"));
    match how {
        How::Complete => Outcome::Completed { output: Value::Null, next: Vec::new() },
        How::Fail(delay) if attempts_left => {
            Outcome::Retry { code, message, delay: Duration::from_mins(delay) }
        }
        How::Fail(_) | How::Discard => Outcome::Discarded { code, message },
        How::Snooze(delay) => Outcome::Snoozed(Duration::from_mins(delay)),
        How::HandBack => Outcome::HandedBack,
        How::Stop => Outcome::Cancelled,
    }
}

fn numbers(jobs: impl Iterator<Item = usize>) -> String {
    let jobs: Vec<_> = jobs.map(|job| job.to_string()).collect();
    match jobs.as_slice() {
        [] => "nothing".to_owned(),
        [job] => format!("job {job}"),
        jobs => format!("jobs {}", jobs.join(", ")),
    }
}
