//! Good rows. Each row has a random stream of its own, so a time entry can look up the ticket it
//! belongs to by number instead of keeping all tickets in memory.

use std::io::{self, Write};

use az::SaturatingAs;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::calendar::Calendar;
use super::phrases::{ALERTS, COMMENTS, COMPANIES, ISSUES, Issue, WORK_TYPES};
use super::random::rng;
use crate::sources::Dataset;
use crate::sources::rows::{CsatSurvey, SecurityAlert, Ticket, TimeEntry};

/// The rows of one tenant.
pub(super) struct Rows {
    pub(super) slug: String,
    pub(super) key: [u64; 2],
    pub(super) first: NaiveDate,
    pub(super) days: u32,
    pub(super) calendar: Calendar,
    pub(super) tickets: u64,
}

/// What other rows must know of a ticket.
struct Story {
    issue: &'static Issue,
    status: &'static str,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
    closed: Option<DateTime<Utc>>,
}

impl Rows {
    /// Writes row number `index` (from 0) as one line of JSON, without a line end.
    pub(super) fn write(&self, dataset: Dataset, index: u64, out: &mut impl Write) -> io::Result<()> {
        match dataset {
            Dataset::Tickets => serde_json::to_writer(out, &self.ticket(index)),
            Dataset::TimeEntries => serde_json::to_writer(out, &self.time_entry(index)),
            Dataset::Csat => serde_json::to_writer(out, &self.survey(index)),
            Dataset::SecurityAlerts => serde_json::to_writer(out, &self.alert(index)),
        }
        .map_err(io::Error::from)
    }

    fn rng(&self, dataset: Dataset, index: u64) -> ChaCha8Rng {
        rng(self.key, dataset as u64, index)
    }

    fn at(&self, day: u64, second: i64) -> DateTime<Utc> {
        let day = self.first + Days::new(day);
        day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::seconds(second)
    }

    fn end(&self) -> DateTime<Utc> {
        self.at(u64::from(self.days), -1)
    }

    /// Tickets come in by number, day after day, mostly in working hours.
    fn story(&self, index: u64, rng: &mut ChaCha8Rng) -> Story {
        let day = self.calendar.day(index, self.tickets);
        let second = if rng.random_bool(0.85) {
            rng.random_range(7 * 3600..19 * 3600)
        } else {
            rng.random_range(0..24 * 3600)
        };
        let created = self.at(day, second);
        let minutes = match rng.random_range(0..10) {
            0..4 => rng.random_range(10..90),
            4..8 => rng.random_range(90..30 * 60),
            _ => rng.random_range(30 * 60..10 * 1440),
        };
        let done = created + TimeDelta::minutes(minutes);
        let touched = TimeDelta::minutes(rng.random_range(0..48 * 60));
        let wanted = match rng.random_range(0..100) {
            0..10 => "New",
            10..28 => "In Progress",
            28..40 => "Waiting",
            40..70 => "Closed",
            70..85 => "Resolved",
            _ => "Completed",
        };
        let tells_closing = rng.random_bool(0.5);
        let issue = &ISSUES[rng.random_range(0..ISSUES.len())];
        let ends = matches!(wanted, "Closed" | "Resolved" | "Completed");
        // Nothing is dated after the last day: what would end later is still being worked on.
        let (status, updated, closed) = match (ends, done <= self.end()) {
            (true, true) if tells_closing => (wanted, done + touched, Some(done)),
            (true, true) => (wanted, done, None),
            (true, false) => ("In Progress", created + touched, None),
            (false, _) => (wanted, created + touched, None),
        };
        Story { issue, status, created, updated: updated.min(self.end()), closed }
    }

    fn ticket(&self, index: u64) -> Ticket {
        let rng = &mut self.rng(Dataset::Tickets, index);
        let story = self.story(index, rng);
        Ticket {
            tenant_id: Some(self.slug.clone()),
            cw_ticket_id: format!("TKT-{:04}", index + 1),
            board: text(story.issue.board),
            status: story.status.to_owned(),
            priority: weighted(rng, &[("Low", 25), ("Medium", 45), ("High", 22), ("Critical", 8)]),
            summary: text(story.issue.summary),
            description: text(story.issue.description),
            company: text(pick(rng, &COMPANIES)),
            owner: Some(member(rng)),
            created_at_remote: story.created,
            updated_at_remote: story.updated,
            closed_at_remote: story.closed,
            closed_flag: None,
            sla_status: Some(weighted(rng, &[("OK", 80), ("At Risk", 13), ("Breached", 7)])),
            estimated_hours: Some(f64::from(rng.random_range(1_u8..=32)) / 4.0),
        }
    }

