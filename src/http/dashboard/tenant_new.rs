//! A new tenant.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_identity::tenants::{self, New, Refused};
use weirgate_web::dashboard::form::{Field, Given, Wrong, ZONES};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::suggest::Suggestions;
use weirgate_web::params::Fields;
use weirgate_web::problem::{FieldError, Problem};

use crate::http::Api;

#[derive(Template)]
#[template(path = "tenant_new.html")]
struct NewPage {
    frame: Frame,
    /// Whether the form is shown.
    may_create: bool,
    fields: [Field; 3],
    llm_enabled: bool,
    suggestions: Suggestions,
    /// What is wrong beside the fields.
    others: Vec<String>,
    is_wrong: bool,
}

impl NewPage {
    fn new(session: &Session, asked: Vec<(String, String)>, wrong: Option<&Wrong>) -> Self {
        let given = Given::new(asked, wrong);
        let fields = [
            given
                .field("slug", "Slug")
                .required()
                .with_hint("Its name in URLs, files and jobs. It never changes.")
                .with_placeholder("acme_emea"),
            given.field("name", "Name").required().with_hint("For people.").with_placeholder("Acme Ltd"),
            given
                .field("time_zone", "Time zone")
                .required()
                .with_hint("Where its days begin and end.")
                .suggesting(ZONES)
                .with_placeholder("Europe/Berlin"),
        ];
        Self {
            frame: Frame::new(session, "/tenants"),
            may_create: session.user.role >= Role::Admin,
            others: given.elsewhere(&fields.iter().collect::<Vec<_>>()),
            llm_enabled: !given.of("llm_enabled").is_empty(),
            fields,
            suggestions: Suggestions::of_zones(),
            is_wrong: wrong.is_some(),
        }
    }
}

pub(super) async fn show(session: Session) -> Response {
    page(&NewPage::new(&session, Vec::new(), None))
}

pub(super) async fn create(State(api): State<Api>, form: Form) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let Form { session, fields } = form;
    let asked = fields.pairs().to_vec();
    let problem = match store(&api, &session, fields).await {
        Ok(slug) => return Ok(Redirect::to(&format!("/dashboard/tenants/{slug}")).into_response()),
        Err(problem) => problem,
    };
    let wrong = Wrong::of(problem, "slug").map_err(|refusal| refusal.for_session(&session))?;
    Ok(wrong.page(&NewPage::new(&session, asked, Some(&wrong))))
}

/// The slug of the tenant that was made.
async fn store(api: &Api, session: &Session, mut fields: Fields) -> Result<String, Problem> {
    let slug = fields.required::<String>("slug");
    let name = fields.required::<String>("name");
    let time_zone = fields.required::<String>("time_zone");
    let llm_enabled = fields.get::<bool>("llm_enabled").unwrap_or(false);
    let (slug, (name, time_zone)) = fields.finish(slug.zip(name.zip(time_zone)))?;
    let new = New { slug, name, time_zone, is_active: true, llm_enabled };
    let mut tx = api.pool.begin().await?;
    let made = tenants::create(&mut tx, &session.actor(), Uuid::now_v7(), &new).await;
    let made = made.map_err(|refused| match refused {
        Refused::Taken(slug) => {
            let message = format!("tenant {slug} already exists; choose another slug");
            Problem::invalid(vec![FieldError { field: "slug".to_owned(), message }])
        }
        refused => refused.into(),
    })?;
    tx.commit().await?;
    Ok(made.slug)
}
