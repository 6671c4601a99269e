//! What one caller may ask for costs a bounded amount, whatever there is and however it is asked.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::TestApi;

/// More than two pages of a walk look at.
const TICKETS: i32 = 6_000;

async fn tickets(api: &TestApi) {
    sqlx::query(
        "insert into msp.raw_tickets (tenant_id, cw_ticket_id, status, priority, created_at_remote, updated_at_remote)
         select $1, 'T-' || n, case n when 10 then 'Rare' else 'New' end, 'Low',
             -- Many at the same moment.
             timestamptz '2026-01-01 00:00Z' + make_interval(secs => n / 1000), timestamptz '2026-01-02 00:00Z'
         from generate_series(1, $2) n",
    )
    .bind(api.cca.id)
    .bind(TICKETS)
    .execute(&api.db().pool)
    .await
    .unwrap();
}

/// One field of all items, and how many items each page had.
async fn all_pages(api: &TestApi, path: &str, field: &str) -> (Vec<String>, Vec<usize>) {
    let (mut met, mut pages, mut next) = (Vec::new(), Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let page = api.v1(&path).await;
        let items = page.column(field);
        pages.push(items.len());
        met.extend(items);
        assert!(pages.len() < 100, "it does not end");
        let url = page.ok(StatusCode::OK)["next"].as_str().map(str::to_owned);
        next = url.map(|url| url.strip_prefix("http://localhost").unwrap().to_owned());
    }
    (met, pages)
}

#[tokio::test]
async fn a_page_of_tickets_looks_at_a_bounded_number_of_them() {
    let api = TestApi::new().await;
    tickets(&api).await;
    let (none, pages) = all_pages(&api, "/v1/tickets?status=nope", "cw_ticket_id").await;
    assert_eq!((none.len(), pages.len()), (0, 3), "pages of 2,500 tickets, of which none matches");
    let (rare, pages) = all_pages(&api, "/v1/tickets?status=Rare&limit=1", "cw_ticket_id").await;
    assert_eq!((rare, pages.len()), (vec!["T-10".to_owned()], 3));
    for path in ["/v1/tickets?limit=499", "/v1/tickets?limit=499&status=New"] {
        let (mut all, pages) = all_pages(&api, path, "cw_ticket_id").await;
        assert!(pages[..pages.len() - 1].iter().all(|page| *page == 499), "{path}: {pages:?}");
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        let expected = usize::try_from(TICKETS).unwrap() - usize::from(path.contains("New"));
        assert_eq!((count, all.len()), (expected, expected), "each once: {path}");
    }
    // The other end of the range bounds the walk too.
    let range = "/v1/tickets?status=nope&created_from=2026-01-01T00:00:05Z&created_to=2026-01-01T00:00:06Z";
    assert_eq!(all_pages(&api, range, "cw_ticket_id").await.1, [0]);
}

