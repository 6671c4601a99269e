//! `backfill`: a range of days from the command line.

use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::PgPool;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;
use weirgate_jobs::{BackfillRange, Tenant};
use weirgate_queue::backfill::{self, BackfillState, Settings};
use weirgate_queue::{JobState, QueueError};

use crate::audit::Actor;
use crate::cli::Backfill;
use crate::config::Config;
use crate::database::Database;

/// Between two looks at one that is watched.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn run(options: Backfill, config: &Config) -> anyhow::Result<()> {
    if options.from > options.to {
        bail!("--to {} is before --from {}", options.to, options.from);
    }
    let database = Database::attach(config, "backfill").await?;
    let mut tx = database.pool.begin().await?;
    let named = (options.tenants != ["all"]).then_some(options.tenants.as_slice());
    let tenants = Tenant::active(&mut tx, named).await?;
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
    if options.dry_run {
        let counts = range.count(&mut tx, options.kind).await?;
        let future_days = range.future_days(&mut tx).await?;
        for (_, slug, slices) in &counts {
            println!("{slug}\t{slices}");
        }
        println!("in all\t{}", counts.iter().map(|(.., slices)| slices).sum::<u64>());
        tell_future(future_days);
        return database.close().await;
    }
    let id = Uuid::now_v7();
    let settings = Settings { share: options.share, max_running: options.max_running };
    let named = named.map(|_| tenants.as_slice());
    let new = range.backfill(&mut tx, options.kind, named, options.priority, settings, None).await?;
    let future_days = range.future_days(&mut tx).await?;
    backfill::create(&mut tx, id, &new).await?;
    Actor::cli().note(&mut tx, "backfill.create", &id.to_string(), &new.spec).await?;
    tx.commit().await?;
    println!("{id}");
    tell_future(future_days);
    if options.watch {
        watch(&database.pool, id).await?;
    }
    database.close().await
}

/// On standard error, as standard output has the id or the counts alone.
fn tell_future(days: u64) {
    if days > 0 {
        eprintln!(
            "{days} days of tenants lie in the future: they are skipped, unless they have begun when their turn comes"
        );
    }
}

/// Shows how far it is until it is over, or Ctrl-C; fails if it is not completed then.
pub(super) async fn watch(pool: &PgPool, id: Uuid) -> anyhow::Result<()> {
    let shown = Shown::new()?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening to Ctrl-C")?;
    let state = loop {
        let backfill = look(pool, id).await?;
        shown.update(&backfill);
        if backfill.state.is_final() {
            break backfill.state;
        }
        tokio::select! {
            _ = interrupt.recv() => {
                shown.bar.abandon();
                println!("it goes on by itself; look at it with: weirgate backfills show {id} --watch");
                return Ok(());
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
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

    fn update(&self, backfill: &backfill::Backfill) {
        self.bar.set_length(backfill.total);
        self.bar.set_position(backfill.done);
        let message = describe(backfill);
        self.bar.set_message(message.clone());
        if self.bar.is_hidden() {
            let line = format!("{}/{} {message}", backfill.done, backfill.total);
            if *self.last.borrow() != line {
                println!("{line}");
                self.last.replace(line);
            }
        }
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
