//! How a tenant's lanes go: what the dashboard tells of them.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::lanes::LaneStatus;
use weirgate_queue::lanes::traffic::{LaneStarts, lane_starts};

use crate::http::Api;

/// One tenant's place in one queue, at one moment. None of it is counted over jobs.
#[derive(Debug, Clone)]
pub(crate) struct LaneFacts {
    pub(crate) queue: String,
    pub(crate) status: LaneStatus,
    /// Since when its longest-waiting job could have started, of those that are next.
    pub(crate) oldest: Option<DateTime<Utc>>,
    pub(crate) starts: LaneStarts,
}

impl LaneFacts {
    pub(crate) async fn of(api: &Api, queue: String, tenant: Uuid) -> weirgate_queue::Result<Self> {
        let oldest = api.web.queue_views.oldest_of(&queue, tenant).await?;
        let status = api.web.queue_views.read(&queue, |view| view.lane_status(tenant)).await?;
        let starts = lane_starts(&mut *api.pool.acquire().await?, &queue, tenant).await?;
        Ok(Self { queue, status, oldest, starts })
    }

    /// Its jobs in a state.
    pub(crate) fn count(&self, state: JobState) -> i64 {
        self.status.counts.get(&state).copied().unwrap_or(0)
    }

    /// What part of its queue's starts it had, over the last minute.
    pub(crate) fn share_received(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "starts of a minute")]
        let part = |starts: LaneStarts| starts.lane as f64 / starts.queue as f64;
        (self.starts.queue > 0).then(|| part(self.starts))
    }
}
