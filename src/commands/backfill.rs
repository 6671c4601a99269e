//! `backfill`: a range of days from the command line.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_jobs::{BackfillRange, Tenant};
use weirgate_queue::backfill::{self, BackfillState, Settings};
use weirgate_queue::{JobState, QueueError};

use super::session::Session;
use super::{confirm, mock_days};
use crate::audit::Actor;
use crate::cli::Backfill;
use crate::output::{say, tell};
use crate::signals::Interrupted;

/// Between two looks at one that is watched.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn run(options: Backfill, session: &Session) -> anyhow::Result<()> {
    if options.from > options.to {
        bail!("--to {} is before --from {}", options.to, options.from);
    }
    let watched = Cell::new(None);
    let ended = session.with_database("backfill", async |database| {
        confirm::last_day(&database.pool, options.to, options.yes).await?;
        mock_days::hint(&session.config, options.from, options.to);
        if options.dry_run {
            return count(&options, &database.pool).await;
        }
        let id = create(&options, &database.pool).await?;
        say!("{id}")?;
        if !options.watch {
            return Ok(());
        }
        watched.set(Some(id));
        watch(&database.pool, id).await
    });
    leave(ended.await, watched.get())
}

/// The range of days that was asked for, and the tenants where they were named.
async fn range(
    options: &Backfill,
    conn: &mut PgConnection,
) -> anyhow::Result<(BackfillRange, Option<Vec<Tenant>>)> {
    let named = (options.tenants != ["all"]).then_some(options.tenants.as_slice());
    let tenants = Tenant::active(conn, named).await?;
    let range = BackfillRange {
        tenants: tenants.iter().map(|tenant| tenant.id).collect(),
        from: options.from,
        to: options.to,
        order: options.order,
        reprocess: options.reprocess,
    };
    if range.total() > BackfillRange::MOST_SLICES {
        bail!(
            "{} days of tenants are more than the {} that are allowed",
            range.total(),
            BackfillRange::MOST_SLICES
        );
    }
    Ok((range, named.map(|_| tenants)))
}

async fn count(options: &Backfill, pool: &PgPool) -> anyhow::Result<()> {
    let mut conn = pool.acquire().await?;
    let (range, _) = range(options, &mut conn).await?;
    let counts = range.count(&mut conn, options.kind).await?;
    let future_days = range.future_days(&mut conn).await?;
    for (_, slug, slices) in &counts {
        say!("{slug}\t{slices}")?;
    }
    tell_future(future_days);
    say!("in all\t{}", counts.iter().map(|(.., slices)| slices).sum::<u64>())
}

async fn create(options: &Backfill, pool: &PgPool) -> anyhow::Result<Uuid> {
    let mut tx = pool.begin().await?;
    let (range, named) = range(options, &mut tx).await?;
    let id = Uuid::now_v7();
    let settings = Settings { share: options.share, max_running: options.max_running };
    let new =
        range.backfill(&mut tx, options.kind, named.as_deref(), options.priority, settings, None).await?;
    let future_days = range.future_days(&mut tx).await?;
    backfill::create(&mut tx, id, &new).await?;
    Actor::cli().note_backfill(&mut tx, id, &new, &range.tenants).await?;
    tx.commit().await?;
    tell_future(future_days);
    Ok(id)
}

/// On standard error, as standard output has the id or the counts alone.
fn tell_future(days: u64) {
    if days > 0 {
        tell!(
            "{days} days of tenants lie in the future: they are skipped, unless they have begun when their turn comes"
        );
    }
}

/// Who stops watching ends nothing: it is no failure, and it is said how to go on watching.
pub(super) fn leave(ended: anyhow::Result<()>, watched: Option<Uuid>) -> anyhow::Result<()> {
    match (ended, watched) {
        (Err(error), Some(id)) if error.is::<Interrupted>() => {
            say!("it goes on by itself; look at it with: weirgate backfills show {id} --watch")
        }
        (ended, _) => ended,
    }
}

/// Shows how far it is until it is over; fails if it is not completed then.
pub(super) async fn watch(pool: &PgPool, id: Uuid) -> anyhow::Result<()> {
    let shown = Shown::new()?;
    let state = loop {
        let backfill = look(pool, id).await?;
        shown.update(&backfill)?;
        if backfill.state.is_final() {
            break backfill.state;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    shown.bar.finish();
    match state {
        BackfillState::Completed => Ok(()),
        BackfillState::CompletedWithFailures => bail!(
            "backfill {id} is over, but jobs of it failed; `weirgate backfills retry-failed {id}` runs them again"
        ),
        state => bail!("backfill {id} is {state}"),
    }
}

pub(super) async fn look(pool: &PgPool, id: Uuid) -> anyhow::Result<backfill::Backfill> {
    let found = backfill::get(&mut *pool.acquire().await?, id).await?;
    Ok(found.ok_or(QueueError::UnknownBackfill(id))?)
}

/// A bar on a terminal, else a line for each thing that is new.
struct Shown {
    bar: ProgressBar,
    last: std::cell::RefCell<String>,
}

impl Shown {
    fn new() -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} {msg}")
            .context("the progress bar's template")?;
        Ok(Self { bar: ProgressBar::new(0).with_style(style), last: std::cell::RefCell::default() })
    }

    fn update(&self, backfill: &backfill::Backfill) -> anyhow::Result<()> {
        self.bar.set_length(backfill.total);
        self.bar.set_position(backfill.done);
        let message = describe(backfill);
        self.bar.set_message(message.clone());
        if self.bar.is_hidden() {
            let line = format!("{}/{} {message}", backfill.done, backfill.total);
            if *self.last.borrow() != line {
                say!("{line}")?;
                self.last.replace(line);
            }
        }
        Ok(())
    }
}

/// Where it stands, in a few words.
fn describe(backfill: &backfill::Backfill) -> String {
    let mut words = vec![backfill.state.to_string()];
    for state in [JobState::Running, JobState::Retryable, JobState::Discarded] {
        let count = backfill.counts.of(state);
        if count > 0 {
            words.push(format!("{count} {state}"));
        }
    }
    if let Some(rate) = backfill.rate {
        words.push(format!("{rate:.1}/s"));
    }
    if let Some(at) = backfill.estimated_finish {
        words.push(format!("until {}", at.format("%Y-%m-%d %H:%M:%S UTC")));
    }
    words.join(", ")
}
