//! The dashboard: who may see it, what can be done there, and that it is written down.

use axum::http::StatusCode;
use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::accounts::{self, Account};
use weirgate_identity::memberships;
use weirgate_identity::platform::{self, Role};
use weirgate_identity::sign_in::Candidate;
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Step};

use crate::support::TestApi;
use crate::support::person::{PASSWORD, Person, audited, form, sign_in};

async fn job(api: &TestApi, label: &str) -> Uuid {
    let step = Step::new(label, Does::Succeed);
    api.db().enqueue_new(NewJob::of(api.cca.id, &step).unwrap()).await.id
}

/// Whose email and password these are.
async fn verify(pool: &PgPool, email: &str, password: &str) -> Option<Account> {
    Candidate::find(pool, email).await.unwrap().verify(pool, password, ()).await
}

#[tokio::test]
async fn nobody_sees_anything_without_signing_in() {
    let api = TestApi::new().await;
    let id = job(&api, "a").await;
    for path in [
        "",
        "/jobs",
        "/jobs/rows",
        "/failures",
        "/charts",
        "/queues",
        "/workers",
        "/audit",
        "/live",
        &format!("/jobs/{id}"),
        &format!("/jobs/{id}/events"),
    ] {
        let answer = api.anonymous("GET", &format!("/dashboard{path}")).send().await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        let to = answer.header("location").unwrap();
        assert!(to.starts_with("/dashboard/sign-in?next=%2Fdashboard"), "{to}");
    }
    let answer = api.anonymous("POST", &format!("/dashboard/jobs/{id}/cancel")).send().await;
    assert_eq!(answer.header("location"), Some("/dashboard/sign-in"));
    assert_eq!(api.db().job(id).await.state(), JobState::Available);
    let answer = api.anonymous("GET", "/dashboard/").send().await;
    assert_eq!(answer.header("location"), Some("/dashboard"));
    // The service's token is not for people.
    let answer = api.get("/dashboard/jobs").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let id = job(&api, "a").await;
    for path in
        ["", "?over=week", "/jobs", "/failures", "/queues", "/workers", "/audit", &format!("/jobs/{id}")]
    {
        let page = person.get(&format!("/dashboard{path}")).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text());
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert!(!page.text().contains("http://") && !page.text().contains("https://"), "{path}");
        assert!(!page.text().contains("<script>") && !page.text().contains("style="), "{path}");
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
    for asset in ["app.css", "app.js"] {
        let page = person.get("/dashboard").await;
        let (_, rest) = page.text().split_once(&format!("/dashboard/{asset}")).unwrap();
        let url = format!("/dashboard/{asset}{}", rest.split('"').next().unwrap());
        let answer = api.anonymous("GET", &url).send().await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.header("cache-control").unwrap().contains("immutable"));
    }
    let missing = person.get("/dashboard/nothing").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.header("content-type").unwrap().starts_with("text/html"));
}

