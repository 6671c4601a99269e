//! What must hold, said as plainly as possible: a list of jobs, a list of starts, no counters, no
//! cursors, no tags.

use anyhow::{Result, ensure};
use weirgate_queue::lanes::{LaneLimits, QueueLimits, Rate};
use weirgate_queue::{JobState, OnFailure};

use super::commands::{How, LANES, Minutes};

#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) lane: usize,
    pub(super) priority: i16,
    pub(super) max_attempts: i16,
    pub(super) parents: Vec<(usize, OnFailure)>,
    pub(super) state: JobState,
    pub(super) attempt: i16,
    pub(super) run: i64,
    due: Minutes,
    cancel_asked: bool,
    /// Cancelled because a parent failed, not by somebody.
    doomed: bool,
    host: usize,
}

impl Job {
    fn failed(&self) -> bool {
        matches!(self.state, JobState::Cancelled | JobState::Discarded)
    }
}

/// What started when, each worth the interval between two starts at the rate of that time.
#[derive(Debug, Default)]
struct Starts(Vec<(Minutes, Minutes)>);

impl Starts {
    /// How many more may start: in any window no more than the burst and what the rate brings in
    /// that time.
    fn allowed(&self, rate: Option<Rate>, now: Minutes) -> usize {
        let Some(rate) = rate else { return usize::MAX };
        let (interval, burst) = (interval(rate), u64::from(rate.burst));
        let fits = |more: &u64| {
            (0..self.0.len()).all(|first| {
                let worth: Minutes = self.0[first..].iter().map(|(_, worth)| worth).sum();
                worth + more * interval <= now - self.0[first].0 + burst * interval
            })
        };
        (1..=burst).take_while(fits).count()
    }

    fn use_up(&mut self, rate: Option<Rate>, now: Minutes) {
        if rate.is_some() {
            for _ in 0..self.allowed(rate, now) {
                self.note(rate, now);
            }
        }
    }

    fn note(&mut self, rate: Option<Rate>, now: Minutes) {
        self.0.push((now, rate.map_or(0, interval)));
    }
}

fn interval(rate: Rate) -> Minutes {
    rate.period_ms / 60_000 / u64::from(rate.rate)
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) paused: bool,
    pub(super) limits: Option<LaneLimits>,
    /// Somebody has set something of it, once.
    pub(super) has_settings: bool,
    starts: Starts,
}

/// One queue.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) now: Minutes,
    pub(super) jobs: Vec<Job>,
    pub(super) lanes: [Lane; LANES],
    pub(super) paused: bool,
    pub(super) limits: QueueLimits,
    pub(super) lane_limits: LaneLimits,
    starts: Starts,
}

impl Expected {
    pub(super) fn enqueue(
        &mut self,
        lane: usize,
        (priority, delay, max_attempts): (i16, Minutes, i16),
        parents: Vec<(usize, OnFailure)>,
    ) {
        let due = self.now + delay;
        self.jobs.push(Job {
            lane,
            priority,
            max_attempts,
            parents,
            state: JobState::Waiting,
            attempt: 0,
            run: 0,
            due,
            cancel_asked: false,
            doomed: false,
            host: 0,
        });
        self.settle();
    }

    /// Jobs that wait on others: a failed parent takes its child with it where the edge says so;
    /// when all are final the child goes on.
    fn settle(&mut self) {
        while let Some((job, state)) = (0..self.jobs.len()).find_map(|job| Some((job, self.settled(job)?))) {
            self.jobs[job].state = state;
            self.jobs[job].doomed = state == JobState::Cancelled;
        }
    }

    /// Jobs that were cancelled because of others wait again once none of those is failed.
    fn resume(&mut self) {
        let resumed = |job: &Job, of: &Self| {
            let fails =
                |(parent, edge): &(usize, OnFailure)| of.jobs[*parent].failed() && *edge == OnFailure::Cancel;
            job.doomed && !job.parents.iter().any(fails)
        };
        while let Some(job) = (0..self.jobs.len()).find(|job| resumed(&self.jobs[*job], self)) {
            let job = &mut self.jobs[job];
            (job.state, job.attempt, job.doomed) = (JobState::Waiting, 0, false);
        }
    }

