//! The application with files of the test's own.

use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;
use weirgate_msp::App;
use weirgate_msp::sources::MockSource;
use weirgate_test_support::{MOCK_DATA, Template, TestDb};

/// The tables that the domain needs.
static MSP: Template = Template::new("template_msp", || {
    vec![&weirgate_queue::MIGRATOR, &weirgate_identity::MIGRATOR, &weirgate_msp::MIGRATOR]
});

/// An empty database with the tables that the domain needs.
pub(crate) async fn database() -> TestDb {
    TestDb::of(&MSP).await
}

pub(crate) type TestApp = weirgate_test_support::TestApp<App>;

/// With the test's folder as the sources, and an export store in memory.
pub(crate) async fn new_app() -> TestApp {
    let (db, folder) = (database().await, tempfile::tempdir().unwrap());
    let app = app(&db, folder.path());
    TestApp { db, folder, app }
}

/// With the demo tenants' files as the sources.
pub(crate) async fn demo_app() -> TestApp {
    let db = database().await;
    let app = app(&db, Path::new(MOCK_DATA));
    TestApp { db, folder: tempfile::tempdir().unwrap(), app }
}

fn app(db: &TestDb, sources: &Path) -> Arc<App> {
    let source = Arc::new(MockSource { path: sources.to_owned() });
    Arc::new(App { pool: db.pool.clone(), source, exports: Arc::new(InMemory::new()) })
}
