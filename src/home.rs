//! The folder of everything that this program keeps (`WEIRGATE_HOME`).

pub(crate) mod secret_key;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rustix::fs::Mode;
use weirgate_private_postgres::home;

use crate::config::Config;

/// From here on, files and folders that this process makes are for its own account alone, unless
/// they are given another mode. Libraries make some of them, such as the exports, and take none.
pub fn keep_to_ourselves() {
    rustix::process::umask(Mode::from_raw_mode(0o077));
}

/// Makes the home of a command that is meant to make one.
///
/// # Errors
/// As [`home::prepare`]; where a database is named, the home holds exports at most, and is left as
/// it is.
pub(crate) fn make_for(config: &Config) -> Result<()> {
    if config.database_url.is_none() {
        home::prepare(&config.home)?;
    }
    Ok(())
}

/// Refuses to make a home, with new data in it, for a command that only works with what is there:
/// the name of the folder may be a slip.
///
/// # Errors
/// Says what to do.
pub(crate) fn require(config: &Config) -> Result<()> {
    let home = &config.home;
    ensure!(
        config.database_url.is_some() || home.exists(),
        "the data folder {} (WEIRGATE_HOME or its default) does not exist; `weirgate up` and `weirgate demo` create it. \
         Name the right one, or make it for this command with: mkdir -p {}",
        home.display(),
        quoted(home)
    );
    Ok(())
}

/// Makes the folder for exports in the home, closed to others, and returns it.
///
/// # Errors
/// When it is no folder, or cannot be made.
pub(crate) fn exports(given: &Path) -> Result<PathBuf> {
    home::folder(given, "exports")
}

/// As a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
