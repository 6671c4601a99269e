//! Whether a disk is full, which may be the reason why no log says so.

use std::path::Path;

/// Less than a segment of Postgres' log (16 MiB) is not enough to go on with.
const ENOUGH: u64 = 16 * 1024 * 1024;

/// The words of the system and of quotas.
const WORDS: [&str; 2] = ["No space left on device", "Disk quota exceeded"];

/// Says where room is missing, if that is why something on this data directory failed with `error`.
pub(super) fn missing(data: &Path, error: &str) -> Option<String> {
    // The log may be on a disk of its own.
    for folder in [data.to_owned(), data.join("pg_wal")] {
        if let Ok(disk) = rustix::fs::statvfs(&folder) {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if free < ENOUGH {
                let mebibytes = free / 1024 / 1024;
                return Some(format!("the disk of {} is full ({mebibytes} MiB are free)", folder.display()));
            }
            if disk.f_files > 0 && disk.f_favail == 0 {
                return Some(format!("the disk of {} has no room for another file", folder.display()));
            }
        }
    }
    let told = WORDS.iter().any(|words| error.contains(words));
    told.then(|| format!("there is no room for the data in {}", data.display()))
}
