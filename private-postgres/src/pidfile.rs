//! `postmaster.pid`: which server, if any, runs on a data directory.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::process::Pid;

/// What the server wrote about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PidFile {
    /// `None` when the file was cut short.
    pub pid: Option<Pid>,
    port: Option<u16>,
    status: String,
}

/// What a process is to a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// It is the Postgres server of it.
    Server,
    /// It does not exist, or is something else: its number was given to another process.
    Stranger,
    /// It is a Postgres that was not started in our way.
    Unclear,
}

impl PidFile {
    /// The port, once the server takes connections.
    pub(super) fn ready_port(&self) -> Option<u16> {
        self.port.filter(|_| self.status == "ready")
    }

    /// Whether the server was told to shut down.
    pub(super) fn is_stopping(&self) -> bool {
        self.status == "stopping"
    }

    fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let line = |number: usize| lines.get(number).copied().unwrap_or_default();
        Self {
            // A negative number means single-user mode.
            pid: line(0).parse().ok().filter(|&pid: &i32| pid > 0).and_then(Pid::from_raw),
            port: line(3).parse().ok().filter(|&port| port != 0),
            status: line(7).to_owned(),
        }
    }
}

/// The pid file of a data directory, if there is one.
pub(super) fn read(data: &Path) -> Result<Option<PidFile>> {
    let path = path(data);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(PidFile::parse(&text))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

pub(super) fn path(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

/// Finds out what a process is by how it was started. Not by its working folder, which root may
/// not see in a container, for want of `CAP_SYS_PTRACE`.
pub(super) fn relation(pid: Pid, data: &Path) -> Relation {
    let data = data.as_os_str().as_bytes();
    if Path::new("/proc/self/cmdline").exists() {
        // Empty for a process that has ended but was not waited for.
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        return of_words(line.split(|&byte| byte == 0), data);
    }
    let output = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output();
    let line = output.map(|output| output.stdout).unwrap_or_default();
    of_line(&line, data)
}

fn of_words<'a>(mut words: impl Iterator<Item = &'a [u8]>, data: &[u8]) -> Relation {
    if !is_postgres(words.next().unwrap_or_default()) {
        return Relation::Stranger;
    }
    words.find(|word| *word == b"-D");
    match words.next() {
        Some(folder) if folder == data => Relation::Server,
        Some([b'/', ..]) => Relation::Stranger,
        _ => Relation::Unclear,
    }
}

/// As `ps` shows it, spaces in names cannot be told from spaces between words.
fn of_line(line: &[u8], data: &[u8]) -> Relation {
    let line = String::from_utf8_lossy(line);
    let (program, arguments) = line.split_once(" -D ").unwrap_or((&line, ""));
    if !is_postgres(program.split(" -").next().unwrap_or_default().trim_end().as_bytes()) {
        return Relation::Stranger;
    }
    match arguments.trim_end().strip_prefix(&*String::from_utf8_lossy(data)) {
        Some("") => Relation::Server,
        Some(rest) if rest.starts_with(' ') => Relation::Server,
        None if arguments.starts_with('/') => Relation::Stranger,
        _ => Relation::Unclear,
    }
}

fn is_postgres(program: &[u8]) -> bool {
    [&b"postgres"[..], b"postmaster"].iter().any(|name| {
        program.strip_suffix(*name).is_some_and(|before| matches!(before.last(), None | Some(b'/')))
    })
}

#[cfg(test)]
mod tests {
    use super::{PidFile, Relation, of_line, of_words};

    #[test]
    fn pid_files_are_parsed() {
        let whole = "31337\n/home/x/postgres\n1795238\n40001\n\n127.0.0.1\n 123 456\nready   \n";
        let parsed = PidFile::parse(whole);
        assert_eq!(parsed.pid.map(rustix::process::Pid::as_raw_pid), Some(31337));
        assert_eq!(parsed.ready_port(), Some(40001));
        let stopping = PidFile::parse(&whole.replace("ready", "stopping"));
        assert!(stopping.ready_port().is_none() && stopping.is_stopping() && !parsed.is_stopping());
        assert_eq!(PidFile::parse("31337\n/home/x").ready_port(), None);
        assert_eq!(PidFile::parse("").pid, None);
        assert_eq!(PidFile::parse("-4\n").pid, None);
    }

    #[test]
    fn processes_are_told_apart() {
        let words = |line: &str| of_words(line.split('|').map(str::as_bytes), b"/x y/postgres");
        let line = |line: &str| of_line(line.as_bytes(), b"/x y/postgres");
        for (expected, text) in [
            (Relation::Server, "/usr/lib/postgres|-D|/x y/postgres|-c|port=1"),
            (Relation::Server, "/usr/lib/postgres|-D|/x y/postgres"),
            (Relation::Stranger, "/usr/lib/postgres|-D|/z|-c|port=1"),
            (Relation::Unclear, "postgres|-D|z"),
            (Relation::Unclear, "postgres"),
            (Relation::Stranger, "/bin/notpostgres|-D|/x y/postgres"),
            (Relation::Stranger, "vi|/x y/postgres/notes"),
            (Relation::Stranger, ""),
        ] {
            assert_eq!(words(text), expected, "{text}");
            assert_eq!(line(&text.replace('|', " ")), expected, "{text}");
        }
        // Not ours, but in what `ps` shows there is room for doubt.
        assert_eq!(line("postgres -D /x y/postgres-old -c port=1"), Relation::Unclear);
    }
}
