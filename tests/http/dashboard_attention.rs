//! Needs attention, of tenants and schedules: each is told in a sentence whose link leads to
//! it, and no longer once it is over.

use std::fs;
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;
use weirgate_identity::TenantRef;
use weirgate_identity::platform::Role;
use weirgate_msp::sources::MockSource;
use weirgate_msp::{App, IngestTickets};
use weirgate_queue::worker::{claim, rescuer};
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::TestWorker;

use crate::support::person::Person;
use crate::support::{TestApi, registry_with};

const TICKETS: &str = "tenant_demo_cca/tickets.jsonl";

/// The notices of the overview: words and links.
async fn notices(person: &Person<'_>) -> Vec<(String, String)> {
    let page = person.get("/dashboard").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let plain = |text: &str| text.replace("&#38;", "&").replace("&#39;", "'");
    let Some((_, list)) = page.text().split_once("<ul class=\"notices\">") else { return Vec::new() };
    let items = list.split("</ul>").next().unwrap().split("<li><a href=\"").skip(1);
    items
        .map(|item| {
            let (link, text) = item.split_once("\">").unwrap();
            (plain(text.split("</a>").next().unwrap()), plain(link))
        })
        .collect()
}

/// The notice with these words in it.
async fn notice(person: &Person<'_>, words: &str) -> Option<(String, String)> {
    notices(person).await.into_iter().find(|(text, _)| text.contains(words))
}

/// A page that a notice leads to.
async fn follow(person: &Person<'_>, link: &str) -> String {
    let page = person.get(link.split('#').next().unwrap()).await;
    assert_eq!(page.status, StatusCode::OK, "{link}: {}", page.text());
    page.text().to_owned()
}

fn ticket(number: u32) -> String {
    json!({ "cw_ticket_id": format!("T-{number}"), "status": "New", "priority": "Low",
        "created_at_remote": "2026-01-20T09:00:00Z", "updated_at_remote": "2026-01-20T09:00:00Z" })
    .to_string()
}

/// Good rows, and bad ones after them.
fn write(api: &TestApi, good: u32, bad: u32) {
    let rows = (1..=good).map(ticket).chain((0..bad).map(|_| "{}".to_owned()));
    api.app.write(TICKETS, rows.map(|row| row + "\n").collect::<String>());
}

/// Takes in the tickets of `tenant_demo_cca` from the test's own files.
async fn ingest(api: &TestApi) -> String {
    let source = Arc::new(MockSource { path: api.app.folder.path().to_owned() });
    let app = Arc::new(App { pool: api.db().pool.clone(), source, exports: api.app.app.exports.clone() });
    let worker = TestWorker::start_jobs(api.db(), Arc::new(registry_with(app)), |_| {});
    let job = api.enqueue("/internal/ingest/tickets?tenant_id=tenant_demo_cca&max_attempts=1").await;
    let id = job["id"].as_str().unwrap().to_owned();
    let done = api.get(&format!("/internal/jobs/{id}?wait=30")).await.ok(StatusCode::OK);
    assert_eq!(done["final"], true, "{done}");
    worker.stop().await;
    id
}

/// Further tenants `many_001`, `many_002` and so on, each with a row of another table.
async fn many(api: &TestApi, tenants: i32, row: &'static str) {
    sqlx::query(
        "insert into identity.tenants (id, slug, name, time_zone)
         select gen_random_uuid(), 'many_' || to_char(n, 'FM000'), 'Many', 'UTC' from generate_series(1, $1) n",
    )
    .bind(tenants)
    .execute(&api.db().pool)
    .await
    .unwrap();
    api.execute(row).await;
}

