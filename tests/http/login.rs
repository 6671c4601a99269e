//! Signing in with a password, without a browser.

use axum::http::StatusCode;
use serde_json::{Value, json};
use weirgate_identity::{accounts, invitations, memberships, platform};
use weirgate_test_support::Answer;

use crate::support::TestApi;
use crate::support::member::{me, member};
use crate::support::person::PASSWORD;

const EMAIL: &str = "grace@acme.example";

async fn login(api: &TestApi, body: Value) -> Answer {
    api.anonymous("POST", "/api/v1/auth/login").json(body.to_string()).send().await
}

async fn right(api: &TestApi, email: &str) -> Answer {
    login(api, json!({ "email": email, "password": PASSWORD })).await
}

async fn post(api: &TestApi, path: &str, body: Value) -> Answer {
    api.anonymous("POST", path).json(body.to_string()).send().await
}

#[tokio::test]
async fn a_member_signs_in_refreshes_and_signs_out() {
    let api = TestApi::new().await;
    let account = member(&api, EMAIL, "reader", &[api.cca.id]).await;
    let body = right(&api, " Grace@ACME.example ").await.ok(StatusCode::OK);
    let user = json!({
        "id": account, "tenantId": api.cca.id, "email": EMAIL, "fullName": "Grace Hopper", "app": "msp", "role": "reader"
    });
    assert_eq!((&body["user"], &body["expiresIn"]), (&user, &json!(3600)));
    let access = body["token"].as_str().unwrap();
    let shown = me(&api, access).await.ok(StatusCode::OK);
    assert_eq!(shown["scopes"], json!(["read:jobs", "read:kpis", "read:exports"]));
    let next = post(&api, "/api/v1/auth/refresh", json!({ "refreshToken": body["refreshToken"] })).await;
    let next = next.ok(StatusCode::OK);
    assert_eq!(next["user"], user);
    let out = post(&api, "/api/v1/auth/logout", json!({ "refreshToken": next["refreshToken"] })).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    me(&api, access).await.problem(401, "invalid_token");
    let refused = post(&api, "/api/v1/auth/refresh", json!({ "refreshToken": next["refreshToken"] })).await;
    refused.problem(400, "invalid_grant");
    let actions: Vec<(String, String)> =
        sqlx::query_as("select action, via from identity.audit where target = $1 order by id")
            .bind(EMAIL)
            .fetch_all(&api.db().pool)
            .await
            .unwrap();
    let expected = [("sign_in", "account"), ("sign_out", "account")];
    assert_eq!(actions, expected.map(|(action, via)| (action.to_owned(), via.to_owned())));
}

#[tokio::test]
async fn all_who_cannot_sign_in_are_answered_alike() {
    let api = TestApi::new().await;
    member(&api, "wrong@acme.example", "reader", &[api.cca.id]).await;
    member(&api, "disabled@acme.example", "reader", &[api.cca.id]).await;
    accounts::disable(&api.db().pool, "disabled@acme.example").await.unwrap();
    member(&api, "closed@acme.example", "reader", &[api.client2.id]).await;
    api.execute("update identity.tenants set is_active = false where slug <> 'tenant_demo_cca'").await;
    member(&api, "nothing@acme.example", "reader", &[]).await;
    member(&api, "stranger@acme.example", "clerk", &[api.cca.id]).await;
    platform::create(&api.db().pool, "operator@acme.example", platform::Role::Admin, PASSWORD).await.unwrap();
    let mut conn = api.db().pool.acquire().await.unwrap();
    let withdrawn = member(&api, "withdrawn@acme.example", "reader", &[api.cca.id]).await;
    memberships::withdraw(&mut conn, withdrawn, "msp", Some(api.cca.id)).await.unwrap();
    let new = accounts::New { email: "invited@acme.example", ..accounts::New::default() };
    accounts::create(&mut conn, new).await.unwrap();
    let wrong = json!({ "email": "wrong@acme.example", "password": "not the right password" });
    let mut answers = vec![login(&api, wrong).await];
    for email in [
        "unknown@acme.example",
        "disabled@acme.example",
        "closed@acme.example",
        "nothing@acme.example",
        "stranger@acme.example",
        "operator@acme.example",
        "withdrawn@acme.example",
        "invited@acme.example",
    ] {
        answers.push(right(&api, email).await);
    }
    let elsewhere =
        json!({ "email": "wrong@acme.example", "password": PASSWORD, "tenantId": api.client2.id });
    answers.push(login(&api, elsewhere).await);
    for answer in &answers {
        answer.problem(401, "invalid_credentials");
        assert_eq!(answer.text(), answers[0].text());
        assert_eq!(answer.header("www-authenticate"), answers[0].header("www-authenticate"));
    }
    assert_eq!(api.count("identity.grants").await, 0);
}

