//! `GET /v1/tickets/{cw_ticket_id}/summary`.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use weirgate_web::auth::CallerTenant;
use weirgate_web::extract::Path;
use weirgate_web::params::Query;
use weirgate_web::problem::Problem;
use weirgate_web::reads::Reads;

use crate::http::v1::tickets::{known_form, unknown_ticket};

/// What happened to a ticket, put together from its own fields, its time entries and its survey.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TicketSummary {
    #[schema(example = "T-1001")]
    ticket_id: String,
    /// `extractive`: taken from the stored rows word for word; no language model is asked.
    #[schema(example = "extractive")]
    method: &'static str,
    status: String,
    priority: String,
    is_open: bool,
    /// From its creation to its closing, or to now.
    #[schema(minimum = 0)]
    age_minutes: i64,
    /// Worked on it.
    minutes_spent: i64,
    /// Of these, billable.
    billable_minutes: i64,
    /// How many times work was booked on it.
    time_entries: i64,
    last_activity_at: DateTime<Utc>,
    last_activity: Activity,
    /// Mean score of its surveys; null without any.
    #[schema(required = true)]
    satisfaction_score: Option<f64>,
    /// A few sentences.
    summary: String,
}

/// What happened last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Activity {
    Created,
    Updated,
    Closed,
    SurveySubmitted,
}

struct Facts {
    cw_ticket_id: String,
    status: String,
    priority: String,
    summary: Option<String>,
    company: Option<String>,
    owner: Option<String>,
    created_at_remote: DateTime<Utc>,
    updated_at_remote: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    minutes_spent: i64,
    billable_minutes: i64,
    time_entries: i64,
    satisfaction_score: Option<f64>,
    surveyed_at: Option<DateTime<Utc>>,
}

/// Sums a ticket up, extractively: only what is stored, in plain sentences.
#[utoipa::path(
    get, path = "/v1/tickets/{cw_ticket_id}/summary", tag = "Results",
    params(("cw_ticket_id" = String, Path, description = "Id in the source system", min_length = 1)),
    responses((status = 200, description = "The summary", body = TicketSummary))
)]
pub(crate) async fn get_ticket_summary(
    State(reads): State<Reads>,
    tenant: CallerTenant,
    Path(id): Path<String>,
    Query(()): Query<()>,
) -> Result<Json<TicketSummary>, Problem> {
    let mut tx = reads.under_tenant(tenant.id).await?;
    let facts = sqlx::query_as!(
        Facts,
        r#"
        select k.cw_ticket_id, k.status, k.priority, k.summary, k.company, k.owner, k.created_at_remote,
            k.updated_at_remote, k.closed_at, queue.now() as "now!",
            coalesce(e.minutes, 0) as "minutes_spent!", coalesce(e.billable, 0) as "billable_minutes!",
            e.count as "time_entries!", s.score as satisfaction_score, s.last as surveyed_at
        from msp.raw_tickets k
        cross join lateral (
            select count(*), sum(minutes) as minutes, sum(minutes) filter (where billable) as billable
            from msp.raw_time_entries where cw_ticket_id = k.cw_ticket_id
        ) as e
        cross join lateral (
            select avg(score) as score, max(submitted_at) as last
            from msp.raw_csat_surveys where ticket_id = k.cw_ticket_id
        ) as s
        where k.cw_ticket_id = $1
        "#,
        known_form(&id)?
    )
    .fetch_optional(tx.conn())
    .await?;
    facts.map(|facts| Json(facts.sum_up())).ok_or_else(|| unknown_ticket(&id))
}

impl Facts {
    fn sum_up(self) -> TicketSummary {
        let (last_activity_at, last_activity) = self.last_activity();
        TicketSummary {
            summary: self.sentences(),
            is_open: self.closed_at.is_none(),
            age_minutes: self.age_minutes(),
            ticket_id: self.cw_ticket_id,
            method: "extractive",
            status: self.status,
            priority: self.priority,
            minutes_spent: self.minutes_spent,
            billable_minutes: self.billable_minutes,
            time_entries: self.time_entries,
            last_activity_at,
            last_activity,
            satisfaction_score: self.satisfaction_score,
        }
    }

    fn age_minutes(&self) -> i64 {
        (self.closed_at.unwrap_or(self.now) - self.created_at_remote).num_minutes().max(0)
    }

    /// The latest of what has a time; of two at once, the later in a ticket's life.
    fn last_activity(&self) -> (DateTime<Utc>, Activity) {
        let later = [
            (Some(self.updated_at_remote), Activity::Updated),
            (self.closed_at, Activity::Closed),
            (self.surveyed_at, Activity::SurveySubmitted),
        ];
        let created = (self.created_at_remote, Activity::Created);
        later.into_iter().filter_map(|(at, what)| Some((at?, what))).fold(created, |last, next| {
            let unchanged = next.1 == Activity::Updated && next.0 == last.0;
            if next.0 >= last.0 && !unchanged { next } else { last }
        })
    }

    fn sentences(&self) -> String {
        let mut sentences = Vec::new();
        if let Some(summary) = self.summary.as_deref().map(str::trim).filter(|summary| !summary.is_empty()) {
            let end = if summary.ends_with(['.', '!', '?']) { "" } else { "." };
            sentences.push(format!("{summary}{end}"));
        }
        let for_whom = self.company.as_ref().map(|company| format!(" for {company}")).unwrap_or_default();
        let by_whom = self.owner.as_ref().map(|owner| format!(", with {owner}")).unwrap_or_default();
        let age = duration(self.age_minutes());
        let standing = if self.closed_at.is_some() {
            format!("{} after {age}", self.status)
        } else {
            format!("{}, open for {age}", self.status)
        };
        sentences.push(format!("{} priority ticket{for_whom}{by_whom}: {standing}.", self.priority));
        sentences.push(match self.time_entries {
            0 => "No time was booked on it.".to_owned(),
            entries => format!(
                "{} of work in {entries} time {}, {} of it billable.",
                duration(self.minutes_spent),
                if entries == 1 { "entry" } else { "entries" },
                duration(self.billable_minutes)
            ),
        });
        if let Some(score) = self.satisfaction_score {
            sentences.push(format!("The customer's satisfaction score is {score:.1}."));
        }
        sentences.join(" ")
    }
}

fn duration(minutes: i64) -> String {
    match minutes {
        0..60 => format!("{minutes} min"),
        60..1440 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", minutes / 1440, minutes % 1440 / 60),
    }
}
