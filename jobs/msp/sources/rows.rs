//! The typed rows of each dataset, and the rules a row must keep to be stored.

use chrono::{DateTime, NaiveDate, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Dataset;
use super::values::{check_between, check_key, check_optional, day, instant, maybe_instant};

/// The most minutes one time entry may have: a month of days without sleep.
pub const MAX_MINUTES: i64 = 1440 * 31;

/// The most hours a ticket may be estimated at: more is a slip of the keyboard.
pub const MAX_ESTIMATED_HOURS: f64 = 100_000.0;

/// A row of a dataset.
pub trait Row: DeserializeOwned + Serialize + Send + 'static {
    /// The dataset whose rows these are.
    const DATASET: Dataset;

    /// The fields that are instants. One that is written without an offset is a time of the
    /// tenant's zone.
    const INSTANTS: &'static [&'static str];

    /// The fields that are days. One that is written as an instant is the day on which that falls
    /// in the tenant's zone.
    const DAYS: &'static [&'static str] = &[];

    /// The tenant the row says it belongs to, by slug.
    fn tenant(&self) -> Option<&str>;

    /// Checks what the types cannot.
    ///
    /// # Errors
    ///
    /// The first rule broken, as `field: what is wrong`.
    fn validate(&self) -> Result<(), String>;
}

/// A service ticket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// The owning tenant's slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The ticket's id at the source; unique for the tenant.
    pub cw_ticket_id: String,
    /// The board it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// The status, as the source names it.
    pub status: String,
    /// The priority, as the source names it.
    pub priority: String,
    /// The title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The customer's company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// The technician in charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it was opened at the source.
    #[serde(deserialize_with = "instant")]
    pub created_at_remote: DateTime<Utc>,
    /// When it was last changed at the source; some sources let this lie before the opening.
    #[serde(deserialize_with = "instant")]
    pub updated_at_remote: DateTime<Utc>,
    /// When it was closed at the source, where the source tells; not before the opening.
    #[serde(default, deserialize_with = "maybe_instant", skip_serializing_if = "Option::is_none")]
    pub closed_at_remote: Option<DateTime<Utc>>,
    /// Whether it is closed, where the source tells: its own word on that, whatever the status is
    /// called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_flag: Option<bool>,
    /// How it stands with the service agreement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sla_status: Option<String>,
    /// The estimated work, in hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_hours: Option<f64>,
}