/// KPIs of a day, worked out at a time.
async fn kpis(api: &TestApi, tenant: Uuid, day: &str, at: &str, z: f64) {
    sqlx::query(
        "insert into msp.kpi_daily values ($1, $2::date, 90, 60, 30, 125, 0.25, 4.5, 40, 12, 7, 1, abs($4) >= 3, $4, $3::timestamptz)",
    )
    .bind(tenant)
    .bind(day.parse::<chrono::NaiveDate>().unwrap())
    .bind(at.parse::<chrono::DateTime<chrono::Utc>>().unwrap())
    .bind(z)
    .execute(&api.db().pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_paused_tenant_is_told_of_and_so_are_many() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    assert_eq!(notice(&person, "paused").await, None);
    for queue in ["ingest", "kpi"] {
        let path = format!("/dashboard/tenants/tenant_demo_cca/lanes/{queue}/pause");
        person.post(&path, &[("confirmed", "true")]).await;
    }
    let (text, link) = notice(&person, "paused").await.expect("it is told");
    assert_eq!(text, "tenant_demo_cca is paused in queues ingest, kpi.");
    assert!(follow(&person, &link).await.contains("paused</span>"));
    let shown = follow(&person, "/dashboard/tenants?show=paused").await;
    assert!(
        shown.contains("tenants/tenant_demo_cca") && !shown.contains("tenants/tenant_demo_client2"),
        "{shown}"
    );

    api.execute("insert into queue.lanes (tenant_id, queue, paused) values ('00000000-0000-0000-0000-000000000000', 'system', true)").await;
    let row = "insert into queue.lanes (tenant_id, queue, paused) select id, 'ingest', true from identity.tenants where slug like 'many%'";
    many(&api, 60, row).await;
    let (text, link) = notice(&person, "tenants are paused").await.expect("they are told");
    assert!(text.starts_with("61 tenants are paused: ") && text.ends_with(" and 58 more."), "{text}");
    assert_eq!(link, "/dashboard/tenants?show=paused");
    let page = follow(&person, &link).await;
    assert_eq!(page.matches("/dashboard/tenants/many_").count(), 50, "the first page of them");
    assert!(page.contains("show=paused&#38;after=many_"), "{page}");
    let (text, link) = notice(&person, "system is paused").await.expect("the system's lanes are told");
    assert_eq!(
        (text.as_str(), link.as_str()),
        ("system is paused in queue system.", "/dashboard/tenants/system")
    );

    api.execute("update identity.tenants set is_active = false where slug like 'many%'").await;
    let (text, _) = notice(&person, "tenant_demo_cca is paused").await.expect("one is left");
    assert!(!text.contains("many"), "{text}");
    let page = person.get("/dashboard").await;
    assert!(
        page.text().contains("and 60 <a href=\"/dashboard/tenants?show=inactive\">inactive</a>"),
        "{}",
        page.text()
    );
    let inactive = follow(&person, "/dashboard/tenants?show=inactive&q=many_06").await;
    assert!(inactive.contains("many_060") && !inactive.contains("many_059"), "{inactive}");
}

#[tokio::test]
async fn where_nothing_needs_anybody_that_is_said() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    assert_eq!(notices(&person).await, []);
    assert!(person.get("/dashboard").await.text().contains("<p class=\"good\">Nothing.</p>"));
}

#[tokio::test]
async fn a_schedule_that_is_off_is_told_of() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    assert_eq!(notice(&person, "Schedule").await, None);
    let set = |on: bool| {
        api.service("PUT", "/internal/schedules/daily_pipeline").json(json!({ "enabled": on }).to_string())
    };
    set(false).send().await.ok(StatusCode::OK);
    let (text, link) = notice(&person, "Schedule").await.expect("it is told");
    assert_eq!(text, "Schedule daily_pipeline is paused.");
    let (_, anchor) = link.split_once('#').unwrap();
    assert!(follow(&person, &link).await.contains(&format!("id=\"{anchor}\"")));
    set(true).send().await.ok(StatusCode::OK);
    assert_eq!(notice(&person, "Schedule").await, None);
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_told_of_until_it_is_read_again() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    // A folder in place of the file.
    let file = api.app.folder.path().join(TICKETS);
    fs::create_dir_all(&file).unwrap();
    let failed = ingest(&api).await;
    let (text, link) = notice(&person, "tickets of tenant_demo_cca").await.expect("it is told");
    assert!(text.contains("could not be read for") && text.contains("(source_unreadable)"), "{text}");
    assert_eq!(link, format!("/dashboard/jobs/{failed}"));
    assert!(follow(&person, &link).await.contains("source_unreadable"));
    let since: chrono::DateTime<chrono::Utc> = sqlx::query_scalar("select failed_since from msp.source_runs")
        .fetch_one(&api.db().pool)
        .await
        .unwrap();
    api.db().travel(std::time::Duration::from_hours(60)).await;
    let person = Person::sign_in(&api, "ada@example.com").await;
    let again = ingest(&api).await;
    let (text, link) = notice(&person, "tickets of tenant_demo_cca").await.expect("it still is");
    assert!(
        text.contains("for 2 days") && link.ends_with(&again),
        "since the first time, of the last job: {text} {link}"
    );
    let stored: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select failed_since from msp.source_runs")
            .fetch_one(&api.db().pool)
            .await
            .unwrap();
    assert_eq!(stored, since);
    let shown = follow(&person, "/dashboard/tenants?show=failing").await;
    assert!(
        shown.contains(&format!("/dashboard/jobs/{again}")) && shown.contains("tickets could not be read"),
        "{shown}"
    );
    assert!(!shown.contains("tenants/tenant_demo_client2"));

    fs::remove_dir(file).unwrap();
    write(&api, 3, 0);
    ingest(&api).await;
    assert_eq!(notice(&person, "tickets of").await, None);
    assert!(follow(&person, "/dashboard/tenants?show=failing").await.contains("No tenants match"));
}

