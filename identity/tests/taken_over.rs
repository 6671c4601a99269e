//! A database of the version that knew users of the dashboard alone: who was one of them goes on as
//! before.

use weirgate_identity::sign_in::Candidate;
use weirgate_identity::{MIGRATOR, keys, memberships, platform, sessions};
use weirgate_test_support::{IDENTITY, TestDb, tenant};

/// The last version of the schema that had users.
const BEFORE: i64 = 5;

#[tokio::test]
async fn users_sessions_browsers_and_keys_of_before_go_on() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    let acme = tenant(pool, "acme", "UTC").await;
    let mut conn = pool.acquire().await.unwrap();
    MIGRATOR.undo(&mut *conn, BEFORE).await.unwrap();
    let hash = weirgate_identity::passwords::hash("a long password").await.unwrap();
    let [noted, not_noted, ended] = ["noted", "not noted", "ended"].map(sessions::hash);
    let users = "insert into identity.users (id, email, password_hash, role, disabled_at) values
        ('00000000-0000-0000-0000-000000000001', 'Ada@example.com', $1, 'admin', null),
        ('00000000-0000-0000-0000-000000000002', 'off@example.com', $1, 'viewer', now())";
    sqlx::query(users).bind(&hash).execute(&mut *conn).await.unwrap();
    for (token, user, role) in
        [(&noted, 1, Some("admin")), (&not_noted, 1, None), (&ended, 1, Some("viewer"))]
    {
        sqlx::query(
            "insert into identity.sessions (token_hash, user_id, csrf, role)
             values ($1, ('00000000-0000-0000-0000-00000000000' || $2)::uuid, 'csrf', $3)",
        )
        .bind(token)
        .bind(user.to_string())
        .bind(role)
        .execute(&mut *conn)
        .await
        .unwrap();
    }
    let browser = sessions::hash("browser");
    sqlx::query("insert into identity.known_browsers (token_hash, user_id) values ($1, '00000000-0000-0000-0000-000000000001')")
        .bind(browser)
        .execute(&mut *conn)
        .await
        .unwrap();
    let key = keys::new_key([7; 32]);
    sqlx::query("insert into identity.api_keys (id, tenant_id, prefix, key_hash, name) values (gen_random_uuid(), $1, $2, $3, 'old')")
        .bind(acme.id)
        .bind(&key.prefix)
        .bind(key.hash)
        .execute(&mut *conn)
        .await
        .unwrap();

    MIGRATOR.run(&mut *conn).await.unwrap();
    drop(conn);

    let account = Candidate::find(pool, "ada@example.com").await.unwrap();
    let account = account.verify(pool, "a long password", ()).await.expect("the password is good");
    let off = Candidate::find(pool, "off@example.com").await.unwrap();
    assert!(off.verify(pool, "a long password", ()).await.is_none(), "who was disabled stays so");
    let all = memberships::of(&mut pool.acquire().await.unwrap(), account.id).await.unwrap();
    assert_eq!(memberships::on_platform(&all), Some(platform::Role::Admin));
    for token in [&noted, &not_noted] {
        let session = sessions::find(pool, token).await.unwrap().expect("it goes on");
        assert_eq!((session.account, session.csrf.as_str()), (account.id, "csrf"));
        assert_eq!(session.role, Some(platform::Role::Admin));
    }
    assert!(sessions::find(pool, &ended).await.unwrap().is_none(), "of another role");
    assert!(sessions::knows_browser(pool, &browser, "ada@example.com").await.unwrap());
    let found = keys::stored(&mut pool.acquire().await.unwrap(), &[key.prefix]).await.unwrap();
    assert_eq!(found[0].found().holder.unwrap().tenant, acme.id);
}
