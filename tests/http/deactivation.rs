//! What is no longer good is refused everywhere, and ends what it began.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::http::StatusCode;
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::time::timeout;
use uuid::Uuid;
use weirgate_identity::platform::{self, Role};
use weirgate_identity::{accounts, keys};
use weirgate_test_support::{Does, Step};

use super::docs::operations;
use crate::support::TestApi;
use crate::support::person::Person;

/// A promise of 5 s, on a machine that may be busy.
const SOON: Duration = Duration::from_secs(15);

const ID: &str = "0198c0de-0000-7000-8000-000000000001";

/// What makes the key of `tenant_demo_cca` no longer good.
const ENDS: [&str; 3] = [
    "update identity.api_keys set is_active = false",
    "update identity.api_keys set expires_at = queue.now()",
    "update identity.tenants set is_active = false",
];

/// As somebody does it by hand, who ends no session.
const ROLE_BY_HAND: &str = "update identity.memberships set role = 'operator' where account_id =
    (select id from identity.accounts where email = 'edsger@example.com')";

#[tokio::test]
async fn a_key_that_is_no_longer_good_is_refused_on_every_endpoint() {
    let api = TestApi::new().await;
    let calls: Vec<_> = operations().into_iter().filter(|(_, path)| path.starts_with("/v1/")).collect();
    assert!(calls.len() >= 13, "{calls:?}");
    for sql in ENDS {
        let statuses = async || {
            let send = |(method, path): &(&'static str, String)| api.tenant(&api.cca, method, path).send();
            join_all(calls.iter().map(send)).await
        };
        assert!(statuses().await.iter().all(|answer| answer.status != StatusCode::UNAUTHORIZED));
        api.execute(sql).await;
        for answer in statuses().await {
            answer.problem(401, "unauthorized");
            assert!(answer.header("www-authenticate").is_some());
        }
        api.execute("update identity.api_keys set is_active = true, expires_at = null").await;
        api.execute("update identity.tenants set is_active = true").await;
    }
}

#[tokio::test]
async fn streams_and_held_requests_end_with_their_key() {
    let ends = ENDS.map(async |sql| {
        let api = TestApi::new().await;
        let job = api.db().enqueue(api.cca.id, &Step::new("a", Does::Succeed)).await.id;
        let mut events = follow(&api, job).await;
        let mut conn = api.db().pool.acquire().await.unwrap();
        let other = keys::create(&mut conn, api.client2.id, "other", [9; 32]).await.unwrap();
        let goes_on = async {
            let job = api.db().enqueue(api.client2.id, &Step::new("b", Does::Succeed)).await.id;
            let path = format!("/v1/jobs/{job}?wait=8");
            api.anonymous("GET", &path).header("x-api-key", &other).send().await
        };
        let path = format!("/v1/jobs/{job}?wait=60");
        let held = api.tenant(&api.cca, "GET", &path).send();
        let end = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let sql =
                format!("{sql} where {}", if sql.contains("tenants") { "id = $1" } else { "tenant_id = $1" });
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(api.cca.id).execute(&api.db().pool).await.unwrap();
        };
        let to_its_end = timeout(SOON, async { while events.next().await.is_some() {} });
        let (held, ended, (), goes_on) = tokio::join!(timeout(SOON, held), to_its_end, end, goes_on);
        held.expect("the poll ends").problem(401, "unauthorized");
        ended.expect("the stream ends");
        assert_eq!(goes_on.status, StatusCode::OK, "another key is not concerned");
    });
    join_all(ends).await;
}

#[tokio::test]
async fn a_download_is_broken_off_with_its_key_and_not_merely_cut_short() {
    let api = TestApi::new().await;
    api.fill().await;
    let exports = api.v1("/v1/exports").await;
    let path = format!("/v1/exports/{}/download", exports.items()[0]["id"].as_str().unwrap());
    let whole = api.v1(&path).await;
    assert_eq!(whole.status, StatusCode::OK);
    let job = api.db().enqueue(api.cca.id, &Step::new("a", Does::Succeed)).await.id;
    let mut events = follow(&api, job).await;
    let mut download = api.tenant(&api.cca, "GET", &path).start().await.into_body().into_data_stream();
    api.execute(ENDS[0]).await;
    timeout(SOON, async { while events.next().await.is_some() {} }).await.expect("the key has ended");
    assert!(download.next().await.expect("something comes").is_err());
}

async fn follow(api: &TestApi, job: Uuid) -> BodyDataStream {
    let call = api.tenant(&api.cca, "GET", &format!("/v1/jobs/{job}/events"));
    let mut events = call.start().await.into_body().into_data_stream();
    events.next().await.expect("the job as it is").unwrap();
    events
}

