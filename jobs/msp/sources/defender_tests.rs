use super::super::fake::{Asked, Fake, Told, all, client, json, parsed, settings, until_error};
use super::super::rows::SecurityAlert;
use super::*;
use serde_json::json;

fn alert_1() -> Value {
    json!({
        "@odata.type": "#microsoft.graph.security.alert",
        "id": "da637551227677560813_-961444813", "providerAlertId": "da637551227677560813_-961444813",
        "incidentId": "28282", "status": "new", "severity": "low", "classification": "unknown",
        "serviceSource": "microsoftDefenderForEndpoint", "detectionSource": "antivirus",
        "title": "Suspicious execution of hidden file", "category": "DefenseEvasion", "assignedTo": null,
        "createdDateTime": "2026-01-20T20:43:34.7766667Z", "lastUpdateDateTime": "2026-01-20T20:44:00Z",
        "firstActivityDateTime": "2026-01-20T20:31:36.0Z", "resolvedDateTime": null,
        "evidence": [
            {"@odata.type": "#microsoft.graph.security.fileEvidence", "deviceDnsName": "not this"},
            {"@odata.type": "#microsoft.graph.security.deviceEvidence", "deviceDnsName": null},
            {"@odata.type": "#microsoft.graph.security.deviceEvidence", "deviceDnsName": "desktop-002.example.com"}
        ]
    })
}

fn account(fake: &Fake) -> Defender {
    let account = json!({
        "url": fake.url, "login_url": fake.url, "directory_id": "8a1b/..", "client_id": "app",
        "client_secret": "hunter2~x", "requests_per_second": 1000
    });
    Defender::new(settings(account), client())
}

async fn serving(alerts: impl Fn(&Asked) -> Told + Clone + Send + Sync + 'static) -> Fake {
    Fake::start(move |asked: &Asked| {
        if asked.target.ends_with("/token") {
            return json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "hunter2.token"})
                .into();
        }
        alerts(asked)
    })
    .await
}

#[tokio::test]
async fn an_alert_has_every_field_and_links_are_followed() {
    let fake = serving(|asked: &Asked| {
        let mut page = json!({"@odata.context": "https://h/$metadata", "value": [alert_1()]});
        if !asked.target.contains("skiptoken") {
            page["@odata.nextLink"] =
                json!(format!("{}/v1.0/security/alerts_v2?$top=100&$skiptoken=x1", asked.base()));
        }
        page.into()
    })
    .await;
    let rows = all(account(&fake).alerts("tenant_a", None)).await;
    let wanted = json!({
        "tenant_id": "tenant_a", "source": "defender", "alert_id": "da637551227677560813_-961444813",
        "severity": "low", "title": "Suspicious execution of hidden file", "device": "desktop-002.example.com",
        "status": "new", "detected_at": "2026-01-20T20:43:34.7766667Z", "updated_at_remote": "2026-01-20T20:44:00Z"
    });
    assert_eq!(json(&rows[0]), wanted);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|it| parsed::<SecurityAlert>(it).is_ok()));
    assert_eq!(&*rows[1].origin, format!("{}/v1.0/security/alerts_v2", fake.url));
    let list = "/v1.0/security/alerts_v2?$top=100";
    let token = "/8a1b%2F../oauth2/v2.0/token".to_owned();
    assert_eq!(fake.targets(), [token, list.to_owned(), format!("{list}&$skiptoken=x1")]);
    let asked = fake.asked();
    let scope = form_urlencoded(&format!("{}/.default", fake.url));
    let form = format!("grant_type=client_credentials&client_id=app&client_secret=hunter2%7Ex&scope={scope}");
    assert_eq!(asked[0].body, form);
    assert_eq!(asked[0].header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(asked[2].header("authorization"), "Bearer hunter2.token");
}

fn form_urlencoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn an_alert_without_a_device_is_good() {
    let mut bare = alert_1();
    bare.as_object_mut().unwrap().remove("evidence");
    let fake = serving(move |_| json!({"value": [bare]}).into()).await;
    let rows = all(account(&fake).alerts("tenant_a", None)).await;
    assert_eq!(parsed::<SecurityAlert>(&rows[0]).expect("good").device, None);
}

#[tokio::test]
async fn a_link_to_another_host_is_refused() {
    for elsewhere in
        ["https://evil.example/v1.0", "http://127.0.0.1:1/v1.0", "http://127.0.0.2/", "//evil.example/"]
    {
        let fake = serving(move |_| json!({"value": [], "@odata.nextLink": elsewhere}).into()).await;
        let (_, error) = until_error(account(&fake).alerts("tenant_a", None)).await;
        assert!(
            matches!(&error, SourceError::Refused { reason, .. } if reason.contains("another host")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let fake = serving(|_| Told::status(403)).await;
    let account = account(&fake);
    let (_, error) = until_error(account.alerts("tenant_a", None)).await;
    let wanted = "SecurityAlert.Read.All";
    assert!(matches!(&error, SourceError::Refused { reason, .. } if reason.contains(wanted)), "{error}");
    for shown in [error.to_string(), format!("{error:?}"), format!("{account:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
