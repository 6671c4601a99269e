//! The dashboard's forms for tenants and their API keys: who sees them, what they say of what is
//! wrong, and what they do.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_test_support::Answer;

use crate::support::TestApi;
use crate::support::person::{Person, audited};

const TENANT: &str = "/dashboard/tenants/tenant_demo_cca";

async fn admin(api: &TestApi) -> Person<'_> {
    Person::new(api, "ada@example.com", Role::Admin).await
}

/// Each marked field with what is said beside it.
fn marked(page: &Answer) -> Vec<(String, String)> {
    let marks = page.text().split(r#"<p class="error" id="wrong-"#).skip(1);
    let told = marks.map(|rest| {
        let (field, rest) = rest.split_once("\">").unwrap();
        (field.to_owned(), rest.split_once("</p>").unwrap().0.to_owned())
    });
    told.collect()
}

async fn tenant(api: &TestApi, slug: &str) -> Value {
    api.get(&format!("/internal/tenants/{slug}")).await.ok(StatusCode::OK)
}

#[tokio::test]
async fn admins_alone_see_the_forms_and_may_send_them() {
    let api = TestApi::new().await;
    let prefix = api.cca.api_key.as_deref().unwrap().rsplit_once('_').unwrap().0;
    let forms = [
        ("/dashboard/tenants".to_owned(), "New tenant"),
        (format!("{TENANT}/change"), "Change the tenant"),
        (format!("{TENANT}/deactivate"), "Deactivate the tenant…"),
        (format!("{TENANT}/activate"), ""),
        (format!("{TENANT}/api-keys"), "New API key"),
        (format!("{TENANT}/api-keys/{prefix}/revoke"), "Revoke…"),
    ];
    for (role, may) in [(Role::Viewer, false), (Role::Operator, false), (Role::Admin, true)] {
        let person = Person::new(&api, &format!("{}@example.com", role.as_str()), role).await;
        let pages = [person.get("/dashboard/tenants").await, person.get(TENANT).await];
        let shown = pages.map(|page| page.text().to_owned()).concat();
        assert!(shown.contains(prefix), "{}: which keys there are is told", role.as_str());
        let form = person.get("/dashboard/new-tenant").await;
        assert_eq!(form.text().contains("name=\"slug\""), may, "{}", role.as_str());
        for (path, words) in &forms {
            assert_eq!(words.is_empty() || shown.contains(words), may || words.is_empty(), "{words}");
            if !may {
                let refused =
                    person.post(path, &[("confirmed", "true"), ("slug", "acme"), ("name", "x")]).await;
                assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
                assert!(refused.text().contains("this needs the admin role"), "{}", refused.text());
            }
        }
    }
    assert_eq!(audited(&api).await, []);
    assert_eq!(api.count("identity.tenants").await, 2);
    // The system is no tenant: it has lanes, and nothing to change.
    let person = Person::sign_in(&api, "admin@example.com").await;
    let system = person.get("/dashboard/tenants/system").await;
    assert!(system.status.is_success() && !system.text().contains("API keys"), "{}", system.text());
    for end in ["change", "deactivate", "api-keys", "api-keys/wg_00000000/revoke"] {
        let refused = person.post(&format!("/dashboard/tenants/system/{end}"), &[]).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{end}");
    }
}

#[tokio::test]
async fn tenant_is_made_and_what_is_wrong_stands_at_its_field() {
    let api = TestApi::new().await;
    let person = admin(&api).await;
    for (fields, wrong) in [
        (&[][..], &[("slug", "required"), ("name", "required"), ("time_zone", "required")][..]),
        (
            &[("slug", "a b"), ("name", " "), ("time_zone", "europe/berlin")],
            &[("name", "required"), ("slug", "such as acme_emea"), ("time_zone", "it is spelled")],
        ),
        (
            &[("slug", "tenant_demo_cca"), ("name", "Another"), ("time_zone", "UTC")],
            &[("slug", "tenant tenant_demo_cca already exists")],
        ),
    ] {
        let page = person.post("/dashboard/tenants", fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.text());
        let marked = marked(&page);
        for (field, says) in wrong.iter().filter(|(field, _)| marked.iter().any(|(at, _)| at == field)) {
            let said = marked.iter().any(|(at, told)| at == field && told.contains(says));
            assert!(said, "{fields:?}: {says} at {field}: {marked:?}");
        }
        assert!(!marked.is_empty() && page.text().contains("The tenant was not created"), "{}", page.text());
        for (name, value) in fields.iter().filter(|(_, value)| !value.trim().is_empty()) {
            assert!(page.text().contains(&format!("name=\"{name}\" value=\"{value}\"")), "{name} stays");
        }
    }
    let fields =
        [("slug", "acme"), ("name", "Acme & Sons"), ("time_zone", "Europe/Berlin"), ("llm_enabled", "true")];
    let made = person.post("/dashboard/tenants", &fields).await;
    assert_eq!(made.header("location"), Some("/dashboard/tenants/acme"));
    let stored = tenant(&api, "acme").await;
    assert_eq!(
        (&stored["name"], &stored["time_zone"], &stored["llm_enabled"], &stored["is_active"]),
        (&json!("Acme & Sons"), &json!("Europe/Berlin"), &json!(true), &json!(true))
    );
    let page = person.get("/dashboard/tenants/acme").await;
    assert!(page.text().contains("Acme &#38; Sons") && page.text().contains("There is no API key yet"));
}

#[tokio::test]
async fn tenant_is_changed_in_what_differs_alone() {
    let api = TestApi::new().await;
    let person = admin(&api).await;
    let change = format!("{TENANT}/change");
    assert_eq!(tenant(&api, "tenant_demo_cca").await["llm_enabled"], true);
    let same = [("name", api.cca.name.as_str()), ("time_zone", "UTC"), ("llm_enabled", "true")];
    assert_eq!(person.post(&change, &same).await.header("location"), Some(TENANT));
    assert_eq!(audited(&api).await, [], "nothing differs");
    let page = person.post(&change, &[("name", "New"), ("time_zone", "Mars/Base")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let told = marked(&page);
    assert!(matches!(&told[..], [(at, says)] if at == "time_zone" && says.contains("Mars/Base")), "{told:?}");
    assert!(
        page.text().contains("name=\"name\" value=\"New\"") && page.text().contains("Nothing was changed")
    );
    assert_eq!(tenant(&api, "tenant_demo_cca").await["name"], api.cca.name.as_str());
    // The box is not ticked.
    person.post(&change, &[("name", "New"), ("time_zone", "UTC")]).await;
    let stored = tenant(&api, "tenant_demo_cca").await;
    assert_eq!((&stored["name"], &stored["llm_enabled"]), (&json!("New"), &json!(false)));
    let entry = api.get("/internal/audit?action=tenant.change&limit=1").await.items()[0]["detail"].clone();
    assert_eq!(entry["after"], json!({ "name": "New", "llm_enabled": false }), "the zone is as it was");
}

#[tokio::test]
async fn tenant_is_deactivated_after_it_is_said_what_follows() {
    let api = TestApi::new().await;
    let person = admin(&api).await;
    api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    let (off, on) = (format!("{TENANT}/deactivate"), format!("{TENANT}/activate"));
    let asked = person.post(&off, &[]).await;
    for told in [
        "No more jobs are accepted for tenant_demo_cca",
        "0 running jobs and 1 job that has not started",
        "Its API key is refused until it is active again",
        "Nothing is deleted",
    ] {
        assert!(asked.text().contains(told), "{told}: {}", asked.text());
    }
    assert_eq!(tenant(&api, "tenant_demo_cca").await["is_active"], true, "it was only asked");
    assert_eq!(person.post(&off, &[("confirmed", "true")]).await.header("location"), Some(TENANT));
    assert_eq!(tenant(&api, "tenant_demo_cca").await["is_active"], false);
    api.v1("/v1/jobs").await.problem(401, "unauthorized");
    let page = person.get(TENANT).await;
    assert!(page.text().contains("tenant inactive") && page.text().contains("Activate the tenant…"));
    assert!(person.post(&off, &[]).await.text().contains("is inactive already"));
    let asked = person.post(&on, &[]).await;
    assert!(asked.text().contains("Its API key is accepted again"), "{}", asked.text());
    person.post(&on, &[("confirmed", "true")]).await;
    api.v1("/v1/jobs").await.items();
}

#[tokio::test]
async fn key_is_shown_once_and_works_within_its_scopes() {
    let api = TestApi::new().await;
    let person = admin(&api).await;
    let keys = format!("{TENANT}/api-keys");
    let id = Uuid::now_v7().to_string();
    let fields = [
        ("id", id.as_str()),
        ("name", "<auditor>"),
        ("scopes", "read:kpis"),
        ("scopes", "read:jobs"),
        ("expires_at", "2099-01-31T08:00"),
    ];
    let made = person.post(&keys, &fields).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let (_, rest) = made.text().split_once("readonly value=\"").unwrap();
    let key = rest.split('"').next().unwrap();
    assert!(made.text().contains("&#60;auditor&#62;") && made.text().contains("2099-01-31T08:00:00.000Z"));
    let with = |path: &'static str| api.with_key(key, "GET", path).send();
    with("/v1/jobs").await.items();
    with("/v1/csat").await.problem(403, "insufficient_scope");
    // The button was pressed twice.
    let again = person.post(&keys, &fields).await;
    assert_eq!(again.status, StatusCode::OK);
    assert!(
        !again.text().contains(key) && again.text().contains("It cannot be read again"),
        "{}",
        again.text()
    );
    let listed = api.get("/internal/tenants/tenant_demo_cca/api-keys").await.items();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed[1]["scopes"], json!(["read:jobs", "read:kpis"]));
    let page = person.get(TENANT).await;
    assert!(page.text().contains(&key[..11]) && !page.text().contains(key));
    assert_eq!(audited(&api).await.len(), 1, "one key was made");
}

#[tokio::test]
async fn key_that_cannot_be_made_is_told_at_its_fields() {
    let api = TestApi::new().await;
    let person = admin(&api).await;
    let keys = format!("{TENANT}/api-keys");
    let id = Uuid::now_v7().to_string();
    let none: [(&str, &str); 1] = [("id", &id)];
    for (fields, at, says) in [
        (&[][..], "scopes", "tick at least one"),
        (&[("name", "x"), ("scopes", "read:all")], "scopes", "no scope &#34;read:all&#34;"),
        (&[("scopes", "read:csat")], "name", "required"),
        (
            &[("name", "x"), ("scopes", "read:csat"), ("expires_at", "2020-01-01T00:00")],
            "expires_at",
            "in the past",
        ),
        (
            &[("name", "x"), ("scopes", "read:csat"), ("expires_at", "soon")],
            "expires_at",
            "2026-01-31T08:00:00Z",
        ),
    ] {
        let page = person.post(&keys, &[&none[..], fields].concat()).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.text());
        let told = marked(&page);
        assert!(
            told.iter().any(|(field, message)| field == at && message.contains(says)),
            "{told:?}: {says}"
        );
        assert!(page.text().contains("<details class=\"card form\" open>"), "what is wrong is seen");
        if fields.contains(&("scopes", "read:csat")) {
            assert!(page.text().contains("value=\"read:csat\" checked"), "what was ticked stays so");
        }
    }
    assert_eq!(api.count("identity.api_keys").await, 2);
}

#[tokio::test]
async fn key_is_revoked_after_it_is_said_what_follows() {
    let api = TestApi::new().await;
    let person = admin(&api).await;
    let prefix = api.cca.api_key.as_deref().unwrap().rsplit_once('_').unwrap().0;
    let revoke = format!("{TENANT}/api-keys/{prefix}/revoke");
    let asked = person.post(&revoke, &[]).await;
    for told in [
        &format!("Requests with the key {prefix} (seed) are refused from now on; it was never used."),
        "It is the only key of tenant_demo_cca",
        "This cannot be taken back",
    ] {
        assert!(asked.text().contains(told), "{told}: {}", asked.text());
    }
    api.v1("/v1/jobs").await.items();
    let done = person.post(&revoke, &[("confirmed", "true")]).await;
    assert_eq!(done.header("location"), Some("/dashboard/tenants/tenant_demo_cca#keys"));
    api.v1("/v1/jobs").await.problem(401, "unauthorized");
    assert!(person.get(TENANT).await.text().contains("revoked"));
    assert!(person.post(&revoke, &[]).await.text().contains("is revoked already"));
    let acts = audited(&api).await;
    assert_eq!(acts, [("ada@example.com".into(), "key.revoke".into(), prefix.to_owned())]);
    for other in ["wg_00000000", "tenant_demo_client2"] {
        let unknown = person.post(&format!("{TENANT}/api-keys/{other}/revoke"), &[]).await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    }
    let of_another = api.client2.api_key.as_deref().unwrap().rsplit_once('_').unwrap().0;
    let other =
        person.post(&format!("{TENANT}/api-keys/{of_another}/revoke"), &[("confirmed", "true")]).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND, "a key of another tenant");
}
