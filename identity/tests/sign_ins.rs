//! What was looked at a moment ago holds no more: a password that was changed meanwhile, a session
//! that was ended, a role that was withdrawn.

use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::accounts::{self, Account, New};
use weirgate_identity::grants::{self, codes};
use weirgate_identity::{clients, invitations, memberships, passwords, sessions};
use weirgate_test_support::{IDENTITY, TestDb, tenant};

const EMAIL: &str = "grace@acme.example";

async fn scene() -> (TestDb, Account, Uuid) {
    let db = TestDb::of(&IDENTITY).await;
    let acme = tenant(&db.pool, "acme", "UTC").await.id;
    let mut conn = db.pool.acquire().await.unwrap();
    let new = New { email: EMAIL, password: Some("a long password"), ..New::default() };
    let account = accounts::create(&mut conn, new).await.unwrap();
    let membership = memberships::give(&mut conn, account.id, "msp", Some(acme), "reader").await.unwrap();
    drop(conn);
    (db, account, membership)
}

fn session<'a>(account: &Account, token: &'a sessions::Hash) -> sessions::New<'a> {
    sessions::New {
        token,
        account: account.id,
        token_epoch: account.token_epoch,
        csrf: "csrf",
        address: None,
        user_agent: None,
    }
}

async fn grant(pool: &PgPool, account: &Account, membership: Uuid) -> Uuid {
    let id = Uuid::now_v7();
    let new = grants::New {
        id,
        account: account.id,
        membership,
        client: None,
        scopes: None,
        token_epoch: account.token_epoch,
        address: None,
        user_agent: None,
    };
    grants::begin(&mut pool.acquire().await.unwrap(), new).await.unwrap();
    id
}

#[tokio::test]
async fn a_password_that_was_changed_since_it_was_checked_opens_nothing_and_is_not_changed_again() {
    let (db, account, membership) = scene().await;
    accounts::set_password(&db.pool, EMAIL, "another long password").await.unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    assert!(!sessions::begin(&mut conn, session(&account, &[1; 32])).await.unwrap());
    let hash = passwords::hash("a password of the thief").await.unwrap();
    let epoch = Some(account.token_epoch);
    assert!(!accounts::store_password(&mut conn, account.id, &hash, None, epoch).await.unwrap());
    let grant = grant(&db.pool, &account, membership).await;
    assert!(grants::live_one(&mut conn, grant).await.unwrap().is_none());
    let now = Account { token_epoch: account.token_epoch + 1, ..account };
    assert!(sessions::begin(&mut conn, session(&now, &[2; 32])).await.unwrap());
    assert!(accounts::store_password(&mut conn, now.id, &hash, None, Some(now.token_epoch)).await.unwrap());
}

#[tokio::test]
async fn a_session_that_was_ended_gets_no_code() {
    let (db, account, membership) = scene().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let uris = ["https://desk.example.com/in".to_owned()];
    let new = clients::New { client_id: "desk", name: "Desk", redirect_uris: &uris, origins: &[] };
    clients::create(&mut conn, new).await.unwrap();
    sessions::begin(&mut conn, session(&account, &[1; 32])).await.unwrap();
    let session = sessions::of_account(&mut conn, account.id).await.unwrap()[0].id;
    let code = |code| codes::New {
        code,
        client: "desk",
        redirect_uri: &uris[0],
        challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        membership,
        scopes: None,
        session,
    };
    assert!(codes::create(&mut conn, code("first")).await.unwrap());
    accounts::sign_out_everywhere(&db.pool, EMAIL).await.unwrap();
    assert!(!codes::create(&mut conn, code("second")).await.unwrap());
}

#[tokio::test]
async fn a_role_that_is_given_back_brings_no_tokens_of_before_back() {
    let (db, account, membership) = scene().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let before = grant(&db.pool, &account, membership).await;
    let subject = grants::live_one(&mut conn, before).await.unwrap().unwrap();
    memberships::withdraw(&mut conn, account.id, "msp", subject.tenant).await.unwrap();
    memberships::give(&mut conn, account.id, "msp", subject.tenant, "reader").await.unwrap();
    assert!(grants::live_one(&mut conn, before).await.unwrap().is_none());
    let after = grant(&db.pool, &account, membership).await;
    assert!(grants::live_one(&mut conn, after).await.unwrap().is_some());
}

#[tokio::test]
async fn links_end_with_what_ends_the_sign_ins() {
    let (db, account, _) = scene().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let hash = passwords::hash("another long password").await.unwrap();
    for end in 0..4 {
        invitations::create(&mut conn, account.id, "link", "test").await.unwrap();
        assert!(invitations::find(&mut conn, "link").await.unwrap().is_some());
        match end {
            0 => accounts::set_password(&db.pool, EMAIL, "another long password").await.unwrap(),
            1 => accounts::sign_out_everywhere(&db.pool, EMAIL).await.unwrap(),
            2 => assert!(accounts::store_password(&mut conn, account.id, &hash, None, None).await.unwrap()),
            _ => {
                accounts::disable(&db.pool, EMAIL).await.unwrap();
                accounts::enable(&db.pool, EMAIL).await.unwrap();
            }
        }
        assert!(invitations::find(&mut conn, "link").await.unwrap().is_none(), "{end}");
    }
}

#[tokio::test]
async fn of_very_many_sign_ins_the_newest_stay() {
    let (db, account, membership) = scene().await;
    let first = grant(&db.pool, &account, membership).await;
    for _ in 0..50 {
        db.travel(std::time::Duration::from_secs(1)).await;
        grant(&db.pool, &account, membership).await;
    }
    let mut conn = db.pool.acquire().await.unwrap();
    assert!(grants::live_one(&mut conn, first).await.unwrap().is_none());
    assert_eq!(grants::of_account(&mut conn, account.id).await.unwrap().len(), 50);
}