    /// Draws one of the tickets and tells its id and story.
    fn some_ticket(&self, rng: &mut ChaCha8Rng) -> (String, Story) {
        let index = rng.random_range(0..self.tickets.max(1));
        let story = self.story(index, &mut self.rng(Dataset::Tickets, index));
        (format!("TKT-{:04}", index + 1), story)
    }

    fn time_entry(&self, index: u64) -> TimeEntry {
        let rng = &mut self.rng(Dataset::TimeEntries, index);
        let (cw_ticket_id, story) = self.some_ticket(rng);
        let first = story.created.date_naive();
        let last = story.closed.unwrap_or(story.updated).date_naive();
        let days = (last - first).num_days().saturating_as::<u64>();
        TimeEntry {
            tenant_id: Some(self.slug.clone()),
            cw_time_entry_id: format!("TE-{:04}", index + 1),
            cw_ticket_id,
            member: Some(member(rng)),
            work_type: text(pick(rng, &WORK_TYPES)),
            billable: rng.random_bool(0.75),
            minutes: rng.random_range(1..=36) * 5,
            notes: text(story.issue.notes),
            date_worked: first + Days::new(rng.random_range(0..=days)),
            updated_at_remote: None,
        }
    }

    fn survey(&self, index: u64) -> CsatSurvey {
        let rng = &mut self.rng(Dataset::Csat, index);
        let (ticket_id, story) = self.some_ticket(rng);
        let score = match rng.random_range(0..100) {
            0..5 => 1_u8,
            5..12 => 2,
            12..25 => 3,
            25..55 => 4,
            _ => 5,
        };
        let (sentiment, comment) = COMMENTS[usize::from(score) - 1];
        let later = TimeDelta::minutes(rng.random_range(30..48 * 60));
        CsatSurvey {
            tenant_id: Some(self.slug.clone()),
            survey_id: format!("SRV-{:04}", index + 1),
            ticket_id,
            score: f64::from(score),
            sentiment: text(sentiment),
            comment: text(comment),
            submitted_at: (story.closed.unwrap_or(story.updated) + later).min(self.end()),
            updated_at_remote: None,
        }
    }

    fn alert(&self, index: u64) -> SecurityAlert {
        let rng = &mut self.rng(Dataset::SecurityAlerts, index);
        let (source, prefix) = if rng.random_bool(0.5) { ("sentinelone", "S1") } else { ("defender", "DEF") };
        let day = rng.random_range(0..u64::from(self.days));
        let kind = pick(rng, &["LAPTOP", "DESKTOP", "SERVER"]);
        SecurityAlert {
            tenant_id: Some(self.slug.clone()),
            source: source.to_owned(),
            alert_id: format!("{prefix}-{:04}", index + 1),
            severity: weighted(rng, &[("low", 30), ("medium", 40), ("high", 22), ("critical", 8)]),
            title: text(pick(rng, &ALERTS)),
            device: Some(format!("{kind}-{:03}", rng.random_range(1..=60))),
            status: weighted(rng, &[("new", 25), ("investigating", 30), ("resolved", 45)]),
            detected_at: self.at(day, rng.random_range(0..24 * 3600)),
            updated_at_remote: None,
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the fields it fills are optional")]
fn text(from: &str) -> Option<String> {
    Some(from.to_owned())
}

fn pick(rng: &mut ChaCha8Rng, from: &[&'static str]) -> &'static str {
    from[rng.random_range(0..from.len())]
}

fn member(rng: &mut ChaCha8Rng) -> String {
    format!("tech{}@msp.com", rng.random_range(1..=5))
}

/// Draws a text; the weights are in percent.
fn weighted(rng: &mut ChaCha8Rng, from: &[(&'static str, u32)]) -> String {
    let mut left = rng.random_range(0..100);
    for (text, weight) in from {
        if left < *weight {
            return (*text).to_owned();
        }
        left -= weight;
    }
    from.last().map_or("", |(text, _)| text).to_owned()
}
