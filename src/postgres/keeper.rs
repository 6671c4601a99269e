//! Watches the server that this process owns: one that ends without being told to by us is started again on the same
//! port, so that connections made from the same options reach it. Commits that were acknowledged are in its log, which
//! the next start recovers.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Options;
use super::cluster;
use super::launch::launch;
use super::lock::Lock;
use super::log;
use super::place::Place;
use super::room;
use super::server::{self, Server};

/// How often the server is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The pause before a start, and the longest that it grows to when servers keep ending.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A server that ran for so long did not end for the reason of the one before.
const STEADY: Duration = Duration::from_mins(1);
/// Starts that fail in a row until this gives up; each of them is several tries.
const STARTS: u32 = 4;
/// How often it is said again that the disk is still full.
const REMINDER: Duration = Duration::from_mins(1);

/// The owned server, and the task that watches it.
#[derive(Debug)]
pub(super) struct Keeper {
    server: Arc<Mutex<Option<Server>>>,
    task: JoinHandle<()>,
    gave_up: watch::Receiver<Option<String>>,
    place: Arc<Place>,
    // Last: fields are dropped in this order, and the server must be told to stop while the home is still ours.
    _lock: Arc<Lock>,
}

/// What the task works with.
struct Watch {
    server: Arc<Mutex<Option<Server>>>,
    place: Arc<Place>,
    options: Options,
    password: String,
    port: u16,
    gave_up: watch::Sender<Option<String>>,
    lock: Weak<Lock>,
}

impl Keeper {
    /// Watches a server that runs, for as long as the runtime does that this is called on.
    pub(super) fn watch(
        server: Server,
        lock: Lock,
        place: Place,
        options: Options,
        password: String,
    ) -> Self {
        let port = server.port();
        let (server, place, lock) = (Arc::new(Mutex::new(Some(server))), Arc::new(place), Arc::new(lock));
        let (tell, gave_up) = watch::channel(None);
        let watch = Watch {
            server: server.clone(),
            place: place.clone(),
            options,
            password,
            port,
            gave_up: tell,
            lock: Arc::downgrade(&lock),
        };
        Self { server, task: tokio::spawn(watch.run()), gave_up, place, _lock: lock }
    }

    /// The server's process, while there is one.
    pub(super) fn pid(&self) -> Option<u32> {
        held(&self.server).as_ref().map(Server::pid)
    }

    /// Ends only when the server has ended and cannot be started again; says why.
    pub(super) async fn lost(&self) -> anyhow::Error {
        let mut gave_up = self.gave_up.clone();
        match gave_up.wait_for(Option::is_some).await {
            Ok(why) => anyhow!(why.clone().unwrap_or_default()),
            Err(_) => pending().await,
        }
    }

    /// Stops the server and waits until it has.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.task.abort();
        let _ = (&mut self.task).await;
        let server = held(&self.server).take();
        match server {
            Some(mut server) => server.stop().await,
            // One that was being started, and was told to stop with the task.
            None => server::stop_leftover(&self.place.data()).await,
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
        drop(held(&self.server).take());
    }
}

fn held(server: &Mutex<Option<Server>>) -> std::sync::MutexGuard<'_, Option<Server>> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let since = Instant::now();
            let how = self.ended().await;
            pause = if since.elapsed() >= STEADY { FIRST_PAUSE } else { (2 * pause).min(LONGEST_PAUSE) };
            let tail = log::last_of(&self.place.home);
            tracing::error!(
                "the private Postgres ended ({how}) and is started again; the end of its log:{tail}"
            );
            let down = Instant::now();
            sleep(pause).await;
            // The home stays ours while a start is under way, whatever becomes of the keeper.
            let Some(_ours) = self.lock.upgrade() else { return };
            match self.revive().await {
                Ok(server) => {
                    let seconds = down.elapsed().as_secs_f64();
                    tracing::info!(
                        pid = server.pid(),
                        "the private Postgres runs again after {seconds:.1} s"
                    );
                    *held(&self.server) = Some(server);
                }
                Err(error) => {
                    let why = format!("the private Postgres ended and cannot be started again: {error:#}");
                    tracing::error!("{why}");
                    self.gave_up.send_replace(Some(why));
                    return;
                }
            }
        }
    }

    /// Waits for the end of the server, and says how it was.
    async fn ended(&self) -> String {
        let mut told = false;
        loop {
            sleep(LOOK).await;
            let mut server = held(&self.server);
            let Some(running) = server.as_mut() else { return "it was let go".to_owned() };
            if !running.is_running() {
                let how = running.how_it_ended();
                *server = None;
                return how;
            }
            // It refuses connections and waits for those that are open, which stay open for as long as we run.
            if !told && running.is_stopping() {
                told = true;
                tracing::warn!(
                    "somebody else shuts the private Postgres down; it is started again after that"
                );
                if let Err(error) = running.hurry() {
                    tracing::warn!("cannot end the private Postgres (pid {}): {error:#}", running.pid());
                }
            }
        }
    }

    /// Starts it again; tries for as long as it is only room on the disk that is missing.
    async fn revive(&self) -> Result<Server> {
        let (mut failures, mut pause, mut said) = (0, FIRST_PAUSE, None::<Instant>);
        loop {
            let error = match self.start().await {
                Ok(server) => return Ok(server),
                Err(error) => error,
            };
            if let Some(what) = room::missing(&self.place.data(), &format!("{error:#}")) {
                if said.is_none_or(|at| at.elapsed() >= REMINDER) {
                    said = Some(Instant::now());
                    tracing::error!(
                        "{what}; what was acknowledged is kept, and Postgres starts when there is room"
                    );
                }
            } else {
                failures += 1;
                if failures == STARTS {
                    return Err(error);
                }
                tracing::warn!("the private Postgres does not start, trying again: {error:#}");
            }
            sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    async fn start(&self) -> Result<Server> {
        let place = &self.place;
        let data = place.data();
        cluster::check(place)?;
        let made_by = cluster::made_by(&data)?;
        // Never a new one in its place: that would look as if all data were gone.
        ensure!(made_by.is_some(), "its data directory, {}, is gone; put it back", data.display());
        if let Some(mut server) = server::take_over(place, &self.password, self.options.fsync).await? {
            if server.port() == self.port {
                return Ok(server);
            }
            server.stop().await.context("stopping a Postgres that somebody else started on another port")?;
        }
        launch(place, &self.options, &self.password, made_by, Some(self.port)).await
    }
}
