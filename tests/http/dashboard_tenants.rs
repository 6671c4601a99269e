//! The dashboard's tenants and lanes: what is shown, what is asked before it is done, and that it
//! is done.

use axum::http::StatusCode;
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_queue::lanes::{LaneLimits, Rate};
use weirgate_queue::worker::claim;
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Probe, Step, TestWorker};

use crate::support::TestApi;
use crate::support::person::{Person, audited};

const TENANT: &str = "/dashboard/tenants/tenant_demo_cca";
const LANE: &str = "/dashboard/tenants/tenant_demo_cca/lanes/default";

async fn enqueue(api: &TestApi, tenant: Uuid, jobs: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for _ in 0..jobs {
        let job = NewJob::of(tenant, &Step::new("a", Does::Succeed)).unwrap().not_unique();
        ids.push(api.db().enqueue_new(job).await.id);
    }
    ids
}

/// The cells of the row of a table that begins with this, without their marks.
fn row(page: &str, first: &str) -> Vec<String> {
    let plain = |cell: &str| {
        let mut text = String::new();
        let mut inside = false;
        for letter in cell.chars() {
            match letter {
                '<' => inside = true,
                '>' => inside = false,
                letter if !inside => text.push(letter),
                _ => {}
            }
        }
        text.trim().to_owned()
    };
    let cells = |row: &str| {
        let row = row.replace("</th>", "</td>");
        let cell = |cell: &str| {
            cell.split_once("<t").and_then(|(_, cell)| cell.split_once('>')).map_or("", |it| it.1).to_owned()
        };
        row.split("</td>").map(|it| plain(&cell(it))).collect::<Vec<_>>()
    };
    let rows = page.split("<tr>").map(cells);
    rows.into_iter()
        .find(|row| row[0].split(' ').next() == Some(first))
        .unwrap_or_else(|| panic!("no row {first}: {page}"))
}

async fn limits(api: &TestApi) -> serde_json::Value {
    let answer = api.get("/internal/tenants/tenant_demo_cca/limits").await.ok(StatusCode::OK);
    answer["queues"]["default"].clone()
}

