//! A private argument is nowhere in the clear, and nowhere at all once its job has ended.

use futures_util::StreamExt;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgListener;
use uuid::Uuid;
use weirgate_queue::read::{self, JobFilter};
use weirgate_queue::worker::Outcome;
use weirgate_queue::{JobState, NewJob, Workflow, control};
use weirgate_test_support::{Does, Step, TestDb, TestKeys};

use super::{Act, Office, SECRET, letter, stored};

/// Every row of the engine's tables, as text, with the name of its table.
async fn dump(db: &TestDb) -> Vec<(String, String)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = relnamespace
         where nspname = 'queue' and relkind in ('r', 'v')",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(tables.len() > 15, "{tables:?}");
    let mut rows = Vec::new();
    for table in tables {
        let sql = AssertSqlSafe(format!("select t::text from {table} t"));
        let texts: Vec<String> = sqlx::query_scalar(sql).fetch_all(&db.pool).await.unwrap();
        rows.extend(texts.into_iter().map(|text| (table.clone(), text)));
    }
    rows
}

/// What is stored of the only private argument, as Postgres writes bytes.
async fn ciphertext(db: &TestDb) -> String {
    sqlx::query_scalar("select encode(sealed, 'hex') from queue.private_args")
        .fetch_one(&db.pool)
        .await
        .unwrap()
}

fn naming<'a>(rows: &'a [(String, String)], marker: &str) -> Vec<&'a str> {
    rows.iter().filter(|(_, text)| text.contains(marker)).map(|(table, _)| table.as_str()).collect()
}

#[tokio::test]
async fn it_is_in_the_clear_in_no_table_and_in_none_at_all_after_the_end() {
    for cancels in [false, true] {
        let db = TestDb::new().await;
        let office = Office::of(&db);
        let job = db.enqueue_new(letter(Act::FailFirst)).await.id;
        let sealed = ciphertext(&db).await;
        let before = dump(&db).await;
        assert_eq!(naming(&before, &sealed), ["queue.private_args"]);
        assert!(naming(&before, SECRET).is_empty());
        if cancels {
            control::cancel(&mut db.pool.acquire().await.unwrap(), job).await.unwrap();
        } else {
            let worker = office.worker(&db, Some(TestKeys::new(1)));
            db.until(job, JobState::Completed).await;
            worker.stop().await;
            assert_eq!(office.read(), [SECRET, SECRET]);
        }
        let after = dump(&db).await;
        assert!(naming(&after, &job.to_string()).contains(&"queue.jobs"), "the job is there");
        for marker in [SECRET, &sealed] {
            assert!(naming(&after, marker).is_empty(), "{:?}", naming(&after, marker));
        }
    }
}

#[tokio::test]
async fn no_read_shows_it_and_no_filter_finds_it() {
    let db = TestDb::new().await;
    let office = Office::of(&db);
    let job = db.enqueue_new(letter(Act::DiscardFirst)).await.id;
    let worker = office.worker(&db, Some(TestKeys::new(1)));
    db.until(job, JobState::Discarded).await;
    worker.stop().await;
    let sealed = ciphertext(&db).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let row = read::get(&mut conn, job).await.unwrap().unwrap();
    let shown = [
        format!("{row:?}"),
        format!("{:?}", read::get_abridged(&mut conn, job).await.unwrap()),
        format!("{:?}", read::list(&mut conn, &JobFilter::default(), None, 10).await.unwrap()),
    ];
    assert!(shown[2].contains(&job.to_string()), "the list has the job");
    for (text, marker) in shown.iter().flat_map(|text| [(text, SECRET), (text, sealed.as_str())]) {
        assert!(!text.contains(marker), "{text}");
    }
    let texts = [SECRET, &SECRET[..8], &sealed, &sealed[60..90]];
    for filter in texts.map(|text| JobFilter { text: Some(text.to_owned()), ..JobFilter::default() }) {
        assert!(read::list(&mut conn, &filter, None, 10).await.unwrap().rows.is_empty(), "{filter:?}");
    }
    assert_eq!(stored(&db).await, 1, "the dead letter has it");
}

#[tokio::test]
async fn no_notification_carries_it() {
    let db = TestDb::new().await;
    let mut listener = PgListener::connect_with(&db.pool).await.unwrap();
    listener
        .listen_all(["weirgate_jobs", "weirgate_cancel", "weirgate_leader", "weirgate_drain", "the_end"])
        .await
        .unwrap();
    let office = Office::of(&db);
    let worker = office.worker(&db, Some(TestKeys::new(1)));
    let job = db.enqueue_new(letter(Act::WaitForCancel)).await.id;
    db.until(job, JobState::Running).await;
    let sealed = ciphertext(&db).await;
    control::cancel(&mut db.pool.acquire().await.unwrap(), job).await.unwrap();
    db.until(job, JobState::Cancelled).await;
    worker.stop().await;
    db.execute("notify the_end").await;
    let mut heard = Vec::new();
    let mut notifications = listener.into_stream();
    while let Some(notification) = notifications.next().await {
        let notification = notification.unwrap();
        if notification.channel() == "the_end" {
            break;
        }
        heard.push(notification.payload().to_owned());
    }
    assert!(heard.iter().any(|payload| payload.contains(&job.to_string())), "the cancel: {heard:?}");
    assert!(heard.iter().all(|it| !it.contains(SECRET) && !it.contains(&sealed[..20])), "{heard:?}");
}

#[test]
fn debug_of_what_is_enqueued_shows_nothing_of_it() {
    let private = || {
        let step = NewJob::of(Uuid::nil(), &Step::new("a", Does::Succeed)).unwrap();
        step.private(&*TestKeys::new(1), SECRET).unwrap()
    };
    let mut workflow = Workflow::new();
    workflow.add("a", private());
    let next = Outcome::Completed { output: serde_json::Value::Null, next: vec![private()] };
    for shown in [format!("{:?}", private()), format!("{workflow:?}"), format!("{next:?}")] {
        assert!(shown.contains("private: Some(sealed)") && !shown.contains(SECRET), "{shown}");
    }
}
