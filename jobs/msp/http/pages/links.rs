//! The pages that something on a page leads to.

use chrono::{Days, NaiveDate};

/// Days for which one that is out of the ordinary is told.
pub(super) const LATELY: i32 = 7;

/// How many days before it one is shown with.
const BEFORE: u64 = 28;

/// Where a tenant's KPIs of some days are shown.
pub(super) fn kpis(slug: &str, from: NaiveDate, to: NaiveDate) -> String {
    format!("/dashboard/kpis?tenant_id={slug}&from={from}&to={to}")
}

/// The KPIs of a day and of those before it.
pub(super) fn around(slug: &str, day: NaiveDate) -> String {
    kpis(slug, day.checked_sub_days(Days::new(BEFORE)).unwrap_or(day), day)
}
