//! Backfills on the dashboard: the dry run, the calendar, what can be done, and that looks are
//! shared.

use std::sync::Arc;
use std::time::Duration;

use axum::body::BodyDataStream;
use axum::http::StatusCode;
use futures_util::StreamExt;
use sqlx::AssertSqlSafe;
use tokio::time::timeout;
use weirgate_identity::platform::Role;
use weirgate_msp::DailySlices;
use weirgate_queue::worker::expander::Expander;
use weirgate_test_support::tenant;

use crate::support::TestApi;
use crate::support::person::{Person, audited};

const PATH: &str = "/dashboard/backfills";

/// What a dry run says, and what its button sends.
async fn dry_run(person: &Person<'_>, fields: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
    let answer = person.post(PATH, fields).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let text = answer.text().to_owned();
    let form =
        text.split("<form method=\"post\" action=\"/dashboard/backfills\">").nth(1).unwrap_or_default();
    let hidden = form.split("type=\"hidden\" name=\"").skip(1).map(|field| {
        let (name, rest) = field.split_once("\" value=\"").unwrap();
        (name.to_owned(), rest.split('"').next().unwrap().to_owned())
    });
    let hidden = hidden.filter(|(name, _)| name != "csrf").collect();
    (text, hidden)
}

/// Makes a backfill as somebody in front of the pages does; answers with the path of its page.
async fn make(person: &Person<'_>, fields: &[(&str, &str)]) -> String {
    let (text, hidden) = dry_run(person, fields).await;
    assert!(!hidden.is_empty(), "{text}");
    let hidden: Vec<(&str, &str)> =
        hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let made = person.post(PATH, &hidden).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    made.header("location").unwrap().to_owned()
}

async fn expand(api: &TestApi) {
    Expander::new(vec![Arc::new(DailySlices)]).run_once(&api.db().pool).await.unwrap();
}

async fn end(api: &TestApi, tenant: &str, day: &str, state: &str) -> String {
    sqlx::query_scalar(AssertSqlSafe(format!(
        "update queue.jobs set state = '{state}', finalized_at = queue.now()
         where args ->> 'date' = '{day}' and tenant_id = (select id from identity.tenants where slug = '{tenant}') returning id::text"
    )))
    .fetch_one(&api.db().pool)
    .await
    .unwrap()
}

/// The cells of a tenant, as those who cannot see colours have them.
fn row<'a>(page: &'a str, tenant: &str) -> Vec<&'a str> {
    let head = format!("<th scope=\"row\">{tenant}</th>");
    let rows = page.split(&head).skip(1);
    let cells = rows.flat_map(|row| row.split("</tr>").next().unwrap().split("<td>").skip(1));
    cells.map(|cell| cell.split("aria-label=\"").nth(1).unwrap().split('"').next().unwrap()).collect()
}

const JANUARY: [(&str, &str); 3] = [("kind", "compute_kpi"), ("from", "2026-01-01"), ("to", "2026-01-31")];

