//! What can go wrong inside the engine.

use uuid::Uuid;

use crate::backfill::BackfillState;
use crate::database::patience::is_late;
use crate::job::state::JobState;

/// The engine could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Postgres refused, or could not be reached.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The server does not know of transactions any more that were seen there: its disk was set back.
    #[error(
        "the database has gone back: transaction {seen} was seen and the next one is {is}; the queues' views are rebuilt"
    )]
    WentBack {
        /// The history in which they were seen.
        history: Uuid,
        /// The transaction below which all were seen.
        seen: i64,
        /// The next one now.
        is: i64,
    },
    /// Arguments or output are not JSON.
    #[error("not representable as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// No handler is registered under that name.
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
    /// The schedule cannot be run outside of its ticks, or not so.
    #[error("schedule {schedule} cannot be run now: {why}")]
    CannotRunNow {
        /// Its name.
        schedule: String,
        /// Why not.
        why: &'static str,
    },
    /// The application's code for a schedule panicked.
    #[error("schedule {0} panicked")]
    SchedulePanicked(String),
    /// The output does not fit a row.
    #[error(
        "the output of job {job} has {bytes} bytes; at most 100000000 are stored: keep it elsewhere and return where it is"
    )]
    OutputTooLarge {
        /// The job.
        job: Uuid,
        /// What it takes, about.
        bytes: usize,
    },
    /// There is no such job.
    #[error("no job {0}")]
    UnknownJob(Uuid),
    /// There is no such workflow.
    #[error("no workflow {0}")]
    UnknownWorkflow(Uuid),
    /// The jobs would wait on each other for ever. Holds the path, such as `a → b → a`.
    #[error("these jobs would wait on each other for ever: {0}; take one of the dependencies out")]
    Cycle(String),
    /// A job waits on one that does not exist.
    #[error("{child} waits on {parent}: there is no such job")]
    UnknownParent {
        /// The job that would wait.
        child: String,
        /// What it was to wait on.
        parent: String,
    },
    /// Two jobs of a workflow have one name.
    #[error("two jobs of the workflow are named {0:?}; give each a name of its own")]
    NameTaken(String),
    /// There is no such backfill.
    #[error("no backfill {0}")]
    UnknownBackfill(Uuid),
    /// What was to say what its slices are said something that cannot be.
    #[error("the expansion of backfill {0} is outside of its bounds; this is a bug of what expands it")]
    BadExpansion(Uuid),
    /// The backfill's state does not allow it.
    #[error("backfill {backfill} is {state}: {why}")]
    WrongBackfillState {
        /// The backfill.
        backfill: Uuid,
        /// Where it stands.
        state: BackfillState,
        /// What is in the way, and what to do.
        why: &'static str,
    },
    /// The job's state does not allow it.
    #[error("job {job} is {state}: {why}")]
    WrongState {
        /// The job.
        job: Uuid,
        /// Where it stands.
        state: JobState,
        /// What is in the way, and what to do.
        why: String,
    },
}

/// What kind of thing went wrong in the database: the one place that says which errors pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It passes by itself: the connection, a shutdown or a failover, a server that takes no writes for now, a deadlock, a lock that
    /// was not to be had, a serialization failure, out of resources, a file that could not be read.
    Passing,
    /// The database cannot hold a value, or refuses it for good.
    Value,
    /// Whatever else: it may pass once somebody has mended it.
    Unknown,
}

impl Fault {
    /// Of an error of the database or of the way to it.
    pub fn of(error: &sqlx::Error) -> Self {
        use sqlx::Error::{ColumnDecode, Database, Decode, Encode};
        match error {
            Database(error) => match error.code().as_deref().and_then(|code| code.get(..2)) {
                None | Some("08" | "25" | "40" | "53" | "55" | "57" | "58" | "WG") => Self::Passing,
                Some("22" | "23" | "54") => Self::Value,
                Some(_) => Self::Unknown,
            },
            Encode(_) => Self::Value,
            Decode(_) | ColumnDecode { .. } => Self::Unknown,
            _ => Self::Passing,
        }
    }
}

impl QueueError {
    /// What kind of fault it is; of one that the database has no part in, that trying again does not help.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Database(error) => Fault::of(error),
            _ => Fault::Value,
        }
    }

    /// Whether the database was silent for too long.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self, Self::Database(error) if is_late(error))
    }

    /// Whether the database cannot be reached now, whatever it is asked.
    pub(crate) fn is_connection_lost(&self) -> bool {
        use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        matches!(
            self,
            Self::Database(Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed)
        )
    }
}

/// Result of an engine's verb.
pub type Result<T, E = QueueError> = std::result::Result<T, E>;
