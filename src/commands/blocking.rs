//! Work that blocks its thread.

use anyhow::Context;
use tokio::sync::oneshot;

/// Does `work` on a thread of its own. The end of the program does not wait for it: somebody may
/// never type the line that it reads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .spawn(move || {
            let _ = done.send(work());
        })
        .context("cannot start a thread")?;
    result.await.context("a thread ended early")
}
