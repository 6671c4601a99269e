//! A tenant's time entries.

use serde_json::json;

use crate::support::TestApi;

#[tokio::test]
async fn time_is_listed_by_day() {
    let api = TestApi::filled().await;
    for (query, ids) in [
        ("", &["TE-005", "TE-003", "TE-002", "TE-001", "TE-004"][..]),
        ("?to=2026-01-19", &["TE-004"]),
        ("?from=2026-01-20", &["TE-005", "TE-003", "TE-002", "TE-001"]),
    ] {
        let listed = api.v1(&format!("/v1/time-entries{query}")).await;
        assert_eq!(listed.column("cw_time_entry_id"), ids, "{query}");
    }
    let mut entry = api.v1("/v1/time-entries?to=2026-01-19").await.items().remove(0);
    assert!(entry.as_object_mut().unwrap().remove("ingested_at").unwrap().is_string());
    let expected = json!({
        "cw_time_entry_id": "TE-004", "cw_ticket_id": "TKT-003", "member": "tech1@msp.com",
        "work_type": "Remote Support", "billable": true, "minutes": 90,
        "notes": "Removed a stuck Windows update and freed 40 GB on the disk", "date_worked": "2026-01-19",
    });
    assert_eq!(entry, expected);
}
