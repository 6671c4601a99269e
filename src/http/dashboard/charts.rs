//! The charts of the overview: what ran, what failed, and how long jobs waited to start.

use std::time::Duration;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use weirgate_queue::telemetry::rollup::{self, BucketSize, RollupBucket, Tally};
use weirgate_web::dashboard::columns;
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::when::span;
use weirgate_web::params::Fields;

use super::chart::{Chart, Series, Shape, Times};
use crate::http::Api;

/// So old may charts be; who looks meanwhile gets the same.
const FRESH: Duration = Duration::from_secs(4);

/// How far back charts look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Hour,
    Day,
    Week,
}

impl Over {
    const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// `over` of a query; the last hour where nothing is said.
    pub(super) fn take(fields: &mut Fields) -> Self {
        let Some(name) = fields.get::<String>("over") else { return Self::Hour };
        Self::ALL.into_iter().find(|over| over.name() == name).unwrap_or_else(|| {
            fields.fail("over", "expected hour, day or week");
            Self::Hour
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    const fn stretches(self) -> (BucketSize, u16) {
        match self {
            Self::Hour => (BucketSize::Minute, 60),
            Self::Day => (BucketSize::QuarterHour, 96),
            Self::Week => (BucketSize::Hour, 168),
        }
    }
}

/// A link to charts of another range.
pub(super) struct Choice {
    pub(super) name: &'static str,
    pub(super) current: bool,
}

#[derive(Template)]
#[template(path = "charts.html")]
struct Charts {
    choices: [Choice; 3],
    charts: Vec<Chart>,
}

/// The charts as HTML, the same for all who look.
pub(super) async fn render(api: &Api, over: Over) -> Result<std::sync::Arc<str>, Refusal> {
    api.dashboard
        .shared
        .get(&format!("charts {}", over.name()), FRESH, async || {
            let (every, count) = over.stretches();
            let buckets = rollup::buckets(&mut *api.pool.acquire().await?, None, every, count).await?;
            let choices = Over::ALL.map(|it| Choice { name: it.name(), current: it == over });
            Ok(Charts { choices, charts: draw(&buckets, every) }.render()?)
        })
        .await
}

fn draw(buckets: &[RollupBucket], every: BucketSize) -> Vec<Chart> {
    let starts: Vec<DateTime<Utc>> = buckets.iter().map(|bucket| bucket.at).collect();
    let times = Times { starts: &starts, each: TimeDelta::seconds(every.seconds().into()) };
    let series = |name, class, of: &dyn Fn(&Tally) -> Option<f64>| Series {
        name,
        class,
        values: buckets.iter().map(|bucket| of(&bucket.tally)).collect(),
    };
    #[expect(clippy::cast_precision_loss, reason = "counts of a stretch")]
    let count = |count: u64| Some(count as f64);
    let runs = [
        series("completed", "ok", &|tally| count(tally.completed)),
        series("retryable", "warn", &|tally| count(tally.retried)),
        series("discarded", "bad", &|tally| count(tally.discarded)),
        series("cancelled or snoozed", "quiet", &|tally| count(tally.cancelled + tally.snoozed)),
    ];
    let failures = [
        series("retryable", "warn", &|tally| count(tally.retried)),
        series("discarded", "bad", &|tally| count(tally.discarded)),
    ];
    let waited = |share: f64| move |tally: &Tally| tally.waits.quantile(share);
    let waits = [
        series("p50", "ok", &waited(0.5)),
        series("p95", "warn", &waited(0.95)),
        series("p99", "bad", &waited(0.99)),
    ];
    let whole = |value: f64| format!("{value:.0}");
    let seconds = |value: f64| {
        if value < 0.001 {
            "under 1 ms".to_owned()
        } else {
            span(TimeDelta::from_std(Duration::from_secs_f64(value)).unwrap_or_default())
        }
    };
    vec![
        Chart::draw(("throughput", throughput(every)), Shape::Bars, &times, &runs, whole),
        Chart::draw(("failures", "Failed runs"), Shape::Bars, &times, &failures, whole),
        Chart::draw(("waits", "Start latency"), Shape::Lines, &times, &waits, seconds),
    ]
}

const fn throughput(every: BucketSize) -> &'static str {
    match every {
        BucketSize::Minute => "Finished runs per minute",
        BucketSize::QuarterHour => "Finished runs per 15 minutes",
        BucketSize::Hour => "Finished runs per hour",
    }
}

/// The charts alone, for a page that is open.
pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut fields = Fields::of(query.as_deref());
    let over = Over::take(&mut fields);
    let over = fields.finish(Some(over)).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    Ok(Html(columns::named(&render(&api, over).await?)).into_response())
}
