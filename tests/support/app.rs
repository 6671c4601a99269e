//! The application of the program with files of the test's own.

use std::sync::Arc;

use object_store::memory::InMemory;
use weirgate::domains::{self, Domains};
use weirgate_msp::App;
use weirgate_msp::sources::MockSource;
use weirgate_queue::Registry;
use weirgate_test_support::{MOCK_DATA, Template, TestDb};

/// All tables of the program.
static ALL_SCHEMAS: Template = Template::new("template_all_schemas", || {
    domains::histories().iter().map(|history| history.migrator).collect()
});

/// An empty database with all tables of the program.
pub(crate) async fn database() -> TestDb {
    TestDb::of(&ALL_SCHEMAS).await
}

/// The managed service providers' application.
pub(crate) type TestApp = weirgate_test_support::TestApp<App>;

/// With the demo tenants' files as the sources, and an export store in memory.
pub(crate) async fn demo_app() -> TestApp {
    let (db, folder) = (database().await, tempfile::tempdir().unwrap());
    let source = Arc::new(MockSource { path: MOCK_DATA.into() });
    let app = Arc::new(App { pool: db.pool.clone(), source, exports: Arc::new(InMemory::new()) });
    TestApp { db, folder, app }
}

/// The operations and every domain of the program.
pub(crate) fn all_domains() -> Domains {
    Domains::new(domains::all())
}

/// Every job of the program; those of the managed service providers share this application.
pub(crate) fn registry_with(msp: Arc<App>) -> Registry {
    let app = weirgate::app::App::new(msp.pool.clone(), None).with(msp);
    all_domains().registry(Arc::new(app), None)
}
