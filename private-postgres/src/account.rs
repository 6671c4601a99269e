//! The unprivileged account that Postgres runs as when this process is root.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

/// The accounts to run as, best first. `_postgres` is the name on macOS.
const NAMES: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// The variables that Postgres may need; it gets no others, as ours may hold secrets, and `PG…`
/// variables change what its programs do.
const VARIABLES: [&str; 6] = ["PATH", "LD_LIBRARY_PATH", "LOCALE_ARCHIVE", "LOCPATH", "TMPDIR", "TZDIR"];

/// An account of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

impl Account {
    /// The accounts to choose from, best first; none when this process is not root, as Postgres
    /// then runs as whoever this is.
    pub(super) fn candidates() -> Result<Vec<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let found: Vec<Self> = NAMES.iter().filter_map(|name| Self::parse(&text, name)).collect();
        if found.is_empty() {
            bail!(
                "Postgres refuses to run as root, and this machine has no account `postgres` or \
                 `nobody` to run it as; run weirgate as an ordinary user, or set DATABASE_URL"
            );
        }
        Ok(found)
    }

    /// Finds one account in the text of `/etc/passwd`. Root by another name will not do.
    fn parse(text: &str, name: &str) -> Option<Self> {
        let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(number);
        let (uid, gid) = (fields.next()??, fields.next()??);
        (uid != 0).then(|| Self { name: name.to_owned(), uid, gid })
    }

    /// Whether this account can get into a folder: it needs the x bit on every one on the way.
    pub(super) fn can_reach(&self, folder: &Path) -> bool {
        folder.ancestors().all(|ancestor| {
            fs::metadata(ancestor).is_ok_and(|found| {
                let shift = match (found.uid() == self.uid, found.gid() == self.gid) {
                    (true, _) => 6,
                    (_, true) => 3,
                    _ => 0,
                };
                (found.mode() >> shift) & 0o1 != 0
            })
        })
    }

    /// Gives a file or folder to this account, never following a link.
    pub(super) fn give(&self, path: &Path) -> Result<()> {
        std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to account `{}`", path.display(), self.name))
    }
}

/// macOS writes the account `nobody` as -2, which is the same bits.
fn number(field: &str) -> Option<u32> {
    field.parse().ok().or_else(|| field.parse::<i32>().ok().map(i32::cast_unsigned))
}

/// A command that runs as the account, or as this process's own where there is none.
///
/// It gets a process group of its own, so that Ctrl-C in a terminal reaches only weirgate, which
/// then decides; and its working folder is `/`, as the account may not be able to enter ours.
pub(super) fn command(program: impl AsRef<OsStr>, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir("/").process_group(0).stdin(Stdio::null());
    command.envs(VARIABLES.iter().filter_map(|&name| Some((name, std::env::var_os(name)?))));
    // Messages in English, as some are told apart by their words.
    command.env("LC_ALL", "C");
    if let Some(account) = account {
        // The standard library also drops root's supplementary groups here.
        command.uid(account.uid).gid(account.gid);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::Account;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                          postgresql:x:7:8::/:/bin/sh\n\
                          postgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n\
                          nobody:*:-2:-2:Unprivileged:/var/empty:/usr/bin/false\n\
                          fake:x:0:0::/:/bin/sh\nshort:x:1\n";

    #[test]
    fn accounts_are_parsed() {
        let ids = |name| Account::parse(PASSWD, name).map(|found| (found.uid, found.gid));
        assert_eq!(ids("postgres"), Some((101, 104)));
        assert_eq!(ids("nobody"), Some((u32::MAX - 1, u32::MAX - 1)));
        assert_eq!(ids("fake"), None);
        assert_eq!(ids("short"), None);
        assert_eq!(ids("absent"), None);
    }
}
