//! Starting a new server process.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::time::sleep;

use super::account;
use super::cluster;
use super::fetch;
use super::log::Log;
use super::options::{NAME, Options};
use super::pidfile;
use super::place::Place;
use super::programs::{self, Found, Programs};
use super::server::{self, POLL, START_TIMEOUT, Server};

/// How often, and after what pause, a start is tried again that failed for a passing reason.
const ATTEMPTS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);
/// How often where the log names no such reason: the server of a start that was killed writes to it
/// too, so that its end may be about that one.
const UNSURE: u32 = 3;

/// What the log says when a reason passes: the port was taken by somebody else since it was found
/// free, or processes of a server that was killed have not noticed yet.
/// Or another server was on its way, started by a weirgate that was killed before it was seen.
const PASSING: [&str; 3] = [
    "could not create any TCP/IP sockets",
    "pre-existing shared memory block",
    "lock file \"postmaster.pid\" already exists",
];

/// The settings that do not depend on anything. Times are in UTC as in weirgate's own log.
const SETTINGS: [&str; 11] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=128MB",
    "logging_collector=off",
    "log_destination=stderr",
    "log_timezone=UTC",
    "timezone=UTC",
    "lc_messages=C",
    "password_encryption=scram-sha-256",
    "ssl=off",
];

/// Starts a server on the data that this major version made, or makes the data if there is none; on
/// `port`, or on any that is free.
pub(super) async fn launch(
    place: &Place,
    options: &Options,
    password: &str,
    made_by: Option<u32>,
    port: Option<u16>,
) -> Result<Server> {
    let programs = find(place, options, made_by).await?;
    cluster::remove_unfinished(&place.base);
    if made_by.is_none() {
        cluster::create(place, &programs, password, options.fsync).await?;
    }
    for attempt in 1.. {
        let log = Log::open(&place.home)?;
        let mut server = spawn(place, &programs, &log, options.fsync, port)?;
        if wait_until_ready(&mut server, place).await? {
            return Ok(server);
        }
        let tail = log.tail();
        let passing = PASSING.iter().any(|words| tail.contains(words));
        ensure!(
            attempt < if passing { ATTEMPTS } else { UNSURE },
            "Postgres ({}) did not start on {}; the end of its log, {}:{}",
            programs.postgres().display(),
            place.data().display(),
            log.path().display(),
            if tail.is_empty() { "\n  (nothing)" } else { &tail }
        );
        sleep(PAUSE).await;
        if let Some(server) = server::take_over(place, password, options.fsync).await? {
            return Ok(server);
        }
    }
    bail!("Postgres did not start")
}

/// Starts the process on `port`, or on one that is free now.
fn spawn(place: &Place, programs: &Programs, log: &Log, fsync: bool, port: Option<u16>) -> Result<Server> {
    let port = match port {
        Some(port) => port,
        None => free_port().context("cannot find a free port on 127.0.0.1")?,
    };
    let mut command = account::command(programs.postgres(), place.account.as_ref());
    command.arg("-D").arg(place.data()).stdout(log.handle()?).stderr(log.handle()?);
    let durable = if fsync { "on" } else { "off" };
    let chosen = [
        format!("port={port}"),
        format!("cluster_name={NAME}"),
        format!("fsync={durable}"),
        format!("synchronous_commit={durable}"),
        format!("full_page_writes={durable}"),
    ];
    for setting in SETTINGS.into_iter().chain(chosen.iter().map(String::as_str)) {
        command.args(["-c", setting]);
    }
    let child = command.spawn().with_context(|| format!("cannot start {}", programs.postgres().display()))?;
    Server::started(child, port, place.data())
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Whether the server takes connections at last; `false` if it ends instead.
async fn wait_until_ready(server: &mut Server, place: &Place) -> Result<bool> {
    let data = place.data();
    let deadline = Instant::now() + START_TIMEOUT;
    while server.is_running() {
        let ready = pidfile::read(&data)?.is_some_and(|file| {
            file.ready_port() == Some(server.port())
                && file.pid.is_some_and(|pid| pid.as_raw_pid().cast_unsigned() == server.pid())
        });
        if ready {
            return Ok(true);
        }
        ensure!(
            Instant::now() < deadline,
            "Postgres on {} is not ready after {} seconds; see {}",
            data.display(),
            START_TIMEOUT.as_secs(),
            place.home.join("postgres.log").display()
        );
        sleep(POLL).await;
    }
    Ok(false)
}

/// Finds the programs to use, of the version that made the data if there is any.
async fn find(place: &Place, options: &Options, made_by: Option<u32>) -> Result<Programs> {
    let account = place.account.as_ref();
    let refusal = |there: &str| {
        let major = made_by.unwrap_or_default();
        format!(
            "the data in {} was made by Postgres {major}, which must also run it, but there is only \
             {there}; install Postgres {major} and set WEIRGATE_PG_BIN to its programs, or set \
             WEIRGATE_HOME to another folder",
            place.data().display()
        )
    };
    if let Some(dir) = &options.bin_dir {
        let given = programs::given(dir, account).await?;
        if made_by.is_some_and(|major| major != given.major) {
            bail!("{} from WEIRGATE_PG_BIN", refusal(&programs::listed(&[given])));
        }
        return Ok(given);
    }
    let places = programs::places(&place.programs()).await;
    match programs::search(places, made_by, account).await {
        Found::Right(found) => Ok(found),
        Found::Other(others, _) if !others.is_empty() => bail!(refusal(&programs::listed(&others))),
        Found::Other(_, broken) => {
            let dir = fetch::fetch(&place.programs(), made_by, &broken).await?;
            let fetched = Programs::probe(&dir, account).await;
            fetched.context("the Postgres just fetched does not run")
        }
    }
}
