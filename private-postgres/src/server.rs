//! The server's process: taking it over and stopping it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::sleep;

use super::connect::Credentials;
use super::pidfile::{self, PidFile, Relation};
use super::place::Place;

/// How long a start may take; recovery after a crash reads up to a gigabyte of log.
pub(super) const START_TIMEOUT: Duration = Duration::from_mins(5);
/// How long a fast shutdown may take, which writes all changed pages.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);
/// How long an immediate shutdown may take, which writes nothing.
const QUIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often something that takes milliseconds is looked at.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// A running server that this process is to stop.
#[derive(Debug)]
pub(super) struct Server {
    pid: Pid,
    port: u16,
    data: PathBuf,
    /// `None` for a server that was taken over, as that is not a child of this process.
    child: Option<Child>,
    stopped: bool,
}

impl Server {
    /// A server that was just started, and is stopped if this is dropped.
    pub(super) fn started(child: Child, port: u16, data: PathBuf) -> Result<Self> {
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.context("Postgres ended at once")?;
        Ok(Self { pid, port, data, child: Some(child), stopped: false })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_pid().cast_unsigned()
    }

    /// Shuts down fast and waits; immediately if that hangs.
    pub(super) async fn stop(&mut self) -> Result<()> {
        for (signal, timeout) in [(Signal::INT, STOP_TIMEOUT), (Signal::QUIT, QUIT_TIMEOUT)] {
            self.signal(signal).with_context(|| format!("cannot stop Postgres (pid {})", self.pid()))?;
            if tokio::time::timeout(timeout, self.ended()).await.is_ok() {
                self.stopped = true;
                return Ok(());
            }
            let seconds = timeout.as_secs();
            tracing::warn!("Postgres (pid {}) did not stop in {seconds} seconds", self.pid());
        }
        bail!("Postgres (pid {}) does not stop; its data is in {}", self.pid(), self.data.display())
    }

    /// Signals the server, unless it has ended and its number may be another process's now.
    fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.is_running() {
            match kill_process(self.pid, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(super) fn is_running(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => pidfile::relation(self.pid, &self.data) == Relation::Server,
        }
    }

    /// What is known of the end of one that does not run any more.
    pub(super) fn how_it_ended(&mut self) -> String {
        match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(Some(status))) => status.to_string(),
            _ => format!("pid {} is gone", self.pid()),
        }
    }

    /// Whether somebody told it to shut down, as its pid file says.
    pub(super) fn is_stopping(&self) -> bool {
        matches!(pidfile::read(&self.data), Ok(Some(file)) if file.pid == Some(self.pid) && file.is_stopping())
    }

    /// Leaves it to the other processes that use it.
    pub(super) fn leave_running(mut self) {
        self.stopped = true;
    }

    /// A fast shutdown, without waiting for it.
    pub(super) fn hurry(&mut self) -> Result<()> {
        self.signal(Signal::INT)
    }

    async fn ended(&mut self) {
        while self.is_running() {
            sleep(POLL).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.stopped
            && let Err(error) = self.signal(Signal::INT)
        {
            tracing::warn!("cannot stop Postgres (pid {}): {error:#}", self.pid());
        }
    }
}

/// Takes over the server that a killed weirgate left running, if it is as it should be; one that
/// is not gets stopped.
pub(super) async fn take_over(place: &Place, password: &str, fsync: bool) -> Result<Option<Server>> {
    let data = place.data();
    let Some((pid, port)) = running(&data).await? else {
        return Ok(None);
    };
    let credentials = Credentials { password: password.to_owned(), port };
    // Others may use it: it is nobody's to stop while it is only asked.
    let facts = credentials.facts().await;
    let mut server = Server { pid, port, data, child: None, stopped: false };
    match facts {
        Ok(facts) if facts.data == server.data && facts.fsync == fsync => {
            tracing::info!("taking over Postgres (pid {}) on port {port}", server.pid());
            Ok(Some(server))
        }
        other => {
            tracing::info!("restarting the Postgres left running (pid {}): {other:?}", server.pid());
            server.stop().await?;
            Ok(None)
        }
    }
}

/// The server that is there on a data directory, be it on its way up or down; it is told to stop if
/// this is dropped.
pub(super) fn leftover(data: &Path) -> Result<Option<Server>> {
    let pid = pidfile::read(data)?.and_then(|file| file.pid);
    Ok(pid.map(|pid| Server { pid, port: 0, data: data.to_owned(), child: None, stopped: false }))
}

/// Stops that one, if there is one.
pub(super) async fn stop_leftover(data: &Path) -> Result<()> {
    match leftover(data)? {
        Some(mut server) => server.stop().await,
        None => Ok(()),
    }
}

/// The server running on a data directory, waited for while it starts or stops. A pid file that
/// no server stands behind is removed where Postgres itself would stumble over it.
async fn running(data: &Path) -> Result<Option<(Pid, u16)>> {
    let deadline = Instant::now() + START_TIMEOUT;
    let mut blank = 0;
    while let Some(file) = pidfile::read(data)? {
        match file.pid.map(|pid| (pid, pidfile::relation(pid, data))) {
            Some((pid, Relation::Server)) => {
                if let Some(port) = file.ready_port() {
                    return Ok(Some((pid, port)));
                }
            }
            Some((_, Relation::Unclear)) => return Ok(None),
            // A server just starting has yet to write it; nobody takes a second for that.
            None if blank < 50 => blank += 1,
            Some((_, Relation::Stranger)) | None => return remove_stale(data, &file),
        }
        ensure!(
            Instant::now() < deadline,
            "a Postgres runs on {} and is neither ready nor stopped; stop it by the number in {}",
            data.display(),
            pidfile::path(data).display()
        );
        sleep(POLL).await;
    }
    Ok(None)
}

/// Postgres takes a number that was given to another process of its account for a running server,
/// and in containers numbers come round at each start.
fn remove_stale<T>(data: &Path, seen: &PidFile) -> Result<Option<T>> {
    if pidfile::read(data)?.as_ref() == Some(seen) {
        let path = pidfile::path(data);
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(None)
}
