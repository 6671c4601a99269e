//! The workflow resource: what it is called, which day it is for, where it stands.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use uuid::Uuid;
use weirgate_queue::job::StateCounts;
use weirgate_queue::read::{WorkflowFilter, WorkflowRow, WorkflowState};
use weirgate_queue::workflow::WorkflowTitle;
use weirgate_web::day::parse_day;
use weirgate_web::params::{Fields, FromQuery};
use weirgate_web::parse::TenantName;
use weirgate_web::query_params;

/// What a workflow is called and is for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WorkflowHead {
    /// A UUID.
    pub(crate) id: Uuid,
    /// The name of its kind; null for one that has none.
    #[schema(required = true, example = "daily_pipeline")]
    pub(crate) name: Option<String>,
    /// What people call this one.
    #[schema(example = "daily pipeline, tenant_demo_cca, 2026-01-20")]
    pub(crate) title: String,
    tenant_id: Uuid,
    /// The tenant's slug.
    #[schema(example = "tenant_demo_cca")]
    pub(crate) tenant: String,
    /// The day that it is for; null where it is for none.
    #[schema(required = true, example = "2026-01-20")]
    pub(crate) date: Option<NaiveDate>,
    pub(crate) created_at: DateTime<Utc>,
}

impl WorkflowHead {
    pub(crate) fn new(id: Uuid, title: WorkflowTitle, tenant: &str) -> Self {
        let WorkflowTitle { tenant_id, name, subject, created_at } = title;
        Self {
            id,
            title: in_words(name.as_deref(), tenant, subject.as_deref()),
            name,
            tenant_id,
            tenant: tenant.to_owned(),
            date: subject.and_then(|day| parse_day(&day).ok()),
            created_at,
        }
    }
}

/// `daily pipeline, tenant_demo_cca, 2026-01-20`
pub(crate) fn in_words(name: Option<&str>, tenant: &str, subject: Option<&str>) -> String {
    let name = name.map_or_else(|| "workflow".to_owned(), |name| name.replace('_', " "));
    [Some(name.as_str()), Some(tenant), subject].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A workflow in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WorkflowSummary {
    #[serde(flatten)]
    pub(crate) head: WorkflowHead,
    #[schema(schema_with = workflow_state)]
    pub(crate) state: WorkflowState,
    /// Whether every job is final.
    #[serde(rename = "final")]
    is_final: bool,
    /// How many jobs it has; of a large one, how many of its first jobs were counted.
    pub(crate) total: u64,
    /// Whether these are all of its jobs.
    pub(crate) exact: bool,
    /// Those jobs by state; every state is there.
    #[schema(example = json!({"completed": 4, "running": 1, "waiting": 1}))]
    pub(crate) counts: BTreeMap<&'static str, i64>,
    /// Where it is shown with its jobs.
    #[schema(format = "uri")]
    status_url: String,
}

impl WorkflowSummary {
    /// The workflow for callers of `base`.
    pub(crate) fn new(row: WorkflowRow, tenant: &str, base: &str) -> Self {
        let WorkflowRow { tenant_id, name, subject, created_at, .. } = row;
        let title = WorkflowTitle { tenant_id, name, subject, created_at };
        Self {
            head: WorkflowHead::new(row.id, title, tenant),
            state: row.state,
            is_final: row.counts.live() == 0 && !row.more,
            total: row.jobs,
            exact: !row.more,
            counts: counts(&row.counts),
            status_url: format!("{base}/internal/workflows/{}", row.id),
        }
    }
}

/// Every state, with its jobs.
pub(crate) fn counts(counts: &StateCounts) -> BTreeMap<&'static str, i64> {
    counts.iter().map(|(state, jobs)| (state.as_str(), jobs)).collect()
}

pub(crate) fn workflow_state() -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "waiting: no job has started; running: some have; then completed, failed (a job was discarded) or cancelled",
        ))
        .enum_values(Some(WorkflowState::ALL.map(WorkflowState::as_str)))
        .build()
        .into()
}

query_params! {
    /// Which workflows.
    pub(crate) struct WorkflowFilterParams {
        /// The tenant's slug or UUID.
        #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "tenant_demo_cca")]
        tenant_id: Option<TenantName>,
        /// The name of their kind.
        #[param(min_length = 1, max_length = 2000, example = "daily_pipeline")]
        name: Option<String>,
        /// For this day.
        #[param(example = "2026-01-20")]
        date: Option<NaiveDate>,
        /// In this state.
        #[param(schema_with = workflow_state)]
        state: Option<WorkflowState>,
    }
}

impl WorkflowFilterParams {
    /// The filter, in which workflows may have an older name, and the tenant's name in it.
    pub(crate) fn filter(self) -> (WorkflowFilter, Option<TenantName>) {
        let Self { tenant_id, name, date, state } = self;
        let (subject, states) = (date.map(|date| date.to_string()), state.map(|state| vec![state]));
        (WorkflowFilter { tenant: None, name, subject, states }, tenant_id)
    }
}

/// [`WorkflowFilterParams::filter`] of a form. May lack something once `fields` holds an error.
pub(crate) fn take_filter(fields: &mut Fields) -> (WorkflowFilter, Option<TenantName>) {
    WorkflowFilterParams::take(fields).map(WorkflowFilterParams::filter).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn a_workflow_is_called_by_what_is_known_of_it() {
        let all = in_words(Some("daily_pipeline"), "acme", Some("2026-01-20"));
        assert_eq!(all, "daily pipeline, acme, 2026-01-20");
        assert_eq!(in_words(None, "acme", None), "workflow, acme");
    }
}
