//! How many tickets come in on which day: as a service desk has them, few at weekends, many on
//! Mondays, and now and then a day on which something big breaks.

use chrono::{Datelike, Days, NaiveDate, Weekday};
use rand::RngExt as _;

use super::random::{TENANT, rng};

/// From one day on which something breaks to the next one: more than the 28 days that a day is
/// compared with.
const BETWEEN_BREAKS: u64 = 35;

/// Before this many days, no day is compared with those before it.
const COMPARED: u64 = 7;

/// The days of a tenant, with what part of the tickets each of them has.
pub(super) struct Calendar {
    /// The sum of the weights up to and with each day.
    ends: Vec<u64>,
}

impl Calendar {
    /// At least one day from `first` on.
    pub(super) fn new(key: [u64; 2], first: NaiveDate, days: u32) -> Self {
        let days = u64::from(days.max(1));
        // Some days before the last one, so that the newest days show one.
        let last_break = days.checked_sub(rng(key, TENANT, 1).random_range(4..12));
        let breaks = |day: u64| {
            let back = last_break.and_then(|last| last.checked_sub(day));
            day >= COMPARED && back.is_some_and(|back| back.is_multiple_of(BETWEEN_BREAKS))
        };
        let mut end = 0;
        let weights = (0..days).map(|day| {
            let usual = if breaks(day) { 600 } else { usual((first + Days::new(day)).weekday()) };
            end += usual * rng(key, TENANT, 2 + day).random_range(85..=115);
            end
        });
        Self { ends: weights.collect() }
    }

    /// The day, from 0, of ticket number `index` of so many.
    pub(super) fn day(&self, index: u64, tickets: u64) -> u64 {
        let (index, tickets) = (u128::from(index % tickets.max(1)), u128::from(tickets.max(1)));
        let total = u128::from(self.ends.last().copied().unwrap_or(0));
        let place = (2 * index + 1) * total / (2 * tickets);
        self.ends.partition_point(|end| u128::from(*end) <= place) as u64
    }
}

fn usual(weekday: Weekday) -> u64 {
    match weekday {
        Weekday::Mon => 125,
        Weekday::Fri => 90,
        Weekday::Sat => 25,
        Weekday::Sun => 18,
        _ => 105,
    }
}
