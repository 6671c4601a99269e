//! What holds for all four upstreams alike, each by its own pages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::fake::{Asked, Fake, Told, all, client, json, until_error};
use super::*;
use serde_json::{Value, json};

/// The lists: a dataset, and the one account it is read from.
const LISTS: [(Dataset, &str); 5] = [
    (Dataset::Tickets, "connectwise"),
    (Dataset::TimeEntries, "connectwise"),
    (Dataset::Csat, "smileback"),
    (Dataset::SecurityAlerts, "sentinelone"),
    (Dataset::SecurityAlerts, "defender"),
];

fn source(url: &str, upstreams: &[&str]) -> LiveSource {
    let mut accounts = json!({
        "connectwise": {"url": url, "company": "acme", "public_key": "pub", "private_key": "k", "client_id": "c"},
        "smileback": {"url": url, "client_id": "app", "client_secret": "s", "username": "ada", "password": "p"},
        "sentinelone": {"url": url, "api_token": "t"},
        "defender": {"url": url, "login_url": url, "directory_id": "8a1b", "client_id": "app", "client_secret": "s"}
    });
    let accounts = accounts.as_object_mut().unwrap();
    accounts.retain(|name, _| upstreams.contains(&name.as_str()));
    for account in accounts.values_mut() {
        (account["requests_per_second"], account["max_pages"]) = (json!(1000), json!(20));
    }
    let text = json!({"tenant_a": accounts}).to_string();
    LiveSource::from_json(Path::new("sources.json"), &text, &client()).expect("good")
}

/// What is asked for: a page by its number, or a token.
enum Wanted {
    Page(u64),
    Token,
}

fn wanted(asked: &Asked) -> Wanted {
    if asked.target.contains("/token") {
        return Wanted::Token;
    }
    let number =
        ["&page=", "?page=", "cursor=", "skiptoken="].iter().find_map(|name| asked.target.split_once(name));
    Wanted::Page(number.map_or(1, |(_, number)| number.parse().expect("a number")))
}

type Paged = fn(&Asked, u64) -> Told;

/// A page as the upstream that was asked writes it.
fn page(asked: &Asked, ids: &[u64], next: Option<u64>) -> Told {
    let object = |id: &u64| json!({"id": id, "rating": 1, "chargeToType": "ServiceTicket"});
    let objects: Vec<Value> = ids.iter().map(object).collect();
    let path = asked.target.split('?').next().unwrap_or_default();
    let link = |name: &str| next.map(|next| format!("{}{path}?{name}={next}", asked.base()));
    match path {
        "/api/v3/reviews/" => json!({"results": objects, "next": link("page")}).into(),
        "/web/api/v2.1/threats" => {
            json!({"data": objects, "pagination": {"nextCursor": next.map(|it| it.to_string())}}).into()
        }
        "/v1.0/security/alerts_v2" => json!({"value": objects, "@odata.nextLink": link("$skiptoken")}).into(),
        _ if next.is_some() => Told::from(json!(objects)).with("link", "<https://elsewhere/x>; rel=\"next\""),
        _ => json!(objects).into(),
    }
}

/// An upstream whose pages are answered by `answer`.
async fn serving(answer: impl Fn(&Asked, u64) -> Told + Clone + Send + Sync + 'static) -> Fake {
    Fake::start(move |asked: &Asked| match wanted(asked) {
        Wanted::Token => json!({"access_token": "t"}).into(),
        Wanted::Page(number) => answer(asked, number),
    })
    .await
}

fn pages_asked(fake: &Fake) -> Vec<u64> {
    fake.asked()
        .iter()
        .filter_map(|asked| match wanted(asked) {
            Wanted::Page(number) => Some(number),
            Wanted::Token => None,
        })
        .collect()
}

/// Five pages of one object.
fn one_of_five(asked: &Asked, number: u64) -> Told {
    page(asked, &[number], (number < 5).then_some(number + 1))
}

