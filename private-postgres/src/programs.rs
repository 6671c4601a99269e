//! Finding the programs of Postgres on this machine.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use super::account::{self, Account};

/// The oldest version that will do.
pub(super) const OLDEST: u32 = 14;

/// What to do where there is no Postgres.
pub(super) const ADVICE: &str = "install it (`apt-get install postgresql` or `brew install \
                          postgresql@17`), or set DATABASE_URL or WEIRGATE_PG_BIN";

/// Folders with one folder for each version: what comes before the name, and after.
const VERSIONED: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// The programs of one installation.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    dir: PathBuf,
    pub major: u32,
}

impl Programs {
    pub(super) fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    /// Asks the programs in a folder for their version, as the account that is to run them: so
    /// programs which it cannot run are found out here.
    pub(super) async fn probe(dir: &Path, account: Option<&Account>) -> Result<Self> {
        for name in ["initdb", "postgres"] {
            let file = dir.join(name);
            if !file.is_file() {
                bail!("{} has no `{name}`", dir.display());
            }
        }
        let postgres = dir.join("postgres");
        let output = account::command(&postgres, account)
            .arg("--version")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| match account {
                Some(account) => {
                    format!("account `{}` cannot run {}", account.name, postgres.display())
                }
                None => format!("cannot run {}", postgres.display()),
            })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let major = major_of(&text).with_context(|| {
            let complaint = String::from_utf8_lossy(&output.stderr);
            format!("{} does not say its version: {text}{complaint}", postgres.display())
        })?;
        Ok(Self { dir: dir.to_owned(), major })
    }
}

/// Reads `postgres (PostgreSQL) 15.14 (Debian …)` or `… 18beta1`.
fn major_of(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("(PostgreSQL) ")?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

/// What a search found.
#[derive(Debug)]
pub(super) enum Found {
    Right(Programs),
    /// None of the wanted version: the versions that there are, and why others cannot be run.
    Other(Vec<Programs>, Vec<anyhow::Error>),
}

/// Checks the folder that `WEIRGATE_PG_BIN` names.
pub(super) async fn given(dir: &Path, account: Option<&Account>) -> Result<Programs> {
    let advice = || {
        format!(
            "WEIRGATE_PG_BIN is {}, which must be a folder with the programs of Postgres {OLDEST} \
             or newer",
            dir.display()
        )
    };
    let dir = std::path::absolute(dir).with_context(advice)?;
    let programs = Programs::probe(&dir, account).await.with_context(advice)?;
    if programs.major < OLDEST {
        return Err(anyhow::anyhow!("it holds version {}", programs.major)).with_context(advice);
    }
    Ok(programs)
}

/// Finds the first programs that will do, and that are of the wanted major version if one is.
pub(super) async fn search(places: Vec<PathBuf>, wanted: Option<u32>, account: Option<&Account>) -> Found {
    let mut seen = HashSet::new();
    let (mut others, mut broken) = (Vec::new(), Vec::new());
    for dir in places {
        // /bin is often a link to /usr/bin.
        let real = fs::canonicalize(dir.join("postgres"));
        if !real.is_ok_and(|real| seen.insert(real)) {
            continue;
        }
        match Programs::probe(&dir, account).await {
            Ok(found) if found.major < OLDEST => {}
            Ok(found) if wanted.is_none_or(|wanted| wanted == found.major) => {
                return Found::Right(found);
            }
            Ok(found) => others.push(found),
            Err(error) => broken.push(error),
        }
    }
    Found::Other(others, broken)
}

/// Names installations in a message.
pub(super) fn listed(found: &[Programs]) -> String {
    let one = |programs: &Programs| format!("{} ({})", programs.major, programs.dir.display());
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The folders to look in, best first; those with fetched programs come last.
pub(super) async fn places(fetched: &Path) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = pg_config().await.into_iter().collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&path).filter(|dir| dir.is_absolute()));
    for (parent, prefix, bin) in VERSIONED {
        places.extend(newest_first(Path::new(parent), prefix).iter().map(|dir| dir.join(bin)));
    }
    places.push(PathBuf::from("/opt/homebrew/bin"));
    places.extend(newest_first(fetched, "").iter().map(|dir| dir.join("bin")));
    places
}

/// Where `pg_config` says the programs are. Often only the client's are: the search will see.
async fn pg_config() -> Option<PathBuf> {
    let mut command = account::command("pg_config", None);
    let output = command.arg("--bindir").kill_on_drop(true).output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && text.starts_with('/')).then(|| PathBuf::from(text.trim_end()))
}

/// The folders in `parent` named by the prefix and a version such as `16` or `17.2.0`.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let version = |name: &str| -> Option<Vec<u32>> {
        name.strip_prefix(prefix)?.split('.').map(|part| part.parse().ok()).collect()
    };
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((version(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    found.sort_by(|one, other| other.0.cmp(&one.0));
    found.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Found, major_of, newest_first, search};

    #[test]
    fn versions_are_read() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_of("postgres: not found"), None);
    }

    #[test]
    fn newer_folders_come_first() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["pg-9.6", "pg-17.2.0", "pg-100", "pg-17.10", "pg-x", "18"] {
            std::fs::create_dir(parent.path().join(name)).unwrap();
        }
        let found = newest_first(parent.path(), "pg-");
        let names: Vec<_> = found.iter().map(|dir| dir.file_name().unwrap()).collect();
        assert_eq!(names, ["pg-100", "pg-17.10", "pg-17.2.0", "pg-9.6"]);
    }

    #[tokio::test]
    async fn old_and_broken_programs_are_passed_over() {
        let parent = tempfile::tempdir().unwrap();
        let fake = |name: &str, script: &str| {
            let dir = parent.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            for program in ["initdb", "postgres"] {
                let file = dir.join(program);
                std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
                std::fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
            }
            dir
        };
        let places = vec![
            parent.path().join("absent"),
            fake("broken", "exit 1"),
            fake("old", "echo 'postgres (PostgreSQL) 13.9'"),
            fake("sixteen", "echo 'postgres (PostgreSQL) 16.1'"),
            fake("seventeen", "echo 'postgres (PostgreSQL) 17.1'"),
        ];
        let right = |found| match found {
            Found::Right(programs) => programs.major,
            Found::Other(others, _) => panic!("{others:?}"),
        };
        assert_eq!(right(search(places.clone(), None, None).await), 16);
        assert_eq!(right(search(places.clone(), Some(17), None).await), 17);
        let Found::Other(others, broken) = search(places, Some(15), None).await else {
            panic!("there is no 15");
        };
        assert_eq!(broken.len(), 1);
        assert_eq!(others.iter().map(|found| found.major).collect::<Vec<_>>(), [16, 17]);
    }
}
