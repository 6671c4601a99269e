//! The files of the database cluster: its password and its data directory.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use rand::Rng;
use rustix::process::{Pid, Signal, kill_process_group};

use super::account;
use super::options::NAME;
use super::place::Place;
use super::private_file::write_private;
use super::programs::Programs;

/// What the name of an unfinished data directory starts with.
const UNFINISHED: &str = "postgres.new-";

/// The password, made at the first start.
pub(super) fn password(place: &Place) -> Result<String> {
    if let Some(password) = read_password(&place.base)? {
        return Ok(password);
    }
    let path = password_file(&place.base);
    let data = place.data();
    ensure!(
        !has_files(&data)?,
        "{} is missing, and with it the password of the data in {}; put it back, or move {} away \
         to start without data",
        path.display(),
        data.display(),
        data.display()
    );
    let password = random_hex();
    let fresh = path.with_extension("password.new");
    let _ = fs::remove_file(&fresh);
    write_private(&fresh, &password)
        .and_then(|()| fs::rename(&fresh, &path))
        .and_then(|()| sync_folder(&place.base))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(password)
}

/// The password of a base folder, if it has one.
pub(super) fn read_password(base: &Path) -> Result<Option<String>> {
    let path = password_file(base);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

pub(super) fn password_file(base: &Path) -> PathBuf {
    base.join("postgres.password")
}

/// 256 bits from a generator fit for secrets.
#[expect(clippy::disallowed_methods, reason = "nobody may be able to predict the password")]
fn random_hex() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

fn has_files(folder: &Path) -> Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot look into {}", folder.display())),
    }
}

/// Refuses a data directory that somebody else can have made or changed.
pub(super) fn check(place: &Place) -> Result<()> {
    let data = place.data();
    let found = match fs::symlink_metadata(&data) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at {}", data.display()));
        }
    };
    let data = data.display();
    ensure!(found.is_dir(), "{data} is not a folder; move it away, or set WEIRGATE_HOME");
    let own = rustix::process::geteuid().as_raw();
    let (uid, name) = place.account.as_ref().map_or_else(
        || (own, "this user".to_owned()),
        |account| (account.uid, format!("account `{}`", account.name)),
    );
    ensure!(
        found.uid() == uid,
        "{data} belongs to uid {}, and not to {name} (uid {uid}), who would run Postgres on it; run \
         weirgate as its owner, or set WEIRGATE_HOME to another folder",
        found.uid()
    );
    ensure!(
        found.mode() & 0o777 == 0o700,
        "the mode of {data} is {:o}, not 700; if nobody but weirgate can have changed it, run \
         `chmod 700 {data}`",
        found.mode() & 0o777
    );
    Ok(())
}

/// The major version that made the data directory; `None` if there is no data yet.
pub(super) fn made_by(data: &Path) -> Result<Option<u32>> {
    if !has_files(data)? {
        return Ok(None);
    }
    let text = fs::read_to_string(data.join("PG_VERSION")).ok();
    match text.and_then(|text| text.trim().parse().ok()) {
        Some(major) => Ok(Some(major)),
        None => bail!(
            "{} is not the data directory of a Postgres (it has no PG_VERSION); move it away, or \
             set WEIRGATE_HOME to another folder",
            data.display()
        ),
    }
}

/// Makes the data directory: in a folder beside it, which takes its name once it is complete.
pub(super) async fn create(place: &Place, programs: &Programs, password: &str, fsync: bool) -> Result<()> {
    // A name of its own: an initdb whose weirgate was killed may still be writing to its folder.
    let fresh = place.base.join(format!("{UNFINISHED}{}", &random_hex()[..16]));
    place.make_private(&fresh)?;
    let made = fill(place, programs, &fresh, password, fsync).await;
    if made.is_err() {
        remove_unfinished(&place.base);
    }
    made
}

async fn fill(place: &Place, programs: &Programs, fresh: &Path, password: &str, fsync: bool) -> Result<()> {
    let secret = fresh.join("password");
    let files = fresh.join("data");
    place.make_private(&files)?;
    write_private(&secret, password).with_context(|| format!("cannot write {}", secret.display()))?;
    if let Some(account) = &place.account {
        account.give(&secret)?;
    }
    let mut output = initdb(place, programs, &files, &secret, "C.UTF-8", fsync).await?;
    if !output.status.success() && complaint(&output).contains("locale") {
        // macOS has had this locale only of late. Plain C orders text in the same way.
        output = initdb(place, programs, &files, &secret, "C", fsync).await?;
    }
    ensure!(
        output.status.success(),
        "{} could not make {} ({}):{}",
        programs.initdb().display(),
        place.data().display(),
        output.status,
        super::log::last_lines(&complaint(&output))
    );
    let data = place.data();
    // An empty folder there is replaced by this.
    fs::rename(&files, &data)
        .and_then(|()| sync_folder(&place.base))
        .with_context(|| format!("cannot put the new data directory at {}", data.display()))?;
    fs::remove_dir_all(fresh).with_context(|| format!("cannot remove {}", fresh.display()))
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn initdb(
    place: &Place,
    programs: &Programs,
    data: &Path,
    secret: &Path,
    locale: &str,
    fsync: bool,
) -> Result<Output> {
    let mut command = account::command(programs.initdb(), place.account.as_ref());
    command
        .args(["--username", NAME, "--auth=scram-sha-256", "--encoding=UTF8"])
        .arg(format!("--locale={locale}"))
        .arg("--pwfile")
        .arg(secret)
        .arg("-D")
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if !fsync {
        command.arg("--no-sync");
    }
    let running = || format!("cannot run {}", programs.initdb().display());
    let child = command.spawn().with_context(running)?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let output = child.wait_with_output().await.with_context(running);
    group.0 = None;
    output
}

/// The processes of an `initdb`, which starts servers of its own. They end with it when it is given
/// up.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Removes what starts that were killed left behind. One that cannot be removed does no harm.
pub(super) fn remove_unfinished(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!("cannot remove {}: {error}", entry.path().display());
        }
    }
}
