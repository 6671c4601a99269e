//! The operations keep the signing keys of access tokens in order.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use weirgate::operations::{Operations, RotateSigningKeys};
use weirgate_identity::signing_keys;
use weirgate_identity::{SecretKey, SecretKeys};
use weirgate_queue::schedule;
use weirgate_test_support::TestDb;

use crate::support::{all_domains, database};

/// What a tick enqueues now.
async fn tick(db: &TestDb) -> Vec<Uuid> {
    let mut tx = db.pool.begin().await.unwrap();
    let jobs =
        schedule::run_now(&mut tx, &all_domains().schedules(), "rotate_signing_keys", None).await.unwrap();
    tx.commit().await.unwrap();
    jobs
}

#[tokio::test]
async fn the_schedule_enqueues_a_job_where_there_is_something_to_do() {
    let db = database().await;
    let keys = SecretKeys::new(SecretKey::generate(), None);
    assert!(tick(&db).await.is_empty(), "nobody has asked for a token yet");
    let first = signing_keys::ensure(&mut db.pool.acquire().await.unwrap(), &keys).await.unwrap().signing;
    assert!(tick(&db).await.is_empty(), "it signs for a month");
    db.travel(Duration::from_hours(29 * 24 + 1)).await;
    let [job] = tick(&db).await[..] else { panic!("the next key is due") };
    assert_eq!(db.job(job).await.kind, "rotate_signing_keys");

    let without = Arc::new(Operations { pool: db.pool.clone(), secret_keys: None });
    let done = db.run(&without, &RotateSigningKeys {}).await.unwrap();
    assert!(done.made.is_empty() && done.message.contains("WEIRGATE_SECRET_KEY"), "{done:?}");
    let with = Arc::new(Operations { pool: db.pool.clone(), secret_keys: Some(keys) });
    let done = db.run(&with, &RotateSigningKeys {}).await.unwrap();
    assert_eq!(
        done.message,
        "1 key made, 0 keys emptied as they sign no longer, 0 keys deleted after their end"
    );
    assert!(tick(&db).await.is_empty(), "it is made");

    db.travel(Duration::from_hours(24)).await;
    assert_eq!(tick(&db).await.len(), 1, "the former private half is to go");
    let done = db.run(&with, &RotateSigningKeys {}).await.unwrap();
    assert_eq!((done.made.len(), done.emptied, done.deleted), (0, 1, 0), "{done:?}");
    assert!(tick(&db).await.is_empty());
    let all = signing_keys::list(&mut db.pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!((all.len(), &all[1].kid, all[1].sealed_by), (2, &first, None));
}
