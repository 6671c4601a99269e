//! Sign-ins that fail slow down who fails, and nobody else.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use weirgate_identity::accounts;
use weirgate_identity::platform::{self, Role};
use weirgate_test_support::Answer;

use crate::support::TestApi;
use crate::support::person::{PASSWORD, form};

const OWNER: &str = "ada@example.com";

async fn sign_in(api: &TestApi, address: &str, email: &str, password: &str, cookie: &str) -> Answer {
    let fields = form(&[("email", email), ("password", password)]);
    let call = api.anonymous("POST", "/dashboard/sign-in").from(address).header("cookie", cookie);
    call.body("application/x-www-form-urlencoded", fields).send().await
}

async fn with_owner() -> TestApi {
    let api = TestApi::new().await;
    platform::create(&api.db().pool, OWNER, Role::Admin, PASSWORD).await.unwrap();
    api
}

/// The cookie of a browser that the owner has signed in with.
async fn known_browser(api: &TestApi) -> String {
    let answer = sign_in(api, "192.0.2.1", OWNER, PASSWORD, "").await;
    let mut set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let browser =
        set.find(|cookie| cookie.starts_with("weirgate_browser=")).expect("it is known from now on");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/;", "Max-Age=7776000"] {
        assert!(browser.contains(attribute), "{browser}");
    }
    browser.split(';').next().unwrap().to_owned()
}

/// Wrong sign-ins at this rate, from a few addresses, until `during` has ended.
async fn flood<T>(api: &TestApi, a_second: u32, during: impl Future<Output = T>) -> T {
    let attack = join_all((0..a_second * 60).map(|n| async move {
        tokio::time::sleep(Duration::from_secs(1) * n / a_second).await;
        let email = if n % 2 == 0 { OWNER.to_owned() } else { format!("nobody{n}@example.com") };
        let answer = sign_in(api, &format!("203.0.113.{}", n % 4), &email, "a wrong password", "").await;
        let refused =
            [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        assert!(refused.contains(&answer.status), "{}", answer.status);
    }));
    tokio::select! {
        _ = attack => panic!("the attack is over before the owner is in"),
        ended = during => ended,
    }
}

#[tokio::test]
async fn a_right_password_works_at_once_while_others_fail_4_or_50_times_a_second() {
    for a_second in [4, 50] {
        let api = with_owner().await;
        let browser = known_browser(&api).await;
        let owner = async {
            // They have used up what they may.
            tokio::time::sleep(Duration::from_secs(2)).await;
            // From elsewhere; from elsewhere again; and in a browser of theirs behind the same
            // address as those who fail.
            for (address, cookie) in [("192.0.2.1", ""), ("192.0.2.2", ""), ("203.0.113.1", browser.as_str())]
            {
                let answer = until_its_turn(&api, address, cookie).await;
                let in_time = answer.status == StatusCode::SEE_OTHER;
                assert!(in_time, "{address} beside {a_second}: {} {}", answer.status, answer.text());
            }
        };
        flood(&api, a_second, owner).await;
    }
}

/// The answer to the owner, who comes again where a machine that is busy with other things tells
/// them to: nobody waits for longer than 2 s.
async fn until_its_turn(api: &TestApi, address: &str, cookie: &str) -> Answer {
    for _ in 0..10 {
        let answer = sign_in(api, address, OWNER, PASSWORD, cookie).await;
        if answer.status != StatusCode::SERVICE_UNAVAILABLE {
            return answer;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("{address} is not served");
}

#[tokio::test]
async fn another_user_behind_the_address_of_who_guesses_is_let_in() {
    let api = with_owner().await;
    platform::create(&api.db().pool, "grace@example.com", Role::Viewer, PASSWORD).await.unwrap();
    for n in 0..30 {
        let email = if n < 8 { OWNER.to_owned() } else { format!("nobody{n}@example.com") };
        sign_in(&api, "203.0.113.1", &email, "a wrong password", "").await;
    }
    let answer = sign_in(&api, "203.0.113.1", "grace@example.com", PASSWORD, "").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
}

#[tokio::test]
async fn guessing_one_account_is_slowed_from_one_address_and_from_many() {
    let api = with_owner().await;
    let tried = async |addresses: u32, each: u32| {
        let guesses = (0..addresses * each).map(|n| {
            let address = format!("198.51.100.{}", n % addresses);
            let api = &api;
            async move { sign_in(api, &address, OWNER, "a wrong password", "").await }
        });
        let mut tried = 0;
        // All at once is no way around.
        for answer in join_all(guesses).await {
            match answer.status {
                StatusCode::UNAUTHORIZED => tried += 1,
                StatusCode::TOO_MANY_REQUESTS => {
                    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() <= 300);
                    assert!(answer.text().contains("Too many failed attempts. Try again in"));
                }
                other => panic!("{other}: {}", answer.text()),
            }
        }
        tried
    };
    // And one more each 12 s that this takes.
    let one = tried(1, 40).await;
    assert!((5..=8).contains(&one), "from one address: {one} of 40");
    let many = tried(10, 10).await;
    assert!((9..=14).contains(&many), "from ten: {many} of 100");
    let again = tried(10, 10).await;
    assert!(again <= 4, "and again: {again} of 100");
}

#[tokio::test]
async fn a_browser_is_known_to_its_owner_alone_and_forgotten_with_the_password() {
    let api = with_owner().await;
    platform::create(&api.db().pool, "grace@example.com", Role::Viewer, PASSWORD).await.unwrap();
    let browser = known_browser(&api).await;
    let exhaust = async |email: &str| {
        for _ in 0..8 {
            sign_in(&api, "203.0.113.1", email, "a wrong password", "").await;
        }
    };
    exhaust("grace@example.com").await;
    let answer = sign_in(&api, "203.0.113.1", "grace@example.com", PASSWORD, &browser).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "it is another one's");
    exhaust(OWNER).await;
    accounts::set_password(&api.db().pool, OWNER, "another password").await.unwrap();
    let answer = sign_in(&api, "203.0.113.1", OWNER, "another password", &browser).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "who set it may have had a reason");
    assert_eq!(api.count("identity.known_browsers").await, 0);
}

