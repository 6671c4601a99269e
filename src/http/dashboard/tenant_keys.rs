//! The API keys of a tenant: a table on its page, a new one, which is shown once, and the end of
//! one.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::audit::{Change, Subject};
use weirgate_identity::keys::issuing::{self, New};
use weirgate_identity::keys::{self, Listed};
use weirgate_identity::platform::Role;
use weirgate_identity::scopes::{KeyScopes, Scope};
use weirgate_identity::tenants::Stored;
use weirgate_web::dashboard::confirm::Confirm;
use weirgate_web::dashboard::form::{Choices, Field, Given, Wrong, sent_time};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::when::When;
use weirgate_web::params::Fields;
use weirgate_web::problem::Problem;

use super::tenant::{Named, Sent, TenantPage};
use super::tenant_change::stored;
use crate::http::Api;
use crate::random;

/// Keys that a page shows; those that may be used come first.
const SHOWN: usize = 100;

/// A key in words.
struct KeyRow {
    prefix: String,
    name: String,
    /// None: the default ones.
    scopes: Option<Vec<String>>,
    state: &'static str,
    /// Whether it can be revoked.
    is_live: bool,
    created: When,
    expires: Option<When>,
    used: Option<When>,
}

impl KeyRow {
    fn new(key: Listed, now: DateTime<Utc>) -> Self {
        let when = |at| When::new(at, now);
        Self {
            state: match key.refused.as_deref() {
                None => "good",
                Some("expired") => "expired",
                Some("tenant_inactive") => "tenant inactive",
                Some(_) => "revoked",
            },
            is_live: is_usable(&key),
            prefix: key.prefix,
            name: key.name,
            scopes: key.scopes,
            created: when(key.created_at),
            expires: key.expires_at.map(when),
            used: key.last_used_at.map(when),
        }
    }
}

/// Whether it may be used for as long as its tenant is active.
fn is_usable(key: &Listed) -> bool {
    !matches!(key.refused.as_deref(), Some("revoked" | "expired"))
}

/// How many keys of a tenant may be used for as long as it is active.
pub(super) async fn count_usable(conn: &mut PgConnection, tenant: Uuid) -> sqlx::Result<usize> {
    Ok(keys::list(conn, Some(tenant)).await?.iter().filter(|key| is_usable(key)).count())
}

/// The part of the tenant's page with its keys, and a form for a new one.
#[derive(Template)]
#[template(path = "tenant_keys.html")]
pub(super) struct KeysPart {
    csrf: String,
    path: String,
    may_change: bool,
    rows: Vec<KeyRow>,
    /// What keys have that were given no scopes, where there is such a key.
    default: Option<String>,
    /// How many there are that are not shown.
    more: usize,
    fields: [Field; 2],
    scopes: Choices,
    /// Of the key to be, so that it is made once, however often the button is pressed.
    id: Uuid,
    others: Vec<String>,
    is_wrong: bool,
}

impl KeysPart {
    /// With the form as it was `sent`, or empty.
    pub(super) async fn new(
        api: &Api,
        session: &Session,
        tenant: &Stored,
        sent: Option<Given>,
    ) -> Result<Self, Refusal> {
        let mut conn = api.pool.acquire().await?;
        let mut listed = keys::list(&mut conn, Some(tenant.id)).await?;
        let now = issuing::now(&mut conn).await?;
        listed.sort_by_key(|key| (!is_usable(key), std::cmp::Reverse(key.created_at)));
        let more = listed.len().saturating_sub(SHOWN);
        let is_wrong = sent.is_some();
        let given = sent.unwrap_or_default();
        let fields = [
            given.field("name", "Name").required().with_hint("What the key is for.").with_placeholder("n8n"),
            given.field("expires_at", "Expires").with_hint("In UTC; empty: never.").time(),
        ];
        let known = api.catalog.scopes().iter();
        let default: Vec<&str> = known.clone().filter(|it| it.by_default).map(|it| it.name).collect();
        Ok(Self {
            default: listed.iter().any(|key| key.scopes.is_none()).then(|| default.join(", ")),
            csrf: session.csrf.clone(),
            path: format!("/dashboard/tenants/{}", tenant.slug),
            may_change: session.user.role >= Role::Admin,
            rows: listed.into_iter().take(SHOWN).map(|key| KeyRow::new(key, now)).collect(),
            more,
            scopes: given.choices("scopes", "Scopes, at least one", known.map(|it| (it.name, it.text))),
            id: Uuid::now_v7(),
            others: given.beside(&["name", "expires_at", "scopes"]),
            fields,
            is_wrong,
        })
    }
}

/// The page that shows a new key.
#[derive(Template)]
#[template(path = "tenant_key.html")]
struct KeyPage {
    frame: Frame,
    slug: String,
    key: KeyRow,
    /// The key itself; none where it was shown before.
    secret: Option<String>,
}

/// A key that was asked for.
struct Asked {
    id: Uuid,
    name: String,
    scopes: KeyScopes,
    expires_at: Option<DateTime<Utc>>,
}

