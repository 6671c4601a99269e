//! The running program once more, as the process that is measured. It has the settings of a fresh
//! machine, except for those given.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::fleet::workers_up;
use super::stage::Stage;

/// How long a process may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the API asks its operators for.
pub(super) const TOKEN: &str = "only for this measurement";

/// How much of its memory is meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Memory {
    /// Resident now.
    Now,
    /// The most that was resident so far.
    Peak,
}

pub(super) struct Process {
    child: Child,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts `weirgate ROLE` on the stage's database; its mock data and exports are in the stage's
    /// folder.
    pub(super) fn start(stage: &Stage, role: &str, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mock_data = stage.folder.join("mock-data");
        fs::create_dir_all(&mock_data)?;
        let tenants = mock_data.join("tenants.json");
        if !tenants.exists() {
            fs::write(tenants, "[]")?;
        }
        let log = stage.folder.join(format!("{role}.log"));
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WEIRGATE_")) {
            command.env_remove(name);
        }
        let child = command
            .arg(role)
            .env("DATABASE_URL", stage.url())
            .env("WEIRGATE_HOME", &stage.folder)
            .env("WEIRGATE_LOG", "warn")
            .env("MOCK_MODE", "true")
            .env("MOCK_DATA_PATH", mock_data)
            .env("SERVICE_TOKEN", TOKEN)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .context("starting a process")?;
        Ok(Self { child, log })
    }

    /// Starts a worker and waits until it claims.
    pub(super) async fn start_worker(stage: &Stage, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut worker = Self::start(stage, "worker", settings)?;
        let begun = Instant::now();
        while workers_up(&stage.pool).await? == 0 {
            worker.check(begun)?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // By then it has polled its queues and waits.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(worker)
    }

    /// Fails when it has ended, or has been waited for since `begun` for too long.
    pub(super) fn check(&mut self, begun: Instant) -> anyhow::Result<()> {
        let ended = self.child.try_wait()?;
        if ended.is_some() || begun.elapsed() > PATIENCE {
            bail!("a process did not start: {}", fs::read_to_string(&self.log)?.trim());
        }
        Ok(())
    }

    /// Its memory in megabytes (10⁶ bytes), where the system tells (Linux).
    pub(super) fn memory_mb(&self, which: Memory) -> Option<f64> {
        let field = match which {
            Memory::Now => "VmRSS:",
            Memory::Peak => "VmHWM:",
        };
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let kib = status.lines().find_map(|line| line.strip_prefix(field))?.trim().strip_suffix(" kB")?;
        Some(kib.parse::<f64>().ok()? * 1024.0 / 1e6)
    }

    /// Asks it to end as an operator would, and waits until it has.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        kill_process(id.context("a process ended before its time")?, Signal::TERM)?;
        let status =
            tokio::time::timeout(PATIENCE, self.child.wait()).await.context("a process did not stop")??;
        anyhow::ensure!(status.success(), "a process failed: {}", fs::read_to_string(&self.log)?.trim());
        Ok(())
    }
}
