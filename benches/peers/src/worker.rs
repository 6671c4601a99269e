//! Worker processes: this program once more, told when to begin.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::peer::Peer;
use crate::work;

/// How often a process says how far it is.
const REPORT: Duration = Duration::from_millis(20);
const START_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(5);

/// A worker process as seen from outside.
pub(crate) struct Worker {
    child: Child,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    ran: AtomicU64,
    /// Microseconds of the clock; 0 before.
    first: AtomicU64,
}

impl Worker {
    /// Starts a process, which is up but does not touch the database yet.
    pub(crate) async fn start(peer: &dyn Peer, url: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe().context("finding this program")?)
            .args(["worker", peer.name()])
            .env("DATABASE_URL", url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting a worker process")?;
        let mut lines = BufReader::new(child.stdout.take().context("its output is ours")?).lines();
        let up = tokio::time::timeout(START_LIMIT, lines.next_line())
            .await
            .context("a worker does not start")??;
        ensure!(up.as_deref() == Some("up"), "a worker process ended at its start");
        let said = Arc::new(Said::default());
        let heard = said.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut numbers = line.split(' ').filter_map(|number| number.parse().ok());
                if let (Some(ran), Some(first)) = (numbers.next(), numbers.next()) {
                    heard.first.store(first, Ordering::Relaxed);
                    heard.ran.store(ran, Ordering::Relaxed);
                }
            }
        });
        Ok(Self { child, said })
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Lets it work.
    pub(crate) async fn go(&mut self) -> anyhow::Result<()> {
        let stdin = self.child.stdin.as_mut().context("a worker process has ended")?;
        stdin.write_all(b"go").await.context("a worker process has ended")?;
        Ok(())
    }

    /// Handlers that have run.
    pub(crate) fn ran(&self) -> u64 {
        self.said.ran.load(Ordering::Relaxed)
    }

    /// When the first one began.
    pub(crate) fn first(&self) -> Option<Duration> {
        let first = self.said.first.load(Ordering::Relaxed);
        (first > 0).then(|| Duration::from_micros(first))
    }

    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => anyhow::bail!("a worker process ended: {status}"),
            None => Ok(()),
        }
    }

    /// Ends it, and with it its connections.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        if tokio::time::timeout(END_LIMIT, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// What such a process does.
pub(crate) async fn run(peer: &'static dyn Peer, url: String) -> anyhow::Result<()> {
    println!("up");
    let mut stdin = tokio::io::stdin();
    if stdin.read(&mut [0; 2]).await? == 0 {
        return Ok(());
    }
    let working = tokio::spawn(async move { peer.work(&url).await });
    tokio::spawn(report());
    let mut rest = tokio::io::sink();
    tokio::select! {
        ended = working => ended.context("the worker panicked")?.context("the worker ended")?,
        _ = tokio::io::copy(&mut stdin, &mut rest) => {}
    }
    // All jobs are finished by now, or given up: a graceful stop would only cost time.
    std::process::exit(0)
}

async fn report() {
    let mut told = 0;
    loop {
        let ran = work::ran();
        if ran != told {
            println!("{ran} {}", work::first().unwrap_or_default().as_micros());
            told = ran;
        }
        tokio::time::sleep(REPORT).await;
    }
}
