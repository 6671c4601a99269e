//! What became of a job, moment by moment: when it waited, what held it back, when it ran, for how
//! long and where, and who had a hand in it.
//!
//! The engine counts attempts anew when a job is retried. Here they are numbered through, so that
//! no two have one number.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use weirgate_identity::audit::Act;
use weirgate_queue::JobState;
use weirgate_queue::read::{self, Origin};
use weirgate_web::dashboard::when::{When, span};
use weirgate_web::job::JobResource;
use weirgate_web::reason::who;

use crate::http::Api;

/// A failed attempt.
pub(super) struct Attempt {
    pub(super) number: usize,
    pub(super) at: When,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) again: Option<When>,
    /// How long it ran.
    pub(super) ran: Option<String>,
    /// Who ran it.
    pub(super) worker: Option<String>,
}

/// Something that happened, or will.
pub(super) struct Moment {
    pub(super) at: When,
    pub(super) text: String,
}

/// Workers by their ids, as far as they live.
pub(super) struct Workers {
    names: HashMap<Uuid, String>,
    /// Who runs the job now, or ran it last.
    last: Option<Uuid>,
    /// Who asked for the job.
    enqueued_by: Option<String>,
}

impl Workers {
    pub(super) async fn of(api: &Api, job: &JobResource) -> sqlx::Result<Self> {
        let mut ids: Vec<Uuid> = job.errors.iter().filter_map(|error| error.worker_id).collect();
        let mut conn = api.pool.acquire().await?;
        let Origin { worker_id: last, enqueued_by } = read::origin(&mut conn, job.id).await?;
        ids.extend(last);
        let places = read::worker_places(&mut conn, &ids).await?;
        let names = places.into_iter().map(|it| (it.id, format!("{} (process {})", it.host, it.pid)));
        Ok(Self { names: names.collect(), last, enqueued_by })
    }

    fn name(&self, id: Uuid) -> String {
        self.names.get(&id).cloned().unwrap_or_else(|| format!("a former worker ({id})"))
    }
}

/// The attempts that failed.
pub(super) fn attempts(job: &JobResource, workers: &Workers) -> Vec<Attempt> {
    let when = |at| When::new(at, job.observed_at);
    let attempt = |(before, error): (usize, &weirgate_web::attempt::AttemptError)| Attempt {
        number: before + 1,
        at: when(error.at),
        code: error.code.clone(),
        message: error.message.clone(),
        again: error.retry_at.map(when),
        ran: error.started_at.map(|from| span(error.at - from)),
        worker: error.worker_id.map(|id| workers.name(id)),
    };
    job.errors.iter().enumerate().map(attempt).collect()
}

/// How many attempts failed before it was retried by hand the last time.
pub(super) fn before_last_retry(job: &JobResource) -> usize {
    // Those since then are the last ones, and each has a higher number than the one before.
    let attempt = i32::from(job.attempt);
    let mut above = if job.state == JobState::Running { attempt } else { attempt + 1 };
    let mut earlier = job.errors.len();
    for error in job.errors.iter().rev() {
        if error.attempt >= above {
            break;
        }
        above = error.attempt;
        earlier -= 1;
    }
    earlier
}

/// What somebody did to it, or to the whole of which it is a part.
fn done(act: &Act) -> Option<String> {
    let what = match act.action.as_str() {
        "job.retry" => "retried".to_owned(),
        "job.cancel" => "cancel requested".to_owned(),
        "job.run_now" => "run now requested".to_owned(),
        "workflow.cancel" => "workflow cancelled".to_owned(),
        "workflow.retry_failed" => "failed jobs of the workflow retried".to_owned(),
        "backfill.cancel" => "backfill cancelled".to_owned(),
        "backfill.retry_failed" => "failed jobs of the backfill retried".to_owned(),
        "job.priority" => {
            // Entries of earlier versions had other names.
            let side = |name: &str, old: &str| match &act.detail[name]["priority"] {
                Value::Null => act.detail[old].to_string(),
                priority => priority.to_string(),
            };
            format!("priority changed from {} to {}", side("before", "from"), side("after", "to"))
        }
        // Who enqueued it is told first; a pause of its backfill and the like are no moments of it.
        "job.enqueue" => return None,
        other if !other.starts_with("job.") => return None,
        other => other.to_owned(),
    };
    Some(format!("{what} by {}", who(act.via, &act.actor)))
}

/// In order.
pub(super) fn timeline(job: &JobResource, workers: &Workers, acts: &[Act]) -> Vec<Moment> {
    let by = workers.enqueued_by.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
    let mut moments: Vec<(DateTime<Utc>, String)> = vec![(job.created_at, format!("enqueued{by}"))];
    // Its backfill may be older than it is.
    let acts = acts.iter().filter(|act| act.at >= job.created_at);
    moments.extend(acts.filter_map(|act| Some((act.at, done(act)?))));
    let mut since = job.created_at;
    for (before, error) in job.errors.iter().enumerate() {
        let number = before + 1;
        if let Some(from) = error.started_at {
            let waited = span(from - since);
            moments.push((from, format!("attempt {number} started after waiting {waited}")));
            moments.push((
                error.at,
                format!("attempt {number} failed after {}: {}", span(error.at - from), error.code),
            ));
        } else {
            moments.push((error.at, format!("failed: {}", error.code)));
        }
        since = error.retry_at.unwrap_or(error.at);
    }
    let is_told =
        job.errors.iter().any(|error| error.started_at.is_some() && error.started_at == job.attempted_at);
    let due = job.scheduled_at;
    let runs = !is_told && job.attempted_at.is_some_and(|at| at >= due);
    // A revived job has run before it became due.
    if due > job.created_at && (job.attempted_at.is_none_or(|at| at < due) || runs) {
        let word = if due > job.observed_at { "becomes available" } else { "became available" };
        moments.push((due, word.to_owned()));
    }
    if let Some(at) = job.attempted_at.filter(|_| !is_told) {
        let on = workers.last.map(|id| format!(" on {}", workers.name(id))).unwrap_or_default();
        let waited = if at >= due {
            format!(" after waiting {}", span(at - due.max(job.created_at)))
        } else {
            String::new()
        };
        moments.push((at, format!("attempt {} started{on}{waited}", job.errors.len() + 1)));
    }
    if let Some(until) = job.throttled_until {
        moments.push((until, "the rate limit allows the next start".to_owned()));
    }
    if let Some(at) = job.finalized_at {
        let ran = job.attempted_at.filter(|_| job.state == JobState::Completed);
        let after = ran.map(|from| format!(" after running for {}", span(at - from))).unwrap_or_default();
        moments.push((at, format!("{}{after}", job.state)));
    }
    moments.sort_by_key(|(at, _)| *at);
    let moment = |(at, text)| Moment { at: When::new(at, job.observed_at), text };
    moments.into_iter().map(moment).collect()
}

/// How long it waited for its turn and ran, of the last attempt; as far as it is known.
pub(super) fn spans(job: &JobResource) -> (Option<String>, Option<String>) {
    let due = job.scheduled_at.max(job.created_at);
    match (job.state, job.attempted_at) {
        (JobState::Running | JobState::Completed, Some(at)) => {
            let until = job.finalized_at.unwrap_or(job.observed_at);
            (Some(span(at - due)), Some(span(until - at)))
        }
        (JobState::Available, _) => (Some(span(job.observed_at - due)), None),
        _ => (None, None),
    }
}