    fn settled(&self, job: usize) -> Option<JobState> {
        let job = &self.jobs[job];
        let parents = || job.parents.iter().map(|(parent, on_failure)| (&self.jobs[*parent], on_failure));
        if job.state != JobState::Waiting {
            None
        } else if parents().any(|(parent, edge)| parent.failed() && *edge == OnFailure::Cancel) {
            Some(JobState::Cancelled)
        } else if parents().all(|(parent, _)| parent.state.is_final()) {
            Some(if job.due > self.now { JobState::Scheduled } else { JobState::Available })
        } else {
            None
        }
    }

    pub(super) fn limits_of(&self, lane: usize) -> LaneLimits {
        self.lanes[lane].limits.unwrap_or(self.lane_limits)
    }

    pub(super) fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.jobs.len()).filter(|job| self.jobs[*job].state == JobState::Running)
    }

    /// What may start in a lane, first things first.
    fn backlog(&self, lane: usize) -> Vec<usize> {
        let of_lane =
            |job: &usize| self.jobs[*job].lane == lane && self.jobs[*job].state == JobState::Available;
        let mut jobs: Vec<_> = (0..self.jobs.len()).filter(of_lane).collect();
        jobs.sort_by_key(|job| (-self.jobs[*job].priority, *job));
        jobs
    }

    fn lane_may_start(&self, lane: usize) -> usize {
        let limits = self.limits_of(lane);
        let running = self.running().filter(|job| self.jobs[*job].lane == lane).count();
        let of = &self.lanes[lane];
        let most = [
            self.backlog(lane).len(),
            limits.max_running.map_or(usize::MAX, |most| (most as usize).saturating_sub(running)),
            of.starts.allowed(limits.rate, self.now),
        ];
        if of.paused { 0 } else { most.into_iter().min().unwrap_or_default() }
    }

    fn queue_may_start(&self) -> usize {
        let running = self.running().count();
        let most = self.limits.max_running.map_or(usize::MAX, |most| (most as usize).saturating_sub(running));
        if self.paused { 0 } else { most.min(self.starts.allowed(self.limits.rate, self.now)) }
    }

    pub(super) fn started(&self, lane: usize) -> usize {
        self.lanes[lane].starts.0.len()
    }

    /// What could have started by now counts as started.
    pub(super) fn use_up_rates(&mut self) {
        let now = self.now;
        for lane in 0..self.lanes.len() {
            let has_jobs = self.jobs.iter().any(|job| job.lane == lane);
            let rate = self.limits_of(lane).rate;
            if has_jobs || self.lanes[lane].has_settings {
                self.lanes[lane].starts.use_up(rate, now);
            }
        }
        self.starts.use_up(self.limits.rate, now);
    }

    /// Judges what a claim took, job by job in its order, and starts it. Which lanes it took from
    /// is its own affair.
    pub(super) fn claim(&mut self, host: usize, room: usize, claimed: &[usize]) -> Result<()> {
        let mut taken = [0; LANES];
        for job in claimed {
            let lane = self.jobs[*job].lane;
            let first = self.backlog(lane).get(taken[lane]).copied();
            ensure!(
                first == Some(*job),
                "job {job} was claimed; next in lane {lane} is {}",
                first.map_or_else(|| "nothing".to_owned(), |first| format!("job {first}"))
            );
            taken[lane] += 1;
        }
        let may: Vec<_> = (0..LANES).map(|lane| self.lane_may_start(lane)).collect();
        for (lane, (taken, may)) in taken.into_iter().zip(&may).enumerate() {
            ensure!(taken <= *may, "{taken} of lane {lane} were claimed; it may start {may}");
        }
        let due = room.min(self.queue_may_start()).min(may.iter().sum());
        ensure!(claimed.len() == due, "{} were claimed; there was room and leave for {due}", claimed.len());
        for job in claimed {
            let lane = self.jobs[*job].lane;
            let rate = self.limits_of(lane).rate;
            self.lanes[lane].starts.note(rate, self.now);
            self.starts.note(self.limits.rate, self.now);
            let job = &mut self.jobs[*job];
            (job.state, job.host) = (JobState::Running, host);
            job.run += 1;
            job.attempt += 1;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, job: usize, how: How) {
        let now = self.now;
        let job = &mut self.jobs[job];
        if matches!(how, How::Snooze(_) | How::HandBack) {
            job.attempt -= 1;
        }
        let (state, delay) = match how {
            How::Complete => (JobState::Completed, None),
            How::Discard => (JobState::Discarded, None),
            How::Stop => (JobState::Cancelled, None),
            How::Fail(_) if job.attempt >= job.max_attempts => (JobState::Discarded, None),
            _ if job.cancel_asked => (JobState::Cancelled, None),
            How::Fail(delay) => (JobState::Retryable, Some(delay)),
            How::Snooze(delay) => (JobState::Scheduled, Some(delay)),
            How::HandBack => (JobState::Available, None),
        };
        job.state = state;
        job.due = delay.map_or(job.due, |delay| now + delay);
        self.settle();
    }

    pub(super) fn cancel(&mut self, job: usize) -> JobState {
        let of = &mut self.jobs[job];
        if of.state == JobState::Running {
            of.cancel_asked = true;
        } else if !of.state.is_final() {
            of.state = JobState::Cancelled;
        }
        self.settle();
        self.jobs[job].state
    }

    /// The job's new state, none when it must be refused.
    pub(super) fn retry(&mut self, job: usize) -> Option<JobState> {
        let mut parents = self.jobs[job].parents.iter();
        let doomed = parents.any(|(parent, edge)| self.jobs[*parent].failed() && *edge == OnFailure::Cancel);
        let now = self.now;
        let of = &mut self.jobs[job];
        if !of.failed() || doomed {
            return None;
        }
        (of.state, of.attempt, of.due) = (JobState::Waiting, 0, now);
        (of.cancel_asked, of.doomed) = (false, false);
        self.resume();
        self.settle();
        Some(self.jobs[job].state)
    }

    /// Whether it could be done.
    pub(super) fn run_now(&mut self, job: usize) -> bool {
        let now = self.now;
        let of = &mut self.jobs[job];
        let waits = matches!(of.state, JobState::Scheduled | JobState::Retryable);
        if waits {
            (of.state, of.due) = (JobState::Available, now);
        }
        waits
    }

    /// The priority before, none when it must be refused.
    pub(super) fn set_priority(&mut self, job: usize, priority: i16) -> Option<i16> {
        let of = &mut self.jobs[job];
        (!of.state.is_final()).then(|| std::mem::replace(&mut of.priority, priority))
    }

    /// What the worker of `host` ran goes back; the attempt counts.
    pub(super) fn rescue(&mut self, host: usize) -> usize {
        let lost: Vec<_> = self.running().filter(|job| self.jobs[*job].host == host).collect();
        for job in &lost {
            let job = &mut self.jobs[*job];
            job.state = if job.cancel_asked {
                JobState::Cancelled
            } else if job.attempt >= job.max_attempts {
                JobState::Discarded
            } else {
                JobState::Available
            };
        }
        self.settle();
        lost.len()
    }

    pub(super) fn promote(&mut self) -> usize {
        let now = self.now;
        let waits =
            |job: &&mut Job| matches!(job.state, JobState::Scheduled | JobState::Retryable) && job.due <= now;
        let mut promoted = 0;
        for job in self.jobs.iter_mut().filter(waits) {
            job.state = JobState::Available;
            promoted += 1;
        }
        promoted
    }
}