#[tokio::test]
async fn a_dry_run_says_what_it_would_be_and_the_button_makes_it_once() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    assert!(person.get(PATH).await.text().contains("No backfills yet."));
    assert!(person.get("/dashboard/backfills/new").await.text().contains("Dry run"));
    api.fill().await;
    let fields = [&JANUARY[..], &[("reprocess", "missing")]].concat();
    let (said, hidden) = dry_run(&person, &fields).await;
    assert!(said.contains("<strong>60</strong> jobs"), "{said}");
    assert!(said.contains("2 of the 62 tenant-days (2 tenants) would be skipped"), "{said}");
    assert!(said.contains("tenant_demo_client2</th><td class=\"number\">30<"), "{said}");
    assert_eq!((api.count("queue.backfills").await, audited(&api).await.len()), (0, 0), "it only counts");
    let hidden: Vec<(&str, &str)> =
        hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let made = person.post(PATH, &hidden).await;
    let again = person.post(PATH, &hidden).await;
    assert_eq!(made.header("location"), again.header("location"), "however often it is pressed");
    assert_eq!(api.count("queue.backfills").await, 1);
    let id = made.header("location").unwrap().rsplit('/').next().unwrap().to_owned();
    let expected = ("ada@example.com".to_owned(), "backfill.create".to_owned(), id.clone());
    assert_eq!(audited(&api).await, [expected]);
    let list = person.get(PATH).await;
    assert!(list.text().contains(&id) && list.text().contains("0 of 62"), "{}", list.text());

    let pipelines =
        [("kind", "pipeline"), ("from", "2026-01-19"), ("to", "2026-01-20"), ("reprocess", "all")];
    let pipelines = [&pipelines[..], &[("tenants", "tenant_demo_cca, tenant_demo_client2")]].concat();
    let (said, _) = dry_run(&person, &pipelines).await;
    assert!(said.contains("up to <strong>24</strong> jobs") && said.contains("6 for each"), "{said}");
    let done = [("kind", "compute_kpi"), ("from", "2026-01-20"), ("to", "2026-01-20")];
    let (said, hidden) = dry_run(&person, &done).await;
    assert!(said.contains("nothing to do") && hidden.is_empty(), "{said}");
}

#[tokio::test]
async fn what_is_wrong_is_said_beside_what_was_typed() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    for (field, value, says) in [
        ("from", "2026-02-01", "is before from"),
        ("tenants", "nobody", "nobody"),
        ("share", "2", "expected a number above 0, up to 1"),
        ("share", "much", "expected a number above 0, up to 1"),
        ("max_running", "0", "expected a whole number"),
        ("kind", "ingest_tickets", "ingest_tickets ingests all that its source has"),
        ("surprise", "1", "surprise"),
    ] {
        let mut fields: Vec<_> = JANUARY.into_iter().filter(|(name, _)| *name != field).collect();
        fields.push((field, value));
        let answer = person.post(PATH, &fields).await;
        assert!(answer.status.is_client_error(), "{field}: {}", answer.status);
        assert!(answer.text().contains(says), "{field}: {}", answer.text());
        assert!(answer.text().contains("value=\"2026-01-31\""), "{field}: {}", answer.text());
    }
    for path in ["?month=2026", "?month=%2B026-1", "?month=2026-1", "?tenants=-1", "?other=1"] {
        let wrong = person.get(&format!("{PATH}/{}{path}", uuid::Uuid::nil())).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
    let unknown = person.get(&format!("{PATH}/{}", uuid::Uuid::nil())).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_tenant_and_day_is_a_cell_with_its_state_and_its_job() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    api.app
        .run(&weirgate_msp::ComputeKpi {
            tenant: "tenant_demo_cca".into(),
            date: "2026-01-30".parse().unwrap(),
        })
        .await
        .unwrap();
    let path = make(&person, &JANUARY).await;
    let page = person.get(&path).await;
    assert_eq!(row(page.text(), "tenant_demo_cca"), ["pending"; 31]);
    expand(&api).await;
    let done = end(&api, "tenant_demo_cca", "2026-01-31", "completed").await;
    end(&api, "tenant_demo_cca", "2026-01-01", "discarded").await;
    end(&api, "tenant_demo_client2", "2026-01-02", "cancelled").await;
    let page = person.get(&path).await;
    let cca = row(page.text(), "tenant_demo_cca");
    assert_eq!((cca.len(), cca[0], cca[1]), (31, "2026-01-01 discarded", "2026-01-02 available"));
    assert_eq!((cca[29], cca[30]), ("no job", "2026-01-31 completed"));
    assert_eq!(row(page.text(), "tenant_demo_client2")[1], "2026-01-02 cancelled");
    assert!(page.text().contains(&format!("href=\"/dashboard/jobs/{done}\"")));
    assert!(page.text().contains("January 2026"), "{}", page.text());
    for policy in ["script-src 'self'", "style-src 'self'"] {
        assert!(page.header("content-security-policy").unwrap().contains(policy));
    }
    assert!(!page.text().contains("style="));
}

