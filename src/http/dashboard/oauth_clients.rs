//! Browser apps that people sign in to by OAuth: which there are, and where they may send people.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use serde_json::json;
use weirgate_identity::audit::{Change, Subject};
use weirgate_identity::clients::{self, Client, ClientsError, New};
use weirgate_identity::platform::Role;
use weirgate_web::dashboard::confirm::Confirm;
use weirgate_web::dashboard::form::{Field, Given, Wrong};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::when::When;
use weirgate_web::params::Fields;
use weirgate_web::problem::{FieldError, Problem};

use crate::http::Api;
use crate::http::sign_in_rows::now;

const HERE: &str = "/dashboard/accounts/clients";

struct Row {
    client: Client,
    created: When,
    disabled: Option<When>,
}

impl Row {
    fn new(client: Client, now: DateTime<Utc>) -> Self {
        let disabled = client.disabled_at.map(|at| When::new(at, now));
        Self { created: When::new(client.created_at, now), disabled, client }
    }
}

#[derive(Template)]
#[template(path = "oauth_clients.html")]
struct ClientsPage {
    frame: Frame,
    tab: &'static str,
    rows: Vec<Row>,
    fields: Vec<Field>,
    others: Vec<String>,
    is_wrong: bool,
}

impl ClientsPage {
    async fn load(api: &Api, session: &Session, given: &Given, is_wrong: bool) -> Result<Self, Refusal> {
        let mut conn = api.pool.acquire().await?;
        let all = clients::list(&mut conn).await?;
        let now = now(&mut conn).await?;
        let fields = vec![
            given.field("client_id", "Client ID").with_placeholder("desk").required(),
            given.field("name", "Name, as people see it when they sign in").filled_in("off").required(),
            given
                .field("redirect_uris", "Redirect URIs, one a line")
                .with_placeholder("https://desk.example.com/signed-in")
                .lines(3)
                .required(),
            given
                .field("origins", "Origins whose scripts may ask for tokens, one a line")
                .with_placeholder("https://desk.example.com")
                .lines(3),
        ];
        Ok(Self {
            frame: Frame::new(session, "/accounts"),
            tab: "clients",
            rows: all.into_iter().map(|client| Row::new(client, now)).collect(),
            others: given.elsewhere(&fields.iter().collect::<Vec<_>>()),
            fields,
            is_wrong,
        })
    }
}

pub(super) async fn list(State(api): State<Api>, session: Session) -> Result<Response, Refusal> {
    session.require(Role::Admin)?;
    Ok(page(&ClientsPage::load(&api, &session, &Given::default(), false).await?))
}

pub(super) async fn create(State(api): State<Api>, form: Form) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let Form { session, fields } = form;
    let sent = fields.pairs().to_vec();
    match add(&api, &session, fields).await {
        Ok(()) => Ok(Redirect::to(HERE).into_response()),
        Err(problem) => {
            let wrong = Wrong::of(problem, "").map_err(|refusal| refusal.for_session(&session))?;
            let given = Given::new(sent, Some(&wrong));
            Ok(wrong.page(&ClientsPage::load(&api, &session, &given, true).await?))
        }
    }
}

async fn add(api: &Api, session: &Session, mut fields: Fields) -> Result<(), Problem> {
    let (client_id, name) = (fields.required::<String>("client_id"), fields.required::<String>("name"));
    let [redirect_uris, origins] = ["redirect_uris", "origins"].map(|name| {
        let lines = fields.one(name).unwrap_or_default();
        lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    });
    let (client_id, name) = fields.finish(client_id.zip(name))?;
    let client_id = client_id.trim();
    let mut tx = api.pool.begin().await?;
    let noted = Change::begin(&mut tx, Subject::Client(client_id)).await?;
    let new = New { client_id, name: &name, redirect_uris: &redirect_uris, origins: &origins };
    clients::create(&mut tx, new).await.map_err(|error| match (error.field(), error) {
        (_, ClientsError::Database(error)) => error.into(),
        (field, error) => {
            let field = field.unwrap_or("client_id").to_owned();
            Problem::invalid(vec![FieldError { field, message: error.to_string() }])
        }
    })?;
    noted.note_with(&mut tx, &session.actor(), "client.create", &[], json!(null)).await?;
    Ok(tx.commit().await?)
}

pub(super) async fn disable(
    State(api): State<Api>,
    Path(client): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let (session, confirmed) = form.confirmed()?;
    if !confirmed {
        let asked = Confirm {
            frame: Frame::new(&session, "/accounts"),
            title: format!("Disable {client}"),
            happens: vec![
                "Nobody can sign in to the app, and tokens that it has are refused within 5 seconds."
                    .to_owned(),
                "Sign-ins that have not ended by themselves go on when it is enabled again.".to_owned(),
            ],
            details: Vec::new(),
            action: format!("{HERE}/{client}/disable"),
            fields: Vec::new(),
            yes: "Disable app".to_owned(),
            back: HERE.to_owned(),
        };
        return Ok(asked.ask());
    }
    set_disabled(&api, &session, &client, true).await
}

pub(super) async fn enable(
    State(api): State<Api>,
    Path(client): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let (session, _) = form.confirmed()?;
    set_disabled(&api, &session, &client, false).await
}

async fn set_disabled(
    api: &Api,
    session: &Session,
    client: &str,
    disabled: bool,
) -> Result<Response, Refusal> {
    let mut tx = api.pool.begin().await?;
    let noted = Change::begin(&mut tx, Subject::Client(client)).await?;
    if noted.before().is_none() {
        let detail = "The page Apps lists all that there are.";
        let refusal = Refusal::new(StatusCode::NOT_FOUND, format!("There is no app {client}"), detail);
        return Err(refusal.for_session(session));
    }
    clients::set_disabled(&mut tx, client, disabled).await?;
    let action = if disabled { "client.disable" } else { "client.enable" };
    noted.note(&mut tx, &session.actor(), action, &["disabled"]).await?;
    tx.commit().await?;
    Ok(Redirect::to(HERE).into_response())
}
