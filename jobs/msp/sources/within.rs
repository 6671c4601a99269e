//! Opens files of a folder, and none that lie elsewhere: a link that leads out of the folder is not
//! followed.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

/// So often a file may be replaced by another one just while it is opened.
const TRIES: u32 = 5;

/// Opens the regular file at `relative` in `folder`; `None` when it is not there. Links are
/// followed as long as they stay inside.
///
/// # Errors
/// [`ErrorKind::PermissionDenied`] with an explanation for a link that leads out of the folder;
/// what the system says otherwise.
pub fn open_within(folder: &Path, relative: &str) -> io::Result<Option<File>> {
    for _ in 0..TRIES {
        match open(folder, relative) {
            Ok(Some(file)) => return Ok(Some(file)),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("it keeps being replaced; try again when it no longer changes"))
}

/// `None` when it was another file at the end than at the beginning.
fn open(folder: &Path, relative: &str) -> io::Result<Option<File>> {
    let (folder, path) = (fs::canonicalize(folder)?, folder.join(relative));
    let place = fs::canonicalize(&path)?;
    if !place.starts_with(&folder) {
        return Err(io::Error::new(
            ErrorKind::PermissionDenied,
            "it is a link out of the data folder, and such links are not followed: put the file itself into the folder",
        ));
    }
    // Looked at before it is opened: opening a named pipe would wait for its writer for ever.
    let meta = fs::metadata(&place)?;
    if meta.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    if !meta.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(&place)?;
    // A part of the path may have become a link out of the folder between the two looks.
    let is_the_same =
        fs::canonicalize(&path)? == place && is_same(&fs::symlink_metadata(&place)?, &file.metadata()?);
    Ok(is_the_same.then_some(file))
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.is_file() && other.is_file() && one.len() == other.len()
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    fn read(folder: &Path, relative: &str) -> io::Result<Option<String>> {
        let mut text = String::new();
        let Some(mut file) = open_within(folder, relative)? else { return Ok(None) };
        file.read_to_string(&mut text)?;
        Ok(Some(text))
    }

    #[test]
    fn links_are_followed_inside_and_never_out() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (folder, other) = (inside.path(), outside.path());
        fs::create_dir_all(folder.join("a/deep")).unwrap();
        fs::write(folder.join("a/file"), "inside").unwrap();
        fs::write(other.join("file"), "outside").unwrap();
        let escape = Path::new("..").join(other.file_name().unwrap()).join("file");
        for (link, target) in [
            ("to-file", folder.join("a/file")),
            ("to-folder", folder.join("a")),
            ("relative", "a/file".into()),
            ("a/deep/up", "../file".into()),
            ("out", other.join("file")),
            ("folder-out", other.to_owned()),
            ("relative-out", escape),
            ("twice-out", "out".into()),
            ("round-about", folder.join("folder-out/file")),
            ("to-itself", "to-itself".into()),
            ("to-nothing", "nothing".into()),
        ] {
            symlink(target, folder.join(link)).unwrap();
        }
        for path in ["a/file", "to-file", "to-folder/file", "relative", "a/deep/up"] {
            assert_eq!(read(folder, path).unwrap().as_deref(), Some("inside"), "{path}");
        }
        for path in ["out", "folder-out/file", "relative-out", "twice-out", "round-about"] {
            let error = read(folder, path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{path}: {error}");
        }
        assert!(read(folder, "to-itself").is_err());
        for path in ["nothing", "to-nothing", "nothing/file"] {
            assert_eq!(read(folder, path).unwrap(), None, "{path}");
        }
    }

    #[test]
    fn the_folder_itself_may_be_a_link() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(inside.path().join("file"), "inside").unwrap();
        symlink(inside.path(), outside.path().join("data")).unwrap();
        let found = read(&outside.path().join("data"), "file").unwrap();
        assert_eq!(found.as_deref(), Some("inside"));
    }

    #[test]
    fn a_path_that_turns_into_a_link_out_is_never_read_there() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = inside.path().to_owned();
        fs::create_dir(folder.join("real")).unwrap();
        fs::write(folder.join("real/file"), "inside").unwrap();
        fs::write(outside.path().join("file"), "outside").unwrap();
        symlink("real", folder.join("in")).unwrap();
        symlink(outside.path(), folder.join("out")).unwrap();
        symlink("real", folder.join("now")).unwrap();
        let swapping = {
            let folder = folder.clone();
            std::thread::spawn(move || {
                for round in 0..2000 {
                    let to = if round % 2 == 0 { outside.path().to_owned() } else { "real".into() };
                    symlink(to, folder.join("next")).unwrap();
                    fs::rename(folder.join("next"), folder.join("now")).unwrap();
                }
            })
        };
        while !swapping.is_finished() {
            if let Ok(Some(text)) = read(&folder, "now/file") {
                assert_eq!(text, "inside");
            }
        }
        swapping.join().unwrap();
    }
}
