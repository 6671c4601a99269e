//! What the database was last known to hold, shared by all who scrape.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use weirgate_web::Web;
use weirgate_web::domain::Catalog;

use super::facts::Facts;

/// One reading serves everybody for so long, however many scrape and how often.
const SERVES: Duration = Duration::from_secs(5);

/// A scrape waits no longer for the database: what the process itself knows must not be missed for
/// it.
const LIMIT: Duration = Duration::from_secs(4);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct LatestFacts(Mutex<Option<(Instant, Option<Arc<Facts>>)>>);

impl LatestFacts {
    /// What the database knows; none where it could not be asked.
    pub(super) async fn facts(&self, web: &Web, catalog: &Catalog) -> Option<Arc<Facts>> {
        let mut latest = self.0.lock().await;
        if let Some((_, facts)) = latest.as_ref().filter(|(at, _)| at.elapsed() < SERVES) {
            return facts.clone();
        }
        let facts = match tokio::time::timeout(LIMIT, Facts::read(web, catalog)).await {
            Ok(Ok(facts)) => Some(Arc::new(facts)),
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not read what the metrics tell of the queues");
                None
            }
            Err(_) => {
                tracing::warn!("reading what the metrics tell of the queues takes more than {LIMIT:?}");
                None
            }
        };
        *latest = Some((Instant::now(), facts.clone()));
        facts
    }
}
