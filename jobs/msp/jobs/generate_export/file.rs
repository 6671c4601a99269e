//! A file on its way into the object store: it appears under its name whole, or not at all.

use std::sync::Arc;

use anyhow::Context;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) bytes: i64,
    pub(crate) sha256: String,
}

/// Streams into the store, in parts when it grows; the store shows it only at the end.
pub(crate) struct ExportFile {
    writer: BufWriter,
    hash: Sha256,
    bytes: i64,
    path: Path,
}

impl ExportFile {
    pub(crate) fn create(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { writer: BufWriter::new(store, path.clone()), hash: Sha256::new(), bytes: 0, path }
    }

    pub(crate) async fn write(&mut self, part: &[u8]) -> anyhow::Result<()> {
        self.writer.write_all(part).await.with_context(|| format!("writing {}", self.path))?;
        self.hash.update(part);
        self.bytes += i64::try_from(part.len())?;
        Ok(())
    }

    /// Puts the file in place when its content was written without error; else removes what was
    /// stored of it.
    pub(crate) async fn end(mut self, content: anyhow::Result<()>) -> anyhow::Result<Written> {
        match content {
            Ok(()) => {
                self.writer.shutdown().await.with_context(|| format!("storing {}", self.path))?;
                Ok(Written { bytes: self.bytes, sha256: hex::encode(self.hash.finalize()) })
            }
            Err(error) => {
                if let Err(abort) = self.writer.abort().await {
                    tracing::warn!(path = %self.path, error = %abort, "could not remove a half-written export");
                }
                Err(error)
            }
        }
    }
}
