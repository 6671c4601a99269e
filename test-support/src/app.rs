//! Handlers, called without the queue.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use weirgate_queue::{Job, JobError};

use crate::TestDb;

/// The demo tenants and their files.
pub const MOCK_DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../mock-data");

/// The application `A` of some jobs, with a database and files of the test's own.
#[derive(Debug)]
pub struct TestApp<A> {
    pub db: TestDb,
    /// Where the application may be told to find its files.
    pub folder: TempDir,
    pub app: Arc<A>,
}

impl<A: Send + Sync + 'static> TestApp<A> {
    /// Writes a file in the folder.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path: &Path = &self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Runs a job's handler, without the queue.
    pub async fn run<J: Job<App = A>>(&self, job: &J) -> Result<J::Output, JobError> {
        self.db.run(&self.app, job).await
    }
}
