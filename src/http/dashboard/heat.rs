//! The days of a backfill as a calendar: a cell for each tenant and day, some months and tenants at
//! a time.

use az::SaturatingAs;
use chrono::{Datelike, Days, NaiveDate};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_web::backfill::{BackfillDays, SliceJob, TenantDays};

use crate::http::Api;

/// Tenants on a page.
const TENANTS: u64 = 20;

/// Most months on a page; fewer of more tenants.
const MONTHS: u64 = 12;

/// Which part of the calendar is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Shown {
    /// With this month; that of the day whose turn it is where none is named.
    pub(super) month: Option<NaiveDate>,
    /// The page of tenants, from 0.
    pub(super) tenants: u64,
}

/// A part of the calendar.
pub(super) struct Heat {
    pub(super) months: Vec<Month>,
    /// Which tenants these are, where there are others.
    pub(super) which: Option<String>,
    /// To other months and tenants: words and query.
    pub(super) links: Vec<(&'static str, String)>,
}

/// The days of a month that the backfill is about.
pub(super) struct Month {
    pub(super) name: String,
    pub(super) days: Vec<u32>,
    pub(super) rows: Vec<Row>,
}

/// A tenant's days.
pub(super) struct Row {
    pub(super) tenant: String,
    pub(super) cells: Vec<Cell>,
}

/// What became of a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// For the stylesheet, and for people.
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
    pub(super) words: &'static str,
}

pub(super) struct Cell {
    pub(super) mark: Mark,
    pub(super) day: NaiveDate,
    pub(super) link: Option<String>,
}

const TO_COME: Mark = Mark { class: "to-come", sign: "·", words: "pending" };
const NO_JOB: Mark = Mark { class: "no-job", sign: "○", words: "no job" };

impl Mark {
    /// All there are, for the legend.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [TO_COME, NO_JOB].into_iter().chain(JobState::ALL.map(Self::of))
    }

    fn of(state: JobState) -> Self {
        let sign = match state {
            JobState::Waiting => "…",
            JobState::Scheduled => "@",
            JobState::Available => "+",
            JobState::Running => "»",
            JobState::Retryable => "~",
            JobState::Completed => "✓",
            JobState::Cancelled => "–",
            JobState::Discarded => "✗",
        };
        Self { class: state.as_str(), sign, words: state.as_str() }
    }

    fn of_job(job: &SliceJob) -> Self {
        if job.is_stopped { Self::of(JobState::Discarded) } else { Self::of(job.state) }
    }
}

impl Heat {
    /// The part that is asked for; `None` for a backfill of something else than days.
    pub(super) async fn load(api: &Api, id: Uuid, shown: &Shown) -> weirgate_queue::Result<Option<Self>> {
        let mut conn = api.pool.acquire().await?;
        let Some(days) = BackfillDays::find(&mut conn, id, api.catalog.backfills()).await? else {
            return Ok(None);
        };
        let pages = days.tenants.div_ceil(TENANTS).max(1);
        let page = shown.tenants.min(pages - 1);
        let places = page * TENANTS..=(page * TENANTS + TENANTS - 1).min(days.tenants.saturating_sub(1));
        let on_page = (places.end() - places.start() + 1).max(1);
        let at_once = (TENANTS / on_page).clamp(1, MONTHS).saturating_as::<u32>();
        let wanted = shown.month.unwrap_or_else(|| days.current()).clamp(days.from, days.to);
        let first = (index(wanted) - index(days.from)) / at_once * at_once + index(days.from);
        let (from, to) = (start(first).max(days.from), start(first + at_once) - Days::new(1));
        let to = to.min(days.to);
        let tenants = days.of(&mut conn, places.clone(), from..=to).await?;
        let months = (first..first + at_once).map(|month| Month::new(&days, month, &tenants));
        let mut links = Vec::new();
        let query = |month: u32, page: u64| format!("month={}&tenants={page}", start(month).format("%Y-%m"));
        if from > days.from {
            links.push(("Earlier months", query(first - at_once, page)));
        }
        if to < days.to {
            links.push(("Later months", query(first + at_once, page)));
        }
        if page > 0 {
            links.push(("Previous tenants", query(first, page - 1)));
        }
        if page + 1 < pages {
            links.push(("Next tenants", query(first, page + 1)));
        }
        let which = format!("Tenants {} to {} of {}.", places.start() + 1, places.end() + 1, days.tenants);
        Ok(Some(Self {
            months: months.filter(|month| !month.days.is_empty()).collect(),
            which: (pages > 1).then_some(which),
            links,
        }))
    }
}

/// Months since the year 0.
fn index(day: NaiveDate) -> u32 {
    day.year().max(0).unsigned_abs() * 12 + day.month0()
}

/// The first day of a month.
fn start(index: u32) -> NaiveDate {
    let year = (index / 12).saturating_as::<i32>();
    NaiveDate::from_ymd_opt(year, index % 12 + 1, 1).unwrap_or(NaiveDate::MAX)
}

impl Month {
    fn new(days: &BackfillDays, month: u32, tenants: &[TenantDays]) -> Self {
        let (from, after) = (start(month).max(days.from), start(month + 1));
        let to = after - Days::new(1);
        let all: Vec<NaiveDate> = from.iter_days().take_while(|day| *day <= to.min(days.to)).collect();
        let row = |tenant: &TenantDays| Row {
            tenant: tenant.tenant.clone(),
            cells: all.iter().map(|day| Cell::new(days, tenant, *day)).collect(),
        };
        Self {
            name: start(month).format("%B %Y").to_string(),
            days: all.iter().map(Datelike::day).collect(),
            rows: tenants.iter().map(row).collect(),
        }
    }
}

impl Cell {
    fn new(days: &BackfillDays, tenant: &TenantDays, day: NaiveDate) -> Self {
        let job = tenant.jobs.get(&day);
        let mark = match job {
            Some(job) => Mark::of_job(job),
            None if days.had_its_turn(tenant, day) => NO_JOB,
            None => TO_COME,
        };
        let link = job.map(|job| match job.workflow {
            Some(workflow) => format!("/dashboard/workflows/{workflow}"),
            None => format!("/dashboard/jobs/{}", job.id),
        });
        Self { mark, day, link }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_counted_from_the_year_0() {
        for (year, month) in [(2026, 1), (1969, 12), (1970, 1), (2025, 12)] {
            let day = NaiveDate::from_ymd_opt(year, month, 1).unwrap();
            assert_eq!(start(index(day)), day);
            assert_eq!(index(start(index(day) + 1)), index(day) + 1);
        }
    }

    #[test]
    fn every_mark_can_be_told_from_the_others_without_colour() {
        let mut signs: Vec<&str> = Mark::all().map(|mark| mark.sign).collect();
        signs.sort_unstable();
        signs.dedup();
        assert_eq!(signs.len(), Mark::all().count());
    }
}
