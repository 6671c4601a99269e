//! Who did what, through the API.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_test_support::{Does, Step};
use weirgate_web::client_address::TrustedProxies;

use super::audit_acts::{ENQUEUES, named};
use crate::support::TestApi;
use crate::support::person::{self, Person};

#[tokio::test]
async fn a_job_names_who_enqueued_it() {
    let api = TestApi::new().await;
    for path in ENQUEUES {
        let path = match path {
            "/internal/ingest/" => "/internal/ingest/csat?".to_owned(),
            "/internal/kpi/" => "/internal/kpi/compute-daily?date=2026-01-20&".to_owned(),
            other => format!("{other}?date=2026-01-20&"),
        };
        api.enqueue(&format!("{path}tenant_id=tenant_demo_cca")).await;
    }
    api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-21").await;
    let who: Vec<Option<String>> = sqlx::query_scalar("select distinct enqueued_by from queue.jobs")
        .fetch_all(&api.db().pool)
        .await
        .unwrap();
    let service = named("service token", "the-service-token-of-the-tests");
    assert_eq!(who, [Some(service.clone())], "also all jobs of a pipeline");
    let job: Uuid =
        sqlx::query_scalar("select id from queue.jobs limit 1").fetch_one(&api.db().pool).await.unwrap();
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let page = person.get(&format!("/dashboard/jobs/{job}")).await;
    assert!(page.text().contains(&format!("enqueued by {service}")), "{}", page.text());
}

#[tokio::test]
async fn of_two_pauses_at_once_one_finds_it_going_on_and_the_other_paused() {
    let api = TestApi::new().await;
    // A queue without settings has no row that could be locked.
    for path in ["/internal/queues/kpi/pause", "/internal/queues/export/pause"] {
        let mut tx = api.db().pool.begin().await.unwrap();
        sqlx::query("lock table queue.queues in exclusive mode").execute(&mut *tx).await.unwrap();
        let free = async {
            api.db().until_so_many_are_blocked(2).await;
            tx.commit().await.unwrap();
        };
        let (one, other, ()) = tokio::join!(api.post(path), api.post(path), free);
        one.ok(StatusCode::OK);
        other.ok(StatusCode::OK);
        let items = api.get("/internal/audit?action=queue.pause&limit=2").await.items();
        let before: BTreeSet<bool> =
            items.iter().map(|it| it["detail"]["before"]["paused"].as_bool().unwrap()).collect();
        assert_eq!(before, BTreeSet::from([false, true]), "{items:?}");
        assert!(items.iter().all(|it| it["detail"]["after"]["paused"] == true), "{items:?}");
    }
    // The same of a job, where the second one changes nothing.
    let job = api.db().enqueue(api.cca.id, &Step::new("a", Does::Succeed)).await.id;
    let cancel = format!("/internal/jobs/{job}/cancel");
    let mut tx = api.db().pool.begin().await.unwrap();
    sqlx::query("select id from queue.jobs where id = $1 for update")
        .bind(job)
        .execute(&mut *tx)
        .await
        .unwrap();
    let free = async {
        api.db().until_so_many_are_blocked(2).await;
        tx.commit().await.unwrap();
    };
    let (one, other, ()) = tokio::join!(api.post(&cancel), api.post(&cancel), free);
    one.ok(StatusCode::OK);
    other.ok(StatusCode::OK);
    let items = api.get(&format!("/internal/audit?target={job}")).await.items();
    let before: Vec<&str> =
        items.iter().rev().map(|it| it["detail"]["before"]["state"].as_str().unwrap()).collect();
    assert_eq!(before, ["available", "cancelled"], "{items:?}");
}

#[tokio::test]
async fn entries_cannot_be_changed_nor_deleted() {
    let api = TestApi::new().await;
    api.post("/internal/queues/kpi/pause").await.ok(StatusCode::OK);
    person::sign_in(&api, "eve@example.com", "a wrong password").await;
    let noted = api.count("identity.audit").await;
    for sql in [
        "update identity.audit set actor = 'nobody'",
        "update identity.audit set detail = '{}' where action = 'queue.pause'",
        "update identity.audit set target = 'mallory@example.com', times = times + 1 where once is not null",
        "update identity.audit set times = 0 where once is not null",
        "delete from identity.audit where action = 'queue.pause'",
        "delete from identity.audit where once is not null",
        "truncate identity.audit",
    ] {
        let refused = sqlx::query(sql).execute(&api.db().pool).await.unwrap_err();
        assert!(refused.to_string().contains("only ever added to"), "{sql}: {refused}");
    }
    assert_eq!(api.count("identity.audit").await, noted);
}

