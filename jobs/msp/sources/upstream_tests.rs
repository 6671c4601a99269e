use std::num::NonZeroU32;

use super::super::fake::{Fake, Told, client};
use super::*;
use governor::clock::FakeRelativeClock;
use serde_json::{Value, json};

const CHECKS: Checks = Checks { credentials: "api_token", rights: "the role" };
const MANY: Quota = Quota::per_second(NonZeroU32::new(1000).unwrap());

fn upstream(url: &str, quota: Quota) -> Upstream {
    Upstream::new(client(), &BaseUrl::parse(url).expect("a URL"), quota, CHECKS)
}

async fn failure(told: Told) -> SourceError {
    let fake = Fake::start(move |_| told.clone()).await;
    let upstream = upstream(&fake.url, MANY);
    let mut url = upstream.url(&["things"]);
    url.set_query(Some("token=hunter2"));
    let error =
        upstream.get::<Vec<Value>>(&url, &Auth::None, Step::FirstPage).await.expect_err("a failure").error;
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    assert!(error.to_string().contains(&format!("{}/things", fake.url)), "{error}");
    error
}

#[tokio::test]
async fn answers_are_told_apart() {
    let throttled = failure(Told::status(429).with("retry-after", "5")).await;
    assert!(matches!(throttled, SourceError::Throttled { retry_after, .. } if retry_after.as_secs() == 5));
    let busy = failure(Told::status(503).with("retry-after", "6")).await;
    assert!(matches!(busy, SourceError::Throttled { retry_after, .. } if retry_after.as_secs() == 6));
    for status in [401, 403, 404, 400, 302] {
        assert!(matches!(failure(Told::status(status)).await, SourceError::Refused { .. }), "{status}");
    }
    for status in [500, 503] {
        assert!(matches!(failure(Told::status(status)).await, SourceError::Unreadable { .. }), "{status}");
    }
}

#[tokio::test]
async fn a_bad_body_is_unreadable_and_not_quoted() {
    for (body, why) in [
        ("<html>hunter2</html>", "is not JSON"),
        ("[\"hunter2\", ", "breaks off"),
        ("\"hunter2\"", "not of the form"),
        ("{\"error\": \"hunter2\"}", "not of the form"),
        ("", "breaks off"),
    ] {
        let error = failure(Told { status: 200, headers: Vec::new(), body: body.to_owned() }).await;
        assert!(
            matches!(&error, SourceError::Unreadable { reason, .. } if reason.contains(why)),
            "{body}: {error}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let fake = Fake::start(|_| Told::status(307).with("location", "/elsewhere")).await;
    let upstream = upstream(&fake.url, MANY);
    let error = upstream
        .get::<Value>(&upstream.url(&["things"]), &Auth::None, Step::FirstPage)
        .await
        .expect_err("refused")
        .error;
    assert!(matches!(error, SourceError::Refused { .. }), "{error}");
    assert_eq!(fake.targets(), ["/things"]);
}

#[tokio::test]
async fn nobody_there_is_unreadable() {
    let url = Fake::start(|_| Told::status(200)).await.url.clone();
    let upstream = upstream(&url, MANY);
    let mut secret = upstream.url(&["things"]);
    secret.set_query(Some("token=hunter2"));
    // The server of that address is gone, or going: either way there is no answer.
    let error =
        upstream.get::<Vec<Value>>(&secret, &Auth::None, Step::FirstPage).await.expect_err("no answer").error;
    assert!(matches!(&error, SourceError::Unreadable { .. }), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_cut_short() {
    let fake = Fake::start(|_| json!("x".repeat(3 * 1024 * 1024)).into()).await;
    let fetched = async || client().get(&fake.url).send().await.expect("an answer");
    let most = 2 * 1024 * 1024;
    assert_eq!(read(fetched().await, most).await.unwrap_err(), "the answer is longer than 2 MiB");
    assert_eq!(read(fetched().await, MAX_ANSWER_BYTES).await.expect("whole").len(), 3 * 1024 * 1024 + 2);
}

/// The third request has to wait for an hour, so that it surely is not sent while the test looks.
#[tokio::test]
async fn requests_wait_for_the_limit() {
    let fake = Fake::start(|_| json!([]).into()).await;
    let quota = Quota::with_period(Duration::from_hours(1))
        .expect("a quota")
        .allow_burst(NonZeroU32::new(2).unwrap());
    let upstream = upstream(&fake.url, quota);
    let url = upstream.url(&[]);
    let ask = async || upstream.get::<Value>(&url, &Auth::None, Step::FirstPage).await;
    for _ in 0..2 {
        ask().await.expect("within the burst");
    }
    let waited = tokio::time::timeout(Duration::from_millis(100), ask()).await;
    assert!(waited.is_err(), "the third request does not wait");
    assert_eq!(fake.asked().len(), 2);
}

/// What a setting of N requests a second means to the limiter.
#[test]
fn the_rate_is_per_second() {
    let clock = FakeRelativeClock::default();
    let limiter =
        RateLimiter::direct_with_clock(Quota::per_second(NonZeroU32::new(3).unwrap()), clock.clone());
    let mut passed = 0;
    for _ in 0..100 {
        passed += u32::from(limiter.check().is_ok());
        clock.advance(Duration::from_millis(100));
    }
    // Three at once, then three a second for ten seconds.
    assert!((30..=33).contains(&passed), "{passed}");
}

#[test]
fn links_are_taken_to_the_configured_host() {
    let upstream = upstream("https://api.example.com", MANY);
    let from = upstream.url(&["v1", "things"]);
    for (link, wanted) in [
        ("https://api.example.com/v1/things?page=2", "https://api.example.com/v1/things?page=2"),
        ("http://api.example.com/v1/things?page=2", "https://api.example.com/v1/things?page=2"),
        ("https://user:pw@API.example.com:443/a#b", "https://api.example.com/a"),
        ("?page=2", "https://api.example.com/v1/things?page=2"),
        ("/x", "https://api.example.com/x"),
    ] {
        assert_eq!(upstream.follow(&from, link).expect(link).as_str(), wanted);
    }
    for link in [
        "https://evil.example/v1/things",
        "https://api.example.com.evil.example/",
        "https://api.example.com@evil.example/",
        "https://api.example.com:8443/",
        "//evil.example/",
        "file:///etc/passwd",
        "http://169.254.169.254/latest",
        "https://[",
    ] {
        assert!(matches!(upstream.follow(&from, link), Err(SourceError::Refused { .. })), "{link}");
    }
}
