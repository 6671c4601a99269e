//! The file that the server writes its messages to.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A log larger than this is emptied before the next start.
const CAP: u64 = 10 * 1024 * 1024;

/// How much of a log is worth showing.
const LINES: usize = 15;

/// Bytes that hold as many lines.
const RECENT: u64 = 16 * 1024;

/// The log as one attempt to start sees it: what was there before is not its business.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    from: u64,
}

impl Log {
    pub(super) fn open(home: &Path) -> Result<Self> {
        let path = path(home);
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let mut from = file.metadata()?.len();
        if from > CAP {
            file.set_len(0)?;
            from = 0;
        }
        Ok(Self { path, file, from })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Another handle, to give to the server.
    pub(super) fn handle(&self) -> Result<File> {
        self.file.try_clone().context("cannot share the log of Postgres")
    }

    /// The last lines that were written since the log was opened.
    pub(super) fn tail(&self) -> String {
        tail(&self.path, SeekFrom::Start(self.from))
    }
}

/// The last lines of the log of a home, whoever wrote them.
pub(super) fn last_of(home: &Path) -> String {
    let path = path(home);
    let length = std::fs::metadata(&path).map_or(0, |found| found.len());
    let tail = tail(&path, SeekFrom::Start(length.saturating_sub(RECENT)));
    if tail.is_empty() { "\n  (nothing)".to_owned() } else { tail }
}

fn path(home: &Path) -> PathBuf {
    home.join("postgres.log")
}

fn tail(path: &Path, from: SeekFrom) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path)
        && file.seek(from).is_ok()
    {
        // What could be read of the log is still better than nothing.
        drop(file.read_to_end(&mut bytes));
    }
    last_lines(&String::from_utf8_lossy(&bytes))
}

/// What a server that is on its way up or down says to each that is connected or would be, and the
/// statements that failed with it. They hide the reason.
const ASIDES: [&str; 3] =
    ["FATAL:  the database system is ", "FATAL:  terminating connection ", "] STATEMENT:  "];

/// The last few lines of a text that say something, indented.
pub(super) fn last_lines(text: &str) -> String {
    // A line that begins with a tab goes on with the message before it, which is a statement's as a
    // rule.
    let is_aside = |line: &str| line.starts_with('\t') || ASIDES.iter().any(|words| line.contains(words));
    let says = |line: &&str| !line.trim().is_empty() && !is_aside(line);
    let lines: Vec<&str> = text.lines().filter(says).collect();
    let shown = &lines[lines.len().saturating_sub(LINES)..];
    shown.iter().fold(String::new(), |mut text, line| {
        text.push_str(
            "
  ",
        );
        text.push_str(line);
        text
    })
}
