//! Watches the server that this process uses. One of those that use it holds the home's lock and is
//! its owner: a server that ends without being told to by us is started again on the same port, so
//! that connections made from the same options reach it. Commits that were acknowledged are in its
//! log, which the next start recovers. When the owner leaves, one of the others takes its place.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::cluster;
use super::launch::launch;
use super::lock::{Lock, Use};
use super::log;
use super::options::Options;
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
/// How often those that use the server of another process try to be its owner.
const SUCCESSION: Duration = Duration::from_millis(200);
/// How long the last one to leave waits for the lock of an owner that leaves at the same moment.
const HANDOVER: Duration = Duration::from_secs(2);
/// How often it is said again that the disk is still full.
const REMINDER: Duration = Duration::from_mins(1);

/// The server that is used, and the task that watches it.
#[derive(Debug)]
pub(super) struct Keeper {
    owned: Arc<Owned>,
    task: JoinHandle<()>,
    gave_up: watch::Receiver<Option<String>>,
    place: Arc<Place>,
    options: Options,
    using: Option<Use>,
}

/// What an owner has.
#[derive(Debug, Default)]
struct Owned {
    server: Mutex<Option<Server>>,
    // Last: fields are dropped in this order, and the server must be told to stop while the home is
    // still ours.
    lock: Mutex<Option<Lock>>,
}

/// What the task works with.
struct Watch {
    owned: Arc<Owned>,
    place: Arc<Place>,
    options: Options,
    password: String,
    port: u16,
    gave_up: watch::Sender<Option<String>>,
}

impl Keeper {
    /// Watches the server on `port`, for as long as the runtime does that this is called on.
    /// `owned` is its process with the home's lock; without, it is another process's.
    pub(super) fn watch(
        owned: Option<(Server, Lock)>,
        using: Use,
        port: u16,
        place: Place,
        options: Options,
        password: String,
    ) -> Self {
        let (server, lock) = owned.unzip();
        let owned = Arc::new(Owned { server: Mutex::new(server), lock: Mutex::new(lock) });
        let place = Arc::new(place);
        let (tell, gave_up) = watch::channel(None);
        let watch = Watch {
            owned: owned.clone(),
            place: place.clone(),
            // A process that was told to stop needs its server until it has.
            options: Options { stop: CancellationToken::new(), ..options.clone() },
            password,
            port,
            gave_up: tell,
        };
        Self { owned, task: tokio::spawn(watch.run()), gave_up, place, options, using: Some(using) }
    }

    /// The server's process, while there is one and it is ours.
    pub(super) fn pid(&self) -> Option<u32> {
        held(&self.owned.server).as_ref().map(Server::pid)
    }

    /// Ends only when the server has ended and cannot be started again; says why.
    pub(super) async fn lost(&self) -> anyhow::Error {
        let mut gave_up = self.gave_up.clone();
        match gave_up.wait_for(Option::is_some).await {
            Ok(why) => anyhow!(why.clone().unwrap_or_default()),
            Err(_) => pending().await,
        }
    }

    /// Ends the use of the server; if nobody else uses it, stops it and waits until it has.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.task.abort();
        let _ = (&mut self.task).await;
        let (server, lock) = (held(&self.owned.server).take(), held(&self.owned.lock).take());
        let Some(using) = self.using.take() else { return Ok(()) };
        if let Some(_alone) = using.end() {
            let lock = match lock {
                Some(lock) => Some(lock),
                None => self.lock_within(HANDOVER).await?,
            };
            return match (lock, server) {
                (Some(_lock), Some(mut server)) => server.stop().await,
                // One that was being started, and was told to stop with the task; or one that
                // others left to us.
                (Some(_lock), None) => server::stop_leftover(&self.place.data()).await,
                // Somebody begins to use it.
                (None, _) => Ok(()),
            };
        }
        if let Some(server) = server {
            server.leave_running();
        }
        drop(lock);
        // Whoever left at this moment may have met our lock.
        if let Some(_alone) = using.end()
            && let Some(_lock) = self.lock_within(Duration::ZERO).await?
        {
            server::stop_leftover(&self.place.data()).await?;
        }
        Ok(())
    }

    async fn lock_within(&self, limit: Duration) -> Result<Option<Lock>> {
        let deadline = Instant::now() + limit;
        loop {
            match Lock::take(&self.place.home, &self.options)? {
                Ok(lock) => return Ok(Some(lock)),
                Err(_) if Instant::now() >= deadline => return Ok(None),
                Err(_) => sleep(server::POLL).await,
            }
        }
    }
}

impl Drop for Keeper {
    /// As [`Keeper::stop`], without waiting.
    fn drop(&mut self) {
        self.task.abort();
        let (server, lock) = (held(&self.owned.server).take(), held(&self.owned.lock).take());
        let Some(using) = self.using.take() else { return };
        if server.is_none() && lock.is_some() {
            // It is being taken over, or started again: the end of the task tells the latter to
            // stop, and then lets the home go.
            if let Some(_alone) = using.end() {
                drop(server::leftover(&self.place.data()));
            }
            *held(&self.owned.lock) = lock;
            return;
        }
        let alone = using.end();
        match (alone, server) {
            (Some(_alone), Some(server)) => {
                drop(server);
                drop(lock);
            }
            (Some(_alone), None) => {
                if let Ok(Ok(_lock)) = Lock::take(&self.place.home, &self.options) {
                    drop(server::leftover(&self.place.data()));
                }
            }
            (None, Some(server)) => server.leave_running(),
            (None, None) => {}
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

impl Watch {
    async fn run(self) {
        let owns = held(&self.owned.lock).is_some();
        if !owns {
            self.succeed().await;
            if let Err(error) = self.revive().await {
                self.give_up(&error);
                return;
            }
        }
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
            match self.revive().await {
                Ok(pid) => {
                    let seconds = down.elapsed().as_secs_f64();
                    tracing::info!(pid, "the private Postgres runs again after {seconds:.1} s");
                }
                Err(error) => {
                    self.give_up(&error);
                    return;
                }
            }
        }
    }

    fn give_up(&self, error: &anyhow::Error) {
        let why = format!("the private Postgres ended and cannot be started again: {error:#}");
        tracing::error!("{why}");
        self.gave_up.send_replace(Some(why));
    }

    /// Waits until the owner has left, and takes its place.
    async fn succeed(&self) {
        loop {
            sleep(SUCCESSION).await;
            // What is wrong with the lock was said when the owner took it.
            if let Ok(Ok(lock)) = Lock::take(&self.place.home, &self.options) {
                *held(&self.owned.lock) = Some(lock);
                return;
            }
        }
    }

    /// Waits for the end of the server, and says how it was.
    async fn ended(&self) -> String {
        let mut told = false;
        loop {
            sleep(LOOK).await;
            let mut server = held(&self.owned.server);
            let Some(running) = server.as_mut() else { return "it was let go".to_owned() };
            if !running.is_running() {
                let how = running.how_it_ended();
                *server = None;
                return how;
            }
            // It refuses connections and waits for those that are open, which stay open for as long
            // as we run.
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

    /// Starts it again, unless it runs, and returns its process; tries for as long as it is only
    /// room on the disk that is missing.
    async fn revive(&self) -> Result<u32> {
        let (mut failures, mut pause, mut said) = (0, FIRST_PAUSE, None::<Instant>);
        loop {
            let error = match self.start().await {
                Ok(server) => {
                    let pid = server.pid();
                    *held(&self.owned.server) = Some(server);
                    return Ok(pid);
                }
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
