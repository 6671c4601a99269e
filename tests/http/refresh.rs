//! Refresh tokens: each is used once.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use weirgate_identity::{accounts, memberships};

use crate::support::TestApi;
use crate::support::member::{Tokens, error, know_client, me, member, of_refresh, token, tokens as sign_in};
use crate::support::person::form;

const EMAIL: &str = "grace@acme.example";

async fn scene() -> TestApi {
    let api = TestApi::new().await;
    know_client(&api).await;
    member(&api, EMAIL, "analyst", &[api.cca.id]).await;
    api
}

async fn refused(api: &TestApi, token: &str) {
    let answer = self::token(api, &of_refresh(token)).await;
    assert_eq!(error(&answer, 400), "invalid_grant");
}

#[tokio::test]
async fn each_use_gives_the_next_token() {
    let api = scene().await;
    let mut tokens = sign_in(&api, EMAIL).await;
    for _ in 0..5 {
        let next = tokens.next(&api).await;
        assert_ne!(next.refresh, tokens.refresh);
        me(&api, &next.access).await.ok(StatusCode::OK);
        tokens = next;
        api.db().travel(Duration::from_mins(30)).await;
    }
}

#[tokio::test]
async fn twenty_uses_at_once_have_one_successor() {
    let api = scene().await;
    let tokens = sign_in(&api, EMAIL).await;
    let all = join_all((0..20).map(|_| tokens.next(&api))).await;
    assert!(all.iter().all(|next| next.refresh == all[0].refresh), "{all:?}");
    all[0].next(&api).await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_within_seconds() {
    let api = scene().await;
    let tokens = sign_in(&api, EMAIL).await;
    let next = tokens.next(&api).await;
    api.db().travel(Duration::from_secs(9)).await;
    assert_eq!(tokens.next(&api).await.refresh, next.refresh);
    next.next(&api).await;
}

#[tokio::test]
async fn a_token_that_is_used_again_later_ends_all() {
    let api = scene().await;
    let tokens = sign_in(&api, EMAIL).await;
    let next = tokens.next(&api).await;
    let other = sign_in(&api, EMAIL).await;
    api.db().travel(Duration::from_secs(11)).await;
    refused(&api, &tokens.refresh).await;
    refused(&api, &next.refresh).await;
    me(&api, &next.access).await.problem(401, "invalid_token");
    me(&api, &other.access).await.ok(StatusCode::OK);
    let noted: Vec<(String, String)> =
        sqlx::query_as("select actor, via from identity.audit where action = 'refresh_token.reused'")
            .fetch_all(&api.db().pool)
            .await
            .unwrap();
    assert_eq!(noted, [(EMAIL.to_owned(), "account".to_owned())]);
}

#[tokio::test]
async fn a_token_whose_successor_was_used_ends_all_at_once() {
    let api = scene().await;
    let tokens = sign_in(&api, EMAIL).await;
    let last = tokens.next(&api).await.next(&api).await;
    refused(&api, &tokens.refresh).await;
    refused(&api, &last.refresh).await;
}

#[tokio::test]
async fn a_grant_ends_unused_and_by_its_age() {
    let api = scene().await;
    let idle = sign_in(&api, EMAIL).await;
    api.db().travel(Duration::from_hours(8) + Duration::from_secs(1)).await;
    refused(&api, &idle.refresh).await;
    let mut used = sign_in(&api, EMAIL).await;
    for _ in 0..(30 * 24 / 6) - 1 {
        api.db().travel(Duration::from_hours(6)).await;
        used = used.next(&api).await;
    }
    api.db().travel(Duration::from_hours(6) + Duration::from_secs(1)).await;
    refused(&api, &used.refresh).await;
    api.prune().await;
    assert_eq!(api.count("identity.grants").await, 0);
    assert_eq!(api.count("identity.refresh_tokens").await, 0);
}

#[tokio::test]
async fn a_token_is_for_the_app_that_it_was_given_to() {
    let api = scene().await;
    api.execute(
        "insert into identity.clients (client_id, name, redirect_uris) select 'other', name, redirect_uris
         from identity.clients",
    )
    .await;
    let tokens = sign_in(&api, EMAIL).await;
    let others =
        [("grant_type", "refresh_token"), ("client_id", "other"), ("refresh_token", tokens.refresh.as_str())];
    assert_eq!(error(&token(&api, &others).await, 400), "invalid_grant");
    let login = serde_json::json!({ "refreshToken": tokens.refresh }).to_string();
    api.anonymous("POST", "/api/v1/auth/refresh").json(login).send().await.problem(400, "invalid_grant");
    tokens.next(&api).await;
}

#[tokio::test]
async fn an_app_that_signs_out_ends_its_tokens_and_no_others() {
    let api = scene().await;
    let revoke = async |client: &str, token: &str| {
        let call = api.anonymous("POST", "/oauth/revoke");
        let fields = form(&[("client_id", client), ("token", token)]);
        call.body("application/x-www-form-urlencoded", fields).send().await
    };
    let [by_refresh, by_access, other] =
        [sign_in(&api, EMAIL).await, sign_in(&api, EMAIL).await, sign_in(&api, EMAIL).await];
    assert_eq!(revoke("desk", &by_refresh.refresh).await.status, StatusCode::OK);
    assert_eq!(revoke("desk", &by_access.access).await.status, StatusCode::OK);
    assert_eq!(revoke("desk", "nonsense").await.status, StatusCode::OK);
    assert_eq!(error(&revoke("nobody", &other.refresh).await, 401), "invalid_client");
    for ended in [by_refresh, by_access] {
        refused(&api, &ended.refresh).await;
        me(&api, &ended.access).await.problem(401, "invalid_token");
    }
    other.next(&api).await;
}

/// Until a token that was good is refused, for no longer than is promised.
async fn until_refused(api: &TestApi, access: &str) {
    let begun = Instant::now();
    while me(api, access).await.status == StatusCode::OK {
        assert!(begun.elapsed() < Duration::from_secs(6), "an answer of the database holds for 5 s");
        sleep(Duration::from_millis(200)).await;
    }
    me(api, access).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn who_is_demoted_or_withdrawn_is_out_within_seconds() {
    let api = scene().await;
    let account = accounts::id_of(&mut api.db().pool.acquire().await.unwrap(), EMAIL).await.unwrap();
    let tokens = sign_in(&api, EMAIL).await;
    me(&api, &tokens.access).await.ok(StatusCode::OK);
    let mut conn = api.db().pool.acquire().await.unwrap();
    memberships::give(&mut conn, account, "msp", Some(api.cca.id), "reader").await.unwrap();
    until_refused(&api, &tokens.access).await;
    let next = tokens.next(&api).await;
    let now = me(&api, &next.access).await.ok(StatusCode::OK);
    assert_eq!(now["role"], "reader", "the next token has the role of now");
    assert!(!now["scopes"].as_array().unwrap().contains(&"read:csat".into()));
    memberships::withdraw(&mut conn, account, "msp", Some(api.cca.id)).await.unwrap();
    until_refused(&api, &next.access).await;
    refused(&api, &next.refresh).await;
}

#[tokio::test]
async fn what_a_token_was_given_out_for_ends_it_everywhere() {
    let api = scene().await;
    for end in [
        "update identity.accounts set disabled_at = queue.now()",
        "update identity.accounts set token_epoch = token_epoch + 1",
        "update identity.tenants set is_active = false",
        "update identity.clients set disabled_at = queue.now()",
    ] {
        let tokens: Tokens = sign_in(&api, EMAIL).await;
        me(&api, &tokens.access).await.ok(StatusCode::OK);
        api.execute(end).await;
        // Another process has not seen the token before.
        let elsewhere = api.another_host();
        me(&elsewhere, &tokens.access).await.problem(401, "invalid_token");
        let refused = token(&api, &of_refresh(&tokens.refresh)).await;
        assert_ne!(refused.status, StatusCode::OK, "{end}");
        api.execute("update identity.accounts set disabled_at = null").await;
        api.execute("update identity.tenants set is_active = true").await;
        api.execute("update identity.clients set disabled_at = null").await;
    }
}

#[tokio::test]
async fn a_password_that_is_set_anew_ends_all_sign_ins() {
    let api = scene().await;
    let tokens = sign_in(&api, EMAIL).await;
    accounts::set_password(&api.db().pool, EMAIL, "another long password").await.unwrap();
    refused(&api, &tokens.refresh).await;
    me(&api.another_host(), &tokens.access).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn a_token_is_not_used_up_where_no_access_token_can_be_made() {
    let api = scene().await;
    let tokens = sign_in(&api, EMAIL).await;
    api.execute("update identity.memberships set role = 'clerk'").await;
    let answer = token(&api, &of_refresh(&tokens.refresh)).await;
    assert_eq!(error(&answer, 503), "temporarily_unavailable");
    api.db().travel(Duration::from_mins(1)).await;
    api.execute("update identity.memberships set role = 'reader'").await;
    tokens.next(&api).await;
}

#[tokio::test]
async fn an_app_signs_out_though_the_role_has_changed_and_a_form_of_many_fields_is_refused() {
    let api = scene().await;
    let tokens = sign_in(&api, EMAIL).await;
    api.execute("update identity.memberships set role = 'reader'").await;
    let revoke = form(&[("client_id", "desk"), ("token", &tokens.access)]);
    let call = api.anonymous("POST", "/oauth/revoke").body("application/x-www-form-urlencoded", revoke);
    assert_eq!(call.send().await.status, StatusCode::OK);
    refused(&api, &tokens.refresh).await;
    let many: Vec<String> = (0..200).map(|n| format!("f{n}=1")).collect();
    for path in ["/oauth/token", "/oauth/revoke"] {
        let call = api.anonymous("POST", path).body("application/x-www-form-urlencoded", many.join("&"));
        let answer = call.send().await;
        assert_eq!(error(&answer, 400), "invalid_request");
        assert!(answer.text().contains("200 parameters were given"), "{}", answer.text());
    }
}
