//! How a private Postgres is asked for.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

/// The role that administers the cluster, and the database made in it.
pub(crate) const NAME: &str = "weirgate";

/// How the private Postgres is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder for everything (`WEIRGATE_HOME`); it is made if absent.
    pub home: PathBuf,
    /// The folder of the Postgres programs (`WEIRGATE_PG_BIN`); searched for if `None`.
    pub bin_dir: Option<PathBuf>,
    /// Whether commits survive a power cut. Only tests should turn this off.
    pub fsync: bool,
    /// Whether to fail when another living process that is exclusive, too, owns the home. Else the
    /// server of that process is used.
    pub exclusive: bool,
    /// What this process is, for whoever finds the home in use: for instance `weirgate up`.
    pub command: String,
    /// When this process started, in words for people. May be empty.
    pub started: String,
    /// Ends a start that is under way, without leaving a server.
    pub stop: CancellationToken,
}

impl Options {
    /// The usual options: durable, exclusive, programs searched for.
    #[must_use]
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            bin_dir: None,
            fsync: true,
            exclusive: true,
            command: NAME.to_owned(),
            started: String::new(),
            stop: CancellationToken::new(),
        }
    }
}

/// A start that [`Options::stop`] ended.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;
