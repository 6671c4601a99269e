//! The errors of the engine.

use uuid::Uuid;

use crate::backfill::BackfillState;
use crate::job::state::JobState;
use crate::private::SealingError;

/// Why the engine could not do what it was asked to do.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Postgres refused a statement, or could not be reached.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The server has lost transactions that were visible there before: it was restored to an
    /// earlier state.
    #[error(
        "the database was restored to an earlier state: transaction {seen} was visible before, and the next one is {next}; the queues' views are rebuilt"
    )]
    WentBack {
        /// The history in which they were visible.
        history: Uuid,
        /// The transaction below which all were visible.
        seen: i64,
        /// The transaction that comes next now.
        next: i64,
    },
    /// Arguments or an output are not representable as JSON.
    #[error("not representable as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// No kind of job is registered under this name.
    #[error("no job kind {0:?} is registered")]
    UnknownKind(String),
    /// The job no longer belongs to this run.
    #[error("run {run} of job {job} is no longer the current one: another worker has it, or it is finished")]
    Stale {
        /// The job.
        job: Uuid,
        /// The run that came too late.
        run: i64,
    },
    /// No schedule has this name.
    #[error("no schedule {0:?}")]
    UnknownSchedule(String),
    /// The schedule cannot be run now, outside of its ticks.
    #[error("schedule {schedule} cannot be run now: {why}")]
    CannotRunNow {
        /// The schedule's name.
        schedule: String,
        /// Why not.
        why: &'static str,
    },
    /// The application's code for a schedule panicked.
    #[error("schedule {0} panicked")]
    SchedulePanicked(String),
    /// The output is too large for a row.
    #[error(
        "the output of job {job} has {bytes} bytes; at most 100000000 are stored: store it elsewhere and return its location"
    )]
    OutputTooLarge {
        /// The job.
        job: Uuid,
        /// About how many bytes it takes.
        bytes: usize,
    },
    /// The private argument of a job is too large.
    #[error(
        "the private argument of job {job} has {bytes} bytes of JSON; at most 65536 are stored: store it elsewhere, encrypted, and pass where it is"
    )]
    PrivateTooLarge {
        /// The job.
        job: Uuid,
        /// How many bytes it takes.
        bytes: usize,
    },
    /// The private argument of a job could not be sealed.
    #[error("a private argument: {0}")]
    Sealing(#[from] SealingError),
    /// The monitor that runs the queues of a worker process failed.
    #[error("the worker's monitor failed: {0}")]
    Monitor(String),
    /// There is no such job.
    #[error("no job {0}")]
    UnknownJob(Uuid),
    /// There is no such workflow.
    #[error("no workflow {0}")]
    UnknownWorkflow(Uuid),
    /// The jobs would wait for each other for ever. Holds the cycle, such as `a → b → a`.
    #[error("these jobs would wait for each other for ever: {0}; remove one of the dependencies")]
    Cycle(String),
    /// A job depends on one that does not exist.
    #[error("{child} depends on {parent}: there is no such job")]
    UnknownParent {
        /// The job that would wait.
        child: String,
        /// The job that it depends on.
        parent: String,
    },
    /// Two jobs of a workflow have the same name.
    #[error("two jobs of the workflow are named {0:?}; give each a name of its own")]
    NameTaken(String),
    /// There is no such backfill.
    #[error("no backfill {0}")]
    UnknownBackfill(Uuid),
    /// The backfill's expander returned slices that are outside of the backfill's bounds.
    #[error("the expansion of backfill {0} is outside of its bounds; this is a bug of its expander")]
    BadExpansion(Uuid),
    /// The backfill's state does not allow it.
    #[error("backfill {backfill} is {state}: {why}")]
    WrongBackfillState {
        /// The backfill.
        backfill: Uuid,
        /// The backfill's state.
        state: BackfillState,
        /// What prevents it, and what to do.
        why: &'static str,
    },
    /// The job's state does not allow it.
    #[error("job {job} is {state}: {why}")]
    WrongState {
        /// The job.
        job: Uuid,
        /// The job's state.
        state: JobState,
        /// What prevents it, and what to do.
        why: String,
    },
}

/// The sort of an error of the database. This is the one place that decides which errors are
/// transient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It goes away by itself: a lost connection, a shutdown or a failover, a server that takes no
    /// writes for now, a deadlock, a lock that was not available, a serialization failure,
    /// exhausted resources, a file that could not be read.
    Transient,
    /// The database cannot hold a value, or refuses it for good.
    InvalidValue,
    /// Anything else. It may go away once somebody has repaired something.
    Unknown,
}

impl Fault {
    /// The sort of an error of the database, or of the connection to it.
    pub fn of(error: &sqlx::Error) -> Self {
        use sqlx::Error::{ColumnDecode, Database, Decode, Encode};
        match error {
            Database(error) => match error.code().as_deref().and_then(|code| code.get(..2)) {
                None | Some("08" | "25" | "40" | "53" | "55" | "57" | "58" | "WG") => Self::Transient,
                Some("22" | "23" | "54") => Self::InvalidValue,
                Some(_) => Self::Unknown,
            },
            Encode(_) => Self::InvalidValue,
            Decode(_) | ColumnDecode { .. } => Self::Unknown,
            _ => Self::Transient,
        }
    }
}

impl QueueError {
    /// The sort of this error. Trying again does not help with an error that the database has no
    /// part in.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Database(error) => Fault::of(error),
            _ => Fault::InvalidValue,
        }
    }

    /// Whether the database cannot be reached now, so that no other statement would succeed either.
    pub(crate) fn is_connection_lost(&self) -> bool {
        use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        matches!(
            self,
            Self::Database(Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed)
        )
    }
}

/// The result of the engine's functions.
pub type Result<T, E = QueueError> = std::result::Result<T, E>;
