//! The page *Accounts*: who may sign in, what they may do, and that nobody locks everybody out.

use axum::http::StatusCode;
use uuid::Uuid;
use weirgate_identity::platform::{self, Role};
use weirgate_identity::{accounts, invitations, memberships};

use crate::support::TestApi;
use crate::support::person::{PASSWORD, Person, form};

const LIST: &str = "/dashboard/accounts";
const YES: (&str, &str) = ("confirmed", "true");

async fn id(api: &TestApi, email: &str) -> Uuid {
    accounts::id_of(&mut api.db().pool.acquire().await.unwrap(), email).await.unwrap()
}

async fn roles(api: &TestApi, email: &str) -> Vec<String> {
    let mut conn = api.db().pool.acquire().await.unwrap();
    let id = accounts::id_of(&mut conn, email).await.unwrap();
    let all = memberships::of(&mut conn, id).await.unwrap();
    all.into_iter().map(|it| format!("{} {}", it.app, it.role)).collect()
}

/// The link that a page shows.
fn link(page: &str) -> &str {
    let (_, rest) = page.split_once("/account/invitation?token=").unwrap_or_else(|| panic!("{page}"));
    rest.split('"').next().unwrap()
}

#[tokio::test]
async fn only_admins_see_and_change_accounts() {
    let api = TestApi::new().await;
    let admin = Person::new(&api, "ada@example.com", Role::Admin).await;
    assert!(admin.get("/dashboard").await.text().contains("href=\"/dashboard/accounts\""));
    let operator = Person::new(&api, "grace@example.com", Role::Operator).await;
    assert!(!operator.get("/dashboard").await.text().contains("href=\"/dashboard/accounts\""));
    let of_ada = format!("{LIST}/{}", id(&api, "ada@example.com").await);
    for path in [LIST, &format!("{LIST}/new"), &format!("{LIST}/clients"), &format!("{LIST}/keys"), &of_ada] {
        assert_eq!(admin.get(path).await.status, StatusCode::OK, "{path}");
        let refused = operator.get(path).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        assert!(refused.text().contains("needs the admin role"), "{}", refused.text());
        assert!(!refused.text().contains("ada@example.com"), "{path}");
    }
    let some = Uuid::nil();
    for path in [
        "",
        "/clients",
        "/clients/desk/disable",
        "/clients/desk/enable",
        "/{}/roles",
        "/{}/roles/withdraw",
        "/{}/invitation",
        "/{}/invitation/withdraw",
        "/{}/sign-out",
        "/{}/disable",
        "/{}/enable",
        &format!("/{{}}/sessions/{some}/end"),
        &format!("/{{}}/grants/{some}/end"),
    ] {
        let path = format!("{LIST}{path}").replace("/dashboard/accounts/{}", &of_ada);
        assert_eq!(operator.post(&path, &[YES]).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(roles(&api, "ada@example.com").await, ["platform admin"]);
}

#[tokio::test]
async fn accounts_are_listed_searched_and_paged() {
    let api = TestApi::new().await;
    let admin = Person::new(&api, "ada@example.com", Role::Admin).await;
    api.execute(
        "insert into identity.accounts (id, email, full_name)
         select gen_random_uuid(), 'member' || lpad(n::text, 2, '0') || '@acme.example', 'Member ' || n
         from generate_series(1, 60) as n",
    )
    .await;
    let page = admin.get(LIST).await;
    for told in ["ada@example.com", "admin", "active", "member49@acme.example", "no password"] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    assert!(!page.text().contains("member50@acme.example"), "50 on a page");
    assert!(page.text().contains("/dashboard/accounts?after=member49%40acme.example"), "{}", page.text());
    let next = admin.get(&format!("{LIST}?after=member49%40acme.example")).await;
    assert!(next.text().contains("member60@acme.example") && !next.text().contains("rel=\"next\""));
    let found = admin.get(&format!("{LIST}?q=MEMBER+7")).await;
    assert!(found.text().contains("member07@acme.example") && !found.text().contains("member17"));
    assert!(admin.get(&format!("{LIST}?q=nobody")).await.text().contains("No accounts match."));
    assert_eq!(admin.get(&format!("{LIST}/{}", Uuid::nil())).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_new_account_is_invited_by_a_link_that_is_shown_once() {
    let api = TestApi::new().await;
    let admin = Person::new(&api, "ada@example.com", Role::Admin).await;
    let create = async |email: &str, role: &str, tenant: &str| {
        let fields = [("email", email), ("full_name", "Grace Hopper"), ("locale", "fr"), ("role", role)];
        admin.post(LIST, &[&fields[..], &[("tenant", tenant)]].concat()).await
    };
    let grace = "grace@acme.example";
    for (email, role, tenant, told) in [
        ("grace", "msp reader", "tenant_demo_cca", "is not an email address"),
        ("ADA@example.com", "msp reader", "tenant_demo_cca", "already exists"),
        (grace, "msp reader", "", "is about one tenant: name it"),
        (grace, "msp reader", "nobody", "there is no tenant"),
        (grace, "platform viewer", "tenant_demo_cca", "is about no single tenant"),
        (grace, "msp chief", "tenant_demo_cca", "has no role"),
    ] {
        let answer = create(email, role, tenant).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{told}");
        assert!(answer.text().contains(told) && answer.text().contains(email), "{told}: {}", answer.text());
    }
    let made = create(grace, "msp reader", "tenant_demo_cca").await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    let token = link(made.text()).to_owned();
    let page = admin.get(&format!("{LIST}/{}", id(&api, grace).await)).await;
    for told in ["invited", "Grace Hopper", "Français", "reader", "tenant_demo_cca", "Make another link"] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    assert!(!page.text().contains(&token), "it is shown once");
    let opened = api.anonymous("GET", &format!("/account/invitation?token={token}")).send().await;
    assert!(opened.text().contains(grace), "{}", opened.text());
    // Another link takes the place of the first one.
    let path = format!("{LIST}/{}/invitation", id(&api, grace).await);
    let newer = admin.post(&path, &[]).await;
    let newer = link(newer.text()).to_owned();
    assert_ne!(newer, token);
    let first = api.anonymous("GET", &format!("/account/invitation?token={token}")).send().await;
    assert_eq!(first.status, StatusCode::NOT_FOUND);
    admin.post(&format!("{path}/withdraw"), &[YES]).await;
    let mut conn = api.db().pool.acquire().await.unwrap();
    assert!(invitations::find(&mut conn, &newer).await.unwrap().is_none());
}

#[tokio::test]
async fn roles_are_given_and_withdrawn_once_that_is_confirmed() {
    let api = TestApi::new().await;
    let admin = Person::new(&api, "ada@example.com", Role::Admin).await;
    let grace = Person::reader(&api, "grace@acme.example").await;
    let path = format!("{LIST}/{}", id(&api, "grace@acme.example").await);
    let give = async |role: &str, tenant: &str| {
        admin.post(&format!("{path}/roles"), &[("role", role), ("tenant", tenant)]).await
    };
    let wrong = give("msp analyst", "").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("name it") && wrong.text().contains("Give role"), "{}", wrong.text());
    assert_eq!(give("msp analyst", "tenant_demo_client2").await.header("location"), Some(path.as_str()));
    give("platform operator", "").await;
    assert_eq!(roles(&api, "grace@acme.example").await, ["platform operator", "msp reader", "msp analyst"]);
    assert_eq!(
        grace.get("/account").await.status,
        StatusCode::SEE_OTHER,
        "who gets a role there signs in anew"
    );

    let fields = [("app", "platform")];
    let asked = admin.post(&format!("{path}/roles/withdraw"), &fields).await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(asked.text().contains("no longer sees the dashboard"), "{}", asked.text());
    assert_eq!(roles(&api, "grace@acme.example").await.len(), 3, "it only asks");
    admin.post(&format!("{path}/roles/withdraw"), &[fields[0], YES]).await;
    let tenant = api.cca.id.to_string();
    let of_msp = [("app", "msp"), ("tenant", tenant.as_str()), YES];
    admin.post(&format!("{path}/roles/withdraw"), &of_msp).await;
    assert_eq!(roles(&api, "grace@acme.example").await, ["msp analyst"]);
}

#[tokio::test]
async fn the_last_admin_stays_and_nobody_disables_themselves() {
    let api = TestApi::new().await;
    let admin = Person::new(&api, "ada@example.com", Role::Admin).await;
    let own = format!("{LIST}/{}", id(&api, "ada@example.com").await);
    let stays = async |path: &str, fields: &[(&str, &str)], told: &str| {
        let answer = admin.post(&format!("{own}/{path}"), fields).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{path}: {}", answer.text());
        assert!(answer.text().contains(told), "{path}: {}", answer.text());
        assert_eq!(roles(&api, "ada@example.com").await, ["platform admin"]);
    };
    stays("roles/withdraw", &[("app", "platform"), YES], "the last admin who can sign in").await;
    stays("roles/withdraw", &[("app", "platform")], "the last admin who can sign in").await;
    stays("roles", &[("role", "platform viewer")], "the last admin who can sign in").await;
    stays("disable", &[YES], "Another admin can").await;
    // Who is invited and has no password yet is no other admin.
    let fields = [("email", "grace@example.com"), ("role", "platform admin")];
    admin.post(LIST, &fields).await;
    stays("roles/withdraw", &[("app", "platform"), YES], "the last admin who can sign in").await;
    accounts::set_password(&api.db().pool, "grace@example.com", PASSWORD).await.unwrap();
    stays("disable", &[YES], "Another admin can").await;
    let answer = admin.post(&format!("{own}/roles/withdraw"), &[("app", "platform"), YES]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert!(roles(&api, "ada@example.com").await.is_empty());
}

#[tokio::test]
async fn sign_ins_of_others_are_ended_and_accounts_disabled_and_enabled() {
    let api = TestApi::new().await;
    let admin = Person::new(&api, "ada@example.com", Role::Admin).await;
    platform::create(&api.db().pool, "grace@example.com", Role::Viewer, PASSWORD).await.unwrap();
    let path = format!("{LIST}/{}", id(&api, "grace@example.com").await);
    let signed_in = async |person: &Person<'_>| person.get("/dashboard").await.status == StatusCode::OK;

    let [grace, elsewhere] =
        [Person::sign_in(&api, "grace@example.com").await, Person::sign_in(&api, "grace@example.com").await];
    let page = admin.get(&path).await;
    let (_, rest) = page.text().split_once("/sessions/").unwrap();
    let session = rest.split('/').next().unwrap();
    let asked = admin.post(&format!("{path}/sessions/{session}/end"), &[]).await;
    assert!(asked.text().contains("has to sign in again"), "{}", asked.text());
    assert!(signed_in(&grace).await && signed_in(&elsewhere).await);
    admin.post(&format!("{path}/sessions/{session}/end"), &[YES]).await;
    assert_ne!(signed_in(&grace).await, signed_in(&elsewhere).await, "one of both");

    let again = Person::sign_in(&api, "grace@example.com").await;
    admin.post(&format!("{path}/sign-out"), &[YES]).await;
    for person in [&grace, &elsewhere, &again] {
        assert!(!signed_in(person).await);
    }
    let again = Person::sign_in(&api, "grace@example.com").await;
    admin.post(&format!("{path}/disable"), &[YES]).await;
    assert!(!signed_in(&again).await);
    let fields = form(&[("email", "grace@example.com"), ("password", PASSWORD)]);
    let call = api.anonymous("POST", "/dashboard/sign-in");
    let refused = call.body("application/x-www-form-urlencoded", fields).send().await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let no_link = admin.post(&format!("{path}/invitation"), &[]).await;
    assert_eq!(no_link.status, StatusCode::CONFLICT, "{}", no_link.text());
    let page = admin.get(&path).await;
    assert!(page.text().contains("disabled") && page.text().contains("Enable…"), "{}", page.text());
    admin.post(&format!("{path}/enable"), &[YES]).await;
    assert!(signed_in(&Person::sign_in(&api, "grace@example.com").await).await);
}
