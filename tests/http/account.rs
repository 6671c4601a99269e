//! The page *My account*: for everybody who signs in, and about nobody else.

use axum::http::StatusCode;
use uuid::Uuid;
use weirgate_identity::grants::{self, New};
use weirgate_identity::platform::Role;
use weirgate_identity::{accounts, memberships};

use crate::support::TestApi;
use crate::support::person::{PASSWORD, Person, form, sign_in_at};

const GRACE: &str = "grace@acme.example";

/// What the audit has of an account, the newest last, sign-ins left out.
async fn audited(api: &TestApi) -> Vec<String> {
    let sql = "select action from identity.audit where via = 'account' and actor = $1
        and action not in ('sign_in', 'sign_out') order by id";
    sqlx::query_scalar(sql).bind(GRACE).fetch_all(&api.db().pool).await.unwrap()
}

/// A sign-in of an app for them, by the login of the API.
async fn grant(api: &TestApi, email: &str) -> Uuid {
    let mut conn = api.db().pool.acquire().await.unwrap();
    let account = accounts::id_of(&mut conn, email).await.unwrap();
    let membership = memberships::of(&mut conn, account).await.unwrap()[0].id;
    let token_epoch = sqlx::query_scalar("select token_epoch from identity.accounts where id = $1")
        .bind(account)
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    let id = Uuid::now_v7();
    let (client, scopes, address, user_agent) = (None, None, None, Some("curl/8.14.1"));
    let new = New { id, account, membership, client, scopes, token_epoch, address, user_agent };
    grants::begin(&mut conn, new).await.unwrap();
    id
}

async fn is_live(api: &TestApi, grant: Uuid) -> bool {
    !grants::live(&api.db().pool, &[grant]).await.unwrap().is_empty()
}

/// The ids of the sessions that a page offers to end.
fn endable(page: &str) -> Vec<String> {
    let parts = page.split("action=\"/account/sessions/").skip(1);
    let ids = parts.map(|rest| rest.split('/').next().unwrap().to_owned());
    ids.filter(|id| id != "others").collect()
}

#[tokio::test]
async fn who_has_no_role_on_the_dashboard_has_a_page_and_is_refused_there() {
    let api = TestApi::new().await;
    let nobody = api.anonymous("GET", "/account").send().await;
    assert_eq!(nobody.header("location"), Some("/account/sign-in?next=%2Faccount"));
    let grace = Person::reader(&api, GRACE).await;
    let page = grace.get("/account").await;
    assert_eq!(page.status, StatusCode::OK);
    for told in ["MSP analytics", "reader", "tenant_demo_cca", "reads the KPIs", "this one"] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    assert!(!page.text().contains("href=\"/dashboard\""), "the dashboard is not for them");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let refused = grace.get("/dashboard").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text().contains("href=\"/account\""), "{}", refused.text());
    assert_eq!(grace.get("/account/nothing").await.status, StatusCode::NOT_FOUND);

    let ada = Person::new(&api, "ada@example.com", Role::Viewer).await;
    let page = ada.get("/account").await;
    assert!(page.text().contains("href=\"/dashboard\"") && page.text().contains("viewer"));
}