#[tokio::test]
async fn failed_sign_ins_are_in_the_audit_and_cannot_fill_it() {
    let api = with_owner().await;
    for _ in 0..3 {
        sign_in(&api, "203.0.113.1", OWNER, "a wrong password", "").await;
    }
    sign_in(&api, "203.0.113.1", "correct horse battery staple", "", "").await;
    for n in 0..40 {
        sign_in(&api, &format!("203.0.113.{n}"), &format!("nobody{n}@example.com"), "a wrong password", "")
            .await;
    }
    let failed: Vec<(String, Option<String>, i64)> = sqlx::query_as(
        "select target, address, sum(times) from identity.audit where action = 'sign_in.failed' and actor = 'anonymous'
         group by 1, 2 order by min(id)",
    )
    .fetch_all(&api.db().pool)
    .await
    .unwrap();
    let at = Some("203.0.113.1".to_owned());
    assert_eq!(failed[0], (OWNER.to_owned(), at.clone(), 3));
    assert_eq!(failed[1], ("not an email address".to_owned(), at, 1), "it may be a password");
    // 20 entries and one for all others, each minute.
    assert!((21..=42).contains(&failed.len()), "{failed:?}");
    assert!(failed.iter().any(|(target, address, _)| target == "many others" && address.is_none()));
    assert_eq!(failed.iter().map(|(.., times)| times).sum::<i64>(), 44);

    sign_in(&api, "203.0.113.1", OWNER, PASSWORD, "").await;
    api.db().travel(Duration::from_hours(31 * 24)).await;
    api.prune().await;
    let left: Vec<String> = sqlx::query_scalar("select action from identity.audit where action like 'sign%'")
        .fetch_all(&api.db().pool)
        .await
        .unwrap();
    assert_eq!(left, ["sign_in"], "good ones are kept");
    assert_eq!(api.count("identity.sessions").await, 0);
}