#[tokio::test]
async fn tenants_are_listed_with_what_they_have() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let worker = api.db().register_worker().await;
    enqueue(&api, api.cca.id, 5).await;
    enqueue(&api, api.client2.id, 1).await;
    claim(&mut api.db().pool.acquire().await.unwrap(), worker, "default", 4).await.unwrap();
    let page = person.get("/dashboard/tenants").await;
    let cca = row(page.text(), "tenant_demo_cca");
    let client2 = row(page.text(), "tenant_demo_client2");
    assert_eq!(cca[10], "2 available, 3 running");
    assert_eq!(client2[10], "1 running", "shared fairly");
    let link = "/dashboard/jobs?tenant_id=tenant_demo_cca&#38;state=available";
    assert!(page.text().contains(link), "{}", page.text());
    let found = person.get("/dashboard/tenants?q=CLIENT2").await;
    assert!(found.text().contains("tenant_demo_client2") && !found.text().contains("tenant_demo_cca"));
    let after = person.get("/dashboard/tenants?after=tenant_demo_cca").await;
    assert!(after.text().contains("tenant_demo_client2") && !after.text().contains("tenant_demo_cca"));
    assert!(person.get("/dashboard/tenants?q=nobody").await.text().contains("No tenants match"));
    for wrong in ["x=1", "show=everything"] {
        let answer = person.get(&format!("/dashboard/tenants?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    for path in ["/dashboard/tenants/nobody", "/dashboard/tenants/tenant_demo_cca/lanes/nothing"] {
        assert_eq!(person.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn each_tenant_has_its_last_complete_day_with_its_kpis() {
    let api = TestApi::new().await;
    api.db().travel_to("2026-01-25T12:00:00Z").await;
    // The 24th was worked out while it lasted in Paris, and after its end in UTC.
    for (tenant, day, created) in [
        (api.cca.id, "2026-01-24", 40),
        (api.cca.id, "2026-01-23", 3),
        (api.client2.id, "2026-01-24", 50),
        (api.client2.id, "2026-01-23", 1_205),
    ] {
        sqlx::query(
            "insert into msp.kpi_daily values ($1, $2::date, 90, 60, 30, 125, 0.25, 4.5, $3, 12, 7, 1, $3 >= 40, 5.25,
                case when $2::date = '2026-01-24' and $3 = 50 then '2026-01-24T22:59:59Z'::timestamptz else '2026-01-25T00:00:00Z' end)",
        )
        .bind(tenant)
        .bind(day.parse::<chrono::NaiveDate>().unwrap())
        .bind(created)
        .execute(&api.db().pool)
        .await
        .unwrap();
    }
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let page = person.get("/dashboard/tenants").await;
    let cca = row(page.text(), "tenant_demo_cca");
    assert_eq!(cca[1..8], ["active", "2026-01-24", "40", "12", "7", "1.5 h", "4.50"]);
    assert_eq!(cca[8], "2026-01-24", "it is out of the ordinary");
    let client2 = row(page.text(), "tenant_demo_client2");
    assert_eq!(client2[3..8], ["1,205", "12", "7", "1.5 h", "4.50"]);
    assert!(client2[2].starts_with("2026-01-23"), "{client2:?}");
    assert_eq!(client2[8..11], ["2026-01-23", "–", "none"]);
    let link = "/dashboard/kpis?tenant_id=tenant_demo_cca&#38;from=2025-12-27&#38;to=2026-01-24";
    for anchor in ["", "#new-and-closed", "#time-worked", "#satisfaction"] {
        assert!(page.text().contains(&format!("href=\"{link}{anchor}\"")), "{anchor}: {}", page.text());
    }
    let shown = person.get(&link.replace("&#38;", "&")).await;
    for anchor in ["new-and-closed", "open-and-high-priority", "time-worked", "satisfaction"] {
        assert!(shown.text().contains(&format!("id=\"{anchor}\"")), "{anchor}: {}", shown.text());
    }
}

#[tokio::test]
async fn many_tenants_come_page_by_page() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    api.execute("insert into identity.tenants (id, slug, name, time_zone)
        select gen_random_uuid(), 'many_' || to_char(n, 'FM000'), 'Many', 'UTC' from generate_series(1, 120) n").await;
    let mut path = "/dashboard/tenants?q=many_".to_owned();
    let mut seen = Vec::new();
    for rows in [50, 50, 20] {
        let page = person.get(&path).await;
        let slugs: Vec<String> = page
            .text()
            .match_indices("/dashboard/tenants/many_")
            .map(|(at, found)| page.text()[at + found.len()..][..3].to_owned())
            .collect();
        assert_eq!(slugs.len(), rows);
        seen.extend(slugs);
        let next = page
            .text()
            .split_once(r#"<a rel="next" href=""#)
            .map(|(_, rest)| rest.split('"').next().unwrap());
        path = next.unwrap_or_default().replace("&amp;", "&").replace("&#38;", "&");
    }
    assert_eq!(path, "");
    assert!(seen.is_sorted() && seen.len() == 120);
}

#[tokio::test]
async fn a_lane_tells_what_it_may_and_what_it_does() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let worker = api.db().register_worker().await;
    let set =
        r#"{"queues": {"default": {"rate": 2, "period_s": 60, "burst": 2, "max_running": 3, "weight": 3}}}"#;
    api.service("PUT", "/internal/tenants/tenant_demo_cca/limits").json(set).send().await.ok(StatusCode::OK);
    enqueue(&api, api.cca.id, 7).await;
    enqueue(&api, api.client2.id, 9).await;
    claim(&mut api.db().pool.acquire().await.unwrap(), worker, "default", 8).await.unwrap();
    let page = person.get(TENANT).await;
    let lane = row(page.text(), "default");
    assert_eq!(lane[1..5], ["5", "2 of 3", "2.0 of 2 per minute, 0 left now", "25 % / 75 %"]);
    assert!(lane[5].starts_with("in "), "{lane:?}");
    assert_eq!(lane[7], "2 starts per minute, burst 2; max running 3; weight 3 (set for this tenant)");
    let other = row(person.get("/dashboard/tenants/tenant_demo_client2").await.text(), "default");
    assert_eq!(other[1..6], ["3", "6", "0.1 per second", "75 % / 25 %", "–"]);
    assert_eq!(other[7], "no limit; weight 1 (queue default)");
    let shown = person.get(LANE).await;
    assert!(
        shown.text().contains("2 of 3")
            && !shown.text().contains("<form method=\"post\" action=\"/dashboard/tenants")
    );

    let overview = person.get("/dashboard").await;
    let (_, tops) = overview.text().split_once("Busiest tenants").unwrap();
    let (busiest, held) = tops.split_once("Most limited").unwrap();
    assert_eq!(row(busiest, "tenant_demo_client2")[1..3], ["6", "3"]);
    let held = row(held, "tenant_demo_cca");
    assert_eq!(held[1..3], ["default", "5"]);
    assert!(held[3].starts_with("rate, for "), "{held:?}");
}

#[tokio::test]
async fn a_pause_says_what_will_happen_and_then_happens() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let worker = api.db().register_worker().await;
    enqueue(&api, api.cca.id, 1_205).await;
    claim(&mut api.db().pool.acquire().await.unwrap(), worker, "default", 3).await.unwrap();
    let asked = person.post(&format!("{LANE}/pause"), &[]).await;
    assert_eq!(asked.status, StatusCode::OK);
    let told = "1,202 available jobs stay; 3 running jobs continue. No new job of tenant_demo_cca starts in queue default until \
        it is resumed.";
    assert!(asked.text().contains(told), "{}", asked.text());
    assert_eq!(limits(&api).await["paused"], false, "it only asks");
    let done = person.post(&format!("{LANE}/pause"), &[("confirmed", "true")]).await;
    assert_eq!(done.header("location"), Some(LANE));
    assert_eq!(limits(&api).await["paused"], true);
    let none = claim(&mut api.db().pool.acquire().await.unwrap(), worker, "default", 10).await.unwrap();
    assert!(none.is_empty(), "a paused lane starts nothing");
    assert!(person.get(TENANT).await.text().contains("paused</span>"));
    assert!(person.get("/dashboard/tenants?show=paused").await.text().contains("paused in default"));

    let asked = person.post(&format!("{LANE}/resume"), &[]).await;
    assert!(
        asked.text().contains("1,202 available jobs of tenant_demo_cca may start at once"),
        "{}",
        asked.text()
    );
    person.post(&format!("{LANE}/resume"), &[("confirmed", "true")]).await;
    let some = claim(&mut api.db().pool.acquire().await.unwrap(), worker, "default", 10).await.unwrap();
    assert_eq!(some.len(), 10);
    let target = "tenant_demo_cca/default".to_owned();
    let expected =
        ["lane.pause", "lane.resume"].map(|it| ("ada@example.com".to_owned(), it.to_owned(), target.clone()));
    assert_eq!(audited(&api).await, expected);
}

#[tokio::test]
async fn a_tenant_is_paused_in_all_queues_at_once() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    // The worker may not have said yet which queues it takes from.
    api.db().register_worker().await;
    let asked = person.post(&format!("{TENANT}/pause"), &[]).await;
    for queue in ["default", "export", "ingest", "kpi", "system"] {
        assert!(asked.text().contains(&format!("Queue {queue}: ")), "{}", asked.text());
    }
    person.post(&format!("{TENANT}/pause"), &[("confirmed", "true")]).await;
    let held = enqueue(&api, api.cca.id, 1).await[0];
    let other = enqueue(&api, api.client2.id, 1).await[0];
    api.db().until(other, JobState::Completed).await;
    assert_eq!(api.db().job(held).await.state(), JobState::Available);
    let nothing = person.post(&format!("{TENANT}/pause"), &[]).await;
    assert!(
        nothing.text().contains("Nothing to do: tenant_demo_cca is paused in every queue already."),
        "{}",
        nothing.text()
    );
    person.post(&format!("{TENANT}/resume"), &[("confirmed", "true")]).await;
    api.db().until(held, JobState::Completed).await;
    worker.stop().await;
    let actions: Vec<String> = audited(&api).await.into_iter().map(|(_, action, _)| action).collect();
    assert_eq!(actions, ["tenant.pause", "tenant.resume"]);
}

#[tokio::test]
async fn an_admin_sets_limits_and_takes_them_back() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Admin).await;
    let worker = api.db().register_worker().await;
    enqueue(&api, api.cca.id, 100).await;
    claim(&mut api.db().pool.acquire().await.unwrap(), worker, "default", 4).await.unwrap();
    let path = format!("{LANE}/limits");
    let given = [("rate", "10"), ("period_s", "2"), ("burst", "6"), ("max_running", "4"), ("weight", "2.5")];
    let asked = person.post(&path, &given).await;
    for told in [
        "Current limits: no limit; weight 1.",
        "10 starts per 2 s, burst 6; max running 4; weight 2.5.",
        "4 jobs are running. They continue, and no new job starts until fewer than 4 are running.",
        "At this rate, starting the 96 available jobs takes at least 18.0 s.",
    ] {
        assert!(asked.text().contains(told), "{told}: {}", asked.text());
    }
    for (name, value) in given {
        assert!(asked.text().contains(&format!(r#"name="{name}" value="{value}""#)), "it is sent again");
    }
    assert_eq!(limits(&api).await["limits"], serde_json::Value::Null, "it only asks");
    person.post(&path, &[&given[..], &[("confirmed", "true")]].concat()).await;
    let expected = LaneLimits {
        rate: Some(Rate { rate: 10, period_ms: 2000, burst: 6 }),
        max_running: Some(4),
        weight: 2.5,
    };
    let stored: sqlx::types::Json<LaneLimits> =
        sqlx::query_scalar("select limits from queue.lanes").fetch_one(&api.db().pool).await.unwrap();
    assert_eq!(stored.0, expected);
    let shown = person.get(LANE).await;
    for field in [
        r#"type="number" name="rate" value="10" placeholder="no limit" min="1" max="1000000""#,
        r#"type="number" name="weight" value="2.5""#,
    ] {
        assert!(shown.text().contains(field), "{field}: {}", shown.text());
    }
    let wrong = person.post(&path, &[("rate", "0"), ("weight", "0"), ("max_running", "many")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    for field in ["rate", "weight", "max_running"] {
        assert!(wrong.text().contains(&format!("id=\"wrong-{field}\"")), "{}", wrong.text());
    }
    let asked = person.post(&path, &[("clear", "true")]).await;
    assert!(asked.text().contains("no limit; weight 1 (the queue&#39;s default)."), "{}", asked.text());
    person.post(&path, &[("clear", "true"), ("confirmed", "true")]).await;
    assert_eq!(limits(&api).await["limits"], serde_json::Value::Null);
    let details: Vec<serde_json::Value> =
        sqlx::query_scalar("select detail from identity.audit where action = 'lane.limits' order by id")
            .fetch_all(&api.db().pool)
            .await
            .unwrap();
    assert_eq!(details.len(), 2);
    let [before, after] = ["before", "after"].map(|side| &details[0][side]["limits"]);
    assert_eq!((before, &after["rate"]), (&serde_json::Value::Null, &10.into()));
    let [before, after] = ["before", "after"].map(|side| &details[1][side]["limits"]);
    assert_eq!((&before["rate"], after), (&10.into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn each_role_does_what_it_may() {
    let api = TestApi::new().await;
    api.db().register_worker().await;
    let viewer = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let operator = Person::new(&api, "eve@example.com", Role::Operator).await;
    for path in [
        format!("{LANE}/pause"),
        format!("{LANE}/resume"),
        format!("{TENANT}/pause"),
        format!("{TENANT}/resume"),
    ] {
        let answer = viewer.post(&path, &[("confirmed", "true")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    for person in [&viewer, &operator] {
        let answer = person.post(&format!("{LANE}/limits"), &[("rate", "1"), ("confirmed", "true")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text().contains("needs the admin role"), "{}", answer.text());
        assert!(!person.get(LANE).await.text().contains(r#"name="max_running""#));
    }
    assert!(operator.get(LANE).await.text().contains("Pause…"));
    assert_eq!(audited(&api).await, []);
    assert_eq!(api.count("queue.lanes").await, 0);
}
