//! A tenant's surveys.

use serde_json::json;

use crate::support::TestApi;

#[tokio::test]
async fn surveys_are_listed_by_day() {
    let api = TestApi::filled().await;
    for (query, ids) in [
        ("", &["SRV-003", "SRV-002", "SRV-001"][..]),
        ("?from=2026-01-21", &["SRV-003"]),
        ("?to=2026-01-20", &["SRV-002", "SRV-001"]),
        ("?from=2026-01-20&to=2026-01-20", &["SRV-002", "SRV-001"]),
        ("?from=2026-02-01", &[]),
    ] {
        assert_eq!(api.v1(&format!("/v1/csat{query}")).await.column("survey_id"), ids, "{query}");
    }
    let mut survey = api.v1("/v1/csat?from=2026-01-21").await.items().remove(0);
    assert!(survey.as_object_mut().unwrap().remove("ingested_at").unwrap().is_string());
    let expected = json!({
        "survey_id": "SRV-003", "ticket_id": "TKT-004", "score": 4.0, "sentiment": "positive",
        "comment": "Friendly and clear, thank you.", "submitted_at": "2026-01-21T08:05:00Z",
    });
    assert_eq!(survey, expected);
    // 22:45 in UTC is 23:45 in Paris: still that day.
    let in_paris = api.tenant(&api.client2, "GET", "/v1/csat?to=2026-01-20").send().await;
    assert_eq!(in_paris.column("survey_id"), ["SRV-001"]);
}
