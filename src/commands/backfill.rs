//! `backfill`: a range of days from the command line.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_identity::audit::Actor;
use weirgate_queue::backfill::{self as rows, BackfillSettings, BackfillState};
use weirgate_queue::{JobState, QueueError};
use weirgate_web::backfill::BackfillRange;

use super::backfill_shown::Backfill as Shown;
use super::door::Door;
use super::session::Session;
use super::table::instant;
use super::{confirm, mock_days, remote};
use crate::cli::Backfill;
use crate::output::{say, tell};
use crate::signals::Interrupted;

/// Between two polls of a backfill that is watched.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The same through a server, which others ask, too.
const ASK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(options: Backfill, session: &Session) -> anyhow::Result<()> {
    if options.from > options.to {
        bail!("--to {} is before --from {}", options.to, options.from);
    }
    let watched = Cell::new(None);
    let ended = session.with_door("backfill", async |door| {
        confirm::last_day(door, options.to, options.yes).await?;
        if let Door::Database(_) = door {
            mock_days::hint(&session.config, options.from, options.to);
        }
        if options.dry_run {
            return count(&options, door).await;
        }
        let (id, future_days) = match door {
            Door::Database(database) => create(&options, &database.pool).await?,
            Door::Server(client) => {
                let made = remote::backfills::create(client, &options).await?;
                (made.id, made.future_days)
            }
        };
        tell_future(future_days);
        say!("{id}")?;
        if !options.watch {
            return Ok(());
        }
        watched.set(Some(id));
        watch(door, id).await
    });
    leave(ended.await, watched.get(), session)
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
            "the range has {} tenant-days; at most {} are allowed",
            range.total(),
            BackfillRange::MOST_SLICES
        );
    }
    Ok((range, named.map(|_| tenants)))
}

async fn count(options: &Backfill, door: Door<'_>) -> anyhow::Result<()> {
    let (tenants, future_days) = match door {
        Door::Database(database) => {
            let mut conn = database.pool.acquire().await?;
            let (range, _) = range(options, &mut conn).await?;
            let counts = (options.kind.count)(&mut conn, &range).await?;
            let future_days = range.future_days(&mut conn).await?;
            (counts.into_iter().map(|(_, slug, slices)| (slug.0, slices)).collect(), future_days)
        }
        Door::Server(client) => {
            let told = remote::backfills::count(client, options).await?;
            let tenants: Vec<_> = told.tenants.into_iter().map(|it| (it.tenant, it.slices)).collect();
            (tenants, told.future_days)
        }
    };
    for (slug, slices) in &tenants {
        say!("{slug}\t{slices}")?;
    }
    tell_future(future_days);
    say!("total\t{}", tenants.iter().map(|(_, slices)| slices).sum::<u64>())
}

/// Its id, and how many of its days lie in the future.
async fn create(options: &Backfill, pool: &PgPool) -> anyhow::Result<(Uuid, u64)> {
    let mut tx = pool.begin().await?;
    let (range, named) = range(options, &mut tx).await?;
    let id = Uuid::now_v7();
    let settings = BackfillSettings { share: options.share, max_running: options.max_running };
    let new =
        options.kind.backfill(&mut tx, &range, named.as_deref(), options.priority, settings, None).await?;
    let future_days = range.future_days(&mut tx).await?;
    rows::create(&mut tx, id, &new).await?;
    Actor::cli().note_backfill(&mut tx, id, &new, &range.tenants).await?;
    tx.commit().await?;
    Ok((id, future_days))
}

/// On standard error, as standard output has the id or the counts alone.
fn tell_future(days: u64) {
    if days > 0 {
        tell!(
            "{days} tenant-days are in the future; they are skipped unless they have begun when they are reached"
        );
    }
}

/// Who stops watching ends nothing: it is no failure, and it is said how to go on watching.
pub(super) fn leave(
    ended: anyhow::Result<()>,
    watched: Option<Uuid>,
    session: &Session,
) -> anyhow::Result<()> {
    match (ended, watched) {
        (Err(error), Some(id)) if error.is::<Interrupted>() => {
            let suffix = session.suffix();
            say!("the backfill continues; watch it with: weirgate backfills show {id} --watch{suffix}")
        }
        (ended, _) => ended,
    }
}

/// Shows how far it is until it is over; fails if it is not completed then.
pub(super) async fn watch(door: Door<'_>, id: Uuid) -> anyhow::Result<()> {
    let shown = Progress::new()?;
    let pause = match door {
        Door::Database(_) => LOOK_EVERY,
        Door::Server(_) => ASK_EVERY,
    };
    let state = loop {
        let backfill = fetch(door, id).await?;
        shown.update(&backfill)?;
        if backfill.facts.state.is_final() {
            break backfill.facts.state;
        }
        tokio::time::sleep(pause).await;
    };
    shown.bar.finish();
    match state {
        BackfillState::Completed => Ok(()),
        BackfillState::CompletedWithFailures => {
            bail!("backfill {id} has failed jobs; retry them with `weirgate backfills retry-failed {id}`")
        }
        state => bail!("backfill {id} is {state}"),
    }
}

pub(super) async fn fetch(door: Door<'_>, id: Uuid) -> anyhow::Result<Shown> {
    match door {
        Door::Database(database) => {
            let found = rows::get(&mut *database.pool.acquire().await?, id).await?;
            Ok(Shown::of(&found.ok_or(QueueError::UnknownBackfill(id))?, database.catalog)?)
        }
        Door::Server(client) => remote::backfills::show(client, id).await,
    }
}

/// A bar on a terminal, else a line for each thing that is new.
struct Progress {
    bar: ProgressBar,
    last: std::cell::RefCell<String>,
}

impl Progress {
    fn new() -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} {msg}")
            .context("the progress bar's template")?;
        Ok(Self { bar: ProgressBar::new(0).with_style(style), last: std::cell::RefCell::default() })
    }

    fn update(&self, backfill: &Shown) -> anyhow::Result<()> {
        let facts = &backfill.facts;
        self.bar.set_length(facts.total);
        self.bar.set_position(facts.done);
        let message = describe(backfill);
        self.bar.set_message(message.clone());
        if self.bar.is_hidden() {
            let line = format!("{}/{} {message}", facts.done, facts.total);
            if *self.last.borrow() != line {
                say!("{line}")?;
                self.last.replace(line);
            }
        }
        Ok(())
    }
}

/// Where it stands, in a few words.
fn describe(backfill: &Shown) -> String {
    let mut words = vec![backfill.facts.state.to_string()];
    for state in [JobState::Running, JobState::Retryable, JobState::Discarded] {
        let count = backfill.count(state);
        if count > 0 {
            words.push(format!("{count} {state}"));
        }
    }
    if let Some(rate) = backfill.facts.rate_per_s {
        words.push(format!("{rate:.1}/s"));
    }
    if let Some(at) = backfill.facts.estimated_finish {
        words.push(format!("estimated finish {}", instant(at)));
    }
    words.join(", ")
}
