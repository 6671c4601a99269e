//! The verbs of the engine, each done to both sides.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::DateTime;
use serde_json::Value;
use sqlx::Connection;
use weirgate_queue::control::history;
use weirgate_queue::worker::{
    Capacity, Claimer, Finish, Outcome, RunStart, finish, persist_running, promoter, rescuer,
};
use weirgate_queue::{JobState, NewJob, OnFailure, QueueError, control, enqueue};
use weirgate_test_support::{Does, Step};

use super::commands::{How, Minutes};
use super::driver::{Case, Host, QUEUE, register, tenant};

impl Case<'_> {
    pub(super) async fn enqueue(
        &mut self,
        lane: usize,
        jobs: usize,
        (priority, delay, max_attempts): (i16, Minutes, i16),
        parents: Vec<(usize, OnFailure)>,
    ) -> Result<()> {
        let first = self.ids.len();
        let mut text = format!("enqueue {} in lane {lane}", numbers(first..first + jobs));
        let details = [("priority", i64::from(priority), 0), ("minutes later", delay.cast_signed(), 0)];
        for (name, value, usual) in details.into_iter().chain([("attempts", max_attempts.into(), 3)]) {
            if value != usual {
                let _ = write!(text, ", {name}: {value}");
            }
        }
        for (parent, on_failure) in &parents {
            let _ = write!(text, ", after job {parent} (on failure {on_failure:?})");
        }
        self.say(text);
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
    pub(super) async fn enqueue_child(
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

    pub(super) async fn claim(&mut self, host: usize, room: usize) -> Result<()> {
        self.say(format!("host {host} claims with room for {room}"));
        let Host { worker, claimer } = &mut self.hosts[host];
        let mut tries = 0;
        let claimed = loop {
            let claim = claimer.claim(&mut self.conn, *worker, Capacity::of(room)).await?;
            if !claim.jobs.is_empty() || !claim.poll_again {
                break claim.jobs;
            }
            tries += 1;
            ensure!(tries < 3, "its turn comes late, and nobody else claims");
        };
        let jobs = claimed.iter().map(|job| self.ids.iter().position(|id| *id == job.run.job));
        let jobs: Vec<usize> = jobs.collect::<Option<_>>().context("a job that was never enqueued")?;
        let told = self.told.last_mut().expect("told above");
        let _ = write!(told, ", gets {}", numbers(jobs.iter().copied()));
        self.expected.claim(host, room, &jobs)?;
        for (job, claimed) in jobs.into_iter().zip(claimed) {
            let says = &self.expected.jobs[job];
            let run = &claimed.run;
            self.starts.insert((job, run.run), run.start());
            ensure!(
                (run.run, u16::try_from(says.attempt)?, run.tenant)
                    == (says.run, run.attempt, tenant(says.lane)),
                "job {job} was handed out as {run:?}"
            );
        }
        Ok(())
    }

    pub(super) async fn finish(&mut self, newest: usize, jobs: usize, how: How) -> Result<()> {
        let running: Vec<_> = self.expected.running().collect();
        let jobs: Vec<_> =
            running.iter().rev().cycle().skip(newest).take(jobs.min(running.len())).copied().collect();
        if jobs.is_empty() {
            return Ok(());
        }
        self.say(format!("{} ends: {how:?}", numbers(jobs.iter().copied())));
        let mut finishes = Vec::new();
        for job in &jobs {
            let of = &self.expected.jobs[*job];
            let (run, outcome) = (of.run, outcome(how, of.attempt < of.max_attempts));
            finishes.push(self.finish_of(*job, run, outcome).await?);
        }
        let mut tx = self.conn.begin().await?;
        let applied = finish(&mut tx, finishes).await?;
        tx.commit().await?;
        for job in &jobs {
            self.expected.finish(*job, how);
            ensure!(applied.contains(&self.ids[*job]), "the finish of job {job} was taken for stale");
        }
        Ok(())
    }

    async fn finish_of(&mut self, number: usize, run: i64, outcome: Outcome) -> Result<Finish> {
        let job = self.ids[number];
        let sql = "select seq from queue.jobs where id = $1";
        let seq = sqlx::query_scalar(sql).bind(job).fetch_one(&mut *self.conn).await?;
        // A job that never ran has none.
        let never = RunStart { seq, run, attempt: 0, worker: self.hosts[0].worker, at: DateTime::default() };
        let start = self.starts.get(&(number, run)).copied().unwrap_or(never);
        Ok(Finish { job, start, outcome })
    }

    /// What runs has done so for longer.
    pub(super) async fn persist_running(&mut self) -> Result<()> {
        self.say("what runs is marked");
        let running = self.expected.running().map(|job| self.starts[&(job, self.expected.jobs[job].run)]);
        let held = persist_running(&mut self.conn, running.collect()).await?;
        ensure!(held.is_empty(), "{held:?} were not marked");
        Ok(())
    }

    /// By the run before the one that runs, or by the last one of a job that does not run.
    pub(super) async fn stale_finish(&mut self, newest: usize, how: How) -> Result<()> {
        let Some(job) = self.newest(newest) else { return Ok(()) };
        let of = &self.expected.jobs[job];
        let run = of.run - i64::from(of.state == JobState::Running);
        self.say(format!("run {run} of job {job} ends late: {how:?}"));
        let stale = self.finish_of(job, run, outcome(how, true)).await?;
        let mut tx = self.conn.begin().await?;
        let applied = finish(&mut tx, vec![stale]).await?;
        tx.commit().await?;
        ensure!(applied.is_empty(), "it was applied");
        Ok(())
    }

    pub(super) async fn cancel(&mut self, newest: usize) -> Result<()> {
        let Some(job) = self.newest(newest) else { return Ok(()) };
        self.say(format!("cancel job {job}"));
        let mut tx = self.conn.begin().await?;
        let answer = control::cancel(&mut tx, self.ids[job]).await?;
        tx.commit().await?;
        let says = self.expected.cancel(job);
        ensure!(answer == says, "the answer is {answer}, the model says {says}");
        Ok(())
    }

    pub(super) async fn retry(&mut self, newest: usize) -> Result<()> {
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

    pub(super) async fn run_now(&mut self, newest: usize) -> Result<()> {
        let Some(job) = self.newest(newest) else { return Ok(()) };
        self.say(format!("run job {job} now"));
        let done = match control::run_now(&mut self.conn, self.ids[job]).await {
            Ok(state) => state == JobState::Available,
            Err(QueueError::WrongState { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        let says = self.expected.run_now(job);
        ensure!(done == says, "the answer is {done}, the model says {says}");
        Ok(())
    }

    pub(super) async fn set_priority(&mut self, newest: usize, priority: i16) -> Result<()> {
        let Some(job) = self.newest(newest) else { return Ok(()) };
        self.say(format!("job {job} gets the priority {priority}"));
        let mut tx = self.conn.begin().await?;
        let answer = match control::set_priority(&mut tx, self.ids[job], priority).await {
            Ok(before) => Some(before),
            Err(QueueError::WrongState { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        tx.commit().await?;
        let says = self.expected.set_priority(job, priority);
        ensure!(answer == says, "the answer is {answer:?}, the model says {says:?}");
        Ok(())
    }

    /// Its lease runs out, the jobs are rescued, and the host goes on under a new lease.
    pub(super) async fn lose_worker(&mut self, host: usize, restarts: bool) -> Result<()> {
        self.say(format!(
            "the worker of host {host} is lost{}",
            if restarts { ", the host restarts" } else { "" }
        ));
        let Host { worker, claimer } = &mut self.hosts[host];
        sqlx::query("update queue.workers set lease_until = queue.now() where id = $1")
            .bind(*worker)
            .execute(&mut *self.conn)
            .await?;
        let claim = claimer.claim(&mut self.conn, *worker, Capacity::of(6)).await?;
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

    /// As after a restore or a promotion that lost nothing: all that is known is the jobs and the
    /// claims.
    pub(super) async fn rebase(&mut self) -> Result<()> {
        self.say("the database lives on with another history");
        let mut tx = self.conn.begin().await?;
        history::rebase(&mut tx).await?;
        tx.commit().await?;
        // The hosts have not lost anything, and go on as they are.
        sqlx::query("update queue.workers set history = queue.history_id()").execute(&mut *self.conn).await?;
        self.expected.use_up_rates();
        Ok(())
    }

    /// The log is made long enough by changes of nothing, summed up into a checkpoint, and pruned
    /// where an older one allows.
    pub(super) async fn write_checkpoint(&mut self) -> Result<()> {
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
        self.checkpointer.run_once(&self.db.pool).await?;
        let checkpoints: i64 = sqlx::query_scalar("select count(*) from queue.view_checkpoints")
            .fetch_one(&mut *self.conn)
            .await?;
        ensure!(checkpoints > 0, "no checkpoint was written");
        Ok(())
    }

    pub(super) async fn promote(&mut self) -> Result<()> {
        self.say("promote");
        let promoted = promoter::run_once(&self.db.pool).await?;
        let due = self.expected.promote();
        ensure!(promoted == due as u64, "{promoted} were promoted; {due} were due");
        Ok(())
    }
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
    let jobs: Vec<_> = jobs.collect();
    match jobs.as_slice() {
        [] => "nothing".to_owned(),
        [job] => format!("job {job}"),
        [first, _, .., last] if (*first..=*last).eq(jobs.iter().copied()) => {
            format!("jobs {first} to {last}")
        }
        _ => format!("jobs {}", jobs.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}
