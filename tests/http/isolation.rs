//! `/v1` shows one tenant; what another one has is not there.

use axum::http::StatusCode;
use weirgate::seed::Seeded;

use crate::support::TestApi;

const LISTS: [&str; 7] = [
    "jobs",
    "kpis/daily?from=2026-01-01&to=2026-01-31",
    "tickets",
    "time-entries",
    "csat",
    "security-alerts",
    "exports",
];

async fn both_filled() -> TestApi {
    let api = TestApi::new().await;
    api.fill().await;
    for tenant in ["tenant_demo_cca", "tenant_demo_client2"] {
        api.enqueue(&format!("/internal/ingest/csat?tenant_id={tenant}")).await;
    }
    api
}

#[tokio::test]
async fn no_list_has_a_row_of_another_tenant() {
    let api = both_filled().await;
    let cca = ["tenant_demo_cca", "Acme Corp", "tech1@", "LAPTOP-001", "very happy"];
    let client2 = ["tenant_demo_client2", "Lakeside", "tech4@", "LAPTOP-014", "hear of it"];
    let rows = |tenant| match tenant {
        "tenant_demo_cca" => [1, 1, 5, 5, 3, 3, 2],
        // The first page of 58 tickets and 69 time entries.
        _ => [1, 1, 50, 50, 1, 1, 2],
    };
    for (tenant, own, others) in [(&api.cca, cca, client2), (&api.client2, client2, cca)] {
        let mut seen = String::new();
        for (list, count) in LISTS.iter().zip(rows(&tenant.slug)) {
            let answer = api.tenant(tenant, "GET", &format!("/v1/{list}")).send().await;
            assert_eq!(answer.items().len(), count, "{list} of {}", tenant.slug);
            seen += answer.text();
        }
        assert!(own.iter().all(|text| seen.contains(text)), "{seen}");
        assert!(others.iter().all(|text| !seen.contains(text)), "{seen}");
    }
}

#[tokio::test]
async fn another_tenants_things_are_not_there() {
    let api = both_filled().await;
    let job = api.v1("/v1/jobs").await.column("id").remove(0);
    let export = api.v1("/v1/exports").await.column("id").remove(0);
    for (path, code) in [
        (format!("/v1/jobs/{job}"), "unknown_job"),
        (format!("/v1/jobs/{job}?wait=60"), "unknown_job"),
        (format!("/v1/jobs/{job}/events"), "unknown_job"),
        (format!("/v1/exports/{export}"), "unknown_export"),
        (format!("/v1/exports/{export}/download"), "unknown_export"),
        ("/v1/tickets/TKT-005".to_owned(), "unknown_ticket"),
        ("/v1/tickets/TKT-005/summary".to_owned(), "unknown_ticket"),
    ] {
        api.tenant(&api.client2, "GET", &path).send().await.problem(404, code);
        if !path.ends_with("events") && !path.contains("wait") {
            assert_eq!(api.v1(&path).await.status, StatusCode::OK, "its owner sees {path}");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_tenant_leads_only_to_own_rows() {
    let api = both_filled().await;
    let own = |tenant: &Seeded| api.tenant(tenant, "GET", "/v1/tickets?limit=500").send();
    let next = api.v1("/v1/tickets?limit=1").await.ok(StatusCode::OK)["next"].as_str().unwrap().to_owned();
    let path = next.strip_prefix("http://localhost").unwrap();
    let page = api.tenant(&api.client2, "GET", path).send().await;
    let all = own(&api.client2).await.items();
    assert!(page.items().iter().all(|row| all.contains(row)), "{}", page.text());
}

#[tokio::test]
async fn same_ids_are_each_tenants_own() {
    let api = both_filled().await;
    let companies = [(&api.cca, "Acme Corp", 45), (&api.client2, "Lakeside Clinic", 40)];
    for (tenant, company, minutes) in companies {
        let ticket = api.tenant(tenant, "GET", "/v1/tickets/TKT-001").send().await.ok(StatusCode::OK);
        assert_eq!(ticket["company"], company);
        let summary = api.tenant(tenant, "GET", "/v1/tickets/TKT-001/summary").send().await;
        assert_eq!(summary.ok(StatusCode::OK)["minutes_spent"], minutes);
    }
}