#[tokio::test]
async fn the_calendar_is_bounded_and_goes_on_by_months_and_tenants() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let long =
        [("kind", "compute_kpi"), ("from", "2023-02-10"), ("to", "2026-01-15"), ("order", "oldest_first")];
    let path = make(&person, &long).await;
    expand(&api).await;
    // Ten months of two tenants at a time.
    let first = person.get(&path).await;
    assert!(first.text().contains("February 2023") && first.text().contains("November 2023"));
    assert!(!first.text().contains("December 2023") && !first.text().contains("Earlier months"));
    // From the tenth of February to the end of November.
    assert_eq!(row(first.text(), "tenant_demo_cca").len(), 294);
    assert_eq!(row(first.text(), "tenant_demo_cca")[0], "2023-02-10 available");
    let end = person.get(&format!("{path}?month=2026-01")).await;
    assert!(end.text().contains("January 2026") && !end.text().contains("Later months"));
    assert!(end.text().contains(&format!("{path}?month=2024-10&#38;tenants=0")), "{}", end.text());
    assert!(row(end.text(), "tenant_demo_cca").iter().all(|cell| *cell == "pending"));

    for n in 10..50 {
        tenant(&api.db().pool, &format!("t{n}"), "UTC").await;
    }
    let path = make(&person, &JANUARY).await;
    expand(&api).await;
    let page = person.get(&path).await;
    assert!(page.text().contains("Tenants 1 to 20 of 42."), "{}", page.text());
    assert_eq!(page.text().matches("class=\"heat").count() - 10, 20 * 31);
    let last = person.get(&format!("{path}?month=2026-01&tenants=2")).await;
    assert!(last.text().contains("Tenants 41 to 42 of 42."), "{}", last.text());
    assert_eq!(row(last.text(), "tenant_demo_client2")[30], "2026-01-31 available");
    assert!(last.text().contains("Previous tenants") && !last.text().contains("Next tenants"));
}