#[tokio::test]
async fn a_wrong_password_says_nothing_of_who_there_is_and_soon_has_to_wait() {
    let api = TestApi::new().await;
    platform::create(&api.db().pool, "Ada@Example.com", Role::Admin, PASSWORD).await.unwrap();
    let mut said = Vec::new();
    for email in ["ada@example.com", "nobody@example.com"] {
        let answer = sign_in(&api, email, "a wrong password").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.header("set-cookie").is_none());
        said.push(answer.text().replace(email, ""));
    }
    assert_eq!(said[0], said[1]);
    let mut last = None;
    for _ in 0..5 {
        last = Some(sign_in(&api, "ADA@example.com", "a wrong password").await);
    }
    let last = last.unwrap();
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(last.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    // Not even with the right one; others are not concerned.
    assert_eq!(sign_in(&api, "ada@example.com", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    Person::new(&api, "eve@example.com", Role::Viewer).await;
}

#[tokio::test]
async fn sessions_are_rotated_and_end() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    // Signed in anew with the old cookie, the old one is nobody's.
    let fields = form(&[("email", "ada@example.com"), ("password", PASSWORD)]);
    let again = api.anonymous("POST", "/dashboard/sign-in").header("cookie", &person.cookie);
    let again = again.body("application/x-www-form-urlencoded", fields).send().await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert_eq!(person.get("/dashboard").await.status, StatusCode::SEE_OTHER);

    let person = Person::sign_in(&api, "ada@example.com").await;
    let out = person.post("/dashboard/sign-out", &[]).await;
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(person.get("/dashboard").await.status, StatusCode::SEE_OTHER);

    let person = Person::sign_in(&api, "ada@example.com").await;
    for _ in 0..2 {
        api.db().travel(std::time::Duration::from_hours(7)).await;
        assert_eq!(person.get("/dashboard").await.status, StatusCode::OK, "it is used");
    }
    api.db().travel(std::time::Duration::from_hours(9)).await;
    assert_eq!(person.get("/dashboard").await.status, StatusCode::SEE_OTHER, "it was idle");

    let person = Person::sign_in(&api, "ada@example.com").await;
    for _ in 0..27 {
        api.db().travel(std::time::Duration::from_hours(6)).await;
        assert_eq!(person.get("/dashboard").await.status, StatusCode::OK, "it is used");
    }
    api.db().travel(std::time::Duration::from_hours(6)).await;
    assert_eq!(person.get("/dashboard").await.status, StatusCode::SEE_OTHER, "it is seven days old");

    let person = Person::sign_in(&api, "ada@example.com").await;
    accounts::disable(&api.db().pool, "ADA@example.com").await.unwrap();
    assert_eq!(person.get("/dashboard").await.status, StatusCode::SEE_OTHER);
    assert!(verify(&api.db().pool, "ada@example.com", PASSWORD).await.is_none());
}

#[tokio::test]
async fn one_comes_back_to_the_page_one_wanted_and_nowhere_else() {
    let api = TestApi::new().await;
    platform::create(&api.db().pool, "ada@example.com", Role::Viewer, PASSWORD).await.unwrap();
    for (next, to) in [
        ("/dashboard/jobs?state=discarded", "/dashboard/jobs?state=discarded"),
        ("https://elsewhere.example/dashboard", "/dashboard"),
        ("//elsewhere.example/dashboard/", "/dashboard"),
        ("/dashboard\\@elsewhere.example", "/dashboard"),
        ("/dashboardelsewhere", "/dashboard"),
    ] {
        let fields = form(&[("email", "ada@example.com"), ("password", PASSWORD), ("next", next)]);
        let call = api.anonymous("POST", "/dashboard/sign-in");
        let answer = call.body("application/x-www-form-urlencoded", fields).send().await;
        assert_eq!(answer.header("location"), Some(to), "{next}");
    }
}

#[tokio::test]
async fn a_form_from_elsewhere_does_nothing() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Admin).await;
    let id = job(&api, "a").await;
    let path = format!("/dashboard/jobs/{id}/cancel");
    let without = person.post_with(&path, &[]).await;
    let wrong = person.post_with(&path, &[("csrf", "0")]).await;
    let twice = person.post_with(&path, &[("csrf", &person.csrf), ("csrf", &person.csrf)]).await;
    let call =
        api.anonymous("POST", &path).header("cookie", &person.cookie).header("sec-fetch-site", "cross-site");
    let cross = call.body("application/x-www-form-urlencoded", form(&[("csrf", &person.csrf)])).send().await;
    for answer in [without, wrong, twice, cross] {
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text().contains("Nothing was done"), "{}", answer.text());
    }
    assert_eq!(api.db().job(id).await.state(), JobState::Available);
    assert_eq!(audited(&api).await, []);
}

#[tokio::test]
async fn a_viewer_looks_and_does_not_act() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let id = job(&api, "a").await;
    for (path, fields) in [
        (format!("/dashboard/jobs/{id}/cancel"), vec![]),
        (format!("/dashboard/jobs/{id}/retry"), vec![]),
        (
            "/dashboard/jobs/bulk".to_owned(),
            vec![("action", "cancel"), ("kind", "step"), ("confirmed", "true")],
        ),
        ("/dashboard/queues/kpi/pause".to_owned(), vec![]),
    ] {
        let answer = person.post(&path, &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(answer.text().contains("needs the operator role"), "{}", answer.text());
    }
    let page = person.get(&format!("/dashboard/jobs/{id}")).await;
    assert!(!page.text().contains("/cancel"), "no button for what one may not do");
    assert_eq!(audited(&api).await, []);
    assert_eq!(api.db().job(id).await.state(), JobState::Available);
}

