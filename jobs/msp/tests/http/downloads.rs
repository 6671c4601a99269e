//! What a download costs, whoever asks how often and hangs up when.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::StatusCode;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use weirgate_test_support::Answer;

use crate::support::TestApi;

/// Counts how often a content is read, and lets as many readings begin as the test says.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn ObjectStore>,
    readings: AtomicUsize,
    gate: Semaphore,
}

impl Watched {
    fn readings(&self) -> usize {
        self.readings.load(Ordering::SeqCst)
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        if !options.head {
            self.readings.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.expect("it stays open").forget();
        }
        self.inner.get_opts(at, options).await
    }

    fn delete_stream(&self, all: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(all)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// The API, its store, of which so many readings may begin, and the downloads of its two files.
async fn scene(readings: usize) -> (TestApi, Arc<Watched>, Vec<String>) {
    let api = TestApi::filled().await;
    let inner = api.app.app.exports.clone();
    let store = Arc::new(Watched { inner, readings: AtomicUsize::new(0), gate: Semaphore::new(readings) });
    let api = api.with_exports(store.clone());
    let ids = api.v1("/v1/exports").await.column("id");
    (api, store, ids.iter().map(|id| format!("/v1/exports/{id}/download")).collect())
}

/// Asks for a file, and goes away once so many readings have begun.
async fn hang_up(api: &TestApi, path: &str, store: &Watched, readings: usize) {
    let begun = async {
        while store.readings() < readings {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        _ = api.v1(path) => panic!("it waits for the file"),
        () = begun => {}
    }
}

async fn is_refused(answer: impl Future<Output = Answer>) {
    let answer = answer.await;
    answer.problem(429, "too_many_at_once");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.text().contains("too many downloads of this caller"), "{}", answer.text());
}

#[tokio::test]
async fn a_file_is_verified_once_and_again_when_it_changed() {
    let (api, store, downloads) = scene(100).await;
    let first = api.v1(&downloads[0]).await;
    assert_eq!((first.status, store.readings()), (StatusCode::OK, 2), "verified, then sent");
    let again = api.v1(&downloads[0]).await;
    assert_eq!((&again.body, store.readings()), (&first.body, 3), "sent");
    let path: String =
        sqlx::query_scalar("select object_path from msp.exports where format = 'json' and tenant_id = $1")
            .bind(api.cca.id)
            .fetch_one(&api.db().pool)
            .await
            .unwrap();
    let mut changed = first.body.to_vec();
    changed[40] ^= 1;
    store.put(&Path::from(path), changed.into()).await.unwrap();
    api.v1(&downloads[0]).await.problem(410, "export_changed");
}

#[tokio::test]
async fn the_head_of_a_download_reads_no_file() {
    let (api, store, downloads) = scene(100).await;
    let head = api.tenant(&api.cca, "HEAD", &downloads[0]).send().await;
    assert_eq!((head.status, head.body.len(), store.readings()), (StatusCode::OK, 0, 0));
    let whole = api.v1(&downloads[0]).await;
    for name in ["content-length", "content-type", "content-disposition", "etag"] {
        assert!(head.header(name).is_some(), "{name}");
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
}

#[tokio::test]
async fn a_file_that_takes_long_to_read_is_there_in_the_end() {
    let (api, store, downloads) = scene(0).await;
    hang_up(&api, &downloads[0], &store, 1).await;
    let again = timeout(Duration::from_millis(300), api.v1(&downloads[0])).await;
    assert!(again.is_err(), "it waits for the same reading");
    assert_eq!(store.readings(), 1, "what was begun goes on");
    store.gate.add_permits(2);
    assert_eq!(api.v1(&downloads[0]).await.status, StatusCode::OK);
    assert_eq!(store.readings(), 2, "it was only sent");
}

#[tokio::test]
async fn a_tenant_has_two_downloads_at_once_though_it_hangs_up() {
    let (api, store, downloads) = scene(0).await;
    for (path, readings) in downloads.iter().zip(1..) {
        hang_up(&api, path, &store, readings).await;
    }
    is_refused(api.v1(&downloads[0])).await;
    store.gate.add_permits(100);
    assert_eq!(api.v1(&downloads[0]).await.status, StatusCode::OK, "both have ended");
}

#[tokio::test]
async fn a_download_counts_until_it_is_sent() {
    let (api, _, downloads) = scene(100).await;
    let start = || api.tenant(&api.cca, "GET", &downloads[0]).start();
    let (one, other) = (start().await, start().await);
    is_refused(api.v1(&downloads[1])).await;
    let others = api.tenant(&api.client2, "GET", "/v1/exports").send().await.column("id");
    let others = api.tenant(&api.client2, "GET", &format!("/v1/exports/{}/download", others[0])).send().await;
    assert_eq!(others.status, StatusCode::OK, "another tenant has its own");
    drop(one);
    assert_eq!(api.v1(&downloads[1]).await.status, StatusCode::OK);
    drop(other);
}
