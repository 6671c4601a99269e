//! How a queue goes: what the API and the dashboard tell of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use weirgate_queue::JobState;
use weirgate_queue::lanes::settings::QueueSettings;
use weirgate_queue::lanes::traffic::{self, QueueWorkers, Traffic};
use weirgate_queue::lanes::{BusyLane, QueueView};

use crate::http::Api;
use crate::queues;

/// A queue at one moment. None of it is counted over jobs.
#[derive(Debug, Clone)]
pub(crate) struct QueueFacts {
    pub(crate) name: String,
    pub(crate) settings: QueueSettings,
    /// Jobs by state, those included that are finished and still kept.
    counts: HashMap<JobState, i64>,
    /// Since when the longest-waiting job could have started, of those that are next in their
    /// lanes.
    pub(crate) oldest: Option<DateTime<Utc>>,
    pub(crate) lanes_with_backlog: usize,
    pub(crate) throttled_lanes: usize,
    pub(crate) throttled_until: Option<DateTime<Utc>>,
    /// Lanes in which something waits or runs.
    pub(crate) lanes: Vec<BusyLane>,
    pub(crate) workers: QueueWorkers,
    pub(crate) traffic: Traffic,
    /// The database's time of this answer.
    pub(crate) now: DateTime<Utc>,
}

impl QueueFacts {
    /// Every queue there is, by name.
    pub(crate) async fn all(api: &Api) -> weirgate_queue::Result<Vec<Self>> {
        let mut conn = api.pool.acquire().await?;
        let names = queues::known(&mut conn, &api.catalog, None).await?;
        let workers = traffic::workers(&mut conn).await?;
        drop(conn);
        let mut all = Vec::with_capacity(names.len());
        for name in names {
            let workers = workers.get(&name).copied().unwrap_or_default();
            all.push(Self::read(api, name, workers).await?);
        }
        Ok(all)
    }

    /// One queue.
    pub(crate) async fn of(api: &Api, name: String) -> weirgate_queue::Result<Self> {
        let workers = traffic::workers(&mut *api.pool.acquire().await?).await?.remove(&name);
        Self::read(api, name, workers.unwrap_or_default()).await
    }

    async fn read(api: &Api, name: String, workers: QueueWorkers) -> weirgate_queue::Result<Self> {
        let oldest = api.web.queue_views.oldest(&name).await?;
        let copied =
            |view: &QueueView| (view.activity(), view.busy_lanes(), view.settings().clone(), view.now());
        let (facts, lanes, settings, now) = api.web.queue_views.read(&name, copied).await?;
        let traffic = traffic::traffic(&mut *api.pool.acquire().await?, &name).await?;
        Ok(Self {
            name,
            settings,
            counts: facts.counts,
            oldest,
            lanes_with_backlog: facts.lanes_with_backlog,
            throttled_lanes: facts.throttled_lanes,
            throttled_until: facts.throttled_until,
            lanes,
            workers,
            traffic,
            now,
        })
    }

    /// Its jobs in a state.
    pub(crate) fn count(&self, state: JobState) -> i64 {
        self.counts.get(&state).copied().unwrap_or(0)
    }
}
