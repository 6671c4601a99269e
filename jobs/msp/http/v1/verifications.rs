//! Which files were found to be what was exported, so that none is read twice to find out within
//! some minutes.
//!
//! A first reading that has begun goes on though its caller goes away or its time is over, and
//! holds the caller's permit until it ends: what it finds is there for whoever asks next, so that a
//! file that takes long to read can be downloaded in the end. What is remembered is one version of
//! a file, by the tag that the store gives it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use object_store::ObjectStore;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};
use weirgate_web::permits::Permit;
use weirgate_web::recent::Recent;

use crate::http::v1::expected_file::{Expected, FileError};

/// For so long a file is trusted to be what it was, as long as its tag stays.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Most files that are remembered: about 100 KB.
const MEMORY: usize = 1_000;

/// Of a file's place, its tag there and the SHA-256 that it ought to have.
type Key = [u8; 32];

type Found = Shared<BoxFuture<'static, Result<(), FileError>>>;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Verifications(Arc<Known>);

struct Known {
    /// When each was found to be right.
    right: Recent<Key, Instant>,
    /// What is being read; each entry goes with its task.
    under_way: Mutex<HashMap<Key, Found>>,
}

impl Verifications {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Known { right: Recent::new(MEMORY), under_way: Mutex::default() }))
    }

    /// Whether the version of the file that has this tag is `expected`; found out once for all who
    /// ask at the same time.
    pub(super) async fn verify(
        &self,
        store: &Arc<dyn ObjectStore>,
        expected: &Expected,
        e_tag: Option<&str>,
        permit: &Arc<Permit>,
    ) -> Result<(), FileError> {
        let Some(e_tag) = e_tag else { return expected.verify(&**store, None).await };
        let key = key(expected, e_tag);
        if self.0.right.get(&key).is_some_and(|at| at.elapsed() < REMEMBERED) {
            return Ok(());
        }
        let begin = || {
            let (reading, store, expected) =
                (Reading { all: self.clone(), key }, store.clone(), expected.clone());
            let (e_tag, permit) = (e_tag.to_owned(), permit.clone());
            let running = tokio::spawn(async move {
                let found = expected.verify(&*store, Some(e_tag)).await;
                if found.is_ok() {
                    reading.all.0.right.put(key, Instant::now());
                }
                drop((reading, permit));
                found
            });
            async move { running.await.unwrap_or(Err(FileError::Broken)) }.boxed().shared()
        };
        let found = self.under_way().entry(key).or_insert_with(begin).clone();
        found.await
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Key, Found>> {
        self.0.under_way.lock()
    }
}

/// The entry of a file that is being read.
struct Reading {
    all: Verifications,
    key: Key,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.all.under_way().remove(&self.key);
    }
}

fn key(expected: &Expected, e_tag: &str) -> Key {
    let mut hash = Sha256::new();
    for part in [expected.path.as_ref(), e_tag, &expected.sha256] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
