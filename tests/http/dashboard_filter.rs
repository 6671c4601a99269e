//! Forms of the dashboard: what is suggested, what is said beside a field, and that what was typed
//! is kept.

use axum::http::StatusCode;
use weirgate_identity::platform::Role;
use weirgate_queue::NewJob;
use weirgate_test_support::{Answer, Does, Step};

use crate::support::TestApi;
use crate::support::person::Person;

async fn job(api: &TestApi, label: &str) -> String {
    let step = Step::new(label, Does::Succeed);
    api.db().enqueue_new(NewJob::of(api.cca.id, &step).unwrap()).await.id.to_string()
}

/// The tag of the field of this name that a form shows.
fn field<'a>(page: &'a Answer, name: &str) -> &'a str {
    let named = format!(" name=\"{name}\"");
    let mut tags =
        page.text().split('<').filter(|tag| tag.contains(&named) && !tag.contains("type=\"hidden\""));
    tags.next().unwrap_or_else(|| panic!("no field {name}: {}", page.text()))
}

/// What stands beside a field.
fn beside<'a>(page: &'a Answer, name: &str) -> &'a str {
    let tag = field(page, name);
    assert!(tag.contains("aria-invalid=\"true\""), "{tag}");
    assert!(tag.contains(&format!("aria-describedby=\"wrong-{name}\"")), "{tag}");
    let (_, rest) = page.text().split_once(&format!("id=\"wrong-{name}\">")).expect("its message");
    rest.split('<').next().unwrap()
}

fn keeps(page: &Answer, name: &str, value: &str) {
    let tag = field(page, name);
    assert!(tag.contains(&format!(" value=\"{value}\"")), "{name} keeps {value}: {tag}");
}

#[tokio::test]
async fn what_is_wrong_with_a_filter_stands_beside_its_field_and_the_rest_is_kept() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    job(&api, "one").await;
    for (name, value, status, said) in [
        ("created_after", "yesterday", 422, "such as 2026-01-31T08:00:00Z"),
        ("created_before", "2026-02-30T00:00", 422, "such as 2026-01-31T08:00:00Z"),
        ("tenant_id", "nobody", 404, "no tenant"),
        ("tenant_id", "not a slug", 422, "expected a tenant&#39;s slug or UUID"),
        ("workflow_id", "seven", 422, "expected a UUID"),
        ("backfill_id", "1", 422, "expected a UUID"),
        ("arg", "label", 422, "such as format=csv"),
        ("arg", "=one", 422, "expected a name after the dot"),
    ] {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("state", "available"), ("kind", "step"), ("q", "<one>"), (name, value)])
            .finish();
        let page = person.get(&format!("/dashboard/jobs?{query}")).await;
        assert_eq!(page.status.as_u16(), status, "{name}={value}");
        assert!(beside(&page, name).contains(said), "{name}={value}: {}", beside(&page, name));
        keeps(&page, name, value);
        keeps(&page, "kind", "step");
        keeps(&page, "q", "&#60;one&#62;");
        assert!(page.text().contains("value=\"available\" checked"), "the states are kept, too");
        assert!(page.text().contains("Nothing is listed"), "it is said");
        assert!(!page.text().contains("<tbody"), "and nothing is listed");
        assert!(page.text().contains("</nav>") && page.text().contains("<h1>Jobs</h1>"), "it is the page");
    }
    let page = person
        .get("/dashboard/jobs?created_after=2026-02-01T00:00&created_before=2026-01-31&kind=step")
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(beside(&page, "created_before").contains("expected a time after"), "{}", page.text());
    // What has no field of its own is said above them.
    let page = person.get("/dashboard/jobs?state=done&color=red&kind=step").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text().contains("state: ") && page.text().contains("color: unknown parameter"));
    keeps(&page, "kind", "step");
}

#[tokio::test]
async fn times_of_a_filter_are_dates_in_utc() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let id = job(&api, "one").await;
    api.execute("update queue.jobs set created_at = '2026-01-31T08:00:00Z'").await;
    for (query, found) in [
        ("created_after=2026-01-31T08:00", true),
        ("created_after=2026-01-31T08:00:01", false),
        ("created_after=2026-01-31&created_before=2026-02-01", true),
        ("created_before=2026-01-31T08:00", false),
        ("created_after=2026-01-31T09:00:00%2B01:00", true),
    ] {
        let page = person.get(&format!("/dashboard/jobs?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}: {}", page.text());
        assert_eq!(page.text().contains(&id), found, "{query}");
        assert!(field(&page, "created_after").contains("type=\"datetime-local\""), "{query}");
        assert!(page.text().contains("Enqueued from (UTC)"), "the zone is said");
    }
    let page = person.get("/dashboard/jobs?created_after=2026-01-31T09:00:00%2B01:00").await;
    keeps(&page, "created_after", "2026-01-31T08:00");
}

