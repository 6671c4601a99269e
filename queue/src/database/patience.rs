//! Deadlines of our own for what the database is asked: a connection that is neither closed nor answers would be waited for without end.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

/// How often [`Patience`] doubles.
const DOUBLINGS: u32 = 5;

/// Waits for `answer` for so long. What is late is dropped, and its connection with it: a pool asks such a one whether it still
/// answers, also with a deadline, before others get it.
///
/// # Errors
/// An error of the connection when there is no answer in time; else the answer's own.
pub async fn within<T, E: From<sqlx::Error>>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout(limit, answer).await.unwrap_or_else(|_| Err(late().into()))
}

/// There was no answer in time.
pub fn late() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database has not answered in time"))
}

/// Whether it is [`late`] that went wrong.
pub fn is_late(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// How long an answer is waited for. Twice as long after each time that this was too short, up to a bound, as the work may be large
/// rather than the connection dead; what is too large for the usual time must not be begun anew for ever.
#[derive(Debug)]
pub(crate) struct Patience {
    usual: Duration,
    late: u32,
}

impl Patience {
    pub(crate) fn new(usual: Duration) -> Self {
        Self { usual, late: 0 }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.usual * 2_u32.pow(self.late.min(DOUBLINGS))
    }

    /// Learns from how it went: `Err` of anything but a late answer says nothing of how much there is to do.
    pub(crate) fn learn<T>(&mut self, answer: &crate::Result<T>) {
        match answer {
            Ok(_) => self.late = 0,
            Err(error) if error.is_late() => self.late += 1,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{QueueError, Result};

    #[tokio::test]
    async fn who_never_answers_is_late() {
        let answer: Result<()> = within(Duration::from_millis(1), std::future::pending()).await;
        assert!(answer.unwrap_err().is_late());
    }

    #[test]
    fn what_was_late_gets_longer_the_next_time() {
        let usual = Duration::from_secs(1);
        let mut patience = Patience::new(usual);
        let late = || Err::<(), QueueError>(late().into());
        for times in [1, 2, 4, 8, 16, 32, 32, 32] {
            assert_eq!(patience.limit(), usual * times);
            patience.learn(&late());
        }
        patience.learn::<()>(&Err(sqlx::Error::PoolTimedOut.into()));
        assert_eq!(patience.limit(), usual * 32);
        patience.learn(&Ok(()));
        assert_eq!(patience.limit(), usual);
    }
}
