//! A job, until it is final: how it stands, and why it does not run.

use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_jobs::{SYSTEM_SLUG, SYSTEM_TENANT, Tenant};
use weirgate_queue::lanes::Books;
use weirgate_queue::query::{self, JobRow};
use weirgate_queue::{JobState, QueueError};

use crate::http::why::WhyNotRunning;
use crate::output::tell;

/// Between two looks at one that is followed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a script's job may take before something is said: most are done by then.
const SOON: Duration = Duration::from_secs(3);

/// What is known of a job at a moment.
pub(super) struct Look {
    pub(super) job: JobRow,
    pub(super) why: Option<WhyNotRunning>,
}

/// A job as it is now.
pub(super) async fn look(books: &Books, conn: &mut PgConnection, id: Uuid) -> anyhow::Result<Look> {
    let job = query::get(&mut *conn, id).await?.ok_or(QueueError::UnknownJob(id))?;
    let standings = books.standings(conn, std::slice::from_ref(&job)).await?;
    let tenant = tenant_name(conn, job.tenant_id).await?;
    let why = WhyNotRunning::of(&job, &tenant, standings.get(&job.id));
    Ok(Look { job, why })
}

/// What people call the tenant of a job.
async fn tenant_name(conn: &mut PgConnection, id: Uuid) -> anyhow::Result<String> {
    if id == SYSTEM_TENANT {
        return Ok(SYSTEM_SLUG.to_owned());
    }
    let tenant = Tenant::find(conn, &id.to_string()).await?;
    Ok(tenant.map_or_else(|| id.to_string(), |tenant| tenant.slug.0))
}

/// Waits until a job is final. Where it stands is shown on standard error meanwhile: on a terminal in one line, else in a line
/// for each change, once it has taken a while.
pub(super) async fn to_the_end(pool: &PgPool, id: Uuid) -> anyhow::Result<JobRow> {
    let books = Books::new(pool.clone());
    let style = ProgressStyle::with_template("{spinner} {msg}").context("the progress line's template")?;
    let line = ProgressBar::new_spinner().with_style(style);
    line.enable_steady_tick(LOOK_EVERY);
    let mut shown = None;
    let begun = Instant::now();
    loop {
        let look = look(&books, &mut *pool.acquire().await?, id).await?;
        if look.job.state().is_final() {
            line.finish_and_clear();
            return Ok(look.job);
        }
        let message = describe(&look);
        if line.is_hidden() {
            // Counts and waits that only became smaller are no news.
            let now = (look.job.state(), look.job.attempt, look.why.as_ref().map(|why| why.code));
            if shown.as_ref() != Some(&now) && begun.elapsed() >= SOON {
                tell!("{message}");
                shown = Some(now);
            }
        } else {
            line.set_message(message);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Where it stands, in a few words.
fn describe(Look { job, why }: &Look) -> String {
    let state = job.state();
    if let Some(why) = why {
        return format!("{state}: {}", why.message);
    }
    let attempt = match state {
        JobState::Running => format!("{state}, attempt {} of {}", job.attempt, job.max_attempts),
        _ => state.to_string(),
    };
    let Some(progress) = &job.progress else { return attempt };
    let total = progress["total"].as_u64().map(|total| format!(" of {total}")).unwrap_or_default();
    let done = progress["done"].as_u64().unwrap_or_default();
    format!("{attempt}: {done}{total} {}", progress["message"].as_str().unwrap_or_default())
}
