//! The file of an export, on its way out: what leaves is what was exported, or nothing does.
//!
//! A file is read twice and never held: first to see whether it has the SHA-256 that was stored
//! with the export, then to be sent. To check it only while it is sent would find out too late: a
//! file that is not this export's may be another tenant's. The second reading asks for the very
//! object of the first one, counts along, and keeps the last piece back until the sum is right
//! again, so that a client takes nothing for whole that is not. The first reading is remembered
//! ([`Verifications`]), so that who asks again need not wait for it again.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, unfold};
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use weirgate_web::permits::Permit;

use crate::http::v1::expected_file::{Expected, FileError, read};
use crate::http::v1::verifications::Verifications;

/// The content of the file, which is `expected`. The permit is held until it is sent.
pub(super) async fn open(
    store: &Arc<dyn ObjectStore>,
    verifications: &Verifications,
    expected: Expected,
    permit: &Arc<Permit>,
) -> Result<Body, FileError> {
    let found = store.head(&expected.path).await?;
    if found.size != expected.bytes {
        return Err(FileError::Changed(format!("it has {} bytes instead of {}", found.size, expected.bytes)));
    }
    verifications.verify(store, &expected, found.e_tag.as_deref(), permit).await?;
    let pieces = read(&**store, &expected.path, found.e_tag).await?;
    Ok(Body::from_stream(checked(pieces, expected, Some(permit.clone()))))
}

struct Sending {
    pieces: BoxStream<'static, object_store::Result<Bytes>>,
    hash: Sha256,
    /// Read, and not sent before the next piece is there or the sum is right.
    kept: Option<Bytes>,
    expected: Expected,
    /// Of whoever it is sent to.
    _permit: Option<Arc<Permit>>,
}

impl Sending {
    /// The next piece to be sent.
    async fn next(&mut self) -> Result<Option<Bytes>, FileError> {
        loop {
            let Some(piece) = self.pieces.try_next().await? else {
                self.expected.check(self.hash.clone())?;
                return Ok(self.kept.take());
            };
            self.hash.update(&piece);
            if let Some(piece) = self.kept.replace(piece) {
                return Ok(Some(piece));
            }
        }
    }
}

/// Ends in an error where the content turns out to be another one, so that the connection breaks
/// off.
fn checked(
    pieces: BoxStream<'static, object_store::Result<Bytes>>,
    expected: Expected,
    permit: Option<Arc<Permit>>,
) -> BoxStream<'static, Result<Bytes, FileError>> {
    let sending = Sending { pieces, hash: Sha256::new(), kept: None, expected, _permit: permit };
    let next = |sending: Option<Sending>| async {
        let mut sending = sending?;
        match sending.next().await {
            Ok(piece) => piece.map(|piece| (Ok(piece), Some(sending))),
            Err(error) => {
                tracing::error!(%error, path = %sending.expected.path, "an export changed while it was sent");
                Some((Err(error), None))
            }
        }
    };
    unfold(Some(sending), next).boxed()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use object_store::path::Path;

    use super::*;

    fn sent(pieces: &'static [&'static str], promised: &str) -> Vec<Result<Bytes, FileError>> {
        let expected = Expected {
            path: Path::from("a"),
            bytes: promised.len() as u64,
            sha256: hex::encode(Sha256::digest(promised)),
        };
        let pieces =
            stream::iter(pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes())))).boxed();
        futures_util::FutureExt::now_or_never(checked(pieces, expected, None).collect()).unwrap()
    }

    #[test]
    fn what_changes_while_it_is_sent_is_never_whole() {
        let whole: Vec<Bytes> =
            sent(&["one", "two", "three"], "onetwothree").into_iter().map(Result::unwrap).collect();
        assert_eq!(whole, ["one", "two", "three"]);
        let broken = sent(&["one", "two", "THREE"], "onetwothree");
        assert!(matches!(broken.as_slice(), [Ok(_), Ok(_), Err(FileError::Changed(_))]), "{broken:?}");
        assert!(matches!(sent(&["other"], "onetwothree").as_slice(), [Err(FileError::Changed(_))]));
        assert!(sent(&[], "").is_empty());
    }
}