#[tokio::test]
async fn what_was_not_done_and_what_only_enqueues_is_not_in_the_audit() {
    let api = TestApi::new().await;
    let before = api.count("identity.audit").await;
    let job = api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    let path = format!("/internal/jobs/{}", job["id"].as_str().unwrap());
    api.post(&format!("{path}/retry")).await.problem(409, "wrong_state");
    api.post("/internal/queues/nothing/pause").await.problem(404, "unknown_queue");
    let limits = api.service("PUT", "/internal/tenants/tenant_demo_cca/limits");
    limits
        .json(r#"{"queues":{"kpi":{"paused":true},"nothing":{"paused":true}}}"#)
        .send()
        .await
        .wrong_fields();
    let dry = api.service("POST", "/internal/jobs/bulk");
    dry.json(r#"{"action":"cancel","filter":{"all":true},"dry_run":true}"#).send().await.ok(StatusCode::OK);
    let dry = api.service("POST", "/internal/backfills");
    dry.json(r#"{"kind":"compute_kpi","from":"2026-01-20","to":"2026-01-20","tenants":"all","reprocess":"all","dry_run":true}"#)
        .send()
        .await
        .ok(StatusCode::OK);
    assert_eq!(api.count("identity.audit").await, before);
    // The same again is no second act.
    for _ in 0..2 {
        let bulk = api.service("POST", "/internal/jobs/bulk").header("idempotency-key", "one");
        let answer = bulk.json(r#"{"action":"cancel","filter":{"all":true}}"#).send().await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    }
    assert_eq!(api.count("identity.audit").await, before + 1);
}

#[tokio::test]
async fn the_audit_is_paged_and_filtered_by_what_and_who() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    person.post("/dashboard/queues/kpi/pause", &[("confirmed", "true")]).await;
    api.post("/internal/queues/kpi/resume").await.ok(StatusCode::OK);
    person.post("/dashboard/sign-out", &[]).await;
    let all = api.get("/internal/audit").await.column("action");
    assert_eq!(all[..4], ["sign_out", "queue.resume", "queue.pause", "sign_in"]);
    assert!(all.contains(&"tenant.create".to_owned()) && all.contains(&"key.create".to_owned()), "{all:?}");

    let mut target = "/internal/audit?limit=2".to_owned();
    let mut paged = Vec::new();
    loop {
        let answer = api.get(&target).await;
        paged.extend(answer.column("action"));
        let page = answer.ok(StatusCode::OK);
        let Some(next) = page["next"].as_str() else { break };
        target = next.strip_prefix("http://localhost").unwrap().to_owned();
    }
    assert_eq!(paged, all);

    let service = named("service token", "the-service-token-of-the-tests").replace(' ', "%20");
    for (query, expected) in [
        ("action=queue".to_owned(), vec!["queue.resume", "queue.pause"]),
        ("action=queue.pause".to_owned(), vec!["queue.pause"]),
        ("action=queu".to_owned(), vec![]),
        ("actor=ADA@example.com".to_owned(), vec!["sign_out", "queue.pause", "sign_in"]),
        (format!("actor={service}"), vec!["queue.resume"]),
        (format!("actor={service}&action=sign_in"), vec![]),
        ("target=kpi".to_owned(), vec!["queue.resume", "queue.pause"]),
        ("target=kpi&via=dashboard".to_owned(), vec!["queue.pause"]),
        ("via=internal".to_owned(), vec!["queue.resume"]),
        ("via=dashboard&action=queue&actor=&target=".to_owned(), vec!["queue.pause"]),
        ("tenant_id=tenant_demo_cca".to_owned(), vec!["key.create", "tenant.create"]),
        (format!("tenant_id={}&action=key", api.cca.id), vec!["key.create"]),
        ("tenant_id=system".to_owned(), vec![]),
    ] {
        assert_eq!(api.get(&format!("/internal/audit?{query}")).await.column("action"), expected, "{query}");
    }
    api.get("/internal/audit?who=ada").await.wrong_fields();
    api.get("/internal/audit?tenant_id=nobody").await.problem(404, "unknown_tenant");
    let wrong = api.get("/internal/audit?via=post&from=yesterday&to=2026-01-31").await.wrong_fields();
    assert_eq!(wrong, ["via", "from", "to"]);
    let wrong = api.get("/internal/audit?from=2026-01-31T00:00:00Z&to=2026-01-31T00:00:00Z").await;
    assert_eq!(wrong.wrong_fields(), ["to"]);
}

#[tokio::test]
async fn the_audit_is_cut_by_time() {
    let api = TestApi::new().await;
    api.execute(
        "insert into identity.audit (at, actor, action, target)
         select timestamptz '2030-01-01T00:00:00Z' + n * interval '1 minute', 'ada@example.com', 'job.cancel', n::text
         from generate_series(0, 24999) n",
    )
    .await;
    for (query, expected) in [
        ("from=2030-01-01T00:01:00Z&to=2030-01-01T00:03:00Z", vec!["2", "1"]),
        ("to=2030-01-01T00:01:00Z&via=dashboard", vec!["0"]),
        ("from=2030-01-01T02:00:00%2B02:00&to=2030-01-01T00:00:01Z", vec!["0"]),
        ("to=2020-12-31T23:59:59Z", vec![]),
        ("from=2099-01-01T00:00:00Z", vec![]),
    ] {
        let page = api.get(&format!("/internal/audit?{query}")).await;
        assert_eq!(page.column("target"), expected, "{query}: at once, however many there are");
        assert_eq!(page.ok(StatusCode::OK)["next"], Value::Null, "{query}");
    }
}

#[tokio::test]
async fn the_page_keeps_what_was_typed_with_what_is_wrong_beside_it() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    api.post("/internal/queues/kpi/resume").await.ok(StatusCode::OK);
    let page =
        person.get("/dashboard/audit?action=queue&via=internal&target=kpi&actor=&tenant_id=&from=&to=").await;
    assert_eq!(page.status, StatusCode::OK);
    for told in ["queue.resume", r#"<a href="/dashboard/queues/kpi">kpi</a>"#, "paused false (unchanged)"] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    person.post("/dashboard/queues/kpi/pause", &[("confirmed", "true")]).await;
    let page = person.get("/dashboard/audit?action=queue&via=dashboard").await;
    assert!(page.text().contains("paused false → true"), "{}", page.text());
    let page = person.get("/dashboard/audit?action=nothing").await;
    assert!(page.text().contains("No entries match."), "{}", page.text());
    for (query, field, message) in [
        ("action=queue&from=yesterday", "from", "2026-01-31T08:00:00Z"),
        ("action=queue&tenant_id=nobody", "tenant_id", "nobody"),
        ("action=queue&via=post", "via", "dashboard, internal, cli"),
        ("action=queue&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to", "a time after from"),
    ] {
        let page = person.get(&format!("/dashboard/audit?{query}")).await;
        let status =
            if field == "tenant_id" { StatusCode::NOT_FOUND } else { StatusCode::UNPROCESSABLE_ENTITY };
        assert_eq!(page.status, status, "{query}");
        let (_, beside) = page.text().split_once(&format!(r#"id="wrong-{field}">"#)).unwrap();
        assert!(beside.split('<').next().unwrap().contains(message), "{query}: {}", page.text());
        assert!(page.text().contains(r#"value="queue""#), "{query}: {}", page.text());
        assert!(!page.text().contains("<tbody>"), "{query}: no list that looks as if it were filtered");
    }
    assert_eq!(person.get("/dashboard/audit?before=x").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn few_that_match_among_many_are_found_page_by_page() {
    let api = TestApi::new().await;
    api.post("/internal/queues/kpi/pause").await.ok(StatusCode::OK);
    let sql = "insert into identity.audit (actor, action, target) select 'ada@example.com', 'job.cancel', n::text from generate_series(1, 15000) n";
    api.execute(sql).await;
    let first = api.get("/internal/audit?action=queue").await.ok(StatusCode::OK);
    assert_eq!(first["items"], json!([]), "a page looks at 10,000");
    let next = first["next"].as_str().unwrap().strip_prefix("http://localhost").unwrap();
    let second = api.get(next).await;
    assert_eq!(second.column("action"), ["queue.pause"]);
    assert_eq!(second.ok(StatusCode::OK)["next"], Value::Null);
    // These have indexes of their own: nothing is walked past.
    let service = named("service token", "the-service-token-of-the-tests").replace(' ', "%20");
    for query in ["target=kpi".to_owned(), format!("actor={service}"), format!("target=kpi&actor={service}")]
    {
        let page = api.get(&format!("/internal/audit?{query}")).await;
        assert_eq!(page.column("action"), ["queue.pause"], "{query}");
        assert_eq!(page.ok(StatusCode::OK)["next"], Value::Null, "{query}");
    }
    let page = api.get("/internal/audit?tenant_id=tenant_demo_cca").await;
    assert_eq!(page.column("action"), ["key.create", "tenant.create"]);
}

#[tokio::test]
async fn a_trusted_proxy_says_where_a_request_came_from() {
    let api = TestApi::with(|config| {
        config.trusted_proxies = TrustedProxies::parse("10.0.0.0/8").unwrap();
    })
    .await;
    for (peer, said, expected) in [
        ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
    ] {
        let call = api.service("POST", "/internal/queues/kpi/pause").from(peer);
        call.header("x-forwarded-for", said).send().await.ok(StatusCode::OK);
        assert_eq!(api.get("/internal/audit?limit=1").await.items()[0]["address"], expected);
    }
}
