//! Where a tenant's rows come from: ticketing, time entries, satisfaction surveys, security alerts.
//!
//! A [`Source`] hands out the *text* of each row with the place it came from. Turning a text into
//! a typed row is [`parse`](parse())'s work, so that one bad row can be set aside with its line and
//! reason while the rest of the file goes on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use weirgate_web::parse::Parse;

mod answer;
pub mod array;
pub mod connectwise;
pub mod defender;
mod element;
#[cfg(test)]
mod fake;
pub mod lines;
pub mod live;
pub mod mock;
mod oauth;
mod pages;
mod parse;
mod place;
pub mod rows;
pub mod sentinelone;
pub mod settings;
pub mod smileback;
mod upstream;
mod utf16;
mod values;
mod walk;
mod within;

pub use live::LiveSource;
pub use mock::MockSource;
pub use parse::parse;
pub use place::Place;
pub use within::open_within;

/// The longest row a source hands out, in bytes (1 MiB). A longer one is a bad row, and is never
/// held in memory whole.
pub const MAX_ROW_BYTES: usize = 1024 * 1024;

/// One of the four kinds of rows a tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dataset {
    /// Service tickets.
    Tickets,
    /// Time worked on tickets.
    TimeEntries,
    /// Customer satisfaction surveys.
    Csat,
    /// Alerts of the security tools.
    SecurityAlerts,
}

impl Dataset {
    /// All datasets, in the order in which they are ingested.
    pub const ALL: [Self; 4] = [Self::Tickets, Self::TimeEntries, Self::Csat, Self::SecurityAlerts];

    /// The name used in file names, addresses and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tickets => "tickets",
            Self::TimeEntries => "time_entries",
            Self::Csat => "csat",
            Self::SecurityAlerts => "security_alerts",
        }
    }

    /// The dataset of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

impl Parse for Dataset {
    fn parse(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::from_name(text).ok_or_else(|| format!("expected one of {names}"))
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One row as the source has it, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// The file or URL the row came from; files are named relative to the data path. Shared by
    /// all rows of a stream.
    pub origin: Arc<str>,
    /// The line on which the row starts, from 1.
    pub line: u64,
    /// The row's text: valid UTF-8, at most [`MAX_ROW_BYTES`], free of NUL bytes, and not
    /// necessarily JSON. `Err` is a piece of the file that has no usable text, with the reason
    /// in words for people.
    pub json: Result<String, String>,
}

/// Why a source cannot go on. Rows handed out before the error are good; after it the stream
/// ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The data is there but cannot be read.
    #[error("{origin} cannot be read: {reason}")]
    Unreadable {
        /// The file or URL.
        origin: String,
        /// Why, in words for people.
        reason: String,
    },
    /// The far side asks for fewer calls, or the reading has gone on for long enough.
    #[error("{origin} asks to wait {} s", retry_after.as_secs())]
    Throttled {
        /// The file or URL.
        origin: String,
        /// How long to wait before asking again.
        retry_after: Duration,
        /// Where [`Source::rows_from`] goes on then; none where it has to begin again.
        place: Option<Place>,
    },
    /// The far side, or a safety rule on this side, refuses: trying again will not help.
    #[error("{origin} is refused: {reason}")]
    Refused {
        /// The file or URL.
        origin: String,
        /// Why, in words for people.
        reason: String,
    },
}

/// The rows of one tenant's dataset. Nothing is opened before the first poll.
pub type RowStream = BoxStream<'static, Result<SourceRow, SourceError>>;

/// Where rows come from.
pub trait Source: Send + Sync + 'static {
    /// The rows of one tenant's dataset, in the source's own order. No data is an empty stream.
    /// The stream must be polled inside a tokio runtime.
    fn rows(&self, tenant_slug: &str, dataset: Dataset) -> RowStream;

    /// The rows from where an earlier stream was told to wait. A source that knows no places begins
    /// again.
    fn rows_from(&self, tenant_slug: &str, dataset: Dataset, _place: &Place) -> RowStream {
        self.rows(tenant_slug, dataset)
    }

    /// Whether there is a source of the tenant's dataset at all, such as a file or an account.
    /// Where there is none, `rows` is empty without that anything was deleted. May wait for a disk.
    fn has(&self, tenant_slug: &str, dataset: Dataset) -> bool {
        let _ = (tenant_slug, dataset);
        true
    }

    /// What this source is, for logs and status pages.
    fn describe(&self) -> String;
}

/// A piece of a file as a splitter finds it: the line it starts on, and its text or the reason
/// why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The line on which the piece starts, from 1.
    pub line: u64,
    /// As [`SourceRow::json`].
    pub text: Result<String, String>,
}

impl Piece {
    /// A piece with a text, when the bytes make one.
    pub(crate) fn from_bytes(line: u64, bytes: &[u8]) -> Self {
        // Postgres text holds no NUL, so a row with one could be neither stored nor set aside.
        let text = match std::str::from_utf8(bytes) {
            Ok(text) if memchr::memchr(0, bytes).is_none() => Ok(text.to_owned()),
            Ok(_) => Err("row has a NUL byte in it".to_owned()),
            Err(error) => Err(format!("row is not valid UTF-8 (at its byte {})", error.valid_up_to() + 1)),
        };
        Self { line, text }
    }

    /// A piece without a text.
    pub(crate) fn bad(line: u64, reason: &str) -> Self {
        Self { line, text: Err(reason.to_owned()) }
    }

    /// A piece which is longer than [`MAX_ROW_BYTES`].
    pub(crate) fn too_long(line: u64) -> Self {
        Self::bad(line, "row is longer than 1 MiB")
    }
}

/// The UTF-8 byte order mark some exporters put first in a file.
pub(crate) const BOM: &[u8] = b"\xEF\xBB\xBF";