#[tokio::test]
async fn a_member_of_several_is_asked_which() {
    let api = TestApi::new().await;
    member(&api, EMAIL, "reader", &[api.cca.id, api.client2.id]).await;
    let asked = right(&api, EMAIL).await;
    let body = asked.problem(409, "choose_tenant");
    let listed = body["memberships"].as_array().unwrap();
    assert_eq!(listed.len(), 2, "{body}");
    assert_eq!((&listed[0]["app"], &listed[0]["role"]), (&json!("msp"), &json!("reader")));
    for tenant in [json!(api.client2.id), json!(api.client2.slug)] {
        let body = json!({ "email": EMAIL, "password": PASSWORD, "tenantId": tenant, "app": "msp" });
        let body = login(&api, body).await.ok(StatusCode::OK);
        assert_eq!(body["user"]["tenantId"], json!(api.client2.id));
    }
    let none = json!({ "email": EMAIL, "password": PASSWORD, "tenantId": "tenant_unknown" });
    login(&api, none).await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_body_that_lacks_something_says_what() {
    let api = TestApi::new().await;
    let wrong = login(&api, json!({ "email": EMAIL })).await;
    let body = wrong.problem(422, "validation_failed");
    assert_eq!(body["errors"][0]["field"], "password");
    login(&api, json!({ "email": EMAIL, "password": PASSWORD, "rolle": "x" }))
        .await
        .problem(422, "validation_failed");
    let json = post(&api, "/api/v1/auth/refresh", json!({})).await;
    assert_eq!(json.problem(422, "validation_failed")["errors"][0]["field"], "refreshToken");
}

#[tokio::test]
async fn guesses_are_slowed_as_on_the_page() {
    let api = TestApi::new().await;
    member(&api, EMAIL, "reader", &[api.cca.id]).await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        let guess = json!({ "email": EMAIL, "password": "not the right password" }).to_string();
        let call = api.anonymous("POST", "/api/v1/auth/login").from("203.0.113.9").json(guess);
        statuses.push(call.send().await.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|it| **it == 401).count(), 5, "{statuses:?}");
    assert!(statuses[5..].iter().all(|it| *it == 429), "{statuses:?}");
    let page = crate::support::person::form(&[("email", EMAIL), ("password", PASSWORD)]);
    let call = api.anonymous("POST", "/account/sign-in").from("203.0.113.9");
    let answer = call.body("application/x-www-form-urlencoded", page).send().await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "one budget for both");
    right(&api, EMAIL).await.ok(StatusCode::OK);
}

#[tokio::test]
async fn a_password_is_changed_with_the_present_one() {
    let api = TestApi::new().await;
    member(&api, EMAIL, "reader", &[api.cca.id]).await;
    let body = right(&api, EMAIL).await.ok(StatusCode::OK);
    let access = format!("Bearer {}", body["token"].as_str().unwrap());
    let change = async |body: Value| {
        let call = api.anonymous("POST", "/api/v1/auth/password").header("authorization", &access);
        call.json(body.to_string()).send().await
    };
    let wrong =
        change(json!({ "currentPassword": "not the right one", "password": "another long password" })).await;
    wrong.problem(401, "invalid_credentials");
    let short = change(json!({ "currentPassword": PASSWORD, "password": "short" })).await;
    assert_eq!(short.problem(422, "validation_failed")["errors"][0]["field"], "password");
    change(json!({ "password": "another long password" })).await.problem(422, "validation_failed");
    let nobody = json!({ "currentPassword": PASSWORD, "password": "another long password" });
    post(&api, "/api/v1/auth/password", nobody.clone()).await.problem(401, "unauthorized");
    assert_eq!(change(nobody).await.status, StatusCode::NO_CONTENT);
    let access = body["token"].as_str().unwrap();
    me(&api, access).await.problem(401, "invalid_token");
    right(&api, EMAIL).await.problem(401, "invalid_credentials");
    let new = json!({ "email": EMAIL, "password": "another long password" });
    login(&api, new).await.ok(StatusCode::OK);
}

#[tokio::test]
async fn a_password_is_chosen_by_an_invitation_once() {
    let api = TestApi::new().await;
    let account = member(&api, EMAIL, "reader", &[api.cca.id]).await;
    let mut conn = api.db().pool.acquire().await.unwrap();
    invitations::create(&mut conn, account, "what the link holds", "test").await.unwrap();
    let choose = json!({ "token": "what the link holds", "password": "a password of my own" });
    let short = json!({ "token": "what the link holds", "password": "short" });
    post(&api, "/api/v1/auth/password", short).await.problem(422, "validation_failed");
    let (one, other) = tokio::join!(
        post(&api, "/api/v1/auth/password", choose.clone()),
        post(&api, "/api/v1/auth/password", choose.clone())
    );
    let statuses = [one.status.as_u16(), other.status.as_u16()];
    assert!(statuses == [204, 400] || statuses == [400, 204], "{statuses:?}");
    let unknown = json!({ "token": "another", "password": "a password of my own" });
    let (used, unknown) = (
        post(&api, "/api/v1/auth/password", choose).await,
        post(&api, "/api/v1/auth/password", unknown).await,
    );
    used.problem(400, "invalid_invitation");
    assert_eq!(used.text(), unknown.text(), "nobody learns which links there were");
    let new = json!({ "email": EMAIL, "password": "a password of my own" });
    login(&api, new).await.ok(StatusCode::OK);
}