#[tokio::test]
async fn a_list_reads_along_an_index_and_no_further_than_its_page() {
    const TICKETS_SQL: &str = include_str!("../../jobs/msp/http/v1/tickets.sql");
    let api = TestApi::new().await;
    tickets(&api).await;
    let mut conn = api.db().pool.acquire().await.unwrap();
    for sql in [
        "insert into msp.raw_time_entries (tenant_id, cw_time_entry_id, billable, minutes, date_worked)
         select tenant_id, cw_ticket_id, true, 1, date '2026-01-20' from msp.raw_tickets",
        "insert into msp.raw_csat_surveys (tenant_id, survey_id, score, submitted_at)
         select tenant_id, cw_ticket_id, 5, timestamptz '2026-01-20 00:00Z' from msp.raw_tickets",
        "insert into msp.raw_security_alerts (tenant_id, source, alert_id, severity, status, detected_at)
         select tenant_id, 'defender', cw_ticket_id, 'low', 'new', timestamptz '2026-01-20 00:00Z' from msp.raw_tickets",
        "vacuum (analyze)",
        "set plan_cache_mode = force_generic_plan",
        &format!("prepare tickets (timestamptz, timestamptz, text, bigint, text, bigint) as {TICKETS_SQL}"),
        "set role weirgate_tenant",
        &format!("set weirgate.tenant = '{}'", api.cca.id),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *conn).await.unwrap();
    }
    let walk = |table: &str, key: &str, from: &str, place: &str| {
        let order = key.split(", ").map(|column| format!("{column} desc")).collect::<Vec<_>>().join(", ");
        format!(
            "select * from {table} where ({key}) >= ({from}) and ({key}) < ({place}) order by {order} limit 50"
        )
    };
    let at = "timestamptz '2026-01-20 00:00Z'";
    for (index, asked) in [
        ("raw_tickets_listed", "execute tickets (null, null, '', 50, 'nope', 50)".to_owned()),
        (
            "raw_time_entries_listed",
            walk(
                "msp.raw_time_entries",
                "date_worked, cw_time_entry_id",
                "'-infinity'::date, ''",
                "date '2026-01-20', 'T-3'",
            ),
        ),
        (
            "raw_csat_surveys_listed",
            walk(
                "msp.raw_csat_surveys",
                "submitted_at, survey_id",
                "'-infinity'::timestamptz, ''",
                &format!("{at}, 'T-3'"),
            ),
        ),
        (
            "raw_security_alerts_listed",
            walk(
                "msp.raw_security_alerts",
                "detected_at, source, alert_id",
                "'-infinity'::timestamptz, '', ''",
                &format!("{at}, 'defender', 'T-3'"),
            ),
        ),
    ] {
        let explain = format!("explain (analyze, buffers, costs off, timing off, format json) {asked}");
        let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain)).fetch_one(&mut *conn).await.unwrap();
        let plan = &plan[0]["Plan"];
        let blocks = ["Shared Hit Blocks", "Shared Read Blocks"].map(|field| plan[field].as_i64().unwrap());
        assert!(blocks.iter().sum::<i64>() < 70, "{index}: {plan:#}");
        assert!(plan.to_string().contains(index), "{index}: {plan:#}");
        assert!(!plan.to_string().contains("Seq Scan"), "{index}: {plan:#}");
    }
}

#[tokio::test]
async fn lists_by_day_page_through_many_rows_of_one_moment() {
    let api = TestApi::new().await;
    sqlx::raw_sql(AssertSqlSafe(format!(
        "insert into msp.raw_time_entries (tenant_id, cw_time_entry_id, billable, minutes, date_worked)
         select '{0}', 'E-' || n, true, 1, date '2026-01-20' from generate_series(1, 300) n;
         insert into msp.raw_csat_surveys (tenant_id, survey_id, score, submitted_at)
         select '{0}', 'S-' || n, 5, '2026-01-20 12:00Z' from generate_series(1, 300) n;
         insert into msp.raw_security_alerts (tenant_id, source, alert_id, severity, status, detected_at)
         select '{0}', 'source-' || n % 3, 'A-' || n, 'low', 'new', '2026-01-20 12:00Z' from generate_series(1, 300) n",
        api.cca.id
    )))
    .execute(&api.db().pool)
    .await
    .unwrap();
    for (list, field) in
        [("time-entries", "cw_time_entry_id"), ("csat", "survey_id"), ("security-alerts", "alert_id")]
    {
        let (mut met, pages) =
            all_pages(&api, &format!("/v1/{list}?limit=90&from=2026-01-20&to=2026-01-20"), field).await;
        met.sort_unstable();
        met.dedup();
        assert_eq!((met.len(), pages), (300, vec![90, 90, 90, 30]), "{list}");
        for empty in ["from=2026-01-21", "to=2026-01-19"] {
            assert_eq!(
                all_pages(&api, &format!("/v1/{list}?{empty}"), field).await.0.len(),
                0,
                "{list} {empty}"
            );
        }
    }
}

