//! What people and programs ask for, but for single jobs.

use chrono::{SecondsFormat, TimeDelta};
use uuid::Uuid;

use super::scene::Scene;
use crate::bench::stage::Stage;

/// Something that is asked for again and again.
pub(super) struct Path {
    /// The figure that it counts for.
    pub(super) figure: &'static str,
    pub(super) part: Part,
    pub(super) path: String,
    /// Whether a tenant asks for it.
    pub(super) by_tenant: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The first page of a list.
    List,
    /// A page far down a list.
    Deep,
    Overview,
}

/// Every list with every kind of filter, and every overview.
pub(super) async fn paths(stage: &Stage, scene: &Scene) -> anyhow::Result<Vec<Path>> {
    let mut paths = Vec::new();
    for (figure, filter) in filters(stage, scene).await? {
        for part in [Part::List, Part::Deep] {
            paths.push(Path { figure, part, path: format!("/internal/jobs?{filter}"), by_tenant: false });
        }
    }
    let plain = |figure, part, path: &str, by_tenant| Path { figure, part, path: path.to_owned(), by_tenant };
    for filter in ["", "state=discarded", "state=running", "kind=bulk_jobs", "q=503"] {
        for part in [Part::List, Part::Deep] {
            paths.push(plain("v1_jobs_p95_ms", part, &format!("/v1/jobs?{filter}"), true));
        }
    }
    paths.push(plain("backfills_p95_ms", Part::List, "/internal/backfills", false));
    paths.push(plain("tenants_p95_ms", Part::List, "/internal/tenants", false));
    paths.push(plain("queues_p95_ms", Part::Overview, "/internal/queues", false));
    paths.push(plain("queue_p95_ms", Part::Overview, "/internal/queues/ingest", false));
    let lanes = format!("/internal/tenants/{}/limits", scene.tenants[1]);
    paths.push(plain("lanes_p95_ms", Part::Overview, &lanes, false));
    let backfill = format!("/internal/backfills/{}", scene.backfills[1]);
    paths.push(plain("backfill_p95_ms", Part::Overview, &backfill, false));
    paths.push(plain("workers_p95_ms", Part::Overview, "/internal/workers", false));
    Ok(paths)
}

async fn filters(stage: &Stage, scene: &Scene) -> anyhow::Result<Vec<(&'static str, String)>> {
    let workflow: Uuid =
        sqlx::query_scalar("select workflow_id from queue.jobs where workflow_id is not null limit 1")
            .fetch_one(&stage.pool)
            .await?;
    let now: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select queue.now()").fetch_one(&stage.pool).await?;
    let ago = |hours| (now - TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let (tenant, backfill) = (scene.tenants[1], scene.backfills[1]);
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
