//! The states of a job and every legal transition, as data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The state of a job.
///
/// Statements read it as `state::text as "state!: JobState"`: as a text, since the driver would ask
/// each new connection for the identity of a type of the schema's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum JobState {
    /// The job waits for other jobs to end.
    Waiting,
    /// The job waits for its time.
    Scheduled,
    /// The job may start now.
    Available,
    /// A worker runs the job.
    Running,
    /// The last attempt failed, and the job waits for the next one.
    Retryable,
    /// The job succeeded. Final.
    Completed,
    /// Somebody cancelled the job, or a job that it depended on failed. Final.
    Cancelled,
    /// The job is out of attempts or failed for good: a dead letter. Final.
    Discarded,
}

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Scheduled,
        Self::Available,
        Self::Running,
        Self::Retryable,
        Self::Completed,
        Self::Cancelled,
        Self::Discarded,
    ];

    /// The name of the state in the database and in answers of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Retryable => "retryable",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
        }
    }

    /// Whether this is a cold state: one outside the path that nearly every job takes, so that few
    /// jobs are in it.
    pub(crate) const fn is_cold(self) -> bool {
        !matches!(self, Self::Available | Self::Running | Self::Completed)
    }

    /// Whether nothing more happens to the job unless somebody retries it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Discarded)
    }
}

/// How many jobs are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateCounts([i64; 8]);

impl StateCounts {
    /// Jobs in `state`.
    pub const fn of(&self, state: JobState) -> i64 {
        self.0[state as usize]
    }

    /// Jobs that are not final.
    pub fn live(&self) -> i64 {
        self.iter().filter(|(state, _)| !state.is_final()).map(|(_, count)| count).sum()
    }

    /// Jobs in any state.
    pub fn total(&self) -> i64 {
        self.0.iter().sum()
    }

    /// Every state with the number of its jobs, in the order of a job's life.
    pub fn iter(&self) -> impl Iterator<Item = (JobState, i64)> + use<> {
        JobState::ALL.into_iter().zip(self.0)
    }

    /// Adds `change`, which may be negative, to the jobs in `state`.
    pub(crate) fn change(&mut self, state: JobState, change: i64) {
        self.0[state as usize] += change;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (state, count) in other.iter() {
            self.change(state, count);
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of a state.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a job state; expected one of waiting, scheduled, available, running, retryable, completed, cancelled, discarded"
)]
pub struct UnknownState(String);

impl FromStr for JobState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// What moves a job from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// The last job that it waited for has ended.
    Release,
    /// Its time has come.
    Promote,
    /// A worker claims it.
    Claim,
    /// Its handler succeeds.
    Complete,
    /// Its handler fails, and attempts are left.
    Retry,
    /// Its handler asks to run again later.
    Snooze,
    /// Its handler fails for good, or for the last time.
    Discard,
    /// Somebody cancels it.
    Cancel,
    /// A worker that shuts down gives it back before it has ended.
    HandBack,
    /// Its worker's lease has run out.
    Rescue,
    /// Somebody retries it after its end, or retries the job whose failure had cancelled it.
    ManualRetry,
}

impl Verb {
    /// The word for it in the diagram of the states.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Promote => "promote",
            Self::Claim => "claim",
            Self::Complete => "complete",
            Self::Retry => "retry",
            Self::Snooze => "snooze",
            Self::Discard => "discard",
            Self::Cancel => "cancel",
            Self::HandBack => "hand back",
            Self::Rescue => "rescue",
            Self::ManualRetry => "manual retry",
        }
    }
}

/// Every legal transition. The diagram in the README is made from this list.
pub const TRANSITIONS: &[(JobState, Verb, JobState)] = {
    use JobState as S;
    use Verb as V;
    &[
        (S::Waiting, V::Release, S::Available),
        (S::Waiting, V::Release, S::Scheduled),
        (S::Waiting, V::Cancel, S::Cancelled),
        (S::Scheduled, V::Promote, S::Available),
        (S::Scheduled, V::Cancel, S::Cancelled),
        (S::Available, V::Claim, S::Running),
        (S::Available, V::Cancel, S::Cancelled),
        (S::Running, V::Complete, S::Completed),
        (S::Running, V::Retry, S::Retryable),
        (S::Running, V::Snooze, S::Scheduled),
        (S::Running, V::Discard, S::Discarded),
        (S::Running, V::Cancel, S::Cancelled),
        (S::Running, V::HandBack, S::Available),
        (S::Running, V::Rescue, S::Available),
        (S::Running, V::Rescue, S::Discarded),
        (S::Retryable, V::Promote, S::Available),
        (S::Retryable, V::Cancel, S::Cancelled),
        (S::Cancelled, V::ManualRetry, S::Available),
        (S::Cancelled, V::ManualRetry, S::Waiting),
        (S::Cancelled, V::ManualRetry, S::Scheduled),
        (S::Discarded, V::ManualRetry, S::Available),
        (S::Discarded, V::ManualRetry, S::Waiting),
    ]
};

/// The transitions as a Mermaid state diagram, for the documentation.
pub fn mermaid() -> String {
    let mut diagram =
        String::from("stateDiagram-v2\n    [*] --> available\n    [*] --> scheduled\n    [*] --> waiting\n");
    for (from, verb, to) in TRANSITIONS {
        diagram += &["    ", from.as_str(), " --> ", to.as_str(), ": ", verb.as_str(), "\n"].concat();
    }
    for state in JobState::ALL.into_iter().filter(|state| state.is_final()) {
        diagram += &["    ", state.as_str(), " --> [*]\n"].concat();
    }
    diagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_names_round_trip() {
        for state in JobState::ALL {
            assert_eq!(state.as_str().parse::<JobState>().unwrap(), state);
        }
        assert!("done".parse::<JobState>().is_err());
    }

    #[test]
    fn every_state_can_be_reached_and_left() {
        for state in JobState::ALL {
            let entered = matches!(state, JobState::Waiting | JobState::Scheduled | JobState::Available)
                || TRANSITIONS.iter().any(|(_, _, to)| *to == state);
            assert!(entered, "{state} is never reached");
            let left = TRANSITIONS.iter().any(|(from, _, _)| *from == state);
            assert!(left || state == JobState::Completed, "{state} is never left");
        }
    }

    #[test]
    fn only_a_manual_retry_leaves_a_final_state() {
        for (from, verb, _) in TRANSITIONS {
            assert_eq!(from.is_final(), *verb == Verb::ManualRetry);
        }
    }
}
