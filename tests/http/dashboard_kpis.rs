//! KPIs on the dashboard: lines and numbers, units, marked days, links.

use axum::http::StatusCode;
use weirgate_identity::platform::Role;

use crate::support::TestApi;
use crate::support::person::Person;

const PATH: &str = "/dashboard/kpis";

#[tokio::test]
async fn a_tenants_kpis_are_lines_and_numbers_with_their_units() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    assert!(person.get(PATH).await.text().contains("No KPIs were computed"));
    for (day, tickets, z) in [("2026-01-18", 4, "0.5"), ("2026-01-19", 40, "4.25"), ("2026-01-20", 5, "-0.1")]
    {
        sqlx::query(
            "insert into msp.kpi_daily values ($1, $2::date, 90, 60, 30, 125, 0.25, null, $3, 2, 7, 1, $4 >= 3, $4)",
        )
        .bind(api.cca.id)
        .bind(day.parse::<chrono::NaiveDate>().unwrap())
        .bind(tickets)
        .bind(z.parse::<f64>().unwrap())
        .execute(&api.db().pool)
        .await
        .unwrap();
    }
    // The first tenant, and the last days that there are.
    let page = person.get(PATH).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let text = page.text();
    assert!(text.contains("KPIs of tenant_demo_cca") && text.contains("value=\"2026-01-20\""), "{text}");
    for said in [
        "2026-01-19: created 40 (unusual: 4.2 standard deviations above the 28 days before)",
        "2026-01-18: worked 1.5 h",
        "2026-01-18: to resolution 2.1 h",
        "2026-01-20: resolved on first call 25 %",
        "Satisfaction, score",
        "No values for these days.",
        "First call resolution, %",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert_eq!(text.matches("class=\"anomaly\"").count(), 1);
    let link = "/dashboard/jobs?tenant_id=tenant_demo_cca&#38;kind=compute_kpi&#38;date=2026-01-19";
    assert!(text.contains(link), "{text}");
    assert!(!text.contains("style=") && !text.contains("tenant_demo_client2</td>"));

    let one = person.get(&format!("{PATH}?tenant_id=tenant_demo_cca&from=2026-01-20&to=2026-01-20")).await;
    assert!(
        one.text().contains("2026-01-20: created 5") && !one.text().contains("2026-01-19"),
        "{}",
        one.text()
    );
    let other = person.get(&format!("{PATH}?tenant_id=tenant_demo_client2")).await;
    assert!(other.text().contains("No KPIs were computed"), "another tenant's are not its");
}

#[tokio::test]
async fn what_is_asked_for_is_checked() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    for (query, status) in [
        ("tenant_id=nobody", StatusCode::NOT_FOUND),
        ("from=2026-01-02&to=2026-01-01", StatusCode::UNPROCESSABLE_ENTITY),
        ("from=2025-01-01&to=2026-01-02", StatusCode::UNPROCESSABLE_ENTITY),
        ("from=yesterday", StatusCode::UNPROCESSABLE_ENTITY),
        ("other=1", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(person.get(&format!("{PATH}?{query}")).await.status, status, "{query}");
    }
}

#[tokio::test]
async fn the_link_of_a_day_leads_to_its_jobs() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "eve@example.com", Role::Viewer).await;
    api.fill().await;
    let made = api.enqueue("/internal/kpi/compute-daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    let page = person.get(&format!("{PATH}?tenant_id=tenant_demo_cca")).await;
    let (_, rest) = page.text().split_once("<th scope=\"row\"><a href=\"").expect("a day");
    let link = rest.split('"').next().unwrap().replace("&#38;", "&");
    let jobs = person.get(&link).await;
    assert_eq!(jobs.status, StatusCode::OK, "{link}: {}", jobs.text());
    assert!(jobs.text().contains(made["id"].as_str().unwrap()), "{}", jobs.text());
}
