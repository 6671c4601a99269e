//! A private Postgres: the server that Weirgate runs when no `DATABASE_URL` is given.
//!
//! [`PrivatePostgres::start`] makes, starts or takes over one server whose files live under one
//! folder, the *home*, or uses the one that another process runs. The last to leave stops it. What
//! it keeps there:
//!
//! | name                | what it is                                                          |
//! |---------------------|---------------------------------------------------------------------|
//! | `lock`              | held with `flock` by the living owner, and naming it                |
//! | `lock.exclusive`    | held with `flock` by the one process that wants the home for itself |
//! | `postgres/`         | the data directory                                                  |
//! | `postgres.password` | the password of the role `weirgate`, the server's administrator;    |
//! |                     | held with `flock`, shared, by all that use the server               |
//! | `postgres.log`      | what the server wrote                                               |
//! | `postgres.location` | only for root: where the data is when it cannot be in the home      |
//! | `programs/`         | Postgres itself, only if it had to be fetched                       |

mod account;
mod cluster;
mod connect;
mod fetch;
pub mod home;
mod keeper;
mod launch;
mod lock;
mod log;
mod options;
mod pidfile;
mod place;
mod private_file;
mod programs;
mod role;
mod room;
mod server;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sqlx::postgres::PgConnectOptions;

use self::connect::Credentials;
use self::keeper::Keeper;
use self::lock::{Holder, Lock, Use};
use self::options::NAME;
use self::place::Place;
use self::server::POLL;

pub use self::options::{Interrupted, Options};

/// How long a guest waits for the owner's server to become ready.
const JOIN_TIMEOUT: Duration = Duration::from_mins(1);

/// A running private Postgres.
///
/// Dropping the last one of a home asks the server to shut down but does not wait;
/// [`PrivatePostgres::stop`] does.
#[derive(Debug)]
pub struct PrivatePostgres {
    keeper: Keeper,
    credentials: Credentials,
    data: PathBuf,
    /// Held for as long as this lives: of those that want a home for themselves there is one.
    _exclusive: Option<Lock>,
}

impl PrivatePostgres {
    /// Starts the server of this home, or takes over one that a killed process left running, and
    /// makes the database `weirgate` if absent.
    ///
    /// # Errors
    ///
    /// If the home is in use by another process (and both are `exclusive`), if no Postgres is found
    /// or can be fetched, if the folders cannot be made or belong to somebody else, or if the
    /// server does not start. The messages say what to do.
    pub async fn start(options: Options) -> Result<Self> {
        let home = home::prepare(&options.home)?;
        let exclusive = if options.exclusive {
            match Lock::take_exclusive(&home, &options)? {
                Ok(lock) => Some(lock),
                Err(holder) => bail!(in_use(&home, &holder)),
            }
        } else {
            None
        };
        let started = Self::own_or_join(&home, &options).await?;
        Ok(Self { _exclusive: exclusive, ..started })
    }

    async fn own_or_join(home: &Path, options: &Options) -> Result<Self> {
        let deadline = Instant::now() + JOIN_TIMEOUT;
        loop {
            // Tried again each time: the owner may end while a guest waits for its server.
            match Lock::take(home, options)? {
                Ok(lock) => return Self::own(home, options, lock).await,
                // A version before this one, which has no lock for it.
                Err(holder) if options.exclusive && holder.exclusive => bail!(in_use(home, &holder)),
                Err(holder) => {
                    if let Some(joined) = Self::join(home, options).await? {
                        return Ok(joined);
                    }
                    if Instant::now() > deadline {
                        bail!("{}, and its Postgres is not ready", in_use(home, &holder));
                    }
                }
            }
            tokio::select! {
                () = options.stop.cancelled() => bail!(Interrupted),
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }

    /// The address of one database of this server, for sqlx or any other client.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let Credentials { password, port } = &self.credentials;
        format!("postgres://{NAME}:{password}@127.0.0.1:{port}/{database}")
    }

    /// As [`PrivatePostgres::url`], but not swayed by `PGSSLMODE` and its like.
    #[must_use]
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        self.credentials.options(database)
    }