#[tokio::test]
async fn an_ingest_that_kills_its_workers_is_a_source_that_cannot_be_read() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let tenant = TenantRef::from(api.cca.id);
    let job = NewJob::of(api.cca.id, &IngestTickets { tenant }).unwrap().max_attempts(1);
    let job = api.db().enqueue_new(job).await.id;
    let worker = api.db().register_worker().await;
    claim(&mut api.db().pool.acquire().await.unwrap(), worker, "ingest", 1).await.unwrap();
    sqlx::query("update queue.workers set lease_until = queue.now()").execute(&api.db().pool).await.unwrap();
    rescuer::run_once(&api.db().pool).await.unwrap();
    assert_eq!(api.db().job(job).await.state(), JobState::Discarded);
    let (text, link) = notice(&person, "tickets of tenant_demo_cca").await.expect("it is told");
    assert!(text.contains("(worker_lost)") && link.ends_with(&job.to_string()), "{text}");
    // It is still so when the job has been deleted.
    api.execute("delete from queue.jobs").await;
    let (_, link) = notice(&person, "tickets of tenant_demo_cca").await.expect("it is told");
    assert!(follow(&person, &link).await.contains("value=\"ingest_tickets\""), "{link}");
}

#[tokio::test]
async fn a_source_that_had_rows_before_and_has_none_is_told_of() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    write(&api, 0, 0);
    ingest(&api).await;
    assert_eq!(notice(&person, "tickets of").await, None, "it never had any");
    write(&api, 12, 0);
    ingest(&api).await;
    assert_eq!(notice(&person, "tickets of").await, None);
    write(&api, 0, 0);
    ingest(&api).await;
    let again = ingest(&api).await;
    let (text, link) =
        notice(&person, "tickets of tenant_demo_cca").await.expect("it is told, the second time too");
    assert!(text.contains("had no rows in the last ingest") && text.contains("12 rows before"), "{text}");
    assert_eq!(link, format!("/dashboard/jobs/{again}"));
    assert!(follow(&person, "/dashboard/tenants?show=empty").await.contains("tenants/tenant_demo_cca"));
    write(&api, 1, 0);
    ingest(&api).await;
    assert_eq!(notice(&person, "tickets of").await, None);
}

#[tokio::test]
async fn more_than_a_tenth_rejected_is_told_of_and_a_tenth_is_not() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    write(&api, 9, 1);
    ingest(&api).await;
    assert_eq!(notice(&person, "rejected").await, None);
    let figure = "<a href=\"/dashboard/rejects\">Rejected rows</a></dt><dd>1 ";
    assert!(follow(&person, "/dashboard").await.contains(figure), "it is counted all the same");
    write(&api, 9, 2);
    ingest(&api).await;
    let (text, link) = notice(&person, "rejected").await.expect("it is told");
    assert_eq!(text, "The tickets of tenant_demo_cca had 2 of 11 rows rejected.");
    let rejects = follow(&person, &link).await;
    assert_eq!(rejects.matches("tickets.jsonl, ").count() / 2, 2, "exactly those: {rejects}");
    assert!(follow(&person, "/dashboard/tenants?show=rejecting").await.contains(&link.replace('&', "&#38;")));
    write(&api, 9, 0);
    ingest(&api).await;
    assert_eq!(notice(&person, "rejected").await, None);
    assert!(follow(&person, &link).await.contains("No rejected rows match"));
}

#[tokio::test]
async fn many_sources_in_trouble_are_one_sentence() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let row = "insert into msp.source_runs (tenant_id, dataset, job_id, finished_at, read, accepted, rejected, rows_before)
        select id, dataset, gen_random_uuid(), now(), 100, 80, 20, 100 from identity.tenants, unnest(array['tickets', 'csat']) dataset
        where slug like 'many%'";
    many(&api, 40, row).await;
    let (text, link) = notice(&person, "rejected").await.expect("they are told");
    assert!(text.starts_with("80 sources had over 10 % of their rows rejected: "), "{text}");
    assert!(text.ends_with(" and 77 more.") && text.contains("CSAT surveys of many_"), "{text}");
    let page = follow(&person, &link).await;
    assert_eq!(page.matches("20 of 100 rows rejected").count(), 80);
    api.execute("update identity.tenants set is_active = false").await;
    assert_eq!(notice(&person, "rejected").await, None, "nobody waits for what is inactive");
}

