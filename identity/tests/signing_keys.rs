//! Signing keys follow one another.

use std::time::Duration;

use sqlx::PgPool;
use weirgate_identity::SecretKeys;
use weirgate_identity::audit::Actor;
use weirgate_identity::signing_keys::{self, State, Tidied};
use weirgate_test_support::{IDENTITY, TestDb};

use crate::support::{ensure, secret, secrets};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The keys with what each is good for, the newest first.
async fn states(pool: &PgPool) -> Vec<(String, State)> {
    let all = signing_keys::list(&mut pool.acquire().await.unwrap()).await.unwrap();
    all.into_iter().map(|key| (key.kid, key.state)).collect()
}

async fn rotate(pool: &PgPool) -> String {
    let mut tx = pool.begin().await.unwrap();
    let kid = signing_keys::rotate(&mut tx, &Actor::cli(), &secrets()).await.unwrap();
    tx.commit().await.unwrap();
    kid
}

async fn revoke(pool: &PgPool, kid: &str) -> Option<String> {
    let mut tx = pool.begin().await.unwrap();
    let signing = signing_keys::revoke(&mut tx, &Actor::cli(), &secrets(), kid).await.unwrap();
    tx.commit().await.unwrap();
    signing
}

async fn tidy(pool: &PgPool) -> Tidied {
    let mut tx = pool.begin().await.unwrap();
    let tidied = signing_keys::tidy(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    tidied
}

async fn noted(pool: &PgPool) -> Vec<(String, String)> {
    sqlx::query_as("select action, target from identity.audit order by id").fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn each_key_is_followed_by_one_that_was_made_a_day_before() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    let first = ensure(pool).await;
    assert_eq!((first.made.as_slice(), &first.next), ([first.signing.clone()].as_slice(), &None));
    db.travel(28 * DAY + 23 * HOUR).await;
    let same = ensure(pool).await;
    assert_eq!((&same.signing, same.next, same.made), (&first.signing, None, vec![]), "it is too early");

    db.travel(2 * HOUR).await;
    let with_next = ensure(pool).await;
    let next = with_next.next.unwrap();
    assert_eq!((&with_next.signing, &with_next.made), (&first.signing, &vec![next.clone()]));
    assert_eq!(ensure(pool).await.made, Vec::<String>::new(), "one is enough");
    let expected = [(next.clone(), State::Next), (first.signing.clone(), State::Signing)];
    assert_eq!(states(pool).await, expected);

    db.travel(DAY).await;
    assert_eq!(ensure(pool).await.signing, next);
    assert_eq!(states(pool).await[1], (first.signing.clone(), State::Verifying));
    // It has signed until an hour ago: its last token has ended by now.
    db.travel(HOUR).await;
    assert_eq!(states(pool).await[1], (first.signing.clone(), State::Ended));
    assert_eq!(tidy(pool).await, Tidied { emptied: 1, deleted: 0 });
    db.travel(30 * DAY).await;
    assert_eq!(tidy(pool).await.deleted, 1);
    assert!(states(pool).await.iter().all(|(kid, _)| *kid != first.signing));
}

#[tokio::test]
async fn two_processes_that_begin_at_once_make_one_key() {
    let db = TestDb::of(&IDENTITY).await;
    // Its transaction begins first and takes its turn second.
    let mut second = db.pool.begin().await.unwrap();
    sqlx::query("select queue.now()").execute(&mut *second).await.unwrap();
    let mut first = db.pool.begin().await.unwrap();
    let made = signing_keys::ensure(&mut first, &secrets()).await.unwrap();
    let waiting = tokio::spawn(async move {
        let ensured = signing_keys::ensure(&mut second, &secrets()).await.unwrap();
        second.commit().await.unwrap();
        ensured
    });
    db.until_blocked().await;
    first.commit().await.unwrap();
    let other = waiting.await.unwrap();
    assert_eq!((other.signing, other.made), (made.signing.clone(), vec![]));
    assert_eq!(states(&db.pool).await, [(made.signing, State::Signing)]);
}

#[tokio::test]
async fn after_a_rotation_the_former_key_verifies_until_its_last_token_has_ended() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    let first = ensure(pool).await.signing;
    let second = rotate(pool).await;
    assert_eq!(states(pool).await, [(second.clone(), State::Signing), (first.clone(), State::Verifying)]);
    // Signed at the last moment, by a process that had not heard of it yet.
    db.travel(HOUR + Duration::from_secs(60 + 29)).await;
    assert_eq!(states(pool).await[1].1, State::Verifying);
    db.travel(Duration::from_secs(2)).await;
    assert_eq!(states(pool).await[1].1, State::Ended);
    // With a next key at hand, that one takes over, for its whole time.
    db.travel(29 * DAY).await;
    let next = ensure(pool).await.next.unwrap();
    assert_eq!(rotate(pool).await, next);
    db.travel(28 * DAY + 23 * HOUR).await;
    assert_eq!(ensure(pool).await.signing, next);
    let entries = noted(pool).await;
    assert_eq!(entries, [second, next].map(|kid| ("signing_key.rotate".to_owned(), kid)));
}

