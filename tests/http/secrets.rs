//! No secret is in the database in the clear: whoever has a dump can neither sign in nor use a token.

use axum::http::StatusCode;
use serde_json::json;
use weirgate_identity::invitations;

use crate::support::TestApi;
use crate::support::member::{Browser, know_client, member, of_code, of_refresh, token, tokens};
use crate::support::person::PASSWORD;

/// All rows of all tables as text; bytes are hexadecimal digits in it.
async fn dump(api: &TestApi) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables
         where schemaname in ('queue', 'identity', 'msp') order by 1",
    )
    .fetch_all(&api.db().pool)
    .await
    .unwrap();
    assert!(tables.len() > 40, "{tables:?}");
    let mut all = String::new();
    for table in tables {
        let sql = format!("select coalesce(string_agg(t::text, e'\\n'), '') from {table} t");
        let rows: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&api.db().pool).await.unwrap();
        all += &rows;
        all.push('\n');
    }
    all
}

#[tokio::test]
async fn a_dump_holds_nothing_that_opens_anything() {
    let api = TestApi::new().await;
    know_client(&api).await;
    let account = member(&api, "grace@acme.example", "analyst", &[api.cca.id]).await;
    let mut secrets = vec![PASSWORD.to_owned(), api.cca.api_key.clone().unwrap()];

    let browser = Browser::sign_in(&api, "grace@acme.example").await;
    secrets.push(browser.cookie().split_once('=').unwrap().1.to_owned());
    let unused = browser.code(&[]).await;
    let used = browser.code(&[]).await;
    assert_eq!(token(&api, &of_code(&used)).await.status, StatusCode::OK);
    secrets.extend([unused, used]);
    let first = tokens(&api, "grace@acme.example").await;
    let second = first.next(&api).await;
    assert_eq!(token(&api, &of_refresh(&second.refresh)).await.status, StatusCode::OK);
    secrets.extend([first.access, first.refresh, second.access, second.refresh]);
    let login = json!({ "email": "grace@acme.example", "password": PASSWORD }).to_string();
    let login = api.anonymous("POST", "/api/v1/auth/login").json(login).send().await.ok(StatusCode::OK);
    secrets.extend(["token", "refreshToken"].map(|name| login[name].as_str().unwrap().to_owned()));
    let invitation = "9f2c4e1b7a60d853f1c2b4a697e8d0135c7b9a2e4f6081d3c5b7a9e1f2d4c6b8";
    let mut conn = api.db().pool.acquire().await.unwrap();
    invitations::create(&mut conn, account, invitation, "test").await.unwrap();
    secrets.push(invitation.to_owned());

    let all = dump(&api).await;
    assert!(all.contains("grace@acme.example") && all.contains("$argon2id$"), "it is a dump");
    for secret in &secrets {
        assert!(secret.len() >= 12);
        let kept = secret.rsplit_once('_').map_or(secret.as_str(), |(_, secret)| secret);
        for written in [secret.clone(), kept.to_owned(), hex::encode(secret)] {
            assert!(!all.contains(&written), "{}… is in the database", &written[..8]);
        }
    }
    // What signs tokens is there, sealed; opened, it is what the dump does not hold.
    let (kid, sealed): (String, Vec<u8>) = sqlx::query_as(
        "select kid, private_sealed from identity.signing_keys where private_sealed is not null",
    )
    .fetch_one(&api.db().pool)
    .await
    .unwrap();
    let place = format!("identity.signing_keys/{kid}");
    let private = crate::support::secret_keys().open(&place, &sealed).unwrap();
    assert!(all.contains(&hex::encode(&sealed)), "bytes are found as they stand in the dump");
    assert!(private.len() >= 32 && !all.contains(&hex::encode(&private)));
}