fn place(error: SourceError) -> Place {
    match error {
        SourceError::Throttled { place: Some(place), .. } => place,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_long_wait_ends_with_the_place_to_go_on_from() {
    for (dataset, upstream) in LISTS {
        let told = AtomicUsize::new(0);
        let told = std::sync::Arc::new(told);
        let fake = serving(move |asked, number| {
            // At the first page, and at the fourth.
            if matches!((number, told.load(Ordering::Relaxed)), (1, 0) | (4, 1)) {
                told.fetch_add(1, Ordering::Relaxed);
                return Told::status(429).with("retry-after", "60");
            }
            one_of_five(asked, number)
        })
        .await;
        let source = source(&fake.url, &[upstream]);
        let (rows, error) = until_error(source.rows("tenant_a", dataset)).await;
        assert_eq!(rows, 0, "{upstream}: {error}");
        let (rows, error) = until_error(source.rows_from("tenant_a", dataset, &place(error))).await;
        assert_eq!(rows, 3, "{upstream}: {error}");
        // As the job's checkpoint keeps it.
        let stored = serde_json::to_string(&place(error)).expect("JSON");
        let kept = serde_json::from_str(&stored).expect("a place");
        let rest = all(source.rows_from("tenant_a", dataset, &kept)).await;
        assert_eq!(rest.iter().map(|it| it.line).collect::<Vec<_>>(), [4, 5], "{upstream}");
        assert_eq!(pages_asked(&fake), [1, 1, 2, 3, 4, 4, 5], "{upstream}");
        assert!(!stored.contains("hunter2") && !stored.contains("access_token"), "{stored}");
    }
}

#[tokio::test]
async fn a_page_that_is_refused_once_is_read_again_by_another_attempt() {
    for (dataset, upstream) in LISTS {
        for status in [400, 404, 408, 409, 410, 423, 500] {
            let fake = serving(
                move |asked, number| {
                    if number == 3 { Told::status(status) } else { one_of_five(asked, number) }
                },
            )
            .await;
            let (rows, error) = until_error(source(&fake.url, &[upstream]).rows("tenant_a", dataset)).await;
            assert_eq!(rows, 2, "{upstream} {status}");
            assert!(matches!(error, SourceError::Unreadable { .. }), "{upstream} {status}: {error}");
        }
        for (status, is_final) in
            [(400, true), (403, true), (404, true), (408, false), (409, false), (410, false), (423, false)]
        {
            let fake = serving(move |_, _| Told::status(status)).await;
            let (_, error) = until_error(source(&fake.url, &[upstream]).rows("tenant_a", dataset)).await;
            assert_eq!(
                matches!(error, SourceError::Refused { .. }),
                is_final,
                "{upstream} {status}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn what_a_token_endpoint_answers_for_the_moment_is_not_final() {
    for (dataset, upstream) in [(Dataset::Csat, "smileback"), (Dataset::SecurityAlerts, "defender")] {
        let error = async |told: Told| {
            let fake = Fake::start(move |_| told.clone()).await;
            let (_, error) = until_error(source(&fake.url, &[upstream]).rows("tenant_a", dataset)).await;
            assert!(fake.targets().iter().all(|it| it.contains("/token")), "{upstream}");
            error
        };
        for status in [408, 409, 410, 423, 500, 503] {
            let error = error(Told::status(status)).await;
            assert!(matches!(error, SourceError::Unreadable { .. }), "{upstream} {status}: {error}");
        }
        let busy =
            Told { status: 400, headers: vec![], body: r#"{"error": "temporarily_unavailable"}"#.to_owned() };
        assert!(matches!(error(busy).await, SourceError::Unreadable { .. }), "{upstream}");
        for status in [400, 401, 403, 404] {
            let error = error(Told::status(status)).await;
            assert!(matches!(error, SourceError::Refused { .. }), "{upstream} {status}: {error}");
        }
        let error = error(Told::status(429).with("retry-after", "90")).await;
        assert!(matches!(&error, SourceError::Throttled { retry_after, .. } if retry_after.as_secs() == 90));
        place(error);
    }
}

#[tokio::test]
async fn pages_that_do_not_end_are_an_error_after_few_requests() {
    let endless: [(Paged, usize); 4] = [
        // From the third page back to the second.
        (|asked, number| page(asked, &[number], Some(if number == 3 { 2 } else { number + 1 })), 4),
        // The same page under ever new numbers.
        (|asked, number| page(asked, &[1, 2], Some(number + 1)), 2),
        (|asked, number| page(asked, &[], Some(number + 1)), 20),
        (|asked, number| page(asked, &[number], Some(number + 1)), 20),
    ];
    for (dataset, upstream) in LISTS {
        for (which, (answer, most)) in endless.into_iter().enumerate() {
            // ConnectWise's pages have numbers and no links, and an empty one is the last.
            if upstream == "connectwise" && matches!(which, 0 | 2) {
                continue;
            }
            let fake = serving(answer).await;
            let (rows, error) = until_error(source(&fake.url, &[upstream]).rows("tenant_a", dataset)).await;
            let is_final = matches!(error, SourceError::Refused { .. });
            assert_eq!(is_final, error.to_string().contains("max_pages"), "{upstream}: {error}");
            assert!(pages_asked(&fake).len() <= most, "{upstream}: {error} after {:?}", pages_asked(&fake));
            assert!(which == 2 || rows > 0, "{upstream}: the rows before are handed out");
        }
    }
}

/// Alerts from both tools, where each answers as it is told on its first page.
async fn two_tools(sentinelone: Told, defender: Told) -> (Fake, LiveSource) {
    let fake = serving(move |asked, number| {
        let told = if asked.target.starts_with("/web") { &sentinelone } else { &defender };
        if told.status == 200 { page(asked, &[number], None) } else { told.clone() }
    })
    .await;
    let source = source(&fake.url, &["sentinelone", "defender"]);
    (fake, source)
}

#[tokio::test]
async fn one_tool_that_asks_to_wait_does_not_hold_up_the_other() {
    let wait = |seconds: &str| Told::status(429).with("retry-after", seconds);
    let fine = Told { status: 200, headers: vec![], body: String::new() };
    for (sentinelone, defender, rows, seconds) in [
        (wait("60"), fine.clone(), 1, 60),
        (fine, wait("60"), 1, 60),
        (wait("60"), wait("300"), 0, 300),
        (wait("300"), wait("60"), 0, 300),
        // What is refused is met again after the wait.
        (Told::status(401), wait("60"), 0, 60),
        (wait("60"), Told::status(403), 0, 60),
    ] {
        let (fake, source) = two_tools(sentinelone.clone(), defender.clone()).await;
        let (found, error) = until_error(source.rows("tenant_a", Dataset::SecurityAlerts)).await;
        assert_eq!(found, rows);
        assert!(
            matches!(&error, SourceError::Throttled { retry_after, .. } if *retry_after == Duration::from_secs(seconds)),
            "{error}"
        );
        let before = fake.targets().len();
        let (found, _) =
            until_error(source.rows_from("tenant_a", Dataset::SecurityAlerts, &place(error))).await;
        assert_eq!(found, 0, "what is read to its end is not read again");
        let asked: Vec<_> = fake.targets().split_off(before);
        let is_asked = |path: &str| asked.iter().any(|it| it.starts_with(path));
        assert_eq!(is_asked("/web"), sentinelone.status != 200, "{asked:?}");
        assert_eq!(is_asked("/v1.0"), defender.status != 200, "{asked:?}");
    }
}

#[tokio::test]
async fn a_tool_that_refuses_does_not_hide_the_others_alerts() {
    let fake = serving(|asked, number| {
        if asked.target.starts_with("/web") {
            Told::status(401)
        } else {
            page(asked, &[1, 2, 3], (number < 1).then_some(2))
        }
    })
    .await;
    let mut rows = source(&fake.url, &["sentinelone", "defender"]).rows("tenant_a", Dataset::SecurityAlerts);
    for id in ["1", "2", "3"] {
        let row = rows.try_next().await.expect("a row").expect("a row");
        assert_eq!((&json(&row)["alert_id"], &json(&row)["source"]), (&json!(id), &json!("defender")));
    }
    assert!(matches!(rows.try_next().await, Err(SourceError::Refused { .. })));
}
