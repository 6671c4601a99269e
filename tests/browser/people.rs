//! Accounts of a service that is in use, and the pages that are about them.

use uuid::Uuid;
use weirgate_identity::accounts::{self, New};
use weirgate_identity::{clients, invitations, memberships};

use super::scene::Page;
use super::{PASSWORD, Site};

const INVITED: &str = "a-token-for-pictures";
const REDIRECT: &str = "https://desk.example.com/signed-in";
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0";

/// Email, name, and roles by app, tenant and role.
type Someone = (&'static str, &'static str, &'static [(&'static str, Option<&'static str>, &'static str)]);

const PEOPLE: [Someone; 6] = [
    ("grace@alder-dental.example", "Grace Hopper", &[("msp", Some("alder_dental"), "analyst")]),
    (
        "edsger@fjord-energy.example",
        "Edsger Dijkstra",
        &[
            ("platform", None, "operator"),
            ("msp", Some("fjord_energy"), "reader"),
            ("msp", Some("cedar_law"), "reader"),
        ],
    ),
    ("barbara@cedar-law.example", "Barbara Liskov", &[("msp", Some("cedar_law"), "reader")]),
    ("donald@dune-hotels.example", "", &[]),
    (
        "frances.elizabeth.allen@compilers.birch-logistics.example",
        "Frances Allen",
        &[("platform", None, "admin")],
    ),
    ("kathleen@elm-freight.example", "Kathleen Booth", &[("platform", None, "viewer")]),
];

/// Each of them, once there are the accounts that they are about.
pub(super) async fn pages(site: &Site) -> Vec<Page> {
    let pool = &site.db().pool;
    let mut conn = pool.acquire().await.unwrap();
    let mut ids = Vec::new();
    for (email, full_name, roles) in PEOPLE {
        // These two have not chosen one yet.
        let password = (!email.starts_with("barbara") && !email.starts_with("donald")).then_some(PASSWORD);
        let new = New { email, full_name, password, ..New::default() };
        let account = accounts::create(&mut conn, new).await.unwrap();
        for (app, slug, role) in roles {
            let tenant: Option<Uuid> = sqlx::query_scalar("select id from identity.tenants where slug = $1")
                .bind(slug)
                .fetch_optional(&mut *conn)
                .await
                .unwrap();
            memberships::give(&mut conn, account.id, app, tenant, role).await.unwrap();
        }
        ids.push(account.id);
    }
    invitations::create(&mut conn, ids[2], INVITED, "ada@example.com").await.unwrap();
    accounts::disable(&mut *conn, "kathleen@elm-freight.example").await.unwrap();
    let (redirect_uris, origins) = ([REDIRECT.to_owned()], ["https://desk.example.com".to_owned()]);
    for (client_id, name) in [("desk", "Alder Desk"), ("reports", "Reports for the board")] {
        let new = clients::New { client_id, name, redirect_uris: &redirect_uris, origins: &origins };
        clients::create(&mut conn, new).await.unwrap();
    }
    clients::set_disabled(&mut conn, "reports", true).await.unwrap();
    // Of who looks, and of one of the others: a browser elsewhere, and an app.
    for sql in [
        "insert into identity.memberships (id, account_id, app, role, tenant_id)
         select gen_random_uuid(), a.id, 'msp', 'reader', t.id from identity.accounts a, identity.tenants t
         where a.email = 'ada@example.com' and t.slug in ('alder_dental', 'cedar_law')",
        "insert into identity.sessions (token_hash, user_id, csrf, address, user_agent, role)
         select decode(md5(a.id::text), 'hex'), a.id, '', '203.0.113.7', $1, m.role
         from identity.accounts a join identity.memberships m on m.account_id = a.id and m.app = 'platform'
         where a.disabled_at is null",
        "insert into identity.grants (id, account_id, membership_id, client_id, token_epoch, address, user_agent)
         select gen_random_uuid(), a.id, m.id, 'desk', a.token_epoch, '203.0.113.7', $1
         from identity.accounts a join identity.memberships m on m.account_id = a.id and m.app = 'msp'
         where a.disabled_at is null",
    ] {
        let query = sqlx::query(sql);
        let query = if sql.contains("$1") { query.bind(BROWSER) } else { query };
        query.execute(&mut *conn).await.unwrap();
    }
    let to_desk = "/account/sign-in?next=%2Foauth%2Fauthorize%3Fclient_id%3Ddesk%26prompt%3Dlogin%26login_hint%3D\
        frances.elizabeth.allen%2540compilers.birch-logistics.example";
    let authorize = "/oauth/authorize?response_type=code&client_id=desk&state=s&code_challenge_method=S256\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
        &redirect_uri=https%3A%2F%2Fdesk.example.com%2Fsigned-in";
    let of = |id: Uuid| format!("/accounts/{id}");
    vec![
        Page::new("accounts", "/accounts"),
        Page::new("account-new", "/accounts/new"),
        Page::new("account", of(ids[1])),
        Page::new("account-invited", of(ids[2])),
        Page { press: Some("Make a link to choose a password"), ..Page::new("account-link", of(ids[3])) },
        Page { press: Some("Sign out everywhere…"), ..Page::new("account-sign-out", of(ids[4])) },
        Page::new("apps", "/accounts/clients"),
        Page::new("api-keys", "/accounts/keys"),
        Page::beside("my-account", "/account?done=password"),
        Page::beside("invitation", format!("/account/invitation?token={INVITED}")),
        Page::beside("sign-in", "/account/sign-in?password_set=true&email=grace%40alder-dental.example"),
        Page::beside("sign-in-to-app", to_desk),
        Page::beside("choose-tenant", authorize),
    ]
}
