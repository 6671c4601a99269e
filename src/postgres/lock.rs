//! The lock that makes one living process the owner of a home.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// The lock, held until dropped; the kernel also lets it go when the process is killed.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// To close the file is not enough: a process that is being started beside this has it too until its program runs.
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
}

impl Lock {
    /// Takes the lock of a home, or says who has it.
    pub(super) fn take(home: &Path, command: &str, started: &str) -> Result<Result<Self, Holder>> {
        let path = home.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(Holder::read(&mut file))),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let text = json!({ "pid": std::process::id(), "command": command, "started": started });
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
        Some(Self { pid: value["pid"].as_u64(), command: word("command"), started: word("started") })
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
