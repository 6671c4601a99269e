//! Links by which somebody chooses a password: once, for a while, and for nobody else.

use std::time::Duration;

use axum::http::StatusCode;
use weirgate_identity::accounts::{self, New};
use weirgate_identity::{invitations, memberships};
use weirgate_test_support::Answer;

use crate::support::TestApi;
use crate::support::person::{PASSWORD, form, sign_in_at};

const GRACE: &str = "grace@acme.example";
const TOKEN: &str = "5f0c1e-a-token-that-is-to-be-found-nowhere";

/// Somebody who is invited by a link with that token.
async fn invited(api: &TestApi, email: &str, token: &str) {
    let mut conn = api.db().pool.acquire().await.unwrap();
    let new = New { email, full_name: "Grace Hopper", ..New::default() };
    let account = accounts::create(&mut conn, new).await.unwrap();
    memberships::give(&mut conn, account.id, "msp", Some(api.cca.id), "reader").await.unwrap();
    invitations::create(&mut conn, account.id, token, "ada@example.com").await.unwrap();
}

async fn open(api: &TestApi, token: &str) -> Answer {
    api.anonymous("GET", &format!("/account/invitation?token={token}")).send().await
}

async fn choose(api: &TestApi, token: &str, password: &str, again: &str) -> Answer {
    let fields = form(&[("token", token), ("password", password), ("again", again)]);
    let call = api.anonymous("POST", "/account/invitation");
    call.body("application/x-www-form-urlencoded", fields).send().await
}

#[tokio::test]
async fn who_is_invited_chooses_a_password_and_signs_in_with_it() {
    let api = TestApi::new().await;
    invited(&api, GRACE, TOKEN).await;
    let page = open(&api, TOKEN).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains(GRACE) && page.text().contains("Grace Hopper"), "{}", page.text());
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    for (password, again, told) in [
        ("short", "short", "must have 12 to 1000 characters"),
        (PASSWORD, "another password", "differs from the password above"),
        (PASSWORD, "", "required"),
    ] {
        let answer = choose(&api, TOKEN, password, again).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{told}");
        assert!(answer.text().contains(told), "{told}: {}", answer.text());
        assert!(!answer.text().contains(PASSWORD), "no password is shown again");
    }
    assert_eq!(sign_in_at(&api, "/account", GRACE, PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    let chosen = choose(&api, TOKEN, PASSWORD, PASSWORD).await;
    assert_eq!(chosen.status, StatusCode::SEE_OTHER, "{}", chosen.text());
    assert!(chosen.header("set-cookie").is_none(), "nobody is signed in without a word");
    let to = chosen.header("location").unwrap();
    assert_eq!(to, "/account/sign-in?email=grace%40acme.example&password_set=true");
    let page = api.anonymous("GET", to).send().await;
    for told in ["Your password is set. Sign in with it.", "value=\"grace@acme.example\""] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    assert!(!page.text().contains(TOKEN));
    let answer = sign_in_at(&api, "/account", GRACE, PASSWORD).await;
    assert_eq!(answer.header("location"), Some("/account"));
    let noted: Vec<(String, String)> = sqlx::query_as(
        "select actor, action from identity.audit where via = 'account' and action not like 'sign_in%'",
    )
    .fetch_all(&api.db().pool)
    .await
    .unwrap();
    assert_eq!(noted, [(GRACE.to_owned(), "account.accept".to_owned())]);
    for table in ["audit", "invitations", "accounts", "sessions"] {
        let sql = format!("select count(*) from identity.{table} it where it::text like '%' || $1 || '%'");
        let told: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(TOKEN).fetch_one(&api.db().pool).await.unwrap();
        assert_eq!(told, 0, "{table}");
    }
}

#[tokio::test]
async fn a_link_that_is_used_old_withdrawn_or_unknown_is_answered_alike() {
    let api = TestApi::new().await;
    for (email, token) in [
        ("used@acme.example", "used"),
        ("disabled@acme.example", "disabled"),
        ("withdrawn@acme.example", "withdrawn"),
        ("replaced@acme.example", "replaced"),
    ] {
        invited(&api, email, token).await;
    }
    choose(&api, "used", PASSWORD, PASSWORD).await;
    let mut conn = api.db().pool.acquire().await.unwrap();
    accounts::disable(&mut *conn, "disabled@acme.example").await.unwrap();
    let id = accounts::id_of(&mut conn, "withdrawn@acme.example").await.unwrap();
    invitations::withdraw(&mut conn, id).await.unwrap();
    let id = accounts::id_of(&mut conn, "replaced@acme.example").await.unwrap();
    invitations::create(&mut conn, id, "newer", "ada@example.com").await.unwrap();
    api.db().travel(Duration::from_hours(71)).await;
    assert_eq!(open(&api, "newer").await.status, StatusCode::OK, "72 hours are not over");
    invited(&api, GRACE, "old").await;
    api.db().travel(Duration::from_hours(73)).await;
    let unknown = open(&api, "made-up").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.text().contains("ask whoever manages your account"), "{}", unknown.text());
    for token in ["used", "disabled", "withdrawn", "replaced", "newer", "old", ""] {
        for answer in [open(&api, token).await, choose(&api, token, PASSWORD, PASSWORD).await] {
            assert_eq!((answer.status, answer.text()), (unknown.status, unknown.text()), "{token}");
        }
    }
}

#[tokio::test]
async fn of_two_who_use_one_link_at_once_one_sets_the_password() {
    let api = TestApi::new().await;
    invited(&api, GRACE, TOKEN).await;
    let (one, other) = ("the password of one", "the password of the other");
    let (first, second) = tokio::join!(choose(&api, TOKEN, one, one), choose(&api, TOKEN, other, other));
    let (winner, loser) = match (first.status, second.status) {
        (StatusCode::SEE_OTHER, StatusCode::NOT_FOUND) => (one, other),
        (StatusCode::NOT_FOUND, StatusCode::SEE_OTHER) => (other, one),
        both => panic!("{both:?}"),
    };
    assert_eq!(sign_in_at(&api, "/account", GRACE, winner).await.status, StatusCode::SEE_OTHER);
    assert_eq!(sign_in_at(&api, "/account", GRACE, loser).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_form_of_another_site_uses_no_link_up() {
    let api = TestApi::new().await;
    invited(&api, GRACE, TOKEN).await;
    let fields = form(&[("token", TOKEN), ("password", PASSWORD), ("again", PASSWORD)]);
    let call = api.anonymous("POST", "/account/invitation").header("sec-fetch-site", "cross-site");
    let answer = call.body("application/x-www-form-urlencoded", fields).send().await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(open(&api, TOKEN).await.status, StatusCode::OK);
}