#[tokio::test]
async fn a_name_and_a_language_are_saved_and_wrong_ones_shown_to_be_mended() {
    let api = TestApi::new().await;
    let grace = Person::reader(&api, GRACE).await;
    for (name, language, told) in [
        ("a".repeat(201), "fr", "a name has at most 200 characters"),
        ("Grace".to_owned(), "english", "is no language"),
    ] {
        let answer = grace.post("/account/name", &[("full_name", &name), ("locale", language)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text().contains(told) && answer.text().contains(&name), "{}", answer.text());
    }
    let saved = grace.post("/account/name", &[("full_name", "Grace Hopper"), ("locale", "pt-BR")]).await;
    assert_eq!(saved.header("location"), Some("/account?done=name"));
    let page = grace.get("/account?done=name").await;
    for told in ["value=\"Grace Hopper\"", "<option value=\"pt-BR\" selected>", "are saved"] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    // The same once more changes nothing, so nothing is noted.
    grace.post("/account/name", &[("full_name", "Grace Hopper"), ("locale", "pt-BR")]).await;
    assert_eq!(audited(&api).await, ["account.name"]);
}

#[tokio::test]
async fn a_new_password_takes_the_old_one_and_ends_all_but_this_session() {
    let api = TestApi::new().await;
    let grace = Person::reader(&api, GRACE).await;
    let elsewhere = Person::at_account(&api, GRACE).await;
    let app = grant(&api, GRACE).await;
    let new = "correct horse battery";
    let change = async |current: &str, new: &str, again: &str| {
        grace.post("/account/password", &[("current", current), ("new", new), ("again", again)]).await
    };
    for (current, new, again, told) in [
        ("not the password", new, new, "this is not the password that you have now"),
        (PASSWORD, "too short", "too short", "must have 12 to 1000 characters"),
        (PASSWORD, new, "correct horse batterz", "differs from the new password"),
        (PASSWORD, PASSWORD, PASSWORD, "is the password that you have already"),
        ("", new, new, "required"),
    ] {
        let answer = change(current, new, again).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{told}");
        assert!(answer.text().contains(told), "{told}: {}", answer.text());
        assert!(!answer.text().contains(new), "no password is shown again");
    }
    assert_eq!(elsewhere.get("/account").await.status, StatusCode::OK);
    let changed = change(PASSWORD, new, new).await;
    assert_eq!(changed.header("location"), Some("/account?done=password"), "{}", changed.text());
    let page = grace.get("/account?done=password").await;
    assert!(page.text().contains("You are signed out everywhere but here"), "{}", page.text());
    assert_eq!(elsewhere.get("/account").await.status, StatusCode::SEE_OTHER);
    assert!(!is_live(&api, app).await);
    assert_eq!(sign_in_at(&api, "/account", GRACE, PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in_at(&api, "/account", GRACE, new).await.status, StatusCode::SEE_OTHER);
    assert_eq!(audited(&api).await, ["account.password"]);
    let told: i64 =
        sqlx::query_scalar("select count(*) from identity.audit where detail::text like '%horse%'")
            .fetch_one(&api.db().pool)
            .await
            .unwrap();
    assert_eq!(told, 0);
}

#[tokio::test]
async fn who_guesses_the_password_from_a_session_has_to_wait_and_shuts_out_nobody() {
    let api = TestApi::new().await;
    let thief = Person::reader(&api, GRACE).await;
    let mut last = None;
    for number in 0..15 {
        let guess = format!("a wrong password {number}");
        let fields = [("current", guess.as_str()), ("new", "correct horse"), ("again", "correct horse")];
        last = Some(thief.post("/account/password", &fields).await);
    }
    let last = last.unwrap();
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS, "{}", last.text());
    assert!(last.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    assert!(last.text().contains("Too many failed attempts"), "{}", last.text());
    let failed: i64 = sqlx::query_scalar(
        "select sum(times) from identity.audit where action = 'sign_in.failed' and target = $1",
    )
    .bind(GRACE)
    .fetch_one(&api.db().pool)
    .await
    .unwrap();
    assert!((5..=12).contains(&failed), "{failed} were tried");
    // The owner signs in from where nothing has failed.
    let fields = form(&[("email", GRACE), ("password", PASSWORD)]);
    let call = api.anonymous("POST", "/account/sign-in").from("192.0.2.1");
    let answer = call.body("application/x-www-form-urlencoded", fields).send().await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
}

#[tokio::test]
async fn browsers_and_apps_are_listed_and_ended_and_those_of_others_are_not() {
    let api = TestApi::new().await;
    let grace = Person::reader(&api, GRACE).await;
    let elsewhere = Person::at_account(&api, GRACE).await;
    let other = Person::reader(&api, "eve@acme.example").await;
    let (app, of_other) = (grant(&api, GRACE).await, grant(&api, "eve@acme.example").await);
    let page = grace.get("/account").await;
    for told in ["Sign-in by the API", "curl", "MSP analytics, reader of tenant_demo_cca"] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    let [session] = &endable(page.text())[..] else { panic!("{}", page.text()) };
    let eves: String = sqlx::query_scalar(
        "select s.id::text from identity.sessions s join identity.accounts a on a.id = s.user_id
         where a.email = 'eve@acme.example'",
    )
    .fetch_one(&api.db().pool)
    .await
    .unwrap();
    for id in [eves.as_str(), session] {
        let answer = grace.post(&format!("/account/sessions/{id}/end"), &[]).await;
        assert_eq!(answer.header("location"), Some("/account?done=session"));
    }
    assert_eq!(other.get("/account").await.status, StatusCode::OK, "it is not theirs");
    assert_eq!(elsewhere.get("/account").await.status, StatusCode::SEE_OTHER);
    for id in [of_other, app] {
        grace.post(&format!("/account/apps/{id}/end"), &[]).await;
    }
    assert!(is_live(&api, of_other).await && !is_live(&api, app).await);
    assert_eq!(audited(&api).await, ["account.session_end", "account.grant_end"]);

    let (again, app) = (Person::at_account(&api, GRACE).await, grant(&api, GRACE).await);
    grace.post("/account/sessions/others/end", &[]).await;
    assert_eq!(again.get("/account").await.status, StatusCode::SEE_OTHER);
    assert!(!is_live(&api, app).await);
    let out = grace.post("/account/sign-out", &[]).await;
    assert_eq!(out.header("location"), Some("/account/sign-in"));
    assert_eq!(grace.get("/account").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_from_elsewhere_changes_nothing() {
    let api = TestApi::new().await;
    let grace = Person::reader(&api, GRACE).await;
    for path in ["/account/name", "/account/password", "/account/sessions/others/end", "/account/sign-out"] {
        for fields in [&[][..], &[("csrf", "0")]] {
            let answer = grace.post_with(path, fields).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
            assert!(answer.text().contains("Nothing was done"), "{}", answer.text());
        }
    }
    assert_eq!(grace.get("/account").await.status, StatusCode::OK);
}
