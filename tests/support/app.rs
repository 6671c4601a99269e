//! The application with files of the test's own.

use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;
use sqlx::PgPool;
use tempfile::TempDir;
use uuid::Uuid;
use weirgate::domains::{self, Domains};
use weirgate_identity::Tenant;
use weirgate_msp::App;
use weirgate_msp::sources::MockSource;
use weirgate_queue::{Job, JobContext, JobError, Registry};

use super::TestDb;

/// The demo tenants and their files.
pub(crate) const MOCK_DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mock-data");

/// A database, a folder for the sources, an export store in memory.
pub(crate) struct TestApp {
    pub(crate) db: TestDb,
    pub(crate) folder: TempDir,
    pub(crate) app: Arc<App>,
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        let db = TestDb::new().await;
        let folder = tempfile::tempdir().unwrap();
        let source = Arc::new(MockSource { path: folder.path().to_owned() });
        let app = Arc::new(App { pool: db.pool.clone(), source, exports: Arc::new(InMemory::new()) });
        Self { db, folder, app }
    }

    /// With the demo tenants' files as the sources.
    pub(crate) async fn demo() -> Self {
        let Self { db, folder, app } = Self::new().await;
        let source = Arc::new(MockSource { path: MOCK_DATA.into() });
        let app = Arc::new(App { pool: app.pool.clone(), source, exports: app.exports.clone() });
        Self { db, folder, app }
    }

    /// Writes a file under the folder of the sources.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path: &Path = &self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Every job of the program, to be run with this application.
    pub(crate) fn registry(&self) -> Registry<weirgate::app::App> {
        registry_with(self.app.clone())
    }

    /// Runs a job's handler, without the queue.
    pub(crate) async fn run<J: Job<App = App>>(&self, job: &J) -> Result<J::Output, JobError> {
        job.run(&JobContext::detached(self.app.clone(), self.db.pool.clone())).await
    }

    /// Runs the handler of a job of the operations, without the queue.
    pub(crate) async fn operate<J: Job<App = PgPool>>(&self, job: &J) -> Result<J::Output, JobError> {
        let pool = self.db.pool.clone();
        job.run(&JobContext::detached(Arc::new(pool.clone()), pool)).await
    }
}

/// The operations and every domain of the program.
pub(crate) fn all_domains() -> Domains {
    Domains::new(domains::all())
}

/// Every job of the program; those of the managed service providers share this application.
pub(crate) fn registry_with(msp: Arc<App>) -> Registry<weirgate::app::App> {
    let app = weirgate::app::App::new(msp.pool.clone()).with(msp);
    all_domains().registry(Arc::new(app), None)
}

/// Makes a tenant.
pub(crate) async fn tenant(pool: &PgPool, slug: &str, time_zone: &str) -> Tenant {
    sqlx::query("insert into identity.tenants (id, slug, name, time_zone) values ($1, $2, $2, $3)")
        .bind(Uuid::now_v7())
        .bind(slug)
        .bind(time_zone)
        .execute(pool)
        .await
        .unwrap();
    Tenant::find(&mut pool.acquire().await.unwrap(), slug).await.unwrap().unwrap()
}
