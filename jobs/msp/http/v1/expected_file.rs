//! What was stored of an export's file when it was written, and whether a file is that one.

use std::sync::Arc;

use axum::body::Bytes;
use futures_util::stream::{BoxStream, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore};
use sha2::{Digest, Sha256};

/// Why the file of an export cannot be sent.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum FileError {
    /// There is no such file.
    #[error("the file is gone")]
    Gone,
    /// It is another one than was exported.
    #[error("the file is not the one that was exported: {0}")]
    Changed(String),
    /// The store cannot answer.
    #[error(transparent)]
    Store(Arc<object_store::Error>),
    /// Its reading broke off, for a fault of ours.
    #[error("the reading of the file broke off")]
    Broken,
}

impl From<object_store::Error> for FileError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Gone,
            object_store::Error::Precondition { .. } => Self::Changed("it was replaced meanwhile".to_owned()),
            other => Self::Store(Arc::new(other)),
        }
    }
}

/// What was stored of a file when it was exported.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) path: Path,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Expected {
    /// Reads one version of the file to its end and sees whether it is this one.
    pub(super) async fn verify(
        &self,
        store: &dyn ObjectStore,
        e_tag: Option<String>,
    ) -> Result<(), FileError> {
        let mut pieces = read(store, &self.path, e_tag).await?;
        let mut hash = Sha256::new();
        while let Some(piece) = pieces.try_next().await? {
            hash.update(&piece);
        }
        self.check(hash)
    }

    pub(super) fn check(&self, hash: Sha256) -> Result<(), FileError> {
        let sha256 = hex::encode(hash.finalize());
        if sha256 == self.sha256 {
            return Ok(());
        }
        Err(FileError::Changed(format!("its SHA-256 is {sha256} instead of {}", self.sha256)))
    }
}

/// The content of one version of a file.
pub(super) async fn read(
    store: &dyn ObjectStore,
    path: &Path,
    e_tag: Option<String>,
) -> Result<BoxStream<'static, object_store::Result<Bytes>>, FileError> {
    let options = GetOptions { if_match: e_tag, ..GetOptions::default() };
    Ok(store.get_opts(path, options).await?.into_stream())
}
