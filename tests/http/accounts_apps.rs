//! Below *Accounts*: the apps that people sign in to, and the API keys of all tenants.

use axum::http::StatusCode;
use weirgate_identity::clients;
use weirgate_identity::platform::Role;

use crate::support::TestApi;
use crate::support::person::Person;

const APPS: &str = "/dashboard/accounts/clients";

#[tokio::test]
async fn an_app_is_made_known_disabled_and_enabled() {
    let api = TestApi::new().await;
    let admin = Person::new(&api, "ada@example.com", Role::Admin).await;
    let create = async |id: &str, uris: &str, origins: &str| {
        let fields = [("client_id", id), ("name", "Desk"), ("redirect_uris", uris), ("origins", origins)];
        admin.post(APPS, &fields).await
    };
    let here = "https://desk.example.com/signed-in";
    for (id, uris, origins, told) in [
        ("login", here, "", "is no client_id"),
        ("desk", "", "", "needs 1 to 20 redirect URIs"),
        ("desk", "http://desk.example.com/", "", "is no redirect URI"),
        ("desk", here, "https://desk.example.com/", "is no origin"),
    ] {
        let answer = create(id, uris, origins).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{told}");
        assert!(answer.text().contains(told) && answer.text().contains(uris), "{told}: {}", answer.text());
    }
    let two = format!(" {here} \r\n\r\nhttp://127.0.0.1:5173/signed-in\r\n");
    assert_eq!(create("desk", &two, "https://desk.example.com").await.status, StatusCode::SEE_OTHER);
    let again = create("desk", here, "").await;
    assert!(again.text().contains("there is a client desk already"), "{}", again.text());
    let mut conn = api.db().pool.acquire().await.unwrap();
    let desk = clients::find(&mut conn, "desk").await.unwrap().unwrap();
    assert_eq!(desk.redirect_uris, [here, "http://127.0.0.1:5173/signed-in"]);
    assert_eq!(desk.origins, ["https://desk.example.com"]);

    let asked = admin.post(&format!("{APPS}/desk/disable"), &[]).await;
    assert!(asked.text().contains("Nobody can sign in to the app"), "{}", asked.text());
    assert!(clients::find(&mut conn, "desk").await.unwrap().is_some(), "it only asks");
    admin.post(&format!("{APPS}/desk/disable"), &[("confirmed", "true")]).await;
    assert!(clients::find(&mut conn, "desk").await.unwrap().is_none());
    assert!(admin.get(APPS).await.text().contains("disabled"));
    admin.post(&format!("{APPS}/desk/enable"), &[]).await;
    assert!(clients::find(&mut conn, "desk").await.unwrap().is_some());
    let unknown = admin.post(&format!("{APPS}/nothing/enable"), &[]).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_keys_of_all_tenants_are_listed_page_by_page_and_none_is_shown() {
    let api = TestApi::new().await;
    let admin = Person::new(&api, "ada@example.com", Role::Admin).await;
    let page = admin.get("/dashboard/accounts/keys").await;
    for told in ["tenant_demo_cca", "tenant_demo_client2", "seed", "good", "never"] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    assert!(!page.text().contains(api.cca.api_key.as_deref().unwrap()));
    sqlx::query(
        "insert into identity.api_keys (id, tenant_id, prefix, key_hash, name)
         select gen_random_uuid(), $1, 'wg_test' || n, sha256(n::text::bytea), 'key ' || n
         from generate_series(1, 110) as n",
    )
    .bind(api.cca.id)
    .execute(&api.db().pool)
    .await
    .unwrap();
    let page = admin.get("/dashboard/accounts/keys").await;
    let (_, rest) = page.text().split_once("<a rel=\"next\" href=\"").expect("there are more");
    let next = rest.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let rest = admin.get(&next).await;
    assert!(rest.text().contains("tenant_demo_client2"), "{}", rest.text());
    let rows = |html: &str| html.matches("<tr>").count() - 1;
    assert_eq!((rows(page.text()), rows(rest.text())), (100, 12));
}
