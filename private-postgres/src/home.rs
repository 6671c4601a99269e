//! The folder of everything that a program keeps beside its database. What is in it is for the
//! account that the program runs as: passwords, the data, files of its users.

use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// Of folders.
const PRIVATE: u32 = 0o700;
/// Of folders that another account must pass through: root's Postgres runs as one.
const PASSAGE: u32 = 0o711;
/// Of files, which keep what their owner may do with them: a program of somebody's may lie there,
/// too.
const FILE: u32 = 0o700;

/// Makes the home if absent and returns its absolute path without links. One that is there is
/// closed to others, and so are the files in it.
///
/// # Errors
/// When it is no folder, may be written by everyone, or cannot be made.
pub fn prepare(given: &Path) -> Result<PathBuf> {
    let (home, is_everyones) = find_or_make(given)?;
    ensure!(
        !is_everyones,
        "{} is writable by everyone; set WEIRGATE_HOME to a folder in it, such as {}",
        home.display(),
        home.join("weirgate").display()
    );
    Ok(home)
}

/// Makes a folder in the home, closed to others, and returns it.
///
/// # Errors
/// When it is no folder, or cannot be made.
pub fn folder(given: &Path, name: &str) -> Result<PathBuf> {
    let (home, is_everyones) = find_or_make(given)?;
    if is_everyones {
        // As volumes of containers are; what is in the folder cannot be read all the same.
        tracing::warn!(
            "{} is writable by everyone, so that files in its folder `{name}` could be replaced",
            home.display()
        );
    }
    let folder = home.join(name);
    private_folder(&folder).with_context(|| format!("the folder {name}"))?;
    Ok(folder)
}

/// The home, and whether it may be written by everyone; if not, it is closed to others.
fn find_or_make(given: &Path) -> Result<(PathBuf, bool)> {
    let home = std::path::absolute(given)
        .with_context(|| format!("WEIRGATE_HOME `{}` is not a path", given.display()))?;
    make_with_parents(&home)?;
    let home = fs::canonicalize(&home).with_context(|| format!("cannot enter {}", home.display()))?;
    let found = fs::metadata(&home)?;
    ensure!(found.is_dir(), "{} is not a folder; set WEIRGATE_HOME to one", home.display());
    let is_everyones = found.mode() & 0o002 != 0;
    if !is_everyones {
        narrow(&home, passage())?;
        narrow_files(&home)?;
    }
    Ok((home, is_everyones))
}

/// Makes a folder for this account alone. One that is there, and open to others, is closed to them
/// with all that is in it.
fn private_folder(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return make(folder, PRIVATE);
    }
    let found = fs::metadata(folder).with_context(|| format!("cannot look at {}", folder.display()))?;
    ensure!(found.is_dir(), "{} is not a folder; move it away", folder.display());
    if is_wider(found.mode(), PRIVATE) {
        narrow_all(folder)?;
    }
    Ok(())
}

/// Makes one folder with just this mode, whatever the umask.
pub(crate) fn make(folder: &Path, mode: u32) -> Result<()> {
    DirBuilder::new()
        .mode(PRIVATE)
        .create(folder)
        .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(mode)))
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// Closes the files in a folder to others, those in its folders aside.
pub(crate) fn narrow_files(folder: &Path) -> Result<()> {
    for entry in entries(folder)? {
        if entry.file_type()?.is_file() {
            narrow(&entry.path(), FILE)?;
        }
    }
    Ok(())
}

fn passage() -> u32 {
    if rustix::process::geteuid().is_root() { PASSAGE } else { PRIVATE }
}

fn make_with_parents(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    for folder in missing.into_iter().rev() {
        // Another process may be making it as well.
        if let Err(error) = make(folder, passage())
            && !folder.is_dir()
        {
            return Err(error);
        }
    }
    Ok(())
}

/// The folder itself comes last: until then, a start that breaks off is made good by the next one.
fn narrow_all(folder: &Path) -> Result<()> {
    for entry in entries(folder)? {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            narrow_all(&entry.path())?;
        } else if kind.is_file() {
            narrow(&entry.path(), FILE)?;
        }
    }
    narrow(folder, PRIVATE)
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect);
    entries.with_context(|| format!("cannot look into {}", folder.display()))
}

fn is_wider(mode: u32, most: u32) -> bool {
    mode & 0o777 & !most != 0
}

/// Takes away what a mode allows beyond `most`.
fn narrow(path: &Path, most: u32) -> Result<()> {
    let mode = match fs::symlink_metadata(path) {
        Ok(found) => found.mode() & 0o7777,
        // Files come and go meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot look at {}", path.display())),
    };
    if !is_wider(mode, most) {
        return Ok(());
    }
    match fs::set_permissions(path, Permissions::from_mode(mode & (most | 0o7000))) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            tracing::warn!(
                "{} is open to others (mode {mode:o}) and belongs to another account, so it stays so",
                path.display()
            );
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        changed => changed.with_context(|| format!("cannot close {} to others", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_open_is_closed_and_what_is_narrower_stays() {
        let parent = tempfile::tempdir().unwrap();
        let home = parent.path().join("a/home");
        let home = prepare(&home).unwrap();
        assert_eq!((mode(&home), mode(home.parent().unwrap())), (passage(), passage()));
        let file = |path: &Path, mode| {
            fs::write(path, "x").unwrap();
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        fs::create_dir_all(home.join("exports/acme")).unwrap();
        for folder in ["", "exports", "exports/acme"] {
            fs::set_permissions(home.join(folder), Permissions::from_mode(0o755)).unwrap();
        }
        file(&home.join("lock"), 0o644);
        file(&home.join("other"), 0o400);
        file(&home.join("program"), 0o755);
        file(&home.join("exports/acme/day"), 0o664);
        prepare(&home).unwrap();
        folder(&home, "exports").unwrap();
        assert_eq!(mode(&home), passage());
        for (path, expected) in [
            ("lock", 0o600),
            ("other", 0o400),
            ("program", 0o700),
            ("exports", 0o700),
            ("exports/acme", 0o700),
            ("exports/acme/day", 0o600),
        ] {
            assert_eq!(mode(&home.join(path)), expected, "{path}");
        }
        fs::set_permissions(&home, Permissions::from_mode(0o500)).unwrap();
        prepare(&home).unwrap();
        assert_eq!(mode(&home), 0o500);
        // A home that everybody may write is no place for a password, and its exports are closed at
        // least.
        fs::set_permissions(&home, Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(home.join("exports"), Permissions::from_mode(0o777)).unwrap();
        assert!(prepare(&home).unwrap_err().to_string().contains("writable by everyone"));
        assert_eq!(mode(&folder(&home, "exports").unwrap()), 0o700);
        assert_eq!(mode(&home), 0o777);
    }
}
