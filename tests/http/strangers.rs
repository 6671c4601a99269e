//! Who is not signed in and sends cookies, emails and forms takes little, and nothing that others
//! need.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use weirgate_identity::platform::Role;
use weirgate_test_support::Answer;

use crate::support::TestApi;
use crate::support::person::{Person, form};

async fn with_cookie(api: &TestApi, number: u32) -> Answer {
    api.anonymous("GET", "/dashboard/jobs")
        .header("cookie", &format!("weirgate_session={number}"))
        .send()
        .await
}

/// Waits until so many statements wait for a lock.
async fn until_blocked(conn: &mut sqlx::PgConnection, expected: i64) {
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let mut blocked = 0;
    for _ in 0..500 {
        blocked = sqlx::query_scalar(sql).fetch_one(&mut *conn).await.unwrap();
        if blocked == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{blocked} statements wait, in place of {expected}");
}

#[tokio::test]
async fn a_made_up_cookie_does_not_reach_the_sessions_again() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    assert_eq!(with_cookie(&api, 1).await.status, StatusCode::SEE_OTHER);
    let mut gate = api.db().pool.begin().await.unwrap();
    sqlx::query("lock table identity.sessions in access exclusive mode").execute(&mut *gate).await.unwrap();
    for _ in 0..20 {
        let again = tokio::time::timeout(Duration::from_secs(10), with_cookie(&api, 1)).await;
        assert_eq!(again.expect("it waits for nobody").status, StatusCode::SEE_OTHER);
    }
    drop(gate);
    // A session is looked up each time, so that it ends at once.
    assert_eq!(person.get("/dashboard/jobs").await.status, StatusCode::OK);
    api.execute("delete from identity.sessions").await;
    assert_eq!(person.get("/dashboard/jobs").await.status, StatusCode::SEE_OTHER);
    let person = Person::sign_in(&api, "ada@example.com").await;
    assert_eq!(person.get("/dashboard/jobs").await.status, StatusCode::OK);
}

#[tokio::test]
async fn made_up_cookies_take_few_connections_and_hold_up_no_session() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let mut gate = api.db().pool.begin().await.unwrap();
    sqlx::query("lock table identity.sessions in access exclusive mode").execute(&mut *gate).await.unwrap();
    // Some hang up, and what they have begun counts on.
    for number in 0..5 {
        let _ = tokio::time::timeout(Duration::from_millis(50), with_cookie(&api, number)).await;
    }
    let strangers = join_all((10..30).map(|number| with_cookie(&api, number)));
    let others = async {
        for answer in strangers.await {
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
        // Two of strangers, and the session's own.
        until_blocked(&mut gate, 3).await;
        assert_eq!(api.get("/internal/jobs").await.status, StatusCode::OK);
        drop(gate);
    };
    let (page, ()) = tokio::join!(person.get("/dashboard/jobs"), others);
    assert_eq!(page.status, StatusCode::OK, "it waited for the table alone");
    assert_eq!(with_cookie(&api, 100).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn sign_ins_take_few_connections() {
    let api = TestApi::new().await;
    let mut gate = api.db().pool.begin().await.unwrap();
    sqlx::query("lock table identity.accounts in access exclusive mode").execute(&mut *gate).await.unwrap();
    let sign_in = |number: u32| {
        let fields = form(&[("email", &format!("{number}@example.com")), ("password", "a wrong password")]);
        let call = api.anonymous("POST", "/dashboard/sign-in").from(&format!("203.0.113.{number}"));
        call.header("cookie", &format!("weirgate_browser={number}"))
            .body("application/x-www-form-urlencoded", fields)
            .send()
    };
    for number in 0..5 {
        let _ = tokio::time::timeout(Duration::from_millis(50), sign_in(number)).await;
    }
    for answer in join_all((10..30).map(sign_in)).await {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    until_blocked(&mut gate, 2).await;
    assert_eq!(api.get("/internal/jobs").await.status, StatusCode::OK);
    drop(gate);
    assert_eq!(sign_in(100).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_form_of_a_stranger_is_small() {
    let api = TestApi::new().await;
    let post = |fields: String| {
        api.anonymous("POST", "/dashboard/sign-in").body("application/x-www-form-urlencoded", fields).send()
    };
    let fits = form(&[("email", "a@example.com"), ("password", &"x".repeat(16_000))]);
    assert_eq!(post(fits).await.status, StatusCode::UNAUTHORIZED);
    let large = post(form(&[("email", "a@example.com"), ("password", &"x".repeat(16_400))])).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(large.text().contains("larger than 16 KiB"), "{}", large.text());
    let many = post("email=a%40example.com&password=x&".to_owned() + &"a=1&".repeat(4_000)).await;
    assert_eq!(many.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(many.text().contains("4002 parameters were given"), "{}", many.text());
}