#[tokio::test]
async fn what_an_operator_does_is_done_and_written_down_and_a_viewer_does_nothing() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let viewer = Person::new(&api, "eve@example.com", Role::Viewer).await;
    let path = make(&person, &JANUARY).await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    expand(&api).await;
    end(&api, "tenant_demo_cca", "2026-01-31", "discarded").await;
    for verb in ["pause", "resume", "cancel", "retry_failed"] {
        let refused = viewer.post(&format!("{path}/{verb}"), &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{verb}");
    }
    assert_eq!(viewer.post(PATH, &JANUARY).await.status, StatusCode::FORBIDDEN);
    assert!(!viewer.get(&path).await.text().contains("/pause"), "no button for what one may not do");
    let state =
        async || person.get(&path).await.text().split("data-state=\"").nth(1).unwrap()[..6].to_owned();
    assert_eq!(state().await, "runnin");
    for verb in ["pause", "resume"] {
        let before = state().await;
        let asked = person.post(&format!("{path}/{verb}"), &[]).await;
        assert!(asked.text().contains(&format!("action=\"{path}/{verb}\"")), "{}", asked.text());
        assert_eq!(state().await, before, "it only asks");
        let done = person.post(&format!("{path}/{verb}"), &[("confirmed", "true")]).await;
        assert_eq!(done.header("location"), Some(path.as_str()));
        assert_eq!(state().await == "paused", verb == "pause");
    }
    person.post(&format!("{path}/retry_failed"), &[]).await;
    expand(&api).await;
    let sql = "select id from queue.jobs where backfill_id is not null order by id limit 1";
    let job: uuid::Uuid = sqlx::query_scalar(sql).fetch_one(&api.db().pool).await.unwrap();
    let shown = person.get(&format!("/dashboard/jobs/{job}")).await;
    let told = "failed jobs of the backfill retried by ada@example.com";
    assert!(shown.text().contains(told) && !shown.text().contains("backfill.pause"), "{}", shown.text());
    assert_eq!(row(person.get(&path).await.text(), "tenant_demo_cca")[30], "2026-01-31 available");
    person.post(&format!("{path}/cancel"), &[]).await;
    assert!(state().await.starts_with("cancel"));
    assert_eq!(row(person.get(&path).await.text(), "tenant_demo_cca")[30], "2026-01-31 cancelled");
    let refused = person.post(&format!("{path}/pause"), &[("confirmed", "true")]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let did: Vec<_> = audited(&api).await.into_iter().map(|(_, action, target)| (action, target)).collect();
    let expected = ["create", "pause", "resume", "retry_failed", "cancel"];
    assert_eq!(did, expected.map(|verb| (format!("backfill.{verb}"), id.clone())));
}

/// The next look of a stream, as HTML.
async fn look(stream: &mut BodyDataStream) -> String {
    let mut text = String::new();
    while !text.contains("\n\n") {
        let chunk = timeout(Duration::from_secs(20), stream.next()).await.expect("a look").unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    text.lines().filter_map(|line| line.strip_prefix("data: ")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn those_who_watch_see_it_change() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let path = make(&person, &JANUARY).await;
    expand(&api).await;
    let watch = async |path: &str| {
        let call = api.anonymous("GET", path).header("cookie", &person.cookie);
        call.start().await.into_body().into_data_stream()
    };
    let live = format!("{path}/live?month=2026-01");
    let (mut one, mut other) = (watch(&live).await, watch(&live).await);
    let mut all = watch("/dashboard/backfills/live").await;
    let (first, same) = (look(&mut one).await, look(&mut other).await);
    assert_eq!(first, same, "it is the same look");
    assert!(first.contains("data-state=\"running\"") && !first.contains("csrf"), "{first}");
    assert!(look(&mut all).await.contains("compute_kpi"));
    person.post(&format!("{path}/pause"), &[("confirmed", "true")]).await;
    for stream in [&mut one, &mut other] {
        while !look(stream).await.contains("data-state=\"paused\"") {}
    }
    while !look(&mut all).await.contains("paused") {}
}

#[tokio::test]
async fn who_signs_out_watches_no_longer() {
    let api = TestApi::new().await;
    let leaves = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let stays = Person::new(&api, "grace@example.com", Role::Viewer).await;
    let watch = async |person: &Person<'_>| {
        let call = api.anonymous("GET", "/dashboard/backfills/live").header("cookie", &person.cookie);
        let mut stream = call.start().await.into_body().into_data_stream();
        look(&mut stream).await;
        stream
    };
    let (mut ends, mut goes_on) = (watch(&leaves).await, watch(&stays).await);
    leaves.post("/dashboard/sign-out", &[]).await;
    let to_its_end = async { while ends.next().await.is_some() {} };
    timeout(Duration::from_secs(30), to_its_end).await.expect("it ends");
    api.fill().await;
    make(&Person::new(&api, "alan@example.com", Role::Operator).await, &JANUARY).await;
    assert!(look(&mut goes_on).await.contains("compute_kpi"), "the other one sees what is new");
}

#[tokio::test]
async fn days_in_the_future_are_told_before_and_after() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    api.execute("update test_clock set shift = timestamptz '2026-01-29 12:00Z' - now()").await;
    let (said, _) = dry_run(&person, &JANUARY).await;
    assert!(said.contains("<strong>58</strong> jobs"), "{said}");
    assert!(said.contains("4 tenant-days have not begun yet"), "{said}");
    let (said, hidden) =
        dry_run(&person, &[("kind", "compute_kpi"), ("from", "2026-02-01"), ("to", "2026-02-02")]).await;
    assert!(said.contains("nothing to do") && said.contains("4 tenant-days have not begun yet"), "{said}");
    assert!(hidden.is_empty());
    let page = person.get(&make(&person, &JANUARY).await).await;
    assert!(page.text().contains("<dt>Tenant-days in the future</dt><dd>4 (skipped"), "{}", page.text());
}
