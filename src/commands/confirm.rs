//! Is it meant? Asked on a terminal; elsewhere refused with the option that says so.

use std::io::{self, IsTerminal};

use anyhow::bail;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::blocking::blocking;
use super::door::Door;
use crate::config::Config;
use crate::home;
use crate::output::tell;
use crate::signals::Stop;

/// A time so far away is a slip, as a rule.
const FAR: TimeDelta = TimeDelta::days(100 * 365);
/// A backfill may well be asked for up to the end of the year.
const NEXT_YEAR: TimeDelta = TimeDelta::days(366);

/// Whether a home is to be made for a command that only works with what is there; its name may be a
/// slip. Where nobody can be asked, such a command is refused.
pub(super) async fn home(config: &Config, stop: &Stop) -> anyhow::Result<()> {
    if config.database_url.is_none() && !config.home.exists() && io::stdin().is_terminal() {
        let what = format!("the data folder {} does not exist and would be created", config.home.display());
        stop.until_told(ask(&what, false)).await?;
        home::make_for(config)?;
    }
    Ok(())
}

/// Whether a day that is yet to come, or a time far away, is meant.
pub(super) async fn times(
    door: Door<'_>,
    day: Option<NaiveDate>,
    at: Option<DateTime<Utc>>,
    yes: bool,
) -> anyhow::Result<()> {
    if day.is_none() && at.is_none() {
        return Ok(());
    }
    let Some(now) = door.now().await? else { return Ok(()) };
    // It is tomorrow already in some places.
    if let Some(day) = day.filter(|day| *day > (now + TimeDelta::days(1)).date_naive()) {
        ask(&format!("--date {day} is in the future, so there is nothing to process yet"), yes).await?;
    }
    if let Some(at) = at.filter(|at| *at - now > FAR) {
        ask(&format!("--run-at {} is over 100 years away", at.format("%Y-%m-%d")), yes).await?;
    }
    Ok(())
}

/// Whether the last day of a range is meant.
pub(super) async fn last_day(door: Door<'_>, to: NaiveDate, yes: bool) -> anyhow::Result<()> {
    if door.now().await?.is_some_and(|now| to > (now + NEXT_YEAR).date_naive()) {
        ask(&format!("--to {to} is over a year away, and days in the future are skipped"), yes).await?;
    }
    Ok(())
}

/// Asks; an error unless the answer, or `yes`, is yes.
pub(super) async fn ask(what: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        bail!("{what}; add --yes to continue anyway");
    }
    tell!("{what}. Continue? [y/N]");
    let answer = blocking(|| io::stdin().lines().next()).await?.transpose()?.unwrap_or_default();
    if !matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        bail!("nothing was done");
    }
    Ok(())
}
