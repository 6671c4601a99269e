//! Wrong API keys: they cost next to nothing, and slow down nobody with a right one.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use tokio::time::timeout;
use weirgate_identity::keys;
use weirgate_test_support::Answer;

use crate::support::TestApi;

async fn ask(api: &TestApi, key: &str) -> Answer {
    api.anonymous("GET", "/v1/csat").header("x-api-key", key).send().await
}

fn guess(number: u32) -> String {
    let mut random = [7; 32];
    random[..4].copy_from_slice(&number.to_be_bytes());
    keys::new_key(random).key
}

#[tokio::test]
async fn a_wrong_key_is_remembered_and_does_not_reach_the_keys_again() {
    let api = TestApi::new().await;
    let right = api.cca.api_key.clone().unwrap();
    let nearly = format!("{}{}", &right[..right.len() - 1], if right.ends_with('0') { "1" } else { "0" });
    for wrong in [guess(1), nearly.clone()] {
        ask(&api, &wrong).await.problem(401, "unauthorized");
    }
    let mut gate = api.db().pool.begin().await.unwrap();
    sqlx::query("lock table identity.api_keys in access exclusive mode").execute(&mut *gate).await.unwrap();
    for wrong in [guess(1), nearly, "wg_nonsense".to_owned()] {
        timeout(Duration::from_secs(20), ask(&api, &wrong)).await.unwrap().problem(401, "unauthorized");
    }
    let held = timeout(Duration::from_millis(300), ask(&api, &guess(2))).await;
    assert!(held.is_err(), "one that was not tried before is looked up");
    drop(gate);
    assert_eq!(ask(&api, &right).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_new_key_works_at_once_though_it_was_tried_before_on_every_host() {
    let api = TestApi::new().await;
    let others = [api.another_host(), api.another_host()];
    for round in 0..5 {
        let random = {
            let mut random = [7; 32];
            random[..4].copy_from_slice(&u32::to_be_bytes(round));
            random
        };
        let hosts = || [&api].into_iter().chain(&others);
        for host in hosts().chain(hosts()) {
            ask(host, &guess(round)).await.problem(401, "unauthorized");
        }
        let mut tx = api.db().pool.begin().await.unwrap();
        let key = keys::create(&mut tx, api.cca.id, "new", random).await.unwrap();
        for host in hosts() {
            ask(host, &key).await.problem(401, "unauthorized");
        }
        tx.commit().await.unwrap();
        for host in hosts() {
            assert_eq!(ask(host, &key).await.status, StatusCode::OK, "round {round}");
        }
        assert!(
            keys::revoke(&mut api.db().pool.acquire().await.unwrap(), key.rsplit_once('_').unwrap().0)
                .await
                .unwrap()
        );
        for host in hosts() {
            ask(host, &key).await.problem(401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn who_guesses_slows_down_only_guessers() {
    let api = TestApi::with(|config| {
        config.requests_per_second = 1.try_into().unwrap();
        config.burst = 5.try_into().unwrap();
    })
    .await;
    let guessing = join_all((0..400).map(|number| {
        let api = &api;
        async move { ask(api, &guess(number)).await.status }
    }));
    let right = async {
        // Neither was presented before.
        for tenant in [&api.cca, &api.client2] {
            let key = tenant.api_key.as_deref().unwrap();
            assert_eq!(ask(&api, key).await.status, StatusCode::OK);
        }
    };
    let (guessed, ()) = tokio::join!(guessing, right);
    let refused = guessed.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
    let wrong = guessed.iter().filter(|status| **status == StatusCode::UNAUTHORIZED).count();
    assert_eq!(refused + wrong, 400);
    assert!(refused > 300, "{refused} were refused");
}

#[tokio::test]
async fn a_key_over_its_budget_is_refused_before_it_is_looked_up() {
    let api = TestApi::with(|config| {
        config.requests_per_second = 1.try_into().unwrap();
        config.burst = 1.try_into().unwrap();
    })
    .await;
    let key = api.cca.api_key.clone().unwrap();
    while ask(&api, &key).await.status == StatusCode::OK {}
    let mut gate = api.db().pool.begin().await.unwrap();
    sqlx::query("lock table identity.api_keys in access exclusive mode").execute(&mut *gate).await.unwrap();
    // At most one in a second has a budget, and waits for the lock.
    let asked = join_all((0..20).map(|_| timeout(Duration::from_millis(500), ask(&api, &key)))).await;
    let refused = asked.into_iter().filter_map(Result::ok).map(|answer| answer.problem(429, "rate_limited"));
    assert!(refused.count() >= 18);
    drop(gate);
}
