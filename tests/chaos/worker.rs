//! Worker processes: this test binary, started again as one.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use weirgate::config::Config;
use weirgate::database::Database;
use weirgate::worker::run;
use weirgate_queue::WorkerConfig;

use crate::jobs::{Site, registry};
use crate::load::SkewedClock;

const SETTINGS: &str = "CHAOS_WORKER";

/// What one worker process is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) lease: Duration,
    pub(crate) grace: Duration,
    pub(crate) concurrency: usize,
    pub(crate) clock: SkewedClock,
    pub(crate) seed: u64,
}

/// A worker process; killed when dropped.
pub(crate) struct Worker {
    pub(crate) settings: Settings,
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// `fault` names the folder of its log.
    pub(crate) fn start(fault: &str, settings: Settings) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos").join(fault);
        std::fs::create_dir_all(&folder).unwrap();
        let log = folder.join(format!("{}.log", settings.name));
        let child = spawn(&settings, File::create(&log).unwrap());
        Self { settings, child, log }
    }

    /// The same worker in a new process, as a supervisor would start it again.
    pub(crate) fn start_again(&mut self) {
        let log = File::options().append(true).open(&self.log).unwrap();
        self.child = spawn(&self.settings, log);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid().cast_signed()).unwrap(), signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Tells it to stop and waits for its end.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_mins(1);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} does not stop; see {}", self.settings.name, self.log.display());
    }

    /// How many of its log's lines have these words.
    pub(crate) fn logged(&self, words: &str) -> usize {
        std::fs::read_to_string(&self.log).unwrap().lines().filter(|line| line.contains(words)).count()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(settings: &Settings, log: File) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "worker::process", "--nocapture"])
        .env(SETTINGS, serde_json::to_string(settings).unwrap())
        // Should the tests be killed while it is frozen, the kernel ends it as a stopped orphan.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Run by itself it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process() {
    let Ok(settings) = std::env::var(SETTINGS) else { return };
    let settings: Settings = serde_json::from_str(&settings).unwrap();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::new("warn,weirgate_queue=info"))
        .init();
    // Ends with the tests, whatever ends those.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    work(settings).await.unwrap();
}

async fn work(settings: Settings) -> anyhow::Result<()> {
    let get = |name: &str| match name {
        "DATABASE_URL" => Some(settings.url.clone()),
        "WEIRGATE_LEASE_S" => Some(settings.lease.as_secs().to_string()),
        "WEIRGATE_DB_CONNECTIONS" => Some((settings.concurrency + 4).to_string()),
        _ => None,
    };
    let shutdown = CancellationToken::new();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let stop = shutdown.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        stop.cancel();
    });
    let database = connect(&Config::read(&get)?).await;
    let mut config = WorkerConfig::new("chaos", "0", settings.seed);
    config.lease = settings.lease;
    config.poll_interval = Duration::from_millis(200);
    config.cancel_grace = Duration::from_millis(500);
    config.concurrency = settings.concurrency.into();
    config.grace = settings.grace;
    let site = Site { pool: database.pool.clone(), worker: settings.name, clock: settings.clock };
    let jobs: Arc<_> = registry(site);
    // A supervisor would start it again when it cannot reach the database to register.
    while let Err(error) = run(database.pool.clone(), jobs.clone(), config.clone(), shutdown.clone()).await {
        tracing::warn!("the worker ended: {error:#}");
        anyhow::ensure!(!shutdown.is_cancelled(), error);
    }
    database.close().await
}

/// Postgres may be restarting just now.
async fn connect(config: &Config) -> Database {
    loop {
        match Database::open(config, "worker").await {
            Ok(database) => return database,
            Err(error) => {
                tracing::warn!("not yet connected: {error:#}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
