//! Accounts: who signs in, by which password, and that one who may manage them stays.

use sqlx::PgPool;
use weirgate_identity::accounts::{self, Account, New};
use weirgate_identity::admins::{self, AdminsError};
use weirgate_identity::platform::{self, Role};
use weirgate_identity::sign_in::Candidate;
use weirgate_identity::{invitations, memberships};
use weirgate_test_support::{IDENTITY, TestDb, tenant};

const PASSWORD: &str = "a long password";

async fn sign_in(pool: &PgPool, email: &str, password: &str) -> Option<Account> {
    Candidate::find(pool, email).await.unwrap().verify(pool, password, ()).await
}

async fn hash_of(pool: &PgPool, email: &str) -> String {
    sqlx::query_scalar("select password_hash from identity.accounts where email = $1")
        .bind(email)
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_hash_of_another_system_signs_in_and_is_replaced_once() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    let new = New { email: "ada@example.com", ..New::default() };
    accounts::create(&mut pool.acquire().await.unwrap(), new).await.unwrap();
    let bcrypt = bcrypt::hash(PASSWORD, 4).unwrap();
    sqlx::query("update identity.accounts set password_hash = $1").bind(&bcrypt).execute(pool).await.unwrap();
    assert!(sign_in(pool, "ada@example.com", "a wrong password").await.is_none());
    assert_eq!(hash_of(pool, "ada@example.com").await, bcrypt, "a wrong password changes nothing");
    // Both find the hash of the other system; one replaces it.
    let (one, other) =
        tokio::join!(sign_in(pool, "ada@example.com", PASSWORD), sign_in(pool, "ADA@example.com", PASSWORD));
    assert!(one.is_some() && other.is_some());
    let replaced = hash_of(pool, "ada@example.com").await;
    assert!(replaced.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{replaced}");
    assert!(sign_in(pool, "ada@example.com", PASSWORD).await.is_some());
    assert_eq!(hash_of(pool, "ada@example.com").await, replaced, "once");
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_is_not_overwritten_by_its_old_hash() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    platform::create(pool, "ada@example.com", Role::Viewer, PASSWORD).await.unwrap();
    let bcrypt = bcrypt::hash(PASSWORD, 4).unwrap();
    sqlx::query("update identity.accounts set password_hash = $1").bind(&bcrypt).execute(pool).await.unwrap();
    let candidate = Candidate::find(pool, "ada@example.com").await.unwrap();
    accounts::set_password(pool, "ada@example.com", "another password").await.unwrap();
    candidate.verify(pool, PASSWORD, ()).await;
    assert!(sign_in(pool, "ada@example.com", "another password").await.is_some());
    assert!(sign_in(pool, "ada@example.com", PASSWORD).await.is_none());
}

#[tokio::test]
async fn of_two_admins_who_end_each_other_at_once_one_stays() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    for round in 0..10 {
        let emails = ["ada", "grace"].map(|name| format!("{name}{round}@example.com"));
        for email in &emails {
            platform::create(pool, email, Role::Admin, PASSWORD).await.unwrap();
        }
        let end = async |email: &str, by_role: bool| {
            let mut tx = pool.begin().await.unwrap();
            let id = accounts::id_of(&mut tx, email).await.unwrap();
            match admins::require_another(&mut tx, id).await {
                Err(AdminsError::Last(who)) => assert_eq!(who, email),
                Err(error) => panic!("{error}"),
                Ok(()) if by_role => {
                    memberships::give(&mut tx, id, platform::APP, None, "viewer").await.unwrap();
                }
                Ok(()) => accounts::disable(&mut *tx, email).await.unwrap(),
            }
            tx.commit().await.unwrap();
        };
        tokio::join!(end(&emails[0], round % 2 == 0), end(&emails[1], false));
        let left: Vec<String> = sqlx::query_scalar(
            "select a.email from identity.accounts a join identity.memberships m on m.account_id = a.id
             where m.role = 'admin' and m.disabled_at is null and a.disabled_at is null",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        sqlx::query("delete from identity.accounts").execute(pool).await.unwrap();
    }
}

#[tokio::test]
async fn who_cannot_sign_in_is_no_other_admin() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    let mut conn = pool.acquire().await.unwrap();
    let ada = platform::create(&mut *conn, "ada@example.com", Role::Admin, PASSWORD).await.unwrap();
    let invited =
        accounts::create(&mut conn, New { email: "new@example.com", ..New::default() }).await.unwrap();
    memberships::give(&mut conn, invited.id, platform::APP, None, "admin").await.unwrap();
    platform::create(&mut *conn, "off@example.com", Role::Admin, PASSWORD).await.unwrap();
    accounts::disable(&mut *conn, "off@example.com").await.unwrap();
    platform::create(&mut *conn, "eve@example.com", Role::Operator, PASSWORD).await.unwrap();
    let refused = admins::require_another(&mut conn, ada.id).await.unwrap_err();
    assert!(refused.to_string().contains("ada@example.com is the last admin who can sign in"), "{refused}");
    // Who is none may go.
    admins::require_another(&mut conn, invited.id).await.unwrap();
    accounts::enable(&mut *conn, "off@example.com").await.unwrap();
    admins::require_another(&mut conn, ada.id).await.unwrap();
}

