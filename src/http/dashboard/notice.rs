//! Something that the overview tells, and the pages that it leads to.

use az::SaturatingAs;
use chrono::{Days, NaiveDate};

/// So many of each are named; the link leads to all.
pub(super) const NAMED: i64 = 3;

/// Days for which one that is out of the ordinary is told.
pub(super) const LATELY: i32 = 7;

/// How many days before it one is shown with.
const BEFORE: u64 = 28;

/// Something to see to.
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) link: String,
}

/// The page of all tenants that something is so with.
pub(super) fn tenants(show: &str) -> String {
    format!("/dashboard/tenants?show={show}")
}

/// Some names, and how many more there are.
pub(super) fn named(names: &[String], total: i64) -> String {
    let more = total - names.len().saturating_as::<i64>();
    match (names, more) {
        ([], _) => String::new(),
        (names, 1..) => format!("{} and {} more", names.join(", "), more),
        ([one], _) => one.clone(),
        ([first @ .., last], _) => format!("{} and {last}", first.join(", ")),
    }
}

/// Where a tenant's KPIs of some days are shown.
pub(super) fn kpis(slug: &str, from: NaiveDate, to: NaiveDate) -> String {
    format!("/dashboard/kpis?tenant_id={slug}&from={from}&to={to}")
}

/// The KPIs of a day and of those before it.
pub(super) fn around(slug: &str, day: NaiveDate) -> String {
    kpis(slug, day.checked_sub_days(Days::new(BEFORE)).unwrap_or(day), day)
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_first_are_named_and_the_others_counted() {
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(named(&names[..1], 1), "a");
        assert_eq!(named(&names[..2], 2), "a and b");
        assert_eq!(named(&names, 3), "a, b and c");
        assert_eq!(named(&names, 12), "a, b, c and 9 more");
    }
}
