//! Ctrl-C, SIGTERM and a terminal that is closed.

use std::process::ExitCode;
use std::sync::OnceLock;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a signal broke off.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// The first signal that the process was sent.
static FIRST: OnceLock<SignalKind> = OnceLock::new();

/// What signals ask for.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    told: CancellationToken,
    hurried: CancellationToken,
}

impl Stop {
    /// Listens to signals from now on.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn listen() -> anyhow::Result<Self> {
        let stop = Self::default();
        let mut heard = Vec::new();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            // Whoever started this with `nohup` wants it to outlive the terminal.
            if kind != SignalKind::hangup() || !is_ignored(kind) {
                heard.push((kind, signal(kind).context("listening to signals")?));
            }
        }
        for (kind, signal) in heard {
            tokio::spawn(stop.clone().hear(kind, signal));
        }
        Ok(stop)
    }

    async fn hear(self, kind: SignalKind, mut signal: Signal) {
        while signal.recv().await.is_some() {
            let _ = FIRST.set(kind);
            // A terminal that closes may say so twice, or after a SIGTERM: nobody is in a hurry by
            // that.
            if self.told.is_cancelled() && kind != SignalKind::hangup() {
                self.hurried.cancel();
            }
            self.told.cancel();
        }
    }

    /// Cancelled by the first signal.
    #[must_use]
    pub fn told(&self) -> &CancellationToken {
        &self.told
    }

    /// Does `work` until the first signal.
    ///
    /// # Errors
    /// Those of `work`, and [`Interrupted`].
    pub async fn until_told<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        until(&self.told, work).await
    }

    /// Does `work` until the second signal, for work that ends itself at the first.
    ///
    /// # Errors
    /// Those of `work`, and [`Interrupted`].
    pub async fn until_hurried<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        until(&self.hurried, work).await
    }
}

async fn until<T>(
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        ended = work => ended,
        () = stop.cancelled() => Err(Interrupted.into()),
    }
}

/// What a shell expects of a program that a signal has ended.
#[must_use]
pub fn exit_code() -> ExitCode {
    let signal = FIRST.get().copied().unwrap_or(SignalKind::interrupt());
    ExitCode::from(u8::try_from(128 + signal.as_raw_value()).unwrap_or(130))
}

/// Whether this process was started with a signal that is to be ignored; only Linux tells.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}