#[tokio::test]
async fn days_out_of_the_ordinary_are_told_of_for_a_week() {
    let api = TestApi::new().await;
    api.db().travel_to("2026-01-25T12:00:00Z").await;
    kpis(&api, api.cca.id, "2026-01-10", "2026-01-11T01:00:00Z", 9.0).await;
    kpis(&api, api.cca.id, "2026-01-20", "2026-01-21T01:00:00Z", 5.25).await;
    // Not over when it was worked out: the 25th in Paris.
    kpis(&api, api.client2.id, "2026-01-24", "2026-01-24T22:30:00Z", -4.0).await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let (text, link) = notice(&person, "unusual").await.expect("it is told");
    let told = "2026-01-20 is unusual for tenant_demo_cca: new tickets were 5.2 standard deviations above the 28 days before.";
    assert_eq!(text, told);
    let page = follow(&person, &link).await;
    assert!(page.contains("2026-01-20</a>: unusual: 5.2 standard deviations above"), "{page}");
    kpis(&api, api.client2.id, "2026-01-23", "2026-01-24T01:00:00Z", -3.5).await;
    let (text, link) = notice(&person, "unusual").await.expect("both are told");
    let told = "2 days of the last week are unusual: 2026-01-23 of tenant_demo_client2 and 2026-01-20 of tenant_demo_cca.";
    assert_eq!(text, told);
    let page = follow(&person, &link).await;
    assert!(
        page.contains(">2026-01-23</a>") && page.contains("title=\"3.5 standard deviations below"),
        "{page}"
    );
    api.db().travel_to("2026-02-03T12:00:00Z").await;
    let person = Person::sign_in(&api, "ada@example.com").await;
    assert_eq!(notice(&person, "unusual").await, None, "they are long ago");
    assert!(follow(&person, &link).await.contains("No tenants match"));
}

#[tokio::test]
async fn days_without_kpis_are_told_of_and_early_ones_are_none() {
    let api = TestApi::new().await;
    api.db().travel_to("2026-01-25T12:00:00Z").await;
    let row = "update identity.tenants set is_active = false where slug like 'many%'; insert into msp.kpi_daily
        select id, '2026-01-02', 90, 60, 30, 125, 0.25, 4.5, 40, 12, 7, 1, false, 1, '2026-01-03T12:00:00Z' from identity.tenants where slug like 'many%'";
    many(&api, 3, row).await;
    for day in ["2026-01-20", "2026-01-21", "2026-01-23"] {
        kpis(&api, api.cca.id, day, "2026-01-24T01:00:00Z", 0.0).await;
    }
    // Worked out before the day was over.
    kpis(&api, api.cca.id, "2026-01-24", "2026-01-24T23:59:59Z", 0.0).await;
    // Of the day that is not over, and of one to come.
    kpis(&api, api.cca.id, "2026-01-25", "2026-01-25T11:00:00Z", 0.0).await;
    kpis(&api, api.cca.id, "2026-01-28", "2026-01-25T11:00:00Z", 0.0).await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let told = notices(&person).await;
    let (text, link) = notice(&person, "no KPIs").await.unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!(text, "tenant_demo_cca has no KPIs for 2 days between 2026-01-22 and 2026-01-24.");
    assert!(follow(&person, &link).await.contains("KPIs of tenant_demo_cca"));
    let shown = follow(&person, "/dashboard/tenants?show=missing").await;
    assert!(
        shown.contains("2 days without KPIs") && !shown.contains("tenants/tenant_demo_client2"),
        "{shown}"
    );
    assert!(!shown.contains("tenants/many_"), "what is inactive lacks nothing: {shown}");

    // Another process looks anew.
    let other = api.another_host();
    other.execute("update identity.tenants set is_active = true").await;
    // Paris: its 24th ended an hour before that of UTC.
    kpis(&other, other.client2.id, "2026-01-23", "2026-01-23T23:00:00Z", 0.0).await;
    kpis(&other, other.client2.id, "2026-01-24", "2026-01-24T23:00:00Z", 0.0).await;
    let person = Person::sign_in(&other, "ada@example.com").await;
    let (text, link) = notice(&person, "without KPIs").await.expect("they are told");
    assert_eq!(
        text,
        "4 tenants have days without KPIs in the last month: many_001, many_002, many_003 and 1 more."
    );
    let shown = follow(&person, &link).await;
    assert_eq!(shown.matches("22 days without KPIs").count(), 3, "from the 3rd to the 24th: {shown}");
    assert!(!shown.contains("tenants/tenant_demo_client2"), "{shown}");
    let found = follow(&person, "/dashboard/tenants?show=missing&q=MANY_002").await;
    assert!(found.contains("many_002") && !found.contains("many_001"), "{found}");

    // After a summer, what is long ago is not counted.
    let other = api.another_host();
    other.db().travel_to("2026-09-01T12:00:00Z").await;
    let person = Person::sign_in(&other, "ada@example.com").await;
    let shown = follow(&person, "/dashboard/tenants?show=missing").await;
    assert_eq!(shown.matches("30 days without KPIs").count(), 5, "{shown}");
}
