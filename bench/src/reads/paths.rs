//! What people and programs ask for, but for single jobs.

use chrono::{SecondsFormat, TimeDelta};

use super::scene::Scene;
use crate::stage::Stage;

/// Something that is asked for again and again.
pub(super) struct Path {
    /// The figure that it counts for.
    pub(super) figure: &'static str,
    pub(super) part: Part,
    pub(super) path: String,
    pub(super) by: Who,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Service,
    Tenant,
    /// In front of a browser.
    Person,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The first page of a list.
    List,
    /// A page far down a list.
    Deep,
    Overview,
    /// Of the dashboard.
    Page,
}

/// Every list with every kind of filter, and every overview.
pub(super) async fn paths(stage: &Stage, scene: &Scene) -> anyhow::Result<Vec<Path>> {
    let mut paths = Vec::new();
    for (figure, filter) in filters(stage, scene).await? {
        for part in [Part::List, Part::Deep] {
            paths.push(Path { figure, part, path: format!("/internal/jobs?{filter}"), by: Who::Service });
        }
    }
    let plain = |figure, part, path: &str, by| Path { figure, part, path: path.to_owned(), by };
    for filter in ["", "state=discarded", "state=running", "kind=bulk_jobs", "q=503"] {
        for part in [Part::List, Part::Deep] {
            paths.push(plain("v1_jobs_p95_ms", part, &format!("/v1/jobs?{filter}"), Who::Tenant));
        }
    }
    paths.push(plain("backfills_p95_ms", Part::List, "/internal/backfills", Who::Service));
    paths.push(plain("tenants_p95_ms", Part::List, "/internal/tenants", Who::Service));
    paths.push(plain("queues_p95_ms", Part::Overview, "/internal/queues", Who::Service));
    paths.push(plain("queue_p95_ms", Part::Overview, "/internal/queues/ingest", Who::Service));
    let lanes = format!("/internal/tenants/{}/limits", scene.tenants[1]);
    paths.push(plain("lanes_p95_ms", Part::Overview, &lanes, Who::Service));
    let backfill = format!("/internal/backfills/{}", scene.backfills[1]);
    paths.push(plain("backfill_p95_ms", Part::Overview, &backfill, Who::Service));
    paths.push(plain("workers_p95_ms", Part::Overview, "/internal/workers", Who::Service));
    paths
        .extend(pages(scene).into_iter().map(|(figure, path)| plain(figure, Part::Page, &path, Who::Person)));
    Ok(paths)
}

/// The dashboard's pages.
fn pages(scene: &Scene) -> Vec<(&'static str, String)> {
    let Scene { job, workflow, .. } = scene;
    let (tenant, backfill) = (scene.tenants[1], scene.backfills[1]);
    let pages = [
        ("page_overview_p95_ms", String::new()),
        ("page_overview_p95_ms", "?over=day".to_owned()),
        ("page_overview_p95_ms", "?over=week".to_owned()),
        ("page_jobs_p95_ms", "/jobs".to_owned()),
        ("page_jobs_p95_ms", "/jobs?state=discarded&kind=compute_kpi".to_owned()),
        ("page_jobs_p95_ms", format!("/jobs?tenant_id={tenant}&args.date=2020-01-31")),
        ("page_jobs_p95_ms", "/jobs?args.date=2020-01-31".to_owned()),
        ("page_jobs_p95_ms", "/jobs/rows?state=available".to_owned()),
        ("page_job_p95_ms", format!("/jobs/{job}")),
        ("page_failures_p95_ms", "/failures".to_owned()),
        ("page_tenants_p95_ms", "/tenants".to_owned()),
        ("page_tenants_p95_ms", format!("/tenants/{tenant}")),
        ("page_queues_p95_ms", "/queues".to_owned()),
        ("page_workflows_p95_ms", "/workflows".to_owned()),
        ("page_workflows_p95_ms", format!("/workflows/{workflow}")),
        ("page_kpis_p95_ms", format!("/kpis?tenant_id={tenant}&from=2025-01-01&to=2025-12-31")),
        ("page_backfills_p95_ms", "/backfills".to_owned()),
        ("page_backfills_p95_ms", format!("/backfills/{backfill}")),
        ("page_schedules_p95_ms", "/schedules".to_owned()),
        ("page_workers_p95_ms", "/workers".to_owned()),
        ("page_audit_p95_ms", "/audit".to_owned()),
    ];
    pages.map(|(figure, path)| (figure, format!("/dashboard{path}"))).into()
}

async fn filters(stage: &Stage, scene: &Scene) -> anyhow::Result<Vec<(&'static str, String)>> {
    let now: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select queue.now()").fetch_one(&stage.pool).await?;
    let ago = |hours| (now - TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let (tenant, backfill, workflow) = (scene.tenants[1], scene.backfills[1], scene.workflow);
    let mut filters = vec![("list_all_p95_ms", "limit=50".to_owned())];
    for states in [
        "completed",
        "discarded",
        "cancelled",
        "retryable",
        "scheduled",
        "waiting",
        "available",
        "running",
        "running,retryable",
        "discarded,cancelled",
    ] {
        filters.push(("list_state_p95_ms", format!("state={states}")));
    }
    for kind in ["ingest_tickets", "bulk_jobs", "there_is_none"] {
        filters.push(("list_kind_p95_ms", format!("kind={kind}")));
    }
    for queue in ["ingest", "system", "there_is_none"] {
        filters.push(("list_queue_p95_ms", format!("queue={queue}")));
    }
    for rest in ["", "&state=discarded", "&state=running", "&kind=bulk_jobs", "&queue=export", "&limit=500"] {
        filters.push(("list_tenant_p95_ms", format!("tenant_id={tenant}{rest}")));
    }
    for (after, before) in [(None, Some(1)), (None, Some(84)), (Some(84), None), (Some(85), Some(84))] {
        let bound = |name, hours: Option<i64>| hours.map(|hours| format!("{name}={}", ago(hours)));
        let bounds = [bound("created_after", after), bound("created_before", before)];
        let bounds = bounds.into_iter().flatten().collect::<Vec<_>>().join("&");
        for rest in ["", "&state=discarded", "&kind=bulk_jobs"] {
            filters.push(("list_time_p95_ms", format!("{bounds}{rest}")));
        }
        filters.push(("list_time_p95_ms", format!("{bounds}&tenant_id={tenant}")));
    }
    for rest in ["", "&state=discarded", "&state=available", "&kind=bulk_jobs"] {
        filters.push(("list_backfill_p95_ms", format!("backfill_id={backfill}{rest}")));
    }
    filters.push(("list_workflow_p95_ms", format!("workflow_id={workflow}")));
    for text in ["503", "there+is+no+such+text"] {
        filters.push(("list_text_p95_ms", format!("q={text}")));
        filters.push(("list_text_p95_ms", format!("state=discarded&q={text}")));
    }
    filters.push(("list_mixed_p95_ms", "state=discarded&kind=bulk_jobs".to_owned()));
    filters.push(("list_mixed_p95_ms", "state=available&queue=kpi&kind=compute_kpi".to_owned()));
    Ok(filters)
}
