//! Workflows on the dashboard: the list, the graph, cancel, and the graph on a job's page.

use axum::http::StatusCode;
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_queue::read::{WorkflowFilter, workflows};
use weirgate_queue::{JobState, NewJob, OnFailure, Workflow};
use weirgate_test_support::{Does, Step};

use crate::support::TestApi;
use crate::support::person::{Person, audited};

const PATH: &str = "/dashboard/workflows";

/// `size` jobs, each after the first; answers with the workflow and its jobs.
async fn fan(api: &TestApi, size: usize) -> (Uuid, Vec<Uuid>) {
    let job = |name: &str| NewJob::of(api.cca.id, &Step::new(name, Does::Succeed)).unwrap().not_unique();
    let mut workflow = Workflow::new();
    let id = workflow.id();
    workflow.add("first", job("first"));
    for number in 1..size {
        let name = format!("child {number}");
        workflow.add(&name, job(&name)).after_with("first", OnFailure::Continue);
    }
    let jobs = workflow.enqueue(&mut api.db().pool.acquire().await.unwrap()).await.unwrap();
    (id, jobs.iter().map(|job| job.id).collect())
}

async fn pipeline(api: &TestApi) -> (String, String) {
    let last = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    (last["workflow_id"].as_str().unwrap().to_owned(), last["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_workflow_is_a_drawing_and_the_same_as_a_list() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    assert!(person.get(PATH).await.text().contains("No workflows yet."));
    let (id, last) = pipeline(&api).await;
    let page = person.get(&format!("{PATH}/{id}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let text = page.text();
    assert_eq!(text.matches("<rect class=\"node").count(), 6);
    // Four ingests before the KPIs, and these before the export.
    assert_eq!(text.matches("<path class=\"edge").count(), 5);
    assert_eq!(text.matches("<rect class=\"node waiting").count(), 2);
    assert!(text.contains("tickets, time_entries, csat, security_alerts</td>"), "{text}");
    for count in ["<dt>available</dt>", "<dt>waiting</dt>"] {
        assert!(text.contains(count), "{text}");
    }
    assert!(!text.contains("/cancel") && !text.contains("style="));
    // Nothing has run: the longest chain is the critical path.
    assert_eq!(text.matches(">yes</td>").count(), 3);
    // One ingest took longer than all others.
    api.execute(
        "update queue.jobs set state = 'completed', attempted_at = created_at, finalized_at = created_at + interval '5 minutes'
         where name = 'csat'",
    )
    .await;
    let text = person.get(&format!("{PATH}/{id}")).await.text().to_owned();
    assert!(text.contains("csat: ingest_csat, completed · 5 min, on the critical path"), "{text}");
    assert_eq!(text.matches("edge critical").count(), 2);

    let job = person.get(&format!("/dashboard/jobs/{last}")).await;
    assert_eq!(job.text().matches("<rect class=\"node").count(), 6);
    assert_eq!(job.text().matches(" here\"").count(), 1);
    assert!(job.text().contains("(this job)") && job.text().contains(&format!("{PATH}/{id}")));

    let all = person.get(PATH).await;
    assert!(all.text().contains(&id) && all.text().contains("1 of 6"), "{}", all.text());
    for wrong in ["?after=x", "?other=1"] {
        assert_eq!(person.get(&format!("{PATH}/{id}{wrong}")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(person.get(&format!("{PATH}/{}", Uuid::nil())).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_large_workflow_is_drawn_part_by_part() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let (id, jobs) = fan(&api, 203).await;
    let mut target = format!("{PATH}/{id}");
    for (drawn, last) in [(100, false), (100, false), (3, true)] {
        let page = person.get(&target).await;
        assert_eq!(page.text().matches("<rect class=\"node").count(), drawn, "{target}");
        assert!(page.text().contains(&format!("{drawn} of 203 jobs")));
        let next = page.text().split("rel=\"next\" href=\"").nth(1);
        assert_eq!(next.is_none(), last);
        if let Some(next) = next {
            target = next.split('"').next().unwrap().to_owned();
        }
    }
    assert!(
        person.get(&target).await.text().contains("1 more that are not shown"),
        "the first job is elsewhere"
    );
    let job = person.get(&format!("/dashboard/jobs/{}", jobs[150])).await;
    assert_eq!(job.text().matches("<rect class=\"node").count(), 2, "itself and what it waits on");
    let job = person.get(&format!("/dashboard/jobs/{}", jobs[0])).await;
    assert_eq!(job.text().matches("<rect class=\"node").count(), 13, "some of those that wait on it");
    assert!(person.get(PATH).await.text().contains("0 of 203"));
}

#[tokio::test]
async fn the_list_is_of_the_newest_and_counts_so_many_jobs_of_each() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let mut made = Vec::new();
    for _ in 0..27 {
        made.insert(0, fan(&api, 3).await.0);
    }
    let mut conn = api.db().pool.acquire().await.unwrap();
    let found = workflows(&mut conn, &WorkflowFilter::default(), Some(made[1]), 3, 2).await.unwrap();
    assert_eq!(found.next, Some(made[4]));
    let found: Vec<(Uuid, u64, bool)> = found.rows.iter().map(|row| (row.id, row.jobs, row.more)).collect();
    assert_eq!(found, [2, 3, 4].map(|at| (made[at], 2, true)), "there are more than are counted");
    let first = person.get(PATH).await;
    assert!(first.text().contains(&made[24].to_string()) && !first.text().contains(&made[25].to_string()));
    let older = person.get(&format!("{PATH}?before={}", made[24])).await;
    assert!(older.text().contains(&made[26].to_string()) && !older.text().contains(&made[24].to_string()));
    assert!(!older.text().contains("Older workflows"));
}

#[tokio::test]
async fn an_operator_cancels_what_is_not_over() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let viewer = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let (id, jobs) = fan(&api, 5).await;
    let cancel = format!("{PATH}/{id}/cancel");
    assert_eq!(viewer.post(&cancel, &[]).await.status, StatusCode::FORBIDDEN);
    assert!(person.get(&format!("{PATH}/{id}")).await.text().contains("/cancel"));
    let done = person.post(&cancel, &[]).await;
    assert_eq!(done.header("location"), Some(format!("{PATH}/{id}").as_str()));
    for job in jobs {
        assert_eq!(api.db().job(job).await.state(), JobState::Cancelled);
    }
    assert!(!person.get(&format!("{PATH}/{id}")).await.text().contains("/cancel"), "it is over");
    let unknown = person.post(&format!("{PATH}/{}/cancel", Uuid::nil()), &[]).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let expected = ("ada@example.com".to_owned(), "workflow.cancel".to_owned(), id.to_string());
    assert_eq!(audited(&api).await, [expected]);
}

#[tokio::test]
async fn an_operator_retries_what_has_failed_and_is_told_when_nothing_has() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let viewer = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let (id, last) = pipeline(&api).await;
    let retry = format!("{PATH}/{id}/retry-failed");
    let refused = person.post(&retry, &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("no job of workflow"), "{}", refused.text());
    assert!(!person.get(&format!("{PATH}/{id}")).await.text().contains("/retry-failed"));
    let csat = discard(&api, "ingest_csat").await;
    // What waited on it was cancelled, and says why, with a link to it.
    let job = person.get(&format!("/dashboard/jobs/{last}")).await;
    assert!(job.text().contains("Why it was cancelled:"), "{}", job.text());
    assert!(
        job.text()
            .contains(&format!("ingest_csat {csat} (csat), which it depended on, was discarded: hopeless"))
    );
    assert!(job.text().contains(&format!("<a href=\"/dashboard/jobs/{csat}\">")));
    let page = person.get(&format!("{PATH}/{id}")).await;
    assert!(page.text().contains("/retry-failed") && page.text().contains(">running<"), "{}", page.text());
    assert!(!viewer.get(&format!("{PATH}/{id}")).await.text().contains("/retry-failed"));
    assert_eq!(viewer.post(&retry, &[]).await.status, StatusCode::FORBIDDEN);
    let done = person.post(&retry, &[]).await;
    assert_eq!(done.header("location"), Some(format!("{PATH}/{id}").as_str()));
    assert_eq!(api.db().job(csat).await.state(), JobState::Available);
    assert_eq!(api.db().job(last.parse().unwrap()).await.state(), JobState::Waiting);
    assert_eq!(person.post(&retry, &[]).await.status, StatusCode::CONFLICT);
    let expected = ("ada@example.com".to_owned(), "workflow.retry_failed".to_owned(), id);
    assert_eq!(audited(&api).await, [expected]);
}

#[tokio::test]
async fn the_list_names_each_workflow_and_is_filtered() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let (id, last) = pipeline(&api).await;
    let (other, _) = fan(&api, 3).await;
    let title = "daily pipeline, tenant_demo_cca, 2026-01-20";
    let all = person.get(PATH).await;
    assert!(all.text().contains(title) && all.text().contains("workflow, tenant_demo_cca"), "{}", all.text());
    for (filter, shown) in [
        ("tenant_id=tenant_demo_cca", [true, true]),
        ("tenant_id=tenant_demo_client2", [false, false]),
        ("name=daily_pipeline", [true, false]),
        ("date=2026-01-20&tenant_id=&state=", [true, false]),
        ("date=2026-01-21", [false, false]),
        ("state=waiting", [true, true]),
        ("state=failed", [false, false]),
    ] {
        let page = person.get(&format!("{PATH}?{filter}")).await;
        assert_eq!([&id, &other.to_string()].map(|id| page.text().contains(id.as_str())), shown, "{filter}");
    }
    for wrong in ["date=x", "state=over", "tenant=x"] {
        let refused = person.get(&format!("{PATH}?{wrong}")).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    assert_eq!(person.get(&format!("{PATH}?tenant_id=nobody")).await.status, StatusCode::NOT_FOUND);
    // A job leads to its workflow by name, and to all of its day.
    let job = person.get(&format!("/dashboard/jobs/{last}")).await;
    assert!(job.text().contains(&format!("{PATH}/{id}\">{title}</a>")), "{}", job.text());
    assert!(job.text().contains("/dashboard/jobs?tenant_id=tenant_demo_cca&amp;date=2026-01-20"));
    assert!(person.get(&format!("{PATH}/{id}")).await.text().contains(&format!("<h1>{title}</h1>")));
}

#[tokio::test]
async fn a_job_that_waits_names_the_first_that_it_waits_on() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let (_, last) = pipeline(&api).await;
    let kpis = weirgate_test_support::id(
        &api.get(&format!("/internal/jobs/{last}")).await.ok(StatusCode::OK)["depends_on"][0],
    );
    let page = person.get(&format!("/dashboard/jobs/{last}")).await;
    let says = format!("it waits for compute_kpi {kpis} (kpis), which is waiting.");
    assert!(page.text().contains(&says), "{}", page.text());
    assert!(page.text().contains(&format!("<a href=\"/dashboard/jobs/{kpis}\">See the job compute_kpi</a>")));
    let page = person.get(&format!("/dashboard/jobs/{kpis}")).await;
    assert!(page.text().contains("(tickets), which is available, and for 3 more."), "{}", page.text());
    assert_eq!(page.text().matches("<span class=\"state available\">available</span> <code>").count(), 4);
}

/// A job of this kind fails for good.
async fn discard(api: &TestApi, kind: &str) -> Uuid {
    super::workflows::discard(api, kind).await
}

#[tokio::test]
async fn what_is_wrong_with_the_filter_stands_beside_its_field_and_the_rest_is_kept() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    pipeline(&api).await;
    for (name, value, status) in [
        ("date", "2026-1-5", 422),
        ("tenant_id", "nobody", 404),
        ("state", "done", 422),
        ("colour", "red", 422),
    ] {
        let page = person.get(&format!("/dashboard/workflows?name=daily_pipeline&{name}={value}")).await;
        assert_eq!(page.status.as_u16(), status, "{name}={value}: {}", page.text());
        let beside = page.text().contains(&format!("id=\"wrong-{name}\""));
        assert_eq!(beside, name != "colour", "{name}: {}", page.text());
        assert!(page.text().contains("value=\"daily_pipeline\""), "the rest is kept");
        assert!(page.text().contains("Nothing is listed") && !page.text().contains("<tbody"), "{name}");
    }
    let page = person.get("/dashboard/workflows?date=2026-1-5").await;
    assert!(
        page.text().contains("type=\"text\" name=\"date\" value=\"2026-1-5\""),
        "it is to be seen and mended"
    );
}
