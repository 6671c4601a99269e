//! The signing keys in the memory of one process.
//!
//! Requests use what was read last. Where that is older than 5 s it is read anew beside them, and
//! where it is older than 10 s they wait for it, so that a revoked key is refused after 10 s at the
//! latest. A token may be signed with a key that another process made a moment ago: then the keys
//! are read anew before it is refused, once a second for all such tokens together, so that made-up
//! names cost no query each.
//!
//! Keys begin and end by the database's clock.

mod loaded;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jsonwebtoken::{DecodingKey, EncodingKey};
use parking_lot::RwLock;
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use self::loaded::Loaded;
use super::{SigningKeyError, ensure, pair};
use crate::secret_keys::{SealingError, SecretKeys};

/// From this age on, keys are read anew beside the requests that use them.
const FRESH: Duration = Duration::from_secs(5);

/// From this age on, they are read anew before they are used.
const STALE: Duration = Duration::from_secs(10);

/// For tokens of unknown keys, the keys are read no more often than this.
const BETWEEN: Duration = Duration::from_secs(1);

/// The database does not say which keys there are. Its error is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database does not say which keys there are")]
pub struct Unavailable;

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum NoSigner {
    /// They cannot be read.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The key that signs does not open.
    #[error(transparent)]
    Sealed(#[from] SealingError),
    /// There was none, and none could be made.
    #[error("making a key: {0}")]
    Making(#[from] SigningKeyError),
}

/// The keys of a database, for all requests of a process. A clone is the same one.
#[derive(Clone)]
pub struct KeySet(Arc<Inner>);

struct Inner {
    pool: PgPool,
    secrets: SecretKeys,
    loaded: RwLock<Option<Arc<Loaded>>>,
    /// Held while they are read.
    last_try: Mutex<Option<Try>>,
    loads: AtomicU64,
}

/// When the keys were last to be read.
#[derive(Clone, Copy)]
struct Try {
    began: Instant,
    succeeded: bool,
}

/// What a token is signed with.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) key: EncodingKey,
}

impl KeySet {
    /// The keys of this database; nothing is read yet.
    pub fn new(pool: PgPool, secrets: SecretKeys) -> Self {
        Self(Arc::new(Inner {
            pool,
            secrets,
            loaded: RwLock::default(),
            last_try: Mutex::default(),
            loads: AtomicU64::default(),
        }))
    }

    /// The public halves of all keys that verify, for `/.well-known/jwks.json` (RFC 7517). The next
    /// key is among them a day before it signs.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn jwks(&self) -> Result<Value, Unavailable> {
        Ok(self.recent().await?.jwks())
    }

    /// How often the keys were read.
    pub fn loads(&self) -> u64 {
        self.0.loads.load(Ordering::Relaxed)
    }

    /// The key of that name, if tokens of it are good.
    pub(crate) async fn verifier(&self, kid: &str) -> Result<Option<DecodingKey>, Unavailable> {
        if !pair::is_kid(kid) {
            return Ok(None);
        }
        let asked = Instant::now();
        let loaded = self.recent().await?;
        if loaded.began >= asked || loaded.knows(kid) {
            return Ok(loaded.verifier(kid));
        }
        Ok(self.loaded_since(asked).await?.verifier(kid))
    }

    /// The key that signs now; the first one is made here.
    pub(crate) async fn signer(&self) -> Result<Signer, NoSigner> {
        if let Some(signer) = self.recent().await?.signer()? {
            return Ok(signer);
        }
        let mut tx = self.0.pool.begin().await.map_err(SigningKeyError::from)?;
        ensure(&mut tx, &self.0.secrets).await?;
        tx.commit().await.map_err(SigningKeyError::from)?;
        // A database has a key once it was used, so that this is rare and need not wait.
        let loaded = self.load(&mut *self.0.last_try.lock().await).await?;
        loaded.signer()?.ok_or(NoSigner::Unavailable(Unavailable))
    }

    /// What was read at most 10 s ago.
    async fn recent(&self) -> Result<Arc<Loaded>, Unavailable> {
        let found = self.0.loaded.read().clone();
        match found {
            Some(loaded) if loaded.began.elapsed() < STALE => {
                if loaded.began.elapsed() >= FRESH {
                    self.refresh();
                }
                Ok(loaded)
            }
            _ => self.loaded_since(Instant::now()).await,
        }
    }

    /// Reads them beside the request, unless somebody reads them already.
    fn refresh(&self) {
        let this = self.clone();
        if self.0.last_try.try_lock().is_ok() {
            tokio::spawn(async move { this.loaded_since(Instant::now()).await });
        }
    }

    /// What was read since then: by this call, or by another one that waited as well.
    async fn loaded_since(&self, asked: Instant) -> Result<Arc<Loaded>, Unavailable> {
        let mut last_try = self.0.last_try.lock().await;
        if let Some(last) = *last_try {
            if last.began >= asked {
                let loaded = self.0.loaded.read().clone();
                return loaded.filter(|_| last.succeeded).ok_or(Unavailable);
            }
            sleep_until(last.began + BETWEEN).await;
        }
        self.load(&mut last_try).await
    }

    async fn load(&self, last_try: &mut Option<Try>) -> Result<Arc<Loaded>, Unavailable> {
        let began = Instant::now();
        let read = loaded::read(&self.0.pool, &self.0.secrets, began).await;
        *last_try = Some(Try { began, succeeded: read.is_ok() });
        self.0.loads.fetch_add(1, Ordering::Relaxed);
        let loaded = read.map(Arc::new).map_err(|error| {
            tracing::warn!(%error, "the signing keys could not be read");
            Unavailable
        })?;
        *self.0.loaded.write() = Some(loaded.clone());
        Ok(loaded)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").finish_non_exhaustive()
    }
}
