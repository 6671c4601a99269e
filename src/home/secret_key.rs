//! The secret key of a home: what is sealed in the private database of that home is sealed with it.
//! Where `DATABASE_URL` names another database, its key is not of this home, and the settings alone
//! say it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use weirgate_identity::{SecretKey, SecretKeys};

use crate::config::{Config, secret_key};

/// The file, in the home.
const FILE: &str = "secret-key";

/// The keys of the settings, else the one of the home, where there is one.
///
/// # Errors
/// When the file can be used by others, or holds no key.
pub(crate) fn find(config: &Config) -> Result<Option<SecretKeys>> {
    if config.secret_keys.is_some() || config.database_url.is_some() {
        return Ok(config.secret_keys.clone());
    }
    Ok(read(&path(config))?.map(|key| SecretKeys::new(key, None)))
}

/// Makes the key of a home that has none, and returns it. Of two processes that do so at once, one
/// makes it, and the other reads it. A database that `DATABASE_URL` names gets none.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn make(config: &Config) -> Result<Option<SecretKeys>> {
    if config.database_url.is_some() {
        return Ok(None);
    }
    let key = write(&path(config))?;
    Ok(Some(SecretKeys::new(key, None)))
}

/// Where the key of the home is kept; `None` with a database that is not the home's.
pub(crate) fn place(config: &Config) -> Option<PathBuf> {
    config.database_url.is_none().then(|| path(config))
}

fn path(config: &Config) -> PathBuf {
    config.home.join(FILE)
}

fn read(path: &Path) -> Result<Option<SecretKey>> {
    let shown = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading the secret key in {shown}")),
    };
    let mode = fs::metadata(path).with_context(|| format!("cannot look at {shown}"))?.mode() & 0o777;
    ensure!(
        mode & 0o700 == mode,
        "others can read the secret key in {shown} (mode {mode:03o}); only its owner may: chmod 600 {shown}"
    );
    let key = secret_key::parse(text.trim()).map_err(|wrong| {
        anyhow!("the secret key in {shown} {wrong}. Put the file back from a backup: what is sealed with it cannot be read without it")
    })?;
    Ok(Some(key))
}

/// Writes a new key under another name and gives it the right one once it is whole, which fails
/// where there is a key already.
fn write(path: &Path) -> Result<SecretKey> {
    let key = SecretKey::generate();
    let draft = path.with_file_name(format!("{FILE}.{}.new", key.name()));
    let written = write_whole(&draft, &key).and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match written {
        Ok(()) => {
            // The name must outlive a crash, as what is sealed from now on does.
            File::open(path.parent().unwrap_or(path))
                .and_then(|folder| folder.sync_all())
                .with_context(|| format!("writing {}", path.display()))?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.with_context(|| format!("{} has just been removed", path.display()))
        }
        Err(error) => Err(error).with_context(|| format!("writing a new secret key to {}", path.display())),
    }
}

fn write_whole(path: &Path, key: &SecretKey) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", key.to_hex())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn config(home: &Path, more: &'static [(&str, &str)]) -> Config {
        let home = home.display().to_string();
        Config::read(&|name| {
            let given = more.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
            given.or_else(|| (name == "WEIRGATE_HOME").then(|| home.clone()))
        })
        .unwrap()
    }

    fn name(keys: Option<SecretKeys>) -> String {
        keys.unwrap().current().to_string()
    }

    #[test]
    fn of_processes_that_begin_at_once_one_makes_the_key() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path(), &[]);
        assert!(find(&config).unwrap().is_none());
        let names: BTreeSet<String> = std::thread::scope(|scope| {
            let made: Vec<_> = (0..16).map(|_| scope.spawn(|| name(make(&config).unwrap()))).collect();
            made.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert_eq!(names.into_iter().collect::<Vec<_>>(), [name(find(&config).unwrap())]);
        let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left, [FILE]);
        assert_eq!(fs::metadata(home.path().join(FILE)).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_settings_go_before_and_another_database_has_no_key_here() {
        const KEY: (&str, &str) =
            (secret_key::NAME, "0f1e2d3c4b5a69788796a5b4c3d2e1f000112233445566778899aabbccddeeff");
        const URL: (&str, &str) = ("DATABASE_URL", "postgres://db/x");
        let home = tempfile::tempdir().unwrap();
        let made = name(make(&config(home.path(), &[])).unwrap());
        assert_ne!(name(find(&config(home.path(), &[KEY])).unwrap()), made);
        assert!(find(&config(home.path(), &[URL])).unwrap().is_none());
        assert!(make(&config(home.path(), &[URL])).unwrap().is_none());
        assert!(find(&config(home.path(), &[URL, KEY])).unwrap().is_some());
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_no_key_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path(), &[]);
        make(&config).unwrap();
        let file = home.path().join(FILE);
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let error = find(&config).unwrap_err().to_string();
        assert!(error.contains("mode 640") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "half a ke").unwrap();
        for error in [find(&config).unwrap_err(), make(&config).unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains("secret-key") && error.contains("backup"), "{error}");
            assert!(!error.contains("half a ke"), "{error}");
        }
    }
}
