//! `GET /oauth/authorize`: an app has sent somebody here to sign in. Who is signed in and can be
//! only one thing goes back at once; who can be several chooses.

use askama::Template;
use axum::extract::{OriginalUri, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use weirgate_identity::grants::codes::{self, New};
use weirgate_identity::memberships::{self, Membership};
use weirgate_identity::roles::{Roles, granted};
use weirgate_web::access::tokens;
use weirgate_web::dashboard::frame::page;
use weirgate_web::dashboard::person::{Person, PersonForm};
use weirgate_web::dashboard::refusal::Refusal;

use super::request::{Request, Wrong};
use crate::http::{Api, pages};
use crate::random;

#[derive(Template)]
#[template(path = "authorize.html")]
struct ChoicePage<'a> {
    app: &'a str,
    email: &'a str,
    csrf: &'a str,
    /// The request, as it came.
    query: &'a str,
    choices: Vec<Choice>,
    /// Where somebody else signs in.
    other: String,
}

/// Something that somebody can sign in as.
struct Choice {
    id: String,
    name: String,
    role: String,
}

/// The page, or the way back to the app.
pub(super) async fn show(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let query = query.unwrap_or_default();
    let tokens = tokens(&api.web).map_err(|problem| Refusal::from(problem).into_response())?;
    let request =
        Request::read(&api, tokens.issuer(), query.as_bytes()).await.map_err(IntoResponse::into_response)?;
    if let Some(asked) = &request.scopes
        && !asked.iter().any(|scope| is_known(tokens.roles(), scope))
    {
        return Ok(request.told("invalid_scope", "none of the scopes is known here"));
    }
    let person = api.dashboard.person(&headers).await.map_err(|it| Refusal::from(it).into_response())?;
    let wants_sign_in = asks_for_sign_in(&query);
    let Some(person) = person.filter(|_| !wants_sign_in) else {
        if request.silently {
            return Ok(request.told("login_required", "nobody is signed in here"));
        }
        let next = uri.path_and_query().map_or("/oauth/authorize", |it| it.as_str());
        return Ok(Redirect::to(&sign_in_page(next)).into_response());
    };
    let choices = choices(&api, tokens.roles(), &person, &request).await.map_err(failed)?;
    match choices.as_slice() {
        [] => Ok(nothing_to_be(&request, &person, &query)),
        [one] => answer(&api, &request, &person, one, &query).await.map_err(failed),
        _ if request.silently => Ok(request.told("interaction_required", "a tenant has to be chosen")),
        several => {
            let choices = several.iter().map(|it| shown(tokens.roles(), it)).collect();
            let other = with_prompt(&query);
            let choice = ChoicePage {
                app: &request.client.name,
                email: &person.email,
                csrf: &person.csrf,
                query: &query,
                choices,
                other,
            };
            Ok(pages::leading_to(&request.redirect_uri, page(&choice)))
        }
    }
}

/// Somebody has chosen what they sign in as.
pub(super) async fn choose(State(api): State<Api>, form: PersonForm) -> Result<Response, Response> {
    let PersonForm { person, mut fields, .. } = form;
    let tokens = tokens(&api.web).map_err(|problem| Refusal::from(problem).into_response())?;
    let query = fields.get::<String>("request").unwrap_or_default();
    let chosen = fields.get::<uuid::Uuid>("membership");
    fields.finish(Some(())).map_err(|problem| Refusal::from(problem).into_response())?;
    let request =
        Request::read(&api, tokens.issuer(), query.as_bytes()).await.map_err(IntoResponse::into_response)?;
    let choices = choices(&api, tokens.roles(), &person, &request).await.map_err(failed)?;
    match choices.iter().find(|it| Some(it.id) == chosen) {
        Some(membership) => answer(&api, &request, &person, membership, &query).await.map_err(failed),
        // It was withdrawn a moment ago, or the form is another's.
        None => Ok(Redirect::to(&format!("/oauth/authorize?{query}")).into_response()),
    }
}

/// What somebody can sign in to the app as: what has any of the scopes that it asks for.
async fn choices(
    api: &Api,
    roles: &Roles,
    person: &Person,
    request: &Request,
) -> sqlx::Result<Vec<Membership>> {
    let all = memberships::of(&mut *api.pool.acquire().await?, person.account).await?;
    let mut all = memberships::for_tokens(all, roles);
    all.retain(|it| {
        let is_asked = request.scopes.is_none()
            || roles
                .role(&it.app, &it.role)
                .is_some_and(|role| !granted(role, request.scopes.as_deref()).is_empty());
        let is_meant = request.tenant.as_deref().is_none_or(|meant| {
            it.tenant.as_ref().is_some_and(|tenant| tenant.slug == meant || meant.parse() == Ok(tenant.id))
        });
        is_asked && is_meant
    });
    Ok(all)
}

/// Gives a code out, and sends the browser back with it.
async fn answer(
    api: &Api,
    request: &Request,
    person: &Person,
    membership: &Membership,
    query: &str,
) -> sqlx::Result<Response> {
    let code = format!("wgc_{}", random::text());
    let new = New {
        code: &code,
        client: &request.client.client_id,
        redirect_uri: &request.redirect_uri,
        challenge: &request.challenge,
        membership: membership.id,
        scopes: request.scopes.as_deref(),
        session: person.session,
    };
    if codes::create(&mut *api.pool.acquire().await?, new).await? {
        Ok(request.answered(&code))
    } else {
        // It has ended a moment ago.
        Ok(Redirect::to(&sign_in_page(&format!("/oauth/authorize?{query}"))).into_response())
    }
}

fn nothing_to_be(request: &Request, person: &Person, query: &str) -> Response {
    if request.silently {
        return request.told("access_denied", "the account is a member of nothing that the app is for");
    }
    let detail = format!(
        "{} is a member of nothing that {} is for. Ask whoever manages your account, or sign in with another one.",
        person.email, request.client.name
    );
    let refusal = Refusal::new(axum::http::StatusCode::FORBIDDEN, "Not for this account", detail);
    refusal.leading_to(with_prompt(query), "Sign in with another account").into_response()
}

fn shown(roles: &Roles, membership: &Membership) -> Choice {
    let app = roles.app(&membership.app).map_or(membership.app.as_str(), |app| app.text);
    let name = match &membership.tenant {
        Some(tenant) => format!("{} ({app})", tenant.name),
        None => app.to_owned(),
    };
    Choice { id: membership.id.to_string(), name, role: membership.role.clone() }
}

/// Whether any role has that scope.
fn is_known(roles: &Roles, scope: &str) -> bool {
    roles.apps().iter().flat_map(|app| app.roles).any(|role| role.scopes.contains(&scope))
}

/// Whether the app wants that somebody signs in, whoever is signed in already.
fn asks_for_sign_in(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| name == "prompt" && value.split(' ').any(|it| it == "login"))
}

/// The same request, on which somebody signs in anew.
fn with_prompt(query: &str) -> String {
    let rest = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "prompt");
    let mut again = form_urlencoded::Serializer::new(String::new());
    again.extend_pairs(rest).append_pair("prompt", "login");
    sign_in_page(&format!("/oauth/authorize?{}", again.finish()))
}

fn sign_in_page(next: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("/account/sign-in?{query}")
}

fn failed(error: sqlx::Error) -> Response {
    Wrong::Refused(error.into()).into_response()
}