#[tokio::test]
async fn a_link_is_used_once_though_two_use_it_at_the_same_time() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    let new = New { email: "grace@example.com", ..New::default() };
    let mut conn = pool.acquire().await.unwrap();
    let account = accounts::create(&mut conn, new).await.unwrap();
    invitations::create(&mut conn, account.id, "token", "ada@example.com").await.unwrap();
    let accept = async |password: &str| {
        let mut tx = pool.begin().await.unwrap();
        let invited = invitations::accept(&mut tx, "token", password).await.unwrap();
        tx.commit().await.unwrap();
        invited.is_some()
    };
    assert!(invitations::accept(&mut conn, "token", "short").await.is_err());
    assert!(invitations::find(&mut conn, "token").await.unwrap().is_some(), "it stays good");
    let (one, other) = tokio::join!(accept("the password of one"), accept("the password of the other"));
    assert!(one != other, "{one} {other}");
    let right = if one { "the password of one" } else { "the password of the other" };
    assert!(sign_in(pool, "grace@example.com", right).await.is_some());
    assert!(invitations::find(&mut conn, "token").await.unwrap().is_none());
}

#[tokio::test]
async fn memberships_count_with_their_tenant_and_until_they_are_withdrawn() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    let (acme, bolt) = (tenant(pool, "acme", "UTC").await, tenant(pool, "bolt", "UTC").await);
    let mut conn = pool.acquire().await.unwrap();
    let account =
        accounts::create(&mut conn, New { email: "grace@example.com", ..New::default() }).await.unwrap();
    for of in [acme.id, bolt.id] {
        memberships::give(&mut conn, account.id, "msp", Some(of), "reader").await.unwrap();
    }
    memberships::give(&mut conn, account.id, platform::APP, None, "viewer").await.unwrap();
    let words = async |conn: &mut sqlx::PgConnection| {
        let all = memberships::of(conn, account.id).await.unwrap().into_iter();
        all.map(|it| format!("{} {}", it.role, it.tenant.map_or(it.app, |tenant| tenant.slug)))
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&mut conn).await, ["viewer platform", "reader acme", "reader bolt"]);
    memberships::give(&mut conn, account.id, "msp", Some(acme.id), "analyst").await.unwrap();
    sqlx::query("update identity.tenants set is_active = false where slug = 'bolt'")
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(words(&mut conn).await, ["viewer platform", "analyst acme"], "one role of each place");
    assert!(memberships::withdraw(&mut conn, account.id, "msp", Some(acme.id)).await.unwrap());
    assert!(!memberships::withdraw(&mut conn, account.id, "msp", Some(acme.id)).await.unwrap());
    assert_eq!(words(&mut conn).await, ["viewer platform"]);
    let listed = accounts::get(&mut conn, account.id).await.unwrap().unwrap();
    assert_eq!(listed.roles_in_words(), "viewer, reader of msp of bolt");
    assert_eq!(listed.state(), "no password");
}
