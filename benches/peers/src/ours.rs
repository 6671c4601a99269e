//! Weirgate's own figures, from its own program.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use tokio::process::{Child, Command};

use crate::report::Report;
use crate::scenario::Scenario;
use crate::server::said;

pub(crate) const NAME: &str = "weirgate";

pub(crate) struct Program {
    path: PathBuf,
    /// What `bench --help` says.
    help: String,
}

impl Program {
    /// Builds it as it is released.
    pub(crate) async fn build() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release", "--locked", "--features", "full", "--bin", NAME])
            .current_dir(&root)
            .stdin(Stdio::null())
            .status()
            .await
            .context("running cargo, which builds weirgate")?;
        ensure!(built.success(), "weirgate does not build; see above");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let path = target.join("release").join(NAME);
        let help = Command::new(&path)
            .args(["bench", "--help"])
            .output()
            .await
            .with_context(|| format!("running {}", path.display()))?;
        Ok(Self { path, help: String::from_utf8_lossy(&help.stdout).into_owned() })
    }

    /// Holds the server of `DATABASE_URL` or a private one until its input ends, and prints where
    /// it is.
    pub(crate) fn serve(&self) -> anyhow::Result<Child> {
        Command::new(&self.path)
            .arg("bench-server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting weirgate, which runs the server")
    }

    fn knows(&self, scenario: Scenario) -> bool {
        knows(&self.help, scenario.name())
    }

    /// Measures in a database that it makes itself.
    pub(crate) async fn measure(&self, scenario: Scenario, url: &str) -> anyhow::Result<Report> {
        if !self.knows(scenario) {
            bail!("`weirgate bench` does not know it");
        }
        let measuring = Command::new(&self.path)
            .args(["bench", scenario.name(), "--json"])
            .args(scenario.arguments())
            .env("DATABASE_URL", url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting weirgate")?;
        let mut report = said(measuring, scenario).await?;
        report.setting("peer", NAME);
        Ok(report)
    }
}

/// Whether a help text lists a scenario, in clap's way.
fn knows(help: &str, scenario: &str) -> bool {
    let listed =
        |line: &str| line.trim().strip_prefix("- ").and_then(|rest| rest.split(':').next()) == Some(scenario);
    help.lines().any(listed)
}

#[cfg(test)]
mod tests {
    use super::knows;

    #[test]
    fn help_says_what_there_is() {
        let help = "Possible values:\n          - floor:    What plain SQL does\n          - drain: 100,000 jobs, wal";
        assert!(knows(help, "floor"));
        assert!(knows(help, "drain"));
        assert!(!knows(help, "wal"));
    }
}
