use super::super::fake::{Asked, Fake, Told, all, client, json, parsed, settings, until_error};
use super::super::rows::SecurityAlert;
use super::*;
use serde_json::json;

fn threat_1() -> Value {
    json!({
        "id": "1225454542832251195",
        "agentDetectionInfo": {"agentDomain": "WORKGROUP", "siteName": "Acme"},
        "agentRealtimeInfo": {"agentComputerName": "LAPTOP-001", "agentOsType": "windows", "siteName": "Acme"},
        "indicators": [], "mitigationStatus": [{"action": "kill", "status": "success"}],
        "threatInfo": {
            "classification": "Infostealer", "confidenceLevel": "malicious", "incidentStatus": "unresolved",
            "threatName": "mimikatz.exe", "createdAt": "2026-01-19T08:15:25.427247Z",
            "updatedAt": "2026-01-19T09:00:00.000000Z",
            "identifiedAt": "2026-01-19T08:15:23.994000Z", "mitigationStatus": "mitigated", "sha256": null
        }
    })
}

fn account(fake: &Fake) -> SentinelOne {
    let account = json!({"url": fake.url, "api_token": "hunter2", "requests_per_second": 1000});
    SentinelOne::new(&settings(account), client())
}

#[tokio::test]
async fn a_threat_has_every_field_and_pages_go_by_cursor() {
    let fake = Fake::start(|asked: &Asked| {
        let next = (!asked.target.contains("cursor=")).then_some("YWdlbnRfaWQ6NTg=&x");
        json!({"data": [threat_1()], "pagination": {"nextCursor": next, "totalItems": 2}}).into()
    })
    .await;
    let rows = all(account(&fake).threats("tenant_a", None)).await;
    let wanted = json!({
        "tenant_id": "tenant_a", "source": "sentinelone", "alert_id": "1225454542832251195",
        "severity": "malicious", "title": "mimikatz.exe", "device": "LAPTOP-001", "status": "unresolved",
        "detected_at": "2026-01-19T08:15:23.994000Z", "updated_at_remote": "2026-01-19T09:00:00.000000Z"
    });
    assert_eq!(json(&rows[0]), wanted);
    assert!(rows.iter().all(|it| parsed::<SecurityAlert>(it).is_ok()));
    assert_eq!(rows.iter().map(|it| it.line).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(&*rows[1].origin, format!("{}/web/api/v2.1/threats", fake.url));
    let list = "/web/api/v2.1/threats?limit=1000";
    assert_eq!(fake.targets(), [list.to_owned(), format!("{list}&cursor=YWdlbnRfaWQ6NTg%3D%26x")]);
    assert_eq!(fake.asked()[0].header("authorization"), "ApiToken hunter2");
}

#[tokio::test]
async fn a_threat_that_lacks_something_is_one_bad_row() {
    let mut poor = threat_1();
    (poor["threatInfo"]["incidentStatus"], poor["threatInfo"]["identifiedAt"]) = (json!(null), json!(null));
    let fake = Fake::start(move |_| {
        json!({"data": [poor, threat_1()], "pagination": {"nextCursor": null, "totalItems": 2}}).into()
    })
    .await;
    let rows = all(account(&fake).threats("tenant_a", None)).await;
    assert_eq!(json(&rows[0])["detected_at"], "2026-01-19T08:15:25.427247Z");
    assert_eq!(parsed::<SecurityAlert>(&rows[0]).unwrap_err(), "status: is missing");
    assert!(parsed::<SecurityAlert>(&rows[1]).is_ok());
}

#[tokio::test]
async fn a_cursor_that_stands_still_is_not_an_endless_list() {
    let fake = Fake::start(|_| json!({"data": [], "pagination": {"nextCursor": "same"}}).into()).await;
    let (_, error) = until_error(account(&fake).threats("tenant_a", None)).await;
    assert!(matches!(&error, SourceError::Unreadable { .. }), "{error}");
    assert_eq!(fake.targets().len(), 2);
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let fake = Fake::start(|_| Told::status(403)).await;
    let account = account(&fake);
    let (_, error) = until_error(account.threats("tenant_a", None)).await;
    assert!(
        matches!(&error, SourceError::Refused { reason, .. } if reason.contains("view threats")),
        "{error}"
    );
    for shown in [error.to_string(), format!("{error:?}"), format!("{account:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
