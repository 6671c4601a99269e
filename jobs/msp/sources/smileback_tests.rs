use super::super::fake::{Asked, Fake, Told, all, client, json, parsed, settings, until_error};
use super::super::rows::CsatSurvey;
use super::*;
use serde_json::json;

fn review_7(rating: &Value) -> Value {
    json!({
        "id": 35_929_235, "rating": rating, "comment": "quick fix, thanks",
        "ticket": {
            "id": "2864851", "title": "Report", "segment": {"id": "1", "name": "Engineering"},
            "agents": ["tech1"], "closed_on": "2026-01-20T15:32:42Z"
        },
        "contact": {"id": "2522", "name": "John Doe", "email": "john@example.com"},
        "company": {"id": "500", "name": "Acme Corp"},
        "status": "open", "tags": [], "has_marketing_permission": false, "viewed_on": null,
        "rated_on": "2026-01-20T16:00:00.627972Z", "permalink": "https://app.smileback.io/reviews/2864851/",
        "last_modified": "2026-01-20T16:00:58.533361Z"
    })
}

fn account(fake: &Fake) -> SmileBack {
    let account = json!({
        "url": fake.url, "client_id": "app", "client_secret": "hunter2", "username": "ada@example.com",
        "password": "hunter2&x", "requests_per_second": 1000
    });
    SmileBack::new(settings(account), client())
}

/// Gives tokens, numbered, and answers the rest by `reviews`.
async fn serving(reviews: impl Fn(&Asked) -> Told + Clone + Send + Sync + 'static) -> Fake {
    let tokens = Arc::new(std::sync::atomic::AtomicUsize::new(1));
    Fake::start(move |asked: &Asked| {
        if asked.target != "/api/token/" {
            return reviews(asked);
        }
        let number = tokens.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let token = format!("hunter2-{number}");
        json!({"access_token": token, "token_type": "Bearer", "expires_in": 36000, "scope": "read"}).into()
    })
    .await
}

fn list(reviews: &[Value], next: Option<&str>) -> Told {
    json!({"count": 42, "previous": null, "next": next, "results": reviews}).into()
}

#[tokio::test]
async fn a_review_has_every_field() {
    let fake = serving(|_| list(&[review_7(&json!(1))], None)).await;
    let rows = all(account(&fake).reviews("tenant_a", None)).await;
    let wanted = json!({
        "tenant_id": "tenant_a", "survey_id": "35929235", "ticket_id": "2864851", "score": 100,
        "sentiment": "positive", "comment": "quick fix, thanks", "submitted_at": "2026-01-20T16:00:00.627972Z"
    });
    assert_eq!(json(&rows[0]), wanted);
    let row: CsatSurvey = parsed(&rows[0]).expect("a good row");
    assert!((row.score - 100.0).abs() < f64::EPSILON);
    assert_eq!(&*rows[0].origin, format!("{}/api/v3/reviews/", fake.url));
    let asked = fake.asked();
    // app:hunter2
    assert_eq!(asked[0].header("authorization"), "Basic YXBwOmh1bnRlcjI=");
    let form = "grant_type=password&scope=read&username=ada%40example.com&password=hunter2%26x";
    assert_eq!(asked[0].body, form);
    assert_eq!(asked[1].header("authorization"), "Bearer hunter2-1");
}

#[tokio::test]
async fn ratings_become_scores_and_what_is_no_answer_is_left_out() {
    let mut deleted = review_7(&json!(1));
    deleted["status"] = json!("deleted");
    let ratings = [json!(1), json!(0), json!(-1), json!(null), json!(7)];
    let mut reviews: Vec<_> = ratings.iter().map(review_7).collect();
    reviews.push(deleted);
    let fake = serving(move |_| list(&reviews, None)).await;
    let rows = all(account(&fake).reviews("tenant_a", None)).await;
    let scores: Vec<_> =
        rows.iter().map(|it| (json(it)["score"].clone(), json(it)["sentiment"].clone())).collect();
    let wanted =
        [(json!(100), json!("positive")), (json!(0), json!("neutral")), (json!(-100), json!("negative"))];
    assert_eq!(scores[..3], wanted);
    assert_eq!(scores.len(), 4);
    let reason = parsed::<CsatSurvey>(&rows[3]).unwrap_err();
    assert!(reason.starts_with("score: ") && reason.contains("unknown rating 7"), "{reason}");
}

#[tokio::test]
async fn pages_are_followed_on_the_same_host_only() {
    let fake = serving(|asked: &Asked| {
        let next = |base: &str, offset: u32| Some(format!("{base}/api/v3/reviews/?limit=1&offset={offset}"));
        let next = match asked.target.rsplit_once("offset=").map(|it| it.1) {
            None => next(&asked.base(), 1),
            // The host in another writing is another host.
            Some("1") => next(&asked.base().replace("127.0.0.1", "localhost"), 2),
            Some(_) => None,
        };
        list(&[review_7(&json!(1))], next.as_deref())
    })
    .await;
    let (rows, error) = until_error(account(&fake).reviews("tenant_a", None)).await;
    assert_eq!(rows, 2, "the page with the bad link is handed out too: {error}");
    assert!(matches!(&error, SourceError::Refused { reason, .. } if reason.contains("localhost")), "{error}");
    assert_eq!(fake.targets()[1..], ["/api/v3/reviews/", "/api/v3/reviews/?limit=1&offset=1"]);
}

#[tokio::test]
async fn a_link_to_the_same_page_is_not_an_endless_list() {
    let fake = serving(|asked: &Asked| list(&[], Some(&format!("{}{}", asked.base(), asked.target)))).await;
    let (_, error) = until_error(account(&fake).reviews("tenant_a", None)).await;
    assert!(matches!(&error, SourceError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_not_accepted() {
    let fake = serving(|asked: &Asked| {
        let first_is_over =
            asked.target.contains("offset=1") && asked.header("authorization").ends_with("-1");
        if first_is_over {
            return Told::status(401);
        }
        let next = (!asked.target.contains("offset=1"))
            .then(|| format!("{}/api/v3/reviews/?offset=1", asked.base()));
        list(&[review_7(&json!(1))], next.as_deref())
    })
    .await;
    let account = account(&fake);
    for _ in 0..2 {
        assert_eq!(all(account.reviews("tenant_a", None)).await.len(), 2);
    }
    let (first, second, token) = ("/api/v3/reviews/", "/api/v3/reviews/?offset=1", "/api/token/");
    assert_eq!(fake.targets(), [token, first, second, token, second, first, second]);
}

#[tokio::test]
async fn a_refused_sign_in_names_the_settings_and_no_secret() {
    for status in [400, 401] {
        let fake = Fake::start(move |_| Told::status(status)).await;
        let account = account(&fake);
        let (_, error) = until_error(account.reviews("tenant_a", None)).await;
        assert!(
            matches!(&error, SourceError::Refused { reason, .. } if reason.contains("username")),
            "{error}"
        );
        for shown in [error.to_string(), format!("{error:?}"), format!("{account:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(fake.targets(), ["/api/token/"]);
    }
}

#[tokio::test]
async fn a_token_that_is_refused_at_once_is_not_renewed_for_ever() {
    let fake = serving(|_| Told::status(401)).await;
    let account = account(&fake);
    let (_, error) = until_error(account.reviews("tenant_a", None)).await;
    assert!(matches!(&error, SourceError::Refused { .. }), "{error}");
    assert_eq!(fake.targets().len(), 2);
    assert!(!format!("{account:?}").contains("hunter2"));
}
