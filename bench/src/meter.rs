//! What a measurement used: WAL, commits, and processor time of the server and of the clients.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;

use super::report::Report;

/// Postgres' sessions report their counts after this long, at the earliest.
const REPORTED_AFTER: Duration = Duration::from_millis(1100);
/// Sessions that do nothing any more report what is left after 10 s, at the latest.
const REPORTED_BY: Duration = Duration::from_secs(11);
const POLL: Duration = Duration::from_millis(50);

/// Counts from its beginning on. The server must do nothing else meanwhile, as WAL is counted for
/// the whole server.
#[derive(Debug)]
pub(super) struct Meter {
    pool: PgPool,
    clients: Vec<u32>,
    postmaster: Option<u32>,
    begun: Reading,
    commits: i64,
}

/// A [`Meter`] that has been read; only commits are not known yet.
#[derive(Debug)]
pub(super) struct Stopped {
    meter: Meter,
    ended: Reading,
}

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spent {
    /// Bytes of WAL.
    pub(super) wal_bytes: f64,
    /// Commits in this database.
    pub(super) commits: f64,
    /// Processor seconds of all of the server's processes; unknown when it is on another machine.
    pub(super) server_s: Option<f64>,
    /// Processor seconds of the clients; unknown where there is no `/proc`.
    pub(super) client_s: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    wal: f64,
    server_s: Option<f64>,
    client_s: Option<f64>,
}

impl Meter {
    /// Begins to count. `clients` are the processes whose time counts as the client's, with
    /// children they waited for.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub(super) async fn begin(pool: &PgPool, clients: &[u32]) -> anyhow::Result<Self> {
        let commits = commits(pool).await?;
        let postmaster = postmaster(pool).await?;
        let begun = Reading::take(pool, postmaster, clients).await?;
        Ok(Self { pool: pool.clone(), clients: clients.to_vec(), postmaster, begun, commits })
    }

    /// Reads what is known at once. The clients must still live.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub(super) async fn stop(self) -> anyhow::Result<Stopped> {
        let ended = Reading::take(&self.pool, self.postmaster, &self.clients).await?;
        Ok(Stopped { meter: self, ended })
    }
}

impl Stopped {
    /// Waits until all commits are counted: best after the clients have closed their connections,
    /// as each then reports at once. Connections of the meter's own pool may stay.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub(super) async fn spent(self) -> anyhow::Result<Spent> {
        let Self { meter, ended } = self;
        let begun = meter.begun;
        let commits = commits(&meter.pool).await? - meter.commits;
        Ok(Spent {
            wal_bytes: ended.wal - begun.wal,
            commits: f64::from(u32::try_from(commits).context("commits were counted backwards")?),
            server_s: ended.server_s.zip(begun.server_s).map(|(ended, begun)| ended - begun),
            client_s: ended.client_s.zip(begun.client_s).map(|(ended, begun)| ended - begun),
        })
    }
}

impl Spent {
    /// Adds what a job cost.
    pub(super) fn report(&self, report: &mut Report, jobs: i64) -> anyhow::Result<()> {
        let jobs = f64::from(u32::try_from(jobs)?);
        report.figure("wal_bytes_per_job_1", self.wal_bytes / jobs);
        report.figure("commits_per_job_1", self.commits / jobs);
        for (name, seconds) in
            [("server_us_per_job_1", self.server_s), ("client_us_per_job_1", self.client_s)]
        {
            if let Some(seconds) = seconds {
                report.figure(name, seconds * 1e6 / jobs);
            }
        }
        Ok(())
    }
}

impl Reading {
    async fn take(pool: &PgPool, postmaster: Option<u32>, clients: &[u32]) -> anyhow::Result<Self> {
        // All that the meter asks is rolled back, so that it is not among the commits.
        let mut tx = pool.begin().await?;
        let wal = sqlx::query_scalar("select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8")
            .fetch_one(&mut *tx)
            .await?;
        tx.rollback().await?;
        Ok(Self {
            wal,
            server_s: postmaster.and_then(family_seconds),
            client_s: clients.iter().map(|pid| Process::read(*pid).map(|it| it.seconds())).sum(),
        })
    }
}

/// Commits in this database so far, once every session has reported its own.
async fn commits(pool: &PgPool) -> anyhow::Result<i64> {
    report(pool).await?;
    let mut waited = Duration::ZERO;
    while waited < REPORTED_BY && others(pool).await? {
        tokio::time::sleep(POLL).await;
        waited += POLL;
    }
    let mut tx = pool.begin().await?;
    let commits =
        sqlx::query_scalar("select xact_commit from pg_stat_database where datname = current_database()")
            .fetch_one(&mut *tx)
            .await?;
    tx.rollback().await?;
    Ok(commits)
}

/// Lets the pool's own connections report: they do so after a command that comes late enough.
async fn report(pool: &PgPool) -> anyhow::Result<()> {
    tokio::time::sleep(REPORTED_AFTER).await;
    let mut idle = Vec::new();
    while let Some(conn) = pool.try_acquire() {
        idle.push(conn);
    }
    for mut conn in idle {
        sqlx::raw_sql("begin; rollback").execute(&mut *conn).await?;
    }
    Ok(())
}

/// Whether there are more sessions than the pool's.
async fn others(pool: &PgPool) -> anyhow::Result<bool> {
    let mut tx = pool.begin().await?;
    let sessions: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity
         where datname = current_database() and backend_type = 'client backend'",
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.rollback().await?;
    Ok(sessions > i64::from(pool.size()))
}

/// The server's first process, if it is on this machine.
async fn postmaster(pool: &PgPool) -> anyhow::Result<Option<u32>> {
    let mut tx = pool.begin().await?;
    let (backend, local): (i32, bool) = sqlx::query_as(
        "select pg_backend_pid(), inet_server_addr() is null or inet_server_addr() = inet_client_addr()",
    )
    .fetch_one(&mut *tx)
    .await?;
    let backend = u32::try_from(backend).ok().filter(|_| local).and_then(Process::read);
    tx.rollback().await?;
    Ok(backend.filter(|it| it.name == "postgres").map(|it| it.parent))
}

/// Of a process, its children, and those it has waited for.
fn family_seconds(parent: u32) -> Option<f64> {
    let own = Process::read(parent)?.seconds();
    let pids = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let children = pids.filter_map(Process::read).filter(|it| it.parent == parent);
    Some(own + children.map(|it| it.seconds()).sum::<f64>())
}

/// What `/proc/<pid>/stat` says.
#[derive(Debug, PartialEq)]
struct Process {
    name: String,
    parent: u32,
    ticks: u32,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name may hold spaces and brackets itself.
        let (before, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u32>().ok()).sum::<Option<u32>>()?;
        let name = before.split_once('(')?.1.to_owned();
        Some(Self { name, parent: fields.get(1)?.parse().ok()?, ticks })
    }

    fn seconds(&self) -> f64 {
        let per_second = u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100);
        f64::from(self.ticks) / f64::from(per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::Process;

    #[test]
    fn own_and_waited_time_are_added() {
        let stat = "42 (post) gres) S 7 42 42 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 5";
        let expected = Process { name: "post) gres".to_owned(), parent: 7, ticks: 110 };
        assert_eq!(Process::parse(stat), Some(expected));
        assert_eq!(Process::parse("42 (postgres) S 7"), None);
    }
}
