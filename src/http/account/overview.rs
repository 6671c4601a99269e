//! The page *My account*, with its forms as they are or as they were sent.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use weirgate_identity::platform::Role;
use weirgate_identity::{accounts, memberships};
use weirgate_web::dashboard::form::{Field, Given};
use weirgate_web::dashboard::frame::page;
use weirgate_web::dashboard::person::Person;
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::given;

use crate::http::Api;
use crate::http::people::{RoleRow, languages};
use crate::http::sign_in_rows::{self, AppRow, SessionRow};

/// Around a page that is for everybody who is signed in.
pub(super) struct AccountFrame {
    pub(super) email: String,
    pub(super) csrf: String,
    /// What they may do on the dashboard, if anything.
    pub(super) role: Option<&'static str>,
}

impl AccountFrame {
    pub(super) fn new(person: &Person) -> Self {
        let Person { email, csrf, role, .. } = person;
        Self { email: email.clone(), csrf: csrf.clone(), role: role.map(Role::as_str) }
    }
}

#[derive(Template)]
#[template(path = "account.html")]
pub(super) struct AccountPage {
    frame: AccountFrame,
    /// What has just been done.
    done: &'static str,
    about: Vec<Field>,
    password: Vec<Field>,
    roles: Vec<RoleRow>,
    sessions: Vec<SessionRow>,
    apps: Vec<AppRow>,
}

/// What has just been done, by the name that addresses have for it.
fn in_words(done: &str) -> &'static str {
    match done {
        "name" => "Your name and language are saved.",
        "password" => "Your password is changed. You are signed out everywhere but here.",
        "session" => "That browser is signed out.",
        "others" => "You are signed out everywhere but here.",
        "app" => "That app is signed out.",
        _ => "",
    }
}

pub(super) async fn show(
    State(api): State<Api>,
    person: Person,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let done = given(query.as_bytes()).find(|(name, _)| name == "done").map(|(_, done)| in_words(&done));
    let shown = AccountPage::load(&api, &person, None, &Given::default()).await?;
    Ok(page(&AccountPage { done: done.unwrap_or_default(), ..shown }))
}

impl AccountPage {
    /// With `about` as it was sent, or as it is, and what is wrong with `password`, which is never
    /// shown again.
    pub(super) async fn load(
        api: &Api,
        person: &Person,
        about: Option<&Given>,
        password: &Given,
    ) -> Result<Self, Refusal> {
        let mut conn = api.pool.acquire().await?;
        let account = accounts::get(&mut conn, person.account).await?;
        let account = account.ok_or_else(|| Refusal::no_such_page().to_account())?;
        let stored = || {
            let pairs = [("full_name", &account.full_name), ("locale", &account.locale)];
            Given::new(pairs.map(|(name, value)| (name.to_owned(), value.clone())).into(), None)
        };
        let known = api.catalog.roles();
        let of_them = memberships::of(&mut conn, person.account).await?;
        Ok(Self {
            frame: AccountFrame::new(person),
            done: "",
            about: about.map_or_else(|| about_fields(&stored()), about_fields),
            password: password_fields(password),
            roles: of_them.into_iter().map(|it| RoleRow::new(it, &known)).collect(),
            sessions: sign_in_rows::sessions(&mut conn, person.account, Some(person.session)).await?,
            apps: sign_in_rows::apps(&mut conn, person.account, &known).await?,
        })
    }
}

fn about_fields(given: &Given) -> Vec<Field> {
    vec![
        given.field("full_name", "Name").filled_in("name"),
        given.field("locale", "Language that you are written to in").choice(languages(given.of("locale"))),
    ]
}

fn password_fields(given: &Given) -> Vec<Field> {
    vec![
        given.field("current", "Current password").password("current-password"),
        given.field("new", "New password (12 to 1,000 characters)").password("new-password"),
        given.field("again", "New password, again").password("new-password"),
    ]
}
