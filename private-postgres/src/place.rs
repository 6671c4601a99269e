//! Where the files of a home are, which for root is not always in the home itself.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::account::Account;
use super::home::{self, make};
use super::private_file::write_private;

/// Where data goes that cannot be in root's home: durable places that any account can reach.
const ELSEWHERE: [&str; 2] = ["/var/lib/weirgate/", "/var/tmp/weirgate-"];

/// The places of one home's files.
#[derive(Debug)]
pub(super) struct Place {
    pub home: PathBuf,
    /// The folder that holds the data directory: the home, or a folder elsewhere.
    pub base: PathBuf,
    /// Whom the server runs as, if not as this process's own account.
    pub account: Option<Account>,
}

impl Place {
    /// Finds where the data of a home is, or chooses where it shall be.
    pub(super) fn choose(home: &Path) -> Result<Self> {
        let candidates = Account::candidates()?;
        let base = match candidates.first() {
            Some(account) => choose_base(home, account)?,
            None => home.to_owned(),
        };
        // Data made when the machine had other accounts stays with the one that has it.
        let owner = fs::symlink_metadata(data_in(&base)).map(|found| found.uid()).ok();
        let keeper = candidates.iter().position(|account| Some(account.uid) == owner);
        let account = candidates.into_iter().nth(keeper.unwrap_or(0));
        Ok(Self { home: home.to_owned(), base, account })
    }

    pub(super) fn data(&self) -> PathBuf {
        data_in(&self.base)
    }

    /// Where fetched programs are kept.
    pub(super) fn programs(&self) -> PathBuf {
        self.base.join("programs")
    }

    /// Makes a folder that only the server's account may enter.
    pub(super) fn make_private(&self, folder: &Path) -> Result<()> {
        make(folder, 0o700)?;
        self.account.as_ref().map_or(Ok(()), |account| account.give(folder))
    }
}

/// The data directory of a base folder.
pub(super) fn data_in(base: &Path) -> PathBuf {
    base.join("postgres")
}

/// The base folder of a home that is in use: what its pointer says, else the home itself.
pub(super) fn known_base(home: &Path) -> Result<PathBuf> {
    let pointer = pointer(home);
    match fs::read_to_string(&pointer) {
        Ok(text) => Ok(PathBuf::from(text.trim_end_matches('\n'))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(home.to_owned()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", pointer.display())),
    }
}

fn pointer(home: &Path) -> PathBuf {
    home.join("postgres.location")
}

/// Root's choice. What was chosen before is kept, whatever became of the permissions since:
/// going elsewhere would look as if all data were gone.
fn choose_base(home: &Path, account: &Account) -> Result<PathBuf> {
    let known = known_base(home)?;
    if known != home {
        ensure!(
            known.is_dir(),
            "{} says that the data is in {}, which is not there; put it back, or remove {} to \
             start without data",
            pointer(home).display(),
            known.display(),
            pointer(home).display()
        );
        check_base(&known)?;
        home::narrow_files(&known)?;
        return Ok(known);
    }
    if account.can_reach(home) {
        return Ok(home.to_owned());
    }
    ensure!(
        !data_in(home).exists(),
        "Postgres runs as account `{}`, which cannot reach its data in {}; let it pass (chmod o+x) \
         through every folder on the way, or set WEIRGATE_HOME to another folder",
        account.name,
        home.display()
    );
    go_elsewhere(home, account)
}

/// Chooses a folder outside the home and leaves a pointer to it.
fn go_elsewhere(home: &Path, account: &Account) -> Result<PathBuf> {
    let name = stable_name(home);
    let places = ELSEWHERE.map(|prefix| PathBuf::from(format!("{prefix}{name}")));
    let base = match places.iter().find(|base| base.exists()) {
        Some(base) => base,
        None => places.iter().find(|base| make_base(base).is_ok()).with_context(|| {
            format!(
                "Postgres runs as account `{}`, which cannot reach {}, and neither {} nor {} can \
                 be made; set WEIRGATE_HOME to a folder that this account can reach",
                account.name,
                home.display(),
                places[0].display(),
                places[1].display()
            )
        })?,
    };
    check_base(base)?;
    home::narrow_files(base)?;
    ensure!(
        account.can_reach(base),
        "account `{}`, which Postgres runs as, cannot reach {}; let it pass (chmod o+x), or set \
         WEIRGATE_HOME to a folder that it can reach",
        account.name,
        base.display()
    );
    let pointer = pointer(home);
    // One that points at the home itself says nothing.
    let _ = fs::remove_file(&pointer);
    write_private(&pointer, &format!("{}\n", base.display()))
        .with_context(|| format!("cannot write {}", pointer.display()))?;
    tracing::info!(home = %home.display(), data = %base.display(),
        "the account of Postgres cannot reach the home: its data is elsewhere");
    Ok(base.clone())
}

fn make_base(base: &Path) -> Result<()> {
    if let Some(parent) = base.parent()
        && !parent.exists()
    {
        make(parent, 0o711)?;
    }
    make(base, 0o711)
}

/// A folder elsewhere is accepted only if nobody but root can have put it or its files there.
fn check_base(base: &Path) -> Result<()> {
    let found = fs::symlink_metadata(base).with_context(|| format!("cannot look at {}", base.display()))?;
    if !found.is_dir() || found.uid() != 0 || found.mode() & 0o022 != 0 {
        bail!(
            "{} should be a folder of root that nobody else may write, and is not; remove it if \
             you do not know it, or set WEIRGATE_HOME to another folder",
            base.display()
        );
    }
    Ok(())
}

/// FNV-1a of the path: it must be the same in every version of weirgate, which the standard
/// library's hashes do not promise.
fn stable_name(home: &Path) -> String {
    let hash = home.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_name_never_changes() {
        assert_eq!(super::stable_name(Path::new("")), "cbf29ce484222325");
        assert_eq!(super::stable_name(Path::new("a")), "af63dc4c8601ec8c");
    }
}
