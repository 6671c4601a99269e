//! How many files this process may have open, and how many of them are left for callers.

use az::SaturatingAs;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Most connections of callers, however many files there may be.
const MOST: u64 = 10_000;

/// What a process has open beside its connections to the database: its engine's own connections,
/// those of a listener for monitoring, its log, its threads' wake-ups.
const OWN: u64 = 80;

/// What a running job may have open: its source, and the file or connection it reads or writes.
const PER_JOB: u64 = 2;

/// Raises the number of files that this process may have open to what it may set itself. Where that
/// is refused, it stays.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Without a hard limit there is still the kernel's, which may refuse this.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// How many connections callers may have, so that the database's and those of so many jobs at once
/// always find room.
pub(crate) fn room(config: &Config, jobs: usize) -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = left(files, config, jobs);
    most.saturating_as::<usize>()
}

fn left(files: u64, config: &Config, jobs: usize) -> u64 {
    let needed = u64::from(config.db_connections) + OWN + PER_JOB * jobs as u64;
    // With very few files nothing is right; callers get a quarter then.
    files.saturating_sub(needed).max(files / 4).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_and_the_jobs_come_first() {
        let config = Config::read(&|_| None).unwrap();
        assert_eq!(left(256, &config, 0), 256 - 24 - 80);
        assert_eq!(left(256, &config, 32), 256 - 24 - 80 - 64);
        assert_eq!(left(64, &config, 32), 16);
        assert_eq!(left(u64::MAX, &config, 32), MOST);
    }
}
