//! Bodies of requests and answers, whose ends are noted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::table::Connection;

/// A body that calls `ended` once: at its end, or when nobody wants the rest.
pub(super) struct Watched<B> {
    inner: B,
    connection: Arc<Connection>,
    ended: Option<fn(&Connection)>,
}

impl<B> Watched<B> {
    pub(super) fn new(inner: B, connection: Arc<Connection>, ended: fn(&Connection)) -> Self {
        Self { inner, connection, ended: Some(ended) }
    }

    fn end(&mut self) {
        if let Some(ended) = self.ended.take() {
            ended(&self.connection);
        }
    }
}

impl<B> Drop for Watched<B> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
