use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use url::Url;

use super::*;

type Answers = Arc<Mutex<dyn FnMut(Option<String>) -> Result<Page, SourceError> + Send>>;

fn page(objects: &[Value], next: Option<&str>) -> Page {
    let raw = |object: &Value| RawValue::from_string(object.to_string()).unwrap();
    Page { items: objects.iter().map(raw).collect(), next: Ok(next.map(str::to_owned)) }
}

fn throttled(seconds: u64) -> SourceError {
    let retry_after = Duration::from_secs(seconds);
    SourceError::Throttled { origin: "https://x.example/list".to_owned(), retry_after, place: None }
}

/// What a walk came to: its objects, the cursors it asked for, and its error.
struct Came {
    objects: Vec<(u64, Value)>,
    asked: Vec<Option<String>>,
    error: Option<SourceError>,
}

impl Came {
    fn reason(&self) -> String {
        match &self.error {
            Some(SourceError::Unreadable { reason, .. } | SourceError::Refused { reason, .. }) => {
                reason.clone()
            }
            other => panic!("{other:?}"),
        }
    }

    fn place(&self) -> Value {
        match &self.error {
            Some(SourceError::Throttled { place: Some(place), .. }) => place.of("test").unwrap().clone(),
            other => panic!("{other:?}"),
        }
    }
}

async fn walk(
    from: Option<&Value>,
    max_pages: u32,
    answer: impl FnMut(Option<String>) -> Result<Page, SourceError> + Send + 'static,
) -> Came {
    let url = Url::parse("https://x.example/list").unwrap();
    let max_pages = NonZeroU32::new(max_pages).unwrap();
    let start = Start { upstream: "test", url: &url, max_pages, from };
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (answer, log): (Answers, _) = (Arc::new(Mutex::new(answer)), asked.clone());
    let mut walk = Walk::new(&start, move |cursor: Option<String>| {
        log.lock().push(cursor.clone());
        std::future::ready((answer.lock())(cursor))
    });
    let (mut objects, mut error) = (Vec::new(), None);
    loop {
        match walk.next_page().await {
            Ok(Some(page)) => objects.extend(
                page.into_iter().map(|(number, item)| (number, serde_json::from_str(item.get()).unwrap())),
            ),
            Ok(None) => break,
            Err(new) => {
                error = Some(new);
                break;
            }
        }
    }
    let asked = asked.lock().clone();
    Came { objects, asked, error }
}

#[tokio::test]
async fn a_link_that_leads_back_ends_the_walk_however_long_the_circle() {
    for circle in [&["a"][..], &["a", "b"], &["b", "c", "d", "e"]] {
        let mut id = 0;
        let mut links = ["b", "c", "d", "e"].iter().chain(circle.iter().cycle());
        let came = walk(None, 5000, move |_| {
            id += 1;
            Ok(page(&[json!({"id": id})], Some(links.next().unwrap())))
        })
        .await;
        assert!(came.reason().contains("leads back"), "{}", came.reason());
        assert_eq!(came.objects.len(), came.asked.len(), "the page with the bad link is read too");
        assert!(came.asked.len() <= 10, "{:?}", came.asked);
    }
}

#[tokio::test]
async fn ever_new_links_to_what_was_read_already_end_the_walk() {
    // The same page; the same objects in another order, and changed; two pages in turn.
    let pages: [fn(u64) -> Vec<Value>; 4] = [
        |_| vec![json!({"id": 1}), json!({"id": 2})],
        |number| {
            vec![json!({"at": number, "id": 1 + number % 2}), json!({"at": number, "id": 2 - number % 2})]
        },
        |number| vec![json!({"id": number % 2})],
        |number| vec![json!({"name": format!("no id {}", number % 3)})],
    ];
    for objects in pages {
        let mut number = 0;
        let came = walk(None, 5000, move |_| {
            number += 1;
            Ok(page(&objects(number), Some(&format!("token-{number}"))))
        })
        .await;
        assert!(came.reason().contains("only objects of the pages before"), "{}", came.reason());
        assert!(came.asked.len() <= 4, "{:?}", came.asked);
    }
}