#[tokio::test]
async fn live_pages_end_when_their_reader_is_disabled_gets_another_role_or_was_there_for_seven_days() {
    let api = TestApi::new().await;
    let watch = async |person: &Person<'_>| {
        let call = api.anonymous("GET", "/dashboard/backfills/live").header("cookie", &person.cookie);
        let mut stream = call.start().await.into_body().into_data_stream();
        let look = stream.next().await.expect("the page as it is").unwrap();
        assert!(look.starts_with(b"event: look"), "who comes second sees it at once, too");
        stream
    };
    let ended = async |stream: &mut BodyDataStream| {
        timeout(SOON, async { while stream.next().await.is_some() {} }).await.expect("it ends");
    };
    let disabled = Person::new(&api, "ada@example.com", Role::Admin).await;
    let demoted = Person::new(&api, "grace@example.com", Role::Admin).await;
    let by_hand = Person::new(&api, "edsger@example.com", Role::Viewer).await;
    let mut streams = [watch(&disabled).await, watch(&demoted).await, watch(&by_hand).await];
    accounts::disable(&api.db().pool, "ada@example.com").await.unwrap();
    platform::set_role(&api.db().pool, "grace@example.com", Role::Viewer).await.unwrap();
    api.execute(ROLE_BY_HAND).await;
    for stream in &mut streams {
        ended(stream).await;
    }
    for person in [&disabled, &demoted, &by_hand] {
        assert_eq!(person.get("/dashboard").await.status, StatusCode::SEE_OTHER);
    }
    let again = Person::sign_in(&api, "grace@example.com").await;
    let mut stream = watch(&again).await;
    for _ in 0..28 {
        api.db().travel(Duration::from_hours(6)).await;
        again.get("/dashboard/audit").await;
    }
    ended(&mut stream).await;
}

#[tokio::test]
async fn a_key_expires_and_is_listed_with_its_end() {
    let api = TestApi::new().await;
    let mut conn = api.db().pool.acquire().await.unwrap();
    let now: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select queue.now()").fetch_one(&mut *conn).await.unwrap();
    let end = now + chrono::TimeDelta::hours(1);
    let key = keys::create_until(&mut conn, api.cca.id, "audit", [9; 32], Some(end)).await.unwrap();
    let call = || api.anonymous("GET", "/v1/jobs").header("x-api-key", &key).send();
    assert_eq!(call().await.status, StatusCode::OK);
    api.db().travel(Duration::from_mins(59)).await;
    assert_eq!(call().await.status, StatusCode::OK);
    api.db().travel(Duration::from_mins(1)).await;
    call().await.problem(401, "unauthorized");
    let listed = keys::list(&mut conn, Some(api.cca.id)).await.unwrap();
    let of = |name: &str| listed.iter().find(|key| key.name == name).unwrap();
    assert_eq!((of("seed").refused.as_deref(), of("seed").expires_at), (None, None));
    assert_eq!(of("audit").refused.as_deref(), Some("expired"));
    assert_eq!(of("audit").expires_at.unwrap().timestamp_micros(), end.timestamp_micros());
}

#[tokio::test]
async fn two_service_tokens_are_good_while_one_takes_the_others_place() {
    let api =
        TestApi::with(|config| config.service_token_next = Some("the-next-token-of-tests".to_owned())).await;
    let with = |token: &str| {
        let call = api.anonymous("GET", "/internal/tenants");
        call.header("authorization", &format!("Bearer {token}")).send()
    };
    for good in ["the-service-token-of-the-tests", "the-next-token-of-tests"] {
        assert_eq!(with(good).await.status, StatusCode::OK, "{good}");
    }
    with("the-next-token-of-testsx").await.problem(401, "unauthorized");
    let api = TestApi::new().await;
    let call =
        api.anonymous("GET", "/internal/tenants").header("authorization", "Bearer the-next-token-of-tests");
    call.send().await.problem(401, "unauthorized");
}

#[tokio::test]
async fn jobs_of_a_tenant_that_is_no_longer_active_run_on_and_no_more_are_taken() {
    let api = TestApi::new().await;
    let job = api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    api.execute("update identity.tenants set is_active = false where slug = 'tenant_demo_cca'").await;
    let worker = api.start_worker();
    let done = api.get(&format!("/internal/jobs/{}?wait=60", job["id"].as_str().unwrap())).await;
    assert_eq!(done.ok(StatusCode::OK)["state"], "completed");
    worker.stop().await;
    let refused = api.post("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    refused.problem(409, "tenant_inactive");
    api.get(&format!("/internal/jobs/{ID}")).await.problem(404, "unknown_job");
}
