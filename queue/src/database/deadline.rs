//! Deadlines for answers of the database: without one, a connection that is neither closed nor
//! answers would be waited for without end.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use crate::error::QueueError;

/// How often an [`AdaptiveDeadline`] doubles.
const MAX_DOUBLINGS: u32 = 5;

/// Waits for `answer` for at most `limit`. An answer that is late is dropped, and its connection
/// with it: before a pool gives such a connection to others it asks whether it still answers, also
/// with a deadline.
///
/// # Errors
/// [`deadline_exceeded`] when there is no answer in time; else the answer's own error.
pub async fn within<T, E: From<sqlx::Error>>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout(limit, answer).await.unwrap_or_else(|_| Err(deadline_exceeded().into()))
}

/// The error that says that there was no answer in time.
pub fn deadline_exceeded() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database has not answered in time"))
}

/// Whether `error` is [`deadline_exceeded`].
pub fn is_deadline_exceeded(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

impl QueueError {
    /// Whether the database did not answer in time.
    pub(crate) fn is_deadline_exceeded(&self) -> bool {
        matches!(self, Self::Database(error) if is_deadline_exceeded(error))
    }
}

/// A deadline that doubles, up to a bound, each time that it was too short: there may be much work
/// rather than a dead connection, and work that takes longer than usual must not be started again
/// and again for ever.
#[derive(Debug)]
pub(crate) struct AdaptiveDeadline {
    usual: Duration,
    doublings: u32,
}

impl AdaptiveDeadline {
    pub(crate) fn new(usual: Duration) -> Self {
        Self { usual, doublings: 0 }
    }

    /// How long the next answer may take.
    pub(crate) fn limit(&self) -> Duration {
        self.usual * 2_u32.pow(self.doublings.min(MAX_DOUBLINGS))
    }

    /// Adapts to how the last answer came. An error other than a late answer says nothing of how
    /// much there is to do.
    pub(crate) fn adapt<T>(&mut self, answer: &Result<T, QueueError>) {
        match answer {
            Ok(_) => self.doublings = 0,
            Err(error) if error.is_deadline_exceeded() => self.doublings += 1,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_never_comes_exceeds_the_deadline() {
        let answer: Result<(), QueueError> = within(Duration::from_millis(1), std::future::pending()).await;
        assert!(answer.unwrap_err().is_deadline_exceeded());
    }

    #[test]
    fn the_deadline_doubles_after_each_late_answer_and_returns_after_a_timely_one() {
        let usual = Duration::from_secs(1);
        let mut deadline = AdaptiveDeadline::new(usual);
        let late = || Err::<(), QueueError>(deadline_exceeded().into());
        for times in [1, 2, 4, 8, 16, 32, 32, 32] {
            assert_eq!(deadline.limit(), usual * times);
            deadline.adapt(&late());
        }
        deadline.adapt::<()>(&Err(sqlx::Error::PoolTimedOut.into()));
        assert_eq!(deadline.limit(), usual * 32);
        deadline.adapt(&Ok(()));
        assert_eq!(deadline.limit(), usual);
    }
}