impl Asked {
    fn take(mut fields: Fields, known: &[Scope]) -> Result<Self, Problem> {
        let id = fields.required::<Uuid>("id");
        let name = fields.required::<String>("name");
        let given = fields.all("scopes");
        let scopes =
            if given.is_empty() { Err("tick at least one".to_owned()) } else { KeyScopes::of(&given, known) };
        let scopes = scopes.map_err(|why| fields.fail("scopes", why)).ok();
        let expires_at = fields.one("expires_at").map(sent_time);
        let expires_at = expires_at.and_then(|text| fields.parse("expires_at", &text));
        let asked = id.zip(name).zip(scopes);
        let asked = asked.map(|((id, name), scopes)| Self { id, name, scopes, expires_at });
        fields.finish(asked)
    }
}

/// Makes a key and shows it.
pub(super) async fn create(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let Form { session, fields } = form;
    let tenant = stored(&mut *api.pool.acquire().await?, &session, &name).await?;
    let sent: Vec<(String, String)> =
        fields.pairs().iter().filter(|(name, _)| name != "id").cloned().collect();
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let made = match Asked::take(fields, api.catalog.scopes()) {
        Ok(asked) => store(&api, &session, &tenant, asked).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok((key, secret)) => {
            let frame = Frame::new(&session, "/tenants");
            Ok(page(&KeyPage { frame, slug: tenant.slug, key, secret }))
        }
        Err(problem) => {
            let wrong = Wrong::of(problem, "name").map_err(refuse)?;
            let given = Given::new(sent, Some(&wrong));
            let named = Named::find(&api, &session, &name).await?;
            let sent = Sent { key: Some(given), ..Sent::default() };
            Ok(wrong.page(&TenantPage::new(&api, &session, named, sent).await?))
        }
    }
}

/// The key as it is listed, and itself unless it was shown before.
async fn store(
    api: &Api,
    session: &Session,
    tenant: &Stored,
    asked: Asked,
) -> Result<(KeyRow, Option<String>), Problem> {
    let Asked { id, name, scopes, expires_at } = asked;
    let mut tx = api.pool.begin().await?;
    // Of two at once, one waits here for the other.
    Change::begin(&mut tx, Subject::Tenant { id: tenant.id, slug: &tenant.slug }).await?;
    let mut secret = None;
    if keys::get(&mut tx, tenant.id, id).await?.is_none() {
        let random = random::bytes();
        let (slug, scopes) = (&tenant.slug, Some(scopes));
        let new = New { id, tenant: tenant.id, slug, name: &name, scopes, expires_at, random };
        secret = Some(issuing::issue(&mut tx, &session.actor(), new).await?);
    }
    let listed = keys::get(&mut tx, tenant.id, id).await?.ok_or_else(Problem::internal)?;
    let now = issuing::now(&mut tx).await?;
    tx.commit().await?;
    Ok((KeyRow::new(listed, now), secret))
}

/// First says what will happen; once confirmed, does it.
pub(super) async fn revoke(
    State(api): State<Api>,
    Path((name, prefix)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let (session, confirmed) = form.confirmed()?;
    let mut conn = api.pool.acquire().await?;
    let tenant = stored(&mut conn, &session, &name).await?;
    let listed = keys::list(&mut conn, Some(tenant.id)).await?;
    let now = issuing::now(&mut conn).await?;
    drop(conn);
    let usable = listed.iter().filter(|key| is_usable(key)).count();
    let Some(key) = listed.into_iter().find(|key| key.prefix == prefix) else {
        let title = format!("{} has no API key {}", tenant.slug, issuing::visible(&prefix));
        return Err(Refusal::new(StatusCode::NOT_FOUND, title, "").for_session(&session));
    };
    let path = format!("/dashboard/tenants/{}", tenant.slug);
    if confirmed {
        let refuse = |problem: Problem| Refusal::from(problem).for_session(&session);
        let mut tx = api.pool.begin().await?;
        let withdrawn = issuing::withdraw(&mut tx, &session.actor(), Some(tenant.id), &prefix).await;
        withdrawn.map_err(|error| refuse(error.into()))?;
        tx.commit().await?;
        return Ok(Redirect::to(&format!("{path}#keys")).into_response());
    }
    let title = format!("Revoke {prefix}");
    Ok(Confirm {
        frame: Frame::new(&session, "/tenants"),
        happens: effect(&tenant.slug, KeyRow::new(key, now), usable),
        yes: title.clone(),
        title,
        details: Vec::new(),
        action: format!("{path}/api-keys/{prefix}/revoke"),
        fields: Vec::new(),
        back: format!("{path}#keys"),
    }
    .ask())
}

/// What it does that a key is revoked, of a tenant with so many that may be used.
fn effect(slug: &str, key: KeyRow, usable: usize) -> Vec<String> {
    let KeyRow { prefix, name, state, is_live, used, .. } = key;
    if !is_live {
        return vec![format!("Nothing to do: {prefix} is {state} already.")];
    }
    let used = used.map_or_else(|| "was never used".to_owned(), |at| format!("was used {}", at.words));
    let others = match usable {
        0 | 1 => format!("It is the only key of {slug}: without another one nobody can call /v1 for {slug}."),
        2 => format!("The other key of {slug} stays as it is."),
        _ => format!("The other {} keys of {slug} stay as they are.", usable - 1),
    };
    vec![
        format!("Requests with the key {prefix} ({name}) are refused from now on; it {used}."),
        "Requests that wait and event streams that are open with it end within seconds.".to_owned(),
        others,
        "This cannot be taken back. The key stays in the list.".to_owned(),
    ]
}