#[tokio::test]
async fn more_parameters_than_fifty_are_refused_with_their_number() {
    let api = TestApi::new().await;
    let args = |count: usize| (0..count).map(|n| format!("args.{n}=1")).collect::<Vec<_>>().join("&");
    for surface in ["/internal/jobs", "/v1/jobs"] {
        let ask = async |query: &str| {
            let path = format!("{surface}?{query}");
            if surface == "/v1/jobs" { api.v1(&path).await } else { api.get(&path).await }
        };
        assert_eq!(ask(&args(50)).await.items().len(), 0);
        for query in [args(51), args(4_772), "q=1&".repeat(4_000), "x&".repeat(15_000)] {
            let refused = ask(&query).await.problem(422, "validation_failed");
            let errors = refused["errors"].as_array().unwrap();
            assert_eq!(errors.len(), 1, "{refused}");
            let message = errors[0]["message"].as_str().unwrap();
            assert!(
                message.contains(" parameters were given") && message.contains("at most 50"),
                "{message}"
            );
        }
    }
    let said = api.get(&format!("/internal/jobs?{}", args(4_772))).await;
    assert!(said.text().contains("4772 parameters were given"), "{}", said.text());
    let ids = |count: usize| format!("id={}&", uuid::Uuid::nil()).repeat(count);
    assert_eq!(api.get(&format!("/internal/jobs?{}", ids(500))).await.items().len(), 0);
    api.get(&format!("/internal/jobs?{}", ids(501))).await.problem(422, "validation_failed");
}

#[tokio::test]
async fn a_filter_in_a_body_is_as_bounded() {
    let api = TestApi::new().await;
    let bulk = async |filter: Value| {
        let body = json!({"action": "retry", "dry_run": true, "filter": filter}).to_string();
        api.service("POST", "/internal/jobs/bulk").json(body).send().await
    };
    let args = |count: usize| -> Value {
        let args = (0..count).map(|n| (n.to_string(), json!("1")));
        json!({"args": args.collect::<serde_json::Map<_, _>>()})
    };
    assert_eq!(bulk(args(50)).await.ok(StatusCode::OK)["count"], 0);
    for filter in [
        args(51),
        args(60_000),
        json!({"state": vec!["discarded"; 60_000]}),
        json!({"id": vec![uuid::Uuid::nil().to_string(); 501]}),
        json!({"state": [], "args": vec![1; 60_000]}),
    ] {
        let refused = bulk(filter).await.problem(422, "validation_failed");
        let errors = refused["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{refused}");
        assert_eq!(errors[0]["field"], "filter");
        assert!(errors[0]["message"].as_str().unwrap().contains("were given; at most 50"), "{refused}");
    }
    // What is named again and again is kept once.
    let repeated = json!({"state": "discarded,".repeat(50_000) + "discarded"});
    assert_eq!(bulk(repeated).await.ok(StatusCode::OK)["count"], 0);
    let unknown: serde_json::Map<_, _> = (0..50_000).map(|n| (format!("q{n}"), json!({"rate": 1}))).collect();
    let limits = json!({ "queues": unknown }).to_string();
    let refused = api.service("PUT", "/internal/tenants/tenant_demo_cca/limits").json(limits).send().await;
    let errors = refused.problem(422, "validation_failed")["errors"].as_array().unwrap().len();
    assert_eq!(errors, 101, "the first hundred, and how many more there are");
}