    /// How the program itself connects to its database: as a role that owns it and may make other
    /// databases and roles, but is no administrator of the server.
    #[must_use]
    pub fn service_options(&self) -> PgConnectOptions {
        self.credentials.service_options()
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.credentials.port
    }

    /// The server's process, if this is its owner and it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.keeper.pid()
    }

    /// Ends only when the server of this owner has ended by itself and cannot be started again;
    /// says why, with the end of its log. A server that ended and can be started again is, on the
    /// same port, for as long as the runtime runs that this was started on.
    pub async fn lost(&self) -> anyhow::Error {
        self.keeper.lost().await
    }

    /// Shuts the server down, ending its connections, and waits until it has stopped; unless other
    /// processes use it, to which it is left.
    ///
    /// # Errors
    ///
    /// If the server cannot be told to stop or does not stop in time.
    pub async fn stop(self) -> Result<()> {
        self.keeper.stop().await
    }

    /// Starts or takes over the server, the home's lock being held.
    async fn own(home: &Path, options: &Options, lock: Lock) -> Result<Self> {
        let place = Place::choose(home)?;
        let data = place.data();
        cluster::check(&place)?;
        let made_by = cluster::made_by(&data)?;
        let password = cluster::password(&place)?;
        let started = async {
            let server = match server::take_over(&place, &password, options.fsync).await? {
                Some(server) => server,
                None => launch::launch(&place, options, &password, made_by, None).await?,
            };
            anyhow::Ok((server, begin_use(&place.base).await?))
        };
        let started = tokio::select! {
            biased;
            started = started => started,
            () = options.stop.cancelled() => Err(Interrupted.into()),
        };
        if started.is_err() {
            // It was told to stop when it was dropped; the home stays ours until it has.
            server::stop_leftover(&data).await?;
            cluster::remove_unfinished(&place.base);
        }
        let (server, using) = started?;
        let port = server.port();
        let credentials = Credentials { password: password.clone(), port };
        let keeper = Keeper::watch(Some((server, lock)), using, port, place, options.clone(), password);
        let running = Self { keeper, credentials, data, _exclusive: None };
        if let Err(error) = running.make_database().await {
            running.stop().await?;
            return Err(error);
        }
        Ok(running)
    }

    async fn make_database(&self) -> Result<()> {
        self.credentials.ensure_database(NAME).await?;
        self.credentials.ensure_service_role().await
    }

    /// Uses the server of the home's living owner, if it is ready.
    async fn join(home: &Path, options: &Options) -> Result<Option<Self>> {
        let base = place::known_base(home)?;
        let data = place::data_in(&base);
        // Before anything else: from here on, it is not stopped by others.
        let Some(using) = Use::begin(&base)? else { return Ok(None) };
        let Some(port) = pidfile::read(&data)?.and_then(|file| file.ready_port()) else {
            return Ok(None);
        };
        let password = cluster::read_password(&base)?
            .with_context(|| format!("{} has no password file", base.display()))?;
        let credentials = Credentials { password: password.clone(), port };
        // The database is made, and given to the program's role, by the owner moments after the
        // server is ready.
        let Ok(facts) = credentials.facts().await else {
            return Ok(None);
        };
        if facts.data != data || !credentials.service_owns_database().await? {
            return Ok(None);
        }
        let keeper = Keeper::watch(None, using, port, Place::choose(home)?, options.clone(), password);
        Ok(Some(Self { keeper, credentials, data, _exclusive: None }))
    }
}

/// Whoever has the file to themselves only looks whether they were the last, as the home's lock is
/// ours.
async fn begin_use(base: &Path) -> Result<Use> {
    let deadline = Instant::now() + JOIN_TIMEOUT;
    loop {
        if let Some(using) = Use::begin(base)? {
            return Ok(using);
        }
        ensure!(Instant::now() < deadline, "{} stays locked", cluster::password_file(base).display());
        tokio::time::sleep(POLL).await;
    }
}

/// Says who has the home and what to do about it.
fn in_use(home: &Path, holder: &Holder) -> String {
    format!("{} is in use by {holder}; stop it, or set WEIRGATE_HOME to another folder", home.display())
}
