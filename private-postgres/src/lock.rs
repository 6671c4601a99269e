//! The locks of a home: one process keeps its server, and all that use the server say so. The last
//! to leave stops it.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::cluster;
use super::options::Options;

/// The lock, held until dropped; the kernel also lets it go when the process is killed.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// To close the file is not enough: a process that is being started beside this has it too
    /// until its program runs.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Who holds a lock, as far as its file tells.
#[derive(Debug, Default)]
pub(super) struct Holder {
    pid: Option<u64>,
    command: String,
    started: String,
    /// Whether it refuses others that want the home for themselves.
    pub exclusive: bool,
}

impl Lock {
    /// Takes the lock of the server's owner, or says who has it.
    pub(super) fn take(home: &Path, options: &Options) -> Result<Result<Self, Holder>> {
        Self::take_file(&home.join("lock"), options)
    }

    /// Takes the lock of the process that wants the home for itself, which need not be the server's
    /// owner.
    pub(super) fn take_exclusive(home: &Path, options: &Options) -> Result<Result<Self, Holder>> {
        Self::take_file(&home.join("lock.exclusive"), options)
    }

    fn take_file(path: &Path, options: &Options) -> Result<Result<Self, Holder>> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(Holder::read(&mut file))),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let text = json!({
            "pid": std::process::id(), "command": options.command, "started": options.started,
            "exclusive": options.exclusive,
        });
        file.set_len(0)
            .and_then(|()| writeln!(file, "{text}"))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Ok(Self { file }))
    }
}

impl Holder {
    fn read(file: &mut File) -> Self {
        // The holder writes its name just after it locks: give it that moment.
        for _ in 0..10 {
            if let Some(holder) = Self::parse(file) {
                return holder;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Self::default()
    }

    fn parse(file: &mut File) -> Option<Self> {
        let mut text = String::new();
        file.rewind().ok()?;
        file.read_to_string(&mut text).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        let word = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Some(Self {
            pid: value["pid"].as_u64(),
            command: word("command"),
            started: word("started"),
            // Earlier versions do not say, and stop the server under whoever uses it.
            exclusive: value["exclusive"].as_bool().unwrap_or(true),
        })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(pid) = self.pid else {
            return f.write_str("another process");
        };
        write!(f, "pid {pid}")?;
        match (self.command.as_str(), self.started.as_str()) {
            ("", "") => Ok(()),
            (command, "") => write!(f, " ({command})"),
            ("", started) => write!(f, " (started {started})"),
            (command, started) => write!(f, " ({command}, started {started})"),
        }
    }
}

/// Says that this process uses the server of a home, for as long as it lives. The file is the one
/// with the password: whoever uses the server reads it.
#[derive(Debug)]
pub(super) struct Use(File);

/// No process uses the server, and none begins to while this lives.
#[derive(Debug)]
pub(super) struct Alone<'a>(&'a Use);

impl Use {
    /// `None` while the server is being stopped, and before there is one.
    pub(super) fn begin(base: &Path) -> Result<Option<Self>> {
        let path = cluster::password_file(base);
        // For writing, as some file systems want that for an exclusive lock.
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Ends the use; `Some` if nobody else uses the server. May be asked again.
    pub(super) fn end(&self) -> Option<Alone<'_>> {
        let _ = self.0.unlock();
        self.0.try_lock().is_ok().then_some(Alone(self))
    }
}

impl Drop for Use {
    /// As with [`Lock`].
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let _ = self.0.0.unlock();
    }
}
