//! A tenant's security alerts.

use serde_json::json;

use crate::support::TestApi;

#[tokio::test]
async fn alerts_are_listed_by_day() {
    let api = TestApi::filled().await;
    for (query, ids) in [
        ("", &["S1-002", "DEF-001", "S1-001"][..]),
        ("?from=2026-01-20", &["S1-002", "DEF-001"]),
        ("?to=2026-01-19", &["S1-001"]),
        ("?from=2026-01-20&to=2026-01-20&limit=1", &["S1-002"]),
    ] {
        assert_eq!(api.v1(&format!("/v1/security-alerts{query}")).await.column("alert_id"), ids, "{query}");
    }
    let mut alert = api.v1("/v1/security-alerts?to=2026-01-19").await.items().remove(0);
    assert!(alert.as_object_mut().unwrap().remove("ingested_at").unwrap().is_string());
    let expected = json!({
        "source": "sentinelone", "alert_id": "S1-001", "severity": "high",
        "title": "Suspicious PowerShell execution", "device": "LAPTOP-001", "status": "resolved",
        "detected_at": "2026-01-19T08:15:00Z",
    });
    assert_eq!(alert, expected);
}
