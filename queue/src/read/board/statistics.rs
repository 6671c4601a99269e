//! The numbers of queues, under the titles that apalis' tools know.

use apalis_core::backend::{StatType, Statistic};
use apalis_core::task::status::Status;
use chrono::{DateTime, Utc};

use crate::job::state::JobState;
use crate::lanes::CountsByState;

/// The status that apalis has for a state.
pub(super) fn status_of(state: JobState) -> Status {
    match state {
        JobState::Waiting | JobState::Scheduled | JobState::Available => Status::Pending,
        JobState::Running => Status::Running,
        JobState::Retryable => Status::Failed,
        JobState::Completed => Status::Done,
        JobState::Discarded | JobState::Cancelled => Status::Killed,
    }
}

/// The states that have this status.
pub(super) fn states_of(status: &Status) -> Vec<JobState> {
    JobState::ALL.into_iter().filter(|state| status_of(*state) == *status).collect()
}

/// The numbers of jobs in these states; `oldest` is since when the longest-waiting job could have
/// started.
pub(super) fn statistics(counts: &CountsByState, oldest: Option<DateTime<Utc>>) -> Vec<Statistic> {
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
        // Of the jobs that are not deleted yet.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_an_empty_queue_and_of_one_with_failures() {
        let value = |counts: &CountsByState, title: &str| {
            statistics(counts, None).into_iter().find(|it| it.title == title).map(|it| it.value)
        };
        let mut counts = CountsByState::new();
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
    fn every_state_has_exactly_one_status() {
        let all =
            [Status::Pending, Status::Queued, Status::Running, Status::Done, Status::Failed, Status::Killed];
        let states: Vec<JobState> = all.iter().flat_map(states_of).collect();
        assert_eq!(states.len(), JobState::ALL.len());
        assert!(JobState::ALL.iter().all(|state| states.contains(state)));
    }
}
