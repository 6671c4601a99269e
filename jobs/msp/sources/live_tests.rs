use super::super::SourceError;
use super::super::fake::{Asked, Fake, Told, all, client, json, until_error};
use super::*;
use serde_json::{Value, json};

fn source(settings: &Value) -> Result<LiveSource, String> {
    LiveSource::from_json(Path::new("sources.json"), &settings.to_string(), &client())
}

fn accounts(url: &str) -> Value {
    json!({
        "connectwise": {
            "url": url, "company": "acme", "public_key": "pub", "private_key": "hunter2", "client_id": "hunter2",
            "requests_per_second": 10
        },
        "smileback": {
            "url": url, "client_id": "app", "client_secret": "hunter2", "username": "ada", "password": "hunter2"
        },
        "sentinelone": {"url": url, "api_token": "hunter2"},
        "defender": {
            "url": url, "login_url": url, "directory_id": "8a1b", "client_id": "app", "client_secret": "hunter2"
        }
    })
}

/// One row of everything, except what is at a path that starts with `down`.
async fn everything(down: &'static str) -> Fake {
    Fake::start(move |asked: &Asked| {
        let path = asked.target.split('?').next().unwrap_or_default();
        if !down.is_empty() && path.starts_with(down) {
            return Told::status(500);
        }
        let told = match path {
            "/v4_6_release/apis/3.0/service/tickets" => json!([{"id": 1}]),
            "/v4_6_release/apis/3.0/time/entries" => json!([{"id": 2, "chargeToType": "ServiceTicket"}]),
            "/api/v3/reviews/" => json!({"results": [{"id": 3, "rating": 1}], "next": null}),
            "/web/api/v2.1/threats" => json!({"data": [{"id": "4"}], "pagination": {"nextCursor": null}}),
            "/v1.0/security/alerts_v2" => json!({"value": [{"id": "5"}]}),
            "/api/token/" | "/8a1b/oauth2/v2.0/token" => json!({"access_token": "t"}),
            _ => return Told::status(404),
        };
        told.into()
    })
    .await
}

async fn ids(rows: RowStream) -> Vec<Value> {
    let names = ["cw_ticket_id", "cw_time_entry_id", "survey_id", "alert_id"];
    let id = |row: Value| names.iter().find_map(|name| row.get(name).filter(|it| !it.is_null()).cloned());
    all(rows).await.iter().filter_map(|it| id(json(it))).collect()
}

#[tokio::test]
async fn each_dataset_comes_from_its_accounts() {
    let fake = everything("").await;
    let source = source(&json!({"tenant_a": accounts(&fake.url)})).expect("good");
    for (dataset, wanted) in [
        (Dataset::Tickets, &["1"][..]),
        (Dataset::TimeEntries, &["2"]),
        (Dataset::Csat, &["3"]),
        (Dataset::SecurityAlerts, &["4", "5"]),
    ] {
        assert_eq!(ids(source.rows("tenant_a", dataset)).await, wanted, "{dataset}");
    }
}

#[tokio::test]
async fn what_has_no_account_is_empty_and_a_tenant_without_an_entry_is_refused() {
    let fake = everything("").await;
    let mut some = accounts(&fake.url);
    for absent in ["connectwise", "smileback", "sentinelone"] {
        some.as_object_mut().unwrap().remove(absent);
    }
    let source = source(&json!({"tenant_a": some, "tenant_b": {}})).expect("good");
    for dataset in Dataset::ALL {
        assert_eq!(ids(source.rows("tenant_b", dataset)).await, [] as [&str; 0]);
        let (_, error) = until_error(source.rows("tenant_c", dataset)).await;
        let said = error.to_string();
        assert!(matches!(error, SourceError::Refused { .. }) && said.contains("\"tenant_c\": {}"), "{said}");
    }
    assert_eq!(fake.targets(), [] as [&str; 0]);
    assert_eq!(ids(source.rows("tenant_a", Dataset::SecurityAlerts)).await, ["5"]);
    assert_eq!(ids(source.rows("tenant_a", Dataset::Tickets)).await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_tool_that_is_down_does_not_hide_the_others_alerts() {
    for down in ["/web", "/v1.0"] {
        let fake = everything(down).await;
        let source = source(&json!({"tenant_a": accounts(&fake.url)})).expect("good");
        let (rows, error) = until_error(source.rows("tenant_a", Dataset::SecurityAlerts)).await;
        assert_eq!(rows, 1);
        assert!(matches!(&error, SourceError::Unreadable { origin, .. } if origin.contains(down)), "{error}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_without_secrets() {
    let wrong = |path: &str, value: Value| {
        let mut settings = json!({"tenant_a": accounts("https://h.example")});
        let (parent, field) = path.rsplit_once('/').expect("a path");
        let parent = settings.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
        parent.insert(field.to_owned(), value);
        source(&settings).expect_err(path)
    };
    for (path, value, wanted) in [
        ("/tenant_a/conectwise", json!({}), "tenant_a.conectwise: unknown field `conectwise`"),
        (
            "/tenant_a/sentinelone/token",
            json!("hunter2"),
            "tenant_a.sentinelone.token: unknown field `token`",
        ),
        (
            "/tenant_a/sentinelone",
            json!({"api_token": "hunter2"}),
            "tenant_a.sentinelone: missing field `url`",
        ),
        ("/tenant_a/sentinelone", json!("hunter2"), "tenant_a.sentinelone: is not a JSON object"),
        ("/tenant_a/sentinelone/api_token", json!(12345), "tenant_a.sentinelone.api_token: is not a text"),
        (
            "/tenant_a/connectwise/url",
            json!("http://h.example"),
            "tenant_a.connectwise.url: is not an https:// URL",
        ),
        (
            "/tenant_a/connectwise/requests_per_second",
            json!(0),
            "tenant_a.connectwise.requests_per_second: is not ",
        ),
        ("/tenant_b", json!(null), "tenant_b: is not a JSON object"),
    ] {
        let error = wrong(path, value);
        assert!(error.starts_with(wanted), "{path}: {error}");
        assert!(!error.contains("hunter2") && !error.contains("12345"), "{error}");
    }
    let broken =
        LiveSource::from_json(Path::new("x"), "{\"tenant_a\": hunter2", &client()).expect_err("broken");
    assert_eq!(broken, "is not JSON at line 1 column 14");
    let twice = LiveSource::from_json(Path::new("x"), "{}\n{}", &client()).expect_err("two objects");
    assert_eq!(twice, "has more after its object (line 2)");
}

#[test]
fn secrets_are_not_shown() {
    let source = source(&json!({"tenant_a": accounts("https://h.example")})).expect("good");
    assert!(!format!("{source:?}").contains("hunter2"));
    assert_eq!(source.describe(), "the accounts of 1 tenants in sources.json");
}

#[cfg(unix)]
#[test]
fn the_file_must_be_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sources.json");
    std::fs::write(&path, json!({"tenant_a": accounts("https://h.example")}).to_string()).expect("written");
    for (mode, good) in
        [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o644, false)]
    {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
        match LiveSource::load(&path) {
            Ok(source) => assert!(good && source.tenants.len() == 1, "{mode:o}"),
            Err(error) => {
                let error = error.to_string();
                assert!(
                    !good && error.contains("chmod 600") && error.contains("sources.json"),
                    "{mode:o}: {error}"
                );
            }
        }
    }
    let error = LiveSource::load(folder.path()).expect_err("a folder").to_string();
    assert!(error.ends_with("is not a file"), "{error}");
    let error = LiveSource::load(&folder.path().join("none")).expect_err("nothing").to_string();
    assert!(error.contains("cannot be read"), "{error}");
}
