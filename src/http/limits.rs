//! Limits as requests give them and answers show them.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use weirgate_queue::lanes::change::QueueChange;
use weirgate_queue::lanes::{InvalidLimit, LaneLimits, LimitsInput, QueueLimits, Rate};

use weirgate_web::problem::{FieldError, Problem};

/// Limits of a queue as a whole; null is no limit.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = QueueLimits)]
pub(crate) struct QueueLimitsResource {
    /// Starts per period.
    #[schema(required = true, minimum = 1)]
    rate: Option<u32>,
    /// The period, in seconds.
    #[schema(required = true)]
    period_s: Option<f64>,
    /// Starts at once after a pause.
    #[schema(required = true, minimum = 1)]
    burst: Option<u32>,
    /// Jobs that may run at once, on all hosts together.
    #[schema(required = true, minimum = 1)]
    max_running: Option<u32>,
}

/// Limits of one tenant in a queue; null is no limit.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = LaneLimits)]
pub(crate) struct LaneLimitsResource {
    #[serde(flatten)]
    limits: QueueLimitsResource,
    /// Its share of the starts against other tenants, when there is more work than capacity.
    weight: f64,
}

impl From<QueueLimits> for QueueLimitsResource {
    fn from(QueueLimits { rate, max_running }: QueueLimits) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most a year")]
        let seconds = |rate: Rate| rate.period_ms as f64 / 1000.0;
        Self {
            rate: rate.map(|it| it.rate),
            period_s: rate.map(seconds),
            burst: rate.map(|it| it.burst),
            max_running,
        }
    }
}

impl From<LaneLimits> for LaneLimitsResource {
    fn from(LaneLimits { rate, max_running, weight }: LaneLimits) -> Self {
        Self { limits: QueueLimits { rate, max_running }.into(), weight }
    }
}

/// The limits of all tenants together. What is missing or null is no limit.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QueueLimitsChange)]
pub(crate) struct QueueLimitsBody {
    /// Starts per period; at most 50,000 a second.
    #[schema(minimum = 1, maximum = 1_000_000, example = 100)]
    rate: Option<i64>,
    /// The period, in seconds, to the millisecond; 1 when missing.
    #[schema(minimum = 0.001, maximum = 31_536_000)]
    period_s: Option<f64>,
    /// Starts allowed at once after a pause; 1 when missing: starts are evenly spaced.
    #[schema(minimum = 1, maximum = 1_000_000)]
    burst: Option<i64>,
    /// Jobs that may run at once, on all hosts together.
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_running: Option<i64>,
}

/// The limits of a tenant that has none of its own. What is missing or null is no limit.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LaneLimitsChange)]
pub(crate) struct LaneLimitsBody {
    /// Starts per period; at most 50,000 a second.
    #[schema(minimum = 1, maximum = 1_000_000, example = 20)]
    rate: Option<i64>,
    /// The period, in seconds, to the millisecond; 1 when missing.
    #[schema(minimum = 0.001, maximum = 31_536_000)]
    period_s: Option<f64>,
    /// Starts allowed at once after a pause; 1 when missing: starts are evenly spaced.
    #[schema(minimum = 1, maximum = 1_000_000, example = 5)]
    burst: Option<i64>,
    /// Jobs that may run at once, on all hosts together.
    #[schema(minimum = 1, maximum = 1_000_000, example = 3)]
    max_running: Option<i64>,
    /// Its share of the starts against other tenants, when there is more work than capacity; 1 when
    /// missing.
    #[schema(minimum = 0.001, maximum = 1000)]
    weight: Option<f64>,
}

impl From<QueueLimitsBody> for LimitsInput {
    fn from(QueueLimitsBody { rate, period_s, burst, max_running }: QueueLimitsBody) -> Self {
        Self { rate, period_s, burst, max_running, weight: None }
    }
}

impl From<LaneLimitsBody> for LimitsInput {
    fn from(LaneLimitsBody { rate, period_s, burst, max_running, weight }: LaneLimitsBody) -> Self {
        Self { rate, period_s, burst, max_running, weight }
    }
}

/// Limits of a queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitsOfQueue {
    /// Limits of the queue as a whole.
    queue: QueueLimitsResource,
    /// Default limits per tenant.
    lanes: LaneLimitsResource,
}

impl LimitsOfQueue {
    pub(crate) fn new(queue: QueueLimits, lanes: LaneLimits) -> Self {
        Self { queue: queue.into(), lanes: lanes.into() }
    }
}

/// What to change of a queue's limits. What is not there stays; null is no limits.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LimitsOfQueueChange, example = json!({"queue": {"max_running": 40}, "lanes": {"rate": 20, "burst": 5}}))]
#[expect(clippy::option_option, reason = "null and absent mean different things")]
pub(crate) struct LimitsOfQueueBody {
    /// Limits of the queue as a whole.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<QueueLimitsBody>)]
    queue: Option<Option<QueueLimitsBody>>,
    /// Default limits per tenant.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<LaneLimitsBody>)]
    lanes: Option<Option<LaneLimitsBody>>,
}

impl LimitsOfQueueBody {
    pub(crate) fn check(self) -> Result<QueueChange, Problem> {
        let mut errors = Vec::new();
        let queue = self.queue.map(|body| LimitsInput::from(body.unwrap_or_default()).queue());
        let lanes = self.lanes.map(|body| LimitsInput::from(body.unwrap_or_default()).lane());
        let change = QueueChange {
            limits: queue.and_then(|limits| checked(&mut errors, "queue", limits)),
            lane_limits: lanes.and_then(|limits| checked(&mut errors, "lanes", limits)),
        };
        if errors.is_empty() { Ok(change) } else { Err(Problem::invalid(errors)) }
    }
}

/// What is right; what is wrong goes to `errors`, under `path`.
pub(crate) fn checked<T>(
    errors: &mut Vec<FieldError>,
    path: &str,
    limits: Result<T, Vec<InvalidLimit>>,
) -> Option<T> {
    let error = |it: InvalidLimit| FieldError { field: format!("{path}.{}", it.field), message: it.message };
    limits.map_err(|wrong| errors.extend(wrong.into_iter().map(error))).ok()
}

/// Tells a null from a field that is not there.
#[expect(clippy::option_option, reason = "null and absent mean different things")]
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}
