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

/// The log as one attempt to start sees it: what was there before is not its business.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    from: u64,
}

impl Log {
    pub(super) fn open(home: &Path) -> Result<Self> {
        let path = home.join("postgres.log");
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
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(&self.path)
            && file.seek(SeekFrom::Start(self.from)).is_ok()
        {
            // What could be read of the log is still better than nothing.
            drop(file.read_to_end(&mut bytes));
        }
        last_lines(&String::from_utf8_lossy(&bytes))
    }
}

/// The last few lines of a text, indented.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
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