#[tokio::test]
async fn what_an_operator_does_is_done_and_written_down() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let id = job(&api, "a").await;
    let page = person.get(&format!("/dashboard/jobs/{id}")).await;
    assert!(page.text().contains("Why it is not running:"), "{}", page.text());
    assert!(page.text().contains("no live worker serves queue"), "{}", page.text());
    let answer = person.post(&format!("/dashboard/jobs/{id}/cancel"), &[]).await;
    assert_eq!(answer.header("location"), Some(format!("/dashboard/jobs/{id}").as_str()));
    assert_eq!(api.db().job(id).await.state(), JobState::Cancelled);
    person.post(&format!("/dashboard/jobs/{id}/retry"), &[]).await;
    assert_eq!(api.db().job(id).await.state(), JobState::Available);
    let refused = person.post(&format!("/dashboard/jobs/{id}/retry"), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    person.post("/dashboard/queues/kpi/pause", &[("confirmed", "true")]).await;
    assert!(person.get("/dashboard").await.text().contains("Queue kpi is paused"));
    person.post("/dashboard/queues/kpi/resume", &[("confirmed", "true")]).await;
    assert!(!person.get("/dashboard").await.text().contains("Queue kpi is paused"));
    let unknown = person.post("/dashboard/queues/nothing/pause", &[]).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let id = id.to_string();
    let expected =
        [("job.cancel", id.as_str()), ("job.retry", &id), ("queue.pause", "kpi"), ("queue.resume", "kpi")];
    let expected =
        expected.map(|(action, target)| ("ada@example.com".to_owned(), action.to_owned(), target.to_owned()));
    assert_eq!(audited(&api).await, expected);
    let page = person.get("/dashboard/audit").await;
    assert!(page.text().contains("job.cancel") && page.text().contains("sign_in"), "{}", page.text());
}

#[tokio::test]
async fn jobs_are_filtered_and_acted_on_together() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let (one, other) = (job(&api, "needle").await, job(&api, "<b>hay</b>").await);
    let list = person.get("/dashboard/jobs?state=available&kind=&q=needle&before=").await;
    assert!(list.text().contains(&one.to_string()) && !list.text().contains(&other.to_string()));
    let list = person.get("/dashboard/jobs?state=available").await;
    assert!(list.text().contains(&other.to_string()));
    let shown = person.get(&format!("/dashboard/jobs/{other}")).await;
    assert!(!shown.text().contains("<b>hay"), "arguments are text");
    let wrong = person.get("/dashboard/jobs?created_after=yesterday").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("expected an RFC 3339 time"), "{}", wrong.text());
    let empty = person.get("/dashboard/jobs?kind=nothing").await;
    assert!(empty.text().contains("No jobs match"));

    let fields = [("q", "needle"), ("action", "cancel")];
    let asked = person.post("/dashboard/jobs/bulk", &fields).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text());
    assert!(asked.text().contains("<h1>Cancel 1 job</h1>"), "{}", asked.text());
    assert_eq!(audited(&api).await, [], "it only counts");
    let done = person.post("/dashboard/jobs/bulk", &[&fields[..], &[("confirmed", "true")]].concat()).await;
    let bulk: Uuid = done.header("location").unwrap().rsplit('/').next().unwrap().parse().unwrap();
    let worker = api.start_worker();
    api.db().until(bulk, JobState::Completed).await;
    worker.stop().await;
    assert_eq!(api.db().job(one).await.state(), JobState::Cancelled);
    assert_ne!(api.db().job(other).await.state(), JobState::Cancelled);
    assert_eq!(audited(&api).await.len(), 1);
    let all = person.post("/dashboard/jobs/bulk", &[("action", "cancel")]).await;
    assert_eq!(all.status, StatusCode::UNPROCESSABLE_ENTITY, "not everything by mistake");
}

#[tokio::test]
async fn passwords_and_emails_are_checked() {
    let api = TestApi::new().await;
    let pool = &api.db().pool;
    for (email, password) in
        [("ada", PASSWORD), ("@host", PASSWORD), ("a b@host", PASSWORD), ("ada@host", "short")]
    {
        assert!(platform::create(pool, email, Role::Viewer, password).await.is_err(), "{email}");
    }
    platform::create(pool, "ada@host", Role::Viewer, PASSWORD).await.unwrap();
    let second = platform::create(pool, "ADA@host", Role::Admin, PASSWORD).await.unwrap_err();
    assert!(second.to_string().contains("already"), "{second}");
    platform::set_role(pool, "ADA@host", Role::Operator).await.unwrap();
    let account = verify(pool, "ada@host", PASSWORD).await.unwrap();
    let all = memberships::of(&mut pool.acquire().await.unwrap(), account.id).await.unwrap();
    assert_eq!(memberships::on_platform(&all), Some(Role::Operator));
    let unknown = platform::set_role(pool, "eve@host", Role::Viewer).await.unwrap_err();
    assert_eq!(unknown.to_string(), "no account with the email eve@host");
    accounts::set_password(pool, "ada@host", "another password").await.unwrap();
    assert!(verify(pool, "ada@host", PASSWORD).await.is_none());
    assert!(verify(pool, "ada@host", "another password").await.is_some());
    assert!(accounts::disable(pool, "eve@host").await.unwrap_err().to_string().contains("no account"));
    let stored: String =
        sqlx::query_scalar("select password_hash from identity.accounts").fetch_one(pool).await.unwrap();
    assert!(stored.starts_with("$argon2id$"), "{stored}");
}