impl Row for Ticket {
    const DATASET: Dataset = Dataset::Tickets;
    const INSTANTS: &'static [&'static str] = &["created_at_remote", "updated_at_remote", "closed_at_remote"];

    fn tenant(&self) -> Option<&str> {
        self.tenant_id.as_deref()
    }

    fn validate(&self) -> Result<(), String> {
        check_key("cw_ticket_id", &self.cw_ticket_id)?;
        check_key("status", &self.status)?;
        check_key("priority", &self.priority)?;
        check_optional("board", self.board.as_deref())?;
        check_optional("summary", self.summary.as_deref())?;
        check_optional("description", self.description.as_deref())?;
        check_optional("company", self.company.as_deref())?;
        check_optional("owner", self.owner.as_deref())?;
        check_optional("sla_status", self.sla_status.as_deref())?;
        if let Some(hours) = self.estimated_hours {
            check_between("estimated_hours", hours, 0.0, MAX_ESTIMATED_HOURS)?;
        }
        match self.closed_at_remote {
            Some(closed) if closed < self.created_at_remote => {
                Err("closed_at_remote: is before created_at_remote".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Time worked on a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeEntry {
    /// The owning tenant's slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The entry's id at the source; unique for the tenant.
    pub cw_time_entry_id: String,
    /// The ticket that was worked on.
    pub cw_ticket_id: String,
    /// Who worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The kind of work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_type: Option<String>,
    /// Whether the customer pays for it.
    pub billable: bool,
    /// How long, in minutes; 0 to [`MAX_MINUTES`].
    pub minutes: i64,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The day the source counts it to.
    #[serde(deserialize_with = "day")]
    pub date_worked: NaiveDate,
    /// When it was last changed at the source, where the source tells.
    #[serde(default, deserialize_with = "maybe_instant", skip_serializing_if = "Option::is_none")]
    pub updated_at_remote: Option<DateTime<Utc>>,
}

impl Row for TimeEntry {
    const DATASET: Dataset = Dataset::TimeEntries;
    const INSTANTS: &'static [&'static str] = &["updated_at_remote"];
    const DAYS: &'static [&'static str] = &["date_worked"];

    fn tenant(&self) -> Option<&str> {
        self.tenant_id.as_deref()
    }

    fn validate(&self) -> Result<(), String> {
        check_key("cw_time_entry_id", &self.cw_time_entry_id)?;
        check_key("cw_ticket_id", &self.cw_ticket_id)?;
        check_optional("member", self.member.as_deref())?;
        check_optional("work_type", self.work_type.as_deref())?;
        check_optional("notes", self.notes.as_deref())?;
        match self.minutes {
            ..0 => Err(format!("minutes: {} is negative", self.minutes)),
            0..=MAX_MINUTES => Ok(()),
            _ => Err(format!("minutes: {} is more than {MAX_MINUTES} (31 days)", self.minutes)),
        }
    }
}

/// An answer to a customer satisfaction survey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CsatSurvey {
    /// The owning tenant's slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The survey's id at the source; unique for the tenant.
    pub survey_id: String,
    /// The ticket it is about.
    pub ticket_id: String,
    /// The score on the source's own scale; -100 to 100.
    pub score: f64,
    /// The source's reading of the comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<String>,
    /// What the customer wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When the customer answered.
    #[serde(deserialize_with = "instant")]
    pub submitted_at: DateTime<Utc>,
    /// When it was last changed at the source, where the source tells.
    #[serde(default, deserialize_with = "maybe_instant", skip_serializing_if = "Option::is_none")]
    pub updated_at_remote: Option<DateTime<Utc>>,
}

impl Row for CsatSurvey {
    const DATASET: Dataset = Dataset::Csat;
    const INSTANTS: &'static [&'static str] = &["submitted_at", "updated_at_remote"];

    fn tenant(&self) -> Option<&str> {
        self.tenant_id.as_deref()
    }

    fn validate(&self) -> Result<(), String> {
        check_key("survey_id", &self.survey_id)?;
        check_key("ticket_id", &self.ticket_id)?;
        check_optional("sentiment", self.sentiment.as_deref())?;
        check_optional("comment", self.comment.as_deref())?;
        check_between("score", self.score, -100.0, 100.0)
    }
}

/// An alert of a security tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityAlert {
    /// The owning tenant's slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The tool, such as `sentinelone`.
    pub source: String,
    /// The alert's id at the tool; unique for the tenant and tool.
    pub alert_id: String,
    /// How bad it is, as the tool names it.
    pub severity: String,
    /// What was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The status, as the tool names it.
    pub status: String,
    /// When it was seen.
    #[serde(deserialize_with = "instant")]
    pub detected_at: DateTime<Utc>,
    /// When it was last changed at the source, where the source tells.
    #[serde(default, deserialize_with = "maybe_instant", skip_serializing_if = "Option::is_none")]
    pub updated_at_remote: Option<DateTime<Utc>>,
}

impl Row for SecurityAlert {
    const DATASET: Dataset = Dataset::SecurityAlerts;
    const INSTANTS: &'static [&'static str] = &["detected_at", "updated_at_remote"];

    fn tenant(&self) -> Option<&str> {
        self.tenant_id.as_deref()
    }

    fn validate(&self) -> Result<(), String> {
        check_key("source", &self.source)?;
        check_key("alert_id", &self.alert_id)?;
        check_key("severity", &self.severity)?;
        check_key("status", &self.status)?;
        check_optional("title", self.title.as_deref())?;
        check_optional("device", self.device.as_deref())
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
