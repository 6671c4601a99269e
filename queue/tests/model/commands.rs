//! What may happen to a queue, in any order. Numbers are taken modulo what is there, counted from
//! the newest, so that a sequence stays meaningful when shrinking takes commands out of it.

use proptest::prelude::*;
use weirgate_queue::OnFailure;
use weirgate_queue::lanes::{LaneLimits, Rate};

pub(super) const LANES: usize = 3;
pub(super) const HOSTS: usize = 3;

/// Minutes of the engine's clock. Every time in here is a multiple of four of them: what a case
/// takes in real time never carries it over a boundary.
pub(super) type Minutes = u64;

#[derive(Debug, Clone)]
pub(super) enum Command {
    Enqueue { lane: usize, jobs: usize, priority: i16, delay: Minutes, max_attempts: i16 },
    EnqueueChild { parents: Vec<(usize, OnFailure)>, priority: i16, delay: Minutes },
    Claim { host: usize, room: usize },
    Finish { running: usize, jobs: usize, how: How },
    StaleFinish { job: usize, how: How },
    Cancel { job: usize },
    Retry { job: usize },
    RunNow { job: usize },
    SetPriority { job: usize, priority: i16 },
    LoseWorker { host: usize, restarts: bool },
    PauseQueue(bool),
    PauseLane { lane: usize, paused: bool },
    LimitLane { lane: usize, limits: Option<LaneLimits> },
    LimitQueue { rate: Option<Rate>, max_running: Option<u32>, lanes: LaneLimits },
    Travel(Minutes),
    Promote,
    PersistRunning,
    WriteCheckpoint,
    Rebase,
}

/// How a handler ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    Complete,
    /// Tries again, or is discarded after its last attempt.
    Fail(Minutes),
    Discard,
    Snooze(Minutes),
    HandBack,
    /// It saw that it was cancelled.
    Stop,
}

pub(super) fn sequence() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(command(), 1..=40)
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        20 => (0..LANES, 1..=3_usize, priority(), delay(), prop::sample::select(vec![3, 1, 2])).prop_map(
            |(lane, jobs, priority, delay, max_attempts)| Command::Enqueue { lane, jobs, priority, delay, max_attempts }),
        10 => (prop::collection::vec((job(), on_failure()), 1..=3), priority(), delay())
            .prop_map(|(parents, priority, delay)| Command::EnqueueChild { parents, priority, delay }),
        24 => (0..HOSTS, 1..=6_usize).prop_map(|(host, room)| Command::Claim { host, room }),
        18 => (job(), 1..=3_usize, how()).prop_map(|(running, jobs, how)| Command::Finish { running, jobs, how }),
        3 => (job(), how()).prop_map(|(job, how)| Command::StaleFinish { job, how }),
        8 => job().prop_map(|job| Command::Cancel { job }),
        8 => job().prop_map(|job| Command::Retry { job }),
        4 => job().prop_map(|job| Command::RunNow { job }),
        6 => (job(), priority()).prop_map(|(job, priority)| Command::SetPriority { job, priority }),
        3 => (0..HOSTS, any::<bool>()).prop_map(|(host, restarts)| Command::LoseWorker { host, restarts }),
        1 => Just(Command::PauseQueue(true)),
        3 => Just(Command::PauseQueue(false)),
        3 => (0..LANES, any::<bool>()).prop_map(|(lane, paused)| Command::PauseLane { lane, paused }),
        7 => (0..LANES, prop::option::weighted(0.7, lane_limits()))
            .prop_map(|(lane, limits)| Command::LimitLane { lane, limits }),
        2 => (prop::option::of(rate()), most(), lane_limits())
            .prop_map(|(rate, max_running, lanes)| Command::LimitQueue { rate, max_running, lanes }),
        10 => prop::sample::select(vec![4, 20, 60, 180]).prop_map(Command::Travel),
        8 => Just(Command::Promote),
        6 => Just(Command::PersistRunning),
        4 => Just(Command::WriteCheckpoint),
        2 => Just(Command::Rebase),
    ]
}

/// Mostly one of the newest few, so that much happens to the same ones.
fn job() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0..4_usize, 1 => 0..16_usize]
}

fn priority() -> impl Strategy<Value = i16> {
    prop::sample::select(vec![0, 0, 5, -5])
}

fn delay() -> impl Strategy<Value = Minutes> {
    prop::sample::select(vec![0, 0, 0, 20, 60])
}

fn on_failure() -> impl Strategy<Value = OnFailure> {
    prop::sample::select(vec![OnFailure::Cancel, OnFailure::Continue])
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        5 => Just(How::Complete),
        3 => prop::sample::select(vec![0, 20, 60]).prop_map(How::Fail),
        2 => Just(How::Discard),
        1 => prop::sample::select(vec![0, 20, 60]).prop_map(How::Snooze),
        1 => Just(How::HandBack),
        1 => Just(How::Stop),
    ]
}

fn lane_limits() -> impl Strategy<Value = LaneLimits> {
    (prop::option::of(rate()), most(), prop::sample::select(vec![1.0, 2.0, 0.5]))
        .prop_map(|(rate, max_running, weight)| LaneLimits { rate, max_running, weight })
}

fn rate() -> impl Strategy<Value = Rate> {
    (1..=3_u32, 1..=3_u32).prop_map(|(rate, burst)| Rate { rate, period_ms: 60 * 60_000, burst })
}

fn most() -> impl Strategy<Value = Option<u32>> {
    prop::option::of(1..=4_u32)
}

/// Limits in words.
pub(super) fn limits(rate: Option<Rate>, max_running: Option<u32>) -> String {
    let rate = rate.map(|rate| format!("start {} an hour and {} at once", rate.rate, rate.burst));
    let most = max_running.map(|most| format!("run {most}"));
    let both: Vec<_> = rate.into_iter().chain(most).collect();
    if both.is_empty() { "do as it likes".to_owned() } else { both.join(", ") }
}