#[tokio::test]
async fn one_tenants_queries_leave_connections_to_others() {
    let api = TestApi::new().await;
    let mut gate = api.db().pool.begin().await.unwrap();
    sqlx::query("lock table msp.raw_tickets in access exclusive mode").execute(&mut *gate).await.unwrap();
    let held = async || api.v1("/v1/tickets").await;
    let others = async {
        // All that the first one may have are taken by then.
        api.db().until_blocked().await;
        for _ in 0..20 {
            let answer = api.tenant(&api.client2, "GET", "/v1/csat").send().await;
            assert_eq!(answer.status, StatusCode::OK, "another tenant is served");
            assert_eq!(api.get("/internal/jobs").await.status, StatusCode::OK);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (one, two, three, four, five, ()) = tokio::join!(held(), held(), held(), held(), held(), others);
    let answers = [one, two, three, four, five];
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).collect::<Vec<_>>();
    let (stopped, refused) = (of(503), of(429));
    assert_eq!((stopped.len(), refused.len()), (2, 3), "a pool of eight has two for each tenant");
    for answer in stopped {
        answer.problem(503, "query_timed_out");
    }
    for answer in refused {
        answer.problem(429, "too_many_at_once");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    drop(gate);
    assert_eq!(api.v1("/v1/tickets").await.status, StatusCode::OK);
}

#[tokio::test]
async fn tenants_who_ask_at_the_same_time_share_what_one_alone_may_have() {
    let api = TestApi::new().await;
    assert_eq!(api.tenant(&api.client2, "GET", "/v1/csat").send().await.status, StatusCode::OK);
    let mut gate = api.db().pool.begin().await.unwrap();
    sqlx::query("lock table msp.raw_tickets in access exclusive mode").execute(&mut *gate).await.unwrap();
    let held = async || api.v1("/v1/tickets").await;
    let (one, two, three) = tokio::join!(held(), held(), held());
    let answers = [one, two, three];
    let stopped = answers.iter().filter(|answer| answer.status == 503).count();
    assert_eq!(stopped, 1, "a pool of eight has two for all tenants");
    for answer in answers.iter().filter(|answer| answer.status != 503) {
        let problem = answer.problem(429, "too_many_at_once");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("too many queries of this caller at once (limit 1);"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn who_hangs_up_has_no_more_queries_at_once() {
    let api = TestApi::new().await;
    let mut gate = api.db().pool.begin().await.unwrap();
    sqlx::query("lock table msp.raw_tickets in access exclusive mode").execute(&mut *gate).await.unwrap();
    for _ in 0..10 {
        let answer = tokio::time::timeout(Duration::from_millis(200), api.v1("/v1/tickets")).await;
        assert!(answer.is_err(), "it waits for the lock, or for those that do");
    }
    let waiting: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    )
    .fetch_one(&mut *gate)
    .await
    .unwrap();
    assert!((1..=2).contains(&waiting), "a pool of eight has two for each tenant: {waiting} wait");
    let others = async {
        for _ in 0..5 {
            let answer = api.tenant(&api.client2, "GET", "/v1/csat").send().await;
            assert_eq!(answer.status, StatusCode::OK, "another tenant is served");
        }
    };
    tokio::time::timeout(Duration::from_secs(2), others).await.expect("it waits for nobody");
    drop(gate);
    assert_eq!(api.v1("/v1/tickets").await.status, StatusCode::OK, "and they are given back");
}

#[tokio::test]
async fn a_list_of_a_tenants_jobs_is_stopped_wherever_it_waits() {
    let api = TestApi::new().await;
    api.enqueue("/internal/ingest/tickets?tenant_id=tenant_demo_cca").await;
    let mut gate = api.db().pool.begin().await.unwrap();
    // What is only read to tell why a job waits.
    sqlx::query("lock table queue.lane_log in access exclusive mode").execute(&mut *gate).await.unwrap();
    api.v1("/v1/jobs").await.problem(503, "query_timed_out");
    drop(gate);
    assert_eq!(api.v1("/v1/jobs").await.items().len(), 1);
}

#[tokio::test]
async fn who_waits_for_a_job_holds_up_nobody() {
    let api = TestApi::new().await;
    let job = api.enqueue("/internal/ingest/tickets?tenant_id=tenant_demo_cca").await;
    let path = format!("/v1/jobs/{}?wait=60", job["id"].as_str().unwrap());
    // More than one tenant may have queries at once.
    let waiting = (0..10).map(|_| api.v1(&path));
    let rest = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        for _ in 0..10 {
            assert_eq!(api.v1("/v1/jobs").await.items().len(), 1);
        }
        api.post(&format!("/internal/jobs/{}/cancel", job["id"].as_str().unwrap())).await.ok(StatusCode::OK);
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(waiting), rest);
    for answer in answers {
        assert_eq!(answer.ok(StatusCode::OK)["state"], "cancelled");
    }
}
