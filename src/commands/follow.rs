//! A job, until it is final: how it stands, and why it does not run.

use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT, Tenant};
use weirgate_queue::lanes::QueueViews;
use weirgate_queue::{JobState, QueueError, read};
use weirgate_web::reason::reasons;

use super::door::Door;
use super::job::{Job, JobReport};
use super::remote;
use crate::client::Client;
use crate::database::Database;
use crate::output::tell;

/// Between two polls of a job that is followed in the database.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a server holds an answer for news.
const HOLD: Duration = Duration::from_secs(2);

/// How long a script's job may take before something is said: most are done by then.
const SOON: Duration = Duration::from_secs(3);

/// A job as it is now.
pub(super) async fn report(
    views: &QueueViews,
    conn: &mut PgConnection,
    id: Uuid,
) -> anyhow::Result<JobReport> {
    let job = read::get(&mut *conn, id).await?.ok_or(QueueError::UnknownJob(id))?;
    let positions = views.positions(conn, job.available()).await?;
    let tenant = tenant_name(conn, job.tenant_id).await?;
    let cancelled = reasons(conn, std::slice::from_ref(&job), true).await?.remove(&id);
    Ok(JobReport::of(job, positions.get(&id), cancelled, &tenant)?)
}

/// What people call the tenant of a job.
async fn tenant_name(conn: &mut PgConnection, id: Uuid) -> anyhow::Result<String> {
    if id == SYSTEM_TENANT {
        return Ok(SYSTEM_SLUG.to_owned());
    }
    let tenant = Tenant::find(conn, &id.to_string()).await?;
    Ok(tenant.map_or_else(|| id.to_string(), |tenant| tenant.slug.0))
}

/// Waits until a job is final, and shows on standard error how it stands meanwhile.
pub(super) async fn to_the_end(door: Door<'_>, id: Uuid) -> anyhow::Result<Job> {
    let mut shown = Shown::new()?;
    let mut reports = Reports::through(door);
    loop {
        let report = reports.next(id).await?;
        if report.job.state.is_final() {
            shown.line.finish_and_clear();
            return Ok(report.job);
        }
        shown.update(&report);
    }
}

/// Reports at a job, the first at once and the others with a pause before each.
struct Reports<'a> {
    place: Place<'a>,
    is_first: bool,
}

enum Place<'a> {
    Database(&'a Database, QueueViews),
    Server(&'a Client),
}

impl<'a> Reports<'a> {
    fn through(door: Door<'a>) -> Self {
        let place = match door {
            Door::Database(database) => {
                Place::Database(database.database, QueueViews::new(database.pool.clone()))
            }
            Door::Server(client) => Place::Server(client),
        };
        Self { place, is_first: true }
    }

    async fn next(&mut self, id: Uuid) -> anyhow::Result<JobReport> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match &self.place {
            Place::Database(database, views) => {
                if !is_first {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                report(views, &mut *database.pool.acquire().await?, id).await
            }
            Place::Server(client) => {
                let hold = if is_first { Duration::ZERO } else { HOLD };
                remote::jobs::follow(client, id, hold).await
            }
        }
    }
}

/// On a terminal one line, else a line for each change, once it has taken a while.
struct Shown {
    line: ProgressBar,
    begun: Instant,
    last: Option<(JobState, i16, Option<String>)>,
}

impl Shown {
    fn new() -> anyhow::Result<Self> {
        let style =
            ProgressStyle::with_template("{spinner} {msg}").context("the progress line's template")?;
        let line = ProgressBar::new_spinner().with_style(style);
        line.enable_steady_tick(LOOK_EVERY);
        Ok(Self { line, begun: Instant::now(), last: None })
    }

    fn update(&mut self, report: &JobReport) {
        let message = describe(report);
        if !self.line.is_hidden() {
            self.line.set_message(message);
            return;
        }
        // Counts and waits that only became smaller are no news.
        let now = (report.job.state, report.job.attempt, report.why.as_ref().map(|why| why.code.clone()));
        if self.last.as_ref() != Some(&now) && self.begun.elapsed() >= SOON {
            tell!("{message}");
            self.last = Some(now);
        }
    }
}

/// Where it stands, in a few words.
fn describe(JobReport { job, why, .. }: &JobReport) -> String {
    let state = job.state;
    if let Some(why) = why {
        return format!("{state}: {}", why.message);
    }
    let attempt = match state {
        JobState::Running => format!("{state}, attempt {} of {}", job.attempt, job.max_attempts),
        _ => state.to_string(),
    };
    let Some(progress) = &job.progress else { return attempt };
    let total = progress.total.map(|total| format!(" of {total}")).unwrap_or_default();
    format!("{attempt}: {}{total} {}", progress.done, progress.message)
}