#[tokio::test]
async fn a_revoked_key_is_replaced_and_its_private_half_deleted() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    let first = ensure(pool).await.signing;
    let second = revoke(pool, &first).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(states(pool).await, [(second.clone(), State::Signing), (first.clone(), State::Revoked)]);
    let keys = signing_keys::list(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(keys[0].sealed_by, Some(secrets().current()));
    assert_eq!(keys[1].sealed_by, None);
    assert_eq!(revoke(pool, &first).await, None, "it was revoked before");
    assert_eq!(revoke(pool, "nobody").await, None);
    assert_eq!(noted(pool).await, [("signing_key.revoke".to_owned(), first)]);
    // The one that would follow takes over where there is one.
    db.travel(29 * DAY + HOUR).await;
    let next = ensure(pool).await.next.unwrap();
    assert_eq!(revoke(pool, &second).await, Some(next));
}

#[tokio::test]
async fn what_the_old_key_sealed_is_sealed_anew_once() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    let kid = ensure(pool).await.signing;
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(signing_keys::sealed_with(&mut conn).await.unwrap(), [secrets().current()]);
    let changing = SecretKeys::new(secret(2), Some(secret(1)));
    assert_eq!(signing_keys::reseal(&mut conn, &changing).await.unwrap(), 1);
    assert_eq!(signing_keys::reseal(&mut conn, &changing).await.unwrap(), 0);
    assert_eq!(signing_keys::sealed_with(&mut conn).await.unwrap(), [changing.current()]);
    let changed = SecretKeys::new(secret(2), None);
    assert_eq!(signing_keys::ensure(&mut conn, &changed).await.unwrap().signing, kid, "it still opens");
    let error = signing_keys::reseal(&mut conn, &secrets()).await.unwrap_err().to_string();
    assert!(error.contains(&changed.current().to_string()) && error.contains(&kid), "{error}");
}

#[tokio::test]
async fn a_lost_secret_key_is_overcome_by_new_signing_keys() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    let lost = SecretKeys::new(secret(9), None);
    let mut conn = pool.acquire().await.unwrap();
    let first = signing_keys::ensure(&mut conn, &lost).await.unwrap().signing;
    db.travel(29 * DAY + HOUR).await;
    let next = signing_keys::ensure(&mut conn, &lost).await.unwrap().next.unwrap();
    let new = revoke(pool, &first).await.unwrap();
    assert_ne!(new, next, "the next one cannot be opened");
    assert_eq!(revoke(pool, &next).await, Some(new));
    assert_eq!(signing_keys::sealed_with(&mut conn).await.unwrap(), [secrets().current()]);
}