#[tokio::test]
async fn a_list_that_moves_while_it_is_read_is_no_circle() {
    let came = walk(None, 5000, |cursor| {
        Ok(match cursor.as_deref() {
            None => page(&[json!({"id": 1}), json!({"id": 2})], Some("2")),
            Some("2") => page(&[json!({"id": 2}), json!({"id": 3})], Some("3")),
            Some("3") => page(&[], Some("4")),
            // All that was on the last page has moved to the one before.
            _ => page(&[json!({"id": 3})], None),
        })
    })
    .await;
    assert_eq!((came.error, came.objects.len()), (None, 5));
}

#[tokio::test]
async fn empty_pages_and_ever_new_objects_are_bounded() {
    let endless = |objects: fn(u64) -> Vec<Value>| {
        let mut number = 0;
        move |_| {
            number += 1;
            Ok(page(&objects(number), Some(&number.to_string())))
        }
    };
    let came = walk(None, 5000, endless(|_| Vec::new())).await;
    assert!(came.reason().contains("empty pages"), "{}", came.reason());
    assert!(came.asked.len() <= 20, "{:?}", came.asked);
    let came = walk(None, 7, endless(|number| vec![json!({"id": number})])).await;
    assert!(came.reason().contains("more than 7 pages") && came.reason().contains("max_pages"));
    assert!(matches!(came.error, Some(SourceError::Refused { .. })), "another attempt would come as far");
    assert_eq!((came.asked.len(), came.objects.len()), (7, 7));
}

#[tokio::test]
async fn a_short_wait_happens_inside_the_walk() {
    let mut asked = 0;
    let came = walk(None, 5000, move |cursor| {
        asked += 1;
        match (asked, cursor) {
            (2, _) => Err(throttled(1)),
            (_, None) => Ok(page(&[json!({"id": 1})], Some("next"))),
            _ => Ok(page(&[json!({"id": 2})], None)),
        }
    })
    .await;
    assert_eq!((came.error, came.objects.len()), (None, 2));
    assert_eq!(came.asked, [None, Some("next".to_owned()), Some("next".to_owned())]);
}

#[tokio::test]
async fn after_a_long_wait_the_walk_goes_on_where_it_was() {
    let answer = |open: &'static [&'static str]| {
        move |cursor: Option<String>| match cursor.as_deref().unwrap_or("1") {
            at if !open.contains(&at) => Err(throttled(60)),
            "1" => Ok(page(&[json!({"id": 1}), json!({"id": 2})], Some("2"))),
            "2" => Ok(page(&[json!({"id": 3})], Some("3"))),
            _ => Ok(page(&[json!({"id": 4})], None)),
        }
    };
    let first = walk(None, 5000, answer(&["1"])).await;
    assert_eq!(first.objects.len(), 2);
    let second = walk(Some(&first.place()), 5000, answer(&["2"])).await;
    let third = walk(Some(&second.place()), 5000, answer(&["3"])).await;
    assert_eq!(
        (&second.objects[..], &third.objects[..]),
        (&[(3, json!({"id": 3}))][..], &[(4, json!({"id": 4}))][..])
    );
    assert_eq!(second.asked, [Some("2".to_owned()), Some("3".to_owned())]);
    assert_eq!(third.error, None);
    let came = walk(Some(&second.place()), 3, answer(&["3"])).await;
    assert_eq!(came.error, None, "three pages are read");
    let came = walk(Some(&first.place()), 2, answer(&["2", "3"])).await;
    assert!(came.reason().contains("more than 2 pages"), "pages count over all its waits");
}

#[tokio::test]
async fn who_asks_for_a_second_again_and_again_is_left_alone_for_longer() {
    let mut place = json!({"cursor": "2", "pages": 1, "objects": 1, "waits": 4});
    let mut waits = Vec::new();
    for _ in 0..7 {
        let came = walk(Some(&place), 5000, |_| Err(throttled(1))).await;
        let Some(SourceError::Throttled { retry_after, .. }) = &came.error else {
            panic!("{:?}", came.error)
        };
        waits.push(retry_after.as_secs());
        place = came.place();
    }
    assert_eq!(waits, [16, 32, 64, 128, 256, 512, 512]);
    let came = walk(Some(&place), 5000, |_| Err(throttled(86_400))).await;
    assert!(
        matches!(came.error, Some(SourceError::Throttled { retry_after, .. }) if retry_after.as_secs() == 86_400)
    );
}

#[tokio::test]
async fn a_place_of_another_form_is_the_beginning() {
    let came = walk(Some(&json!(["of", "another", "version"])), 5000, |_| Ok(page(&[], None))).await;
    assert_eq!((came.asked, came.error), (vec![None], None));
}