#[tokio::test]
async fn kinds_queues_and_some_tenants_are_suggested() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    api.execute(
        "insert into identity.tenants (id, slug, name, time_zone)
         select gen_random_uuid(), 'a_tenant_' || n, 'A tenant', 'UTC' from generate_series(1, 300) as n",
    )
    .await;
    for (path, name, list) in [
        ("/dashboard/jobs", "kind", "kinds"),
        ("/dashboard/jobs", "queue", "queues"),
        ("/dashboard/jobs", "tenant_id", "tenants"),
        ("/dashboard/kpis", "tenant_id", "tenants"),
        ("/dashboard/backfills/new", "tenants", "tenants"),
        ("/dashboard/schedules", "tenant_id", "tenants"),
    ] {
        let page = person.get(path).await;
        assert!(field(&page, name).contains(&format!("list=\"{list}\"")), "{path}: {}", field(&page, name));
        let (_, rest) = page.text().split_once(&format!("<datalist id=\"{list}\">")).expect(path);
        let options = rest.split("</datalist>").next().unwrap().matches("<option").count();
        let bounds = if list == "tenants" { 200..=201 } else { 4..=20 };
        assert!(bounds.contains(&options), "{path}, {list}: {options}");
    }
}

#[tokio::test]
async fn other_forms_say_beside_the_field_what_is_wrong_too() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let page = person.get("/dashboard/kpis?tenant_id=nobody&from=2026-01-01").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(beside(&page, "tenant_id").contains("no tenant"));
    keeps(&page, "from", "2026-01-01");
    let page = person.get("/dashboard/kpis?tenant_id=tenant_demo_cca&from=31.1.2026&to=2026-02-01").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(beside(&page, "from").contains("such as 2026-01-31"), "{}", beside(&page, "from"));
    keeps(&page, "from", "31.1.2026");
    keeps(&page, "to", "2026-02-01");
    keeps(&page, "tenant_id", "tenant_demo_cca");

    let fields = [("kind", "compute_kpi"), ("from", "2026-01-31"), ("to", "2026-01-01"), ("share", "2")];
    let page = person.post("/dashboard/backfills", &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(beside(&page, "to").contains("is before from"), "{}", beside(&page, "to"));
    assert!(beside(&page, "share").contains("expected a number above 0"), "{}", beside(&page, "share"));
    keeps(&page, "from", "2026-01-31");
    keeps(&page, "share", "2");
    let fields =
        [("kind", "compute_kpi"), ("from", "2026-01-01"), ("to", "2026-01-01"), ("tenants", "nobody")];
    let page = person.post("/dashboard/backfills", &fields).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(beside(&page, "tenants").contains("no tenant"), "{}", beside(&page, "tenants"));
    keeps(&page, "tenants", "nobody");

    let admin = Person::new(&api, "root@example.com", Role::Admin).await;
    for (path, of) in [
        ("/dashboard/queues/kpi/limits", &[("of", "all")][..]),
        ("/dashboard/queues/kpi/limits", &[("of", "each")]),
        ("/dashboard/tenants/tenant_demo_cca/lanes/kpi/limits", &[]),
    ] {
        let limits = [("rate", "many"), ("period_s", "60"), ("max_running", "0")];
        let page = admin.post(path, &[of, &limits].concat()).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert_eq!(page.text().matches("aria-invalid").count(), 2, "{path}, {of:?}: {}", page.text());
        assert!(page.text().contains("id=\"wrong-rate\">expected a whole number"), "{path}: {}", page.text());
        assert!(page.text().contains(" value=\"many\"") && page.text().contains(" value=\"60\""), "{path}");
    }

    let page = person.post("/dashboard/schedules/daily_pipeline/run", &[("tenant_id", "nobody")]).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(beside(&page, "tenant_id").contains("no tenant"), "{}", page.text());
    keeps(&page, "tenant_id", "nobody");
    assert_eq!(page.text().matches("aria-invalid").count(), 1, "at that schedule alone");
    let jobs: i64 =
        sqlx::query_scalar("select count(*) from queue.jobs").fetch_one(&api.db().pool).await.unwrap();
    assert_eq!(jobs, 0, "nothing was enqueued");
}
