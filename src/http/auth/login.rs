//! `POST /api/v1/auth/login`.

use axum::Json;
use axum::extract::State;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_identity::accounts::Account;
use weirgate_identity::audit::{Actor, Via};
use weirgate_identity::grants::New;
use weirgate_identity::memberships::{self, Membership};
use weirgate_web::access::tokens;
use weirgate_web::client_address::ClientAddress;
use weirgate_web::extract::Body;
use weirgate_web::params::Query;
use weirgate_web::problem::{FieldError, Problem};

use super::answer::SignedInUser;
use super::grant::{self, Begun};
use crate::http::Api;
use crate::http::sign_in::{Caller, NotSignedIn, Refused, user_agent};

/// Who signs in.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = Login, example = json!({"email": "ada@acme.example", "password": "correct horse battery"}))]
pub(crate) struct Login {
    #[schema(required = true, value_type = String, max_length = 1000, example = "ada@acme.example")]
    email: Option<String>,
    #[schema(required = true, value_type = String, max_length = 1000, format = Password)]
    password: Option<String>,
    /// UUID or slug of the tenant, where somebody is a member of several.
    #[schema(value_type = Option<String>, example = "tenant_demo_cca")]
    tenant_id: Option<String>,
    /// The domain, where somebody is a member of several.
    #[schema(value_type = Option<String>, example = "msp")]
    app: Option<String>,
}

/// Signs in with a password, as a member of one tenant.
///
/// An unknown email, a wrong password, a disabled account and one that is a member of nothing that
/// counts are all answered alike.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "Sign-in", request_body = Login,
    responses(
        (status = 200, description = "The tokens. Of the service's own login, they are good for an hour", body = SignedInUser),
        (status = 401, description = "invalid_credentials: the email or the password is wrong"),
        (status = 409, description = "choose_tenant: `memberships` lists what they may sign in as; name `tenantId`, and `app` where that is not enough"),
        (status = 429, description = "too_many_sign_ins: too many have failed"),
    )
)]
pub(crate) async fn login(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    Query(()): Query<()>,
    headers: HeaderMap,
    Body(login): Body<Login>,
) -> Result<Json<SignedInUser>, Problem> {
    let tokens = tokens(&api.web)?;
    let (email, password) = login.required()?;
    let caller = Caller::new(email, address, None);
    let account = match api.sign_ins.check(&api.web, &caller, email, password).await {
        Ok(account) => account,
        Err(NotSignedIn::Refused(refused)) => {
            if matches!(refused, Refused::Wrong) {
                api.sign_ins.note_failure(&api.pool, Via::Account, address, email).await?;
            }
            return Err(problem(refused));
        }
        Err(NotSignedIn::Broken(problem)) => return Err(problem),
    };
    let _permit = api.web.permits.of_tokens().await?;
    let mut tx = api.pool.begin().await?;
    let all = memberships::for_tokens(memberships::of(&mut tx, account.id).await?, tokens.roles());
    let membership = match login.choose(&all) {
        Ok(Some(membership)) => membership,
        Ok(None) => {
            // It is no more than a wrong password to whoever tries, and counts as one.
            drop(tx);
            api.sign_ins.fail(&caller);
            api.sign_ins.note_failure(&api.pool, Via::Account, address, email).await?;
            return Err(problem(Refused::Wrong));
        }
        Err(several) => return Err(several),
    };
    let new = new_grant(&account, membership, address.map(|it| it.to_string()), &headers);
    let actor = |_: &_| Actor::account(&account.email, address);
    let begun = grant::begin(&mut tx, tokens, new, actor).await?;
    let Begun { subject, refresh_token, issued } = begun.ok_or_else(|| problem(Refused::Wrong))?;
    tx.commit().await?;
    Ok(Json(SignedInUser::new(subject, issued, refresh_token)))
}

fn new_grant<'a>(
    account: &Account,
    membership: Uuid,
    address: Option<String>,
    headers: &'a HeaderMap,
) -> New<'a> {
    New {
        id: Uuid::now_v7(),
        account: account.id,
        membership,
        client: None,
        scopes: None,
        token_epoch: account.token_epoch,
        address,
        user_agent: user_agent(headers),
    }
}

impl Login {
    fn required(&self) -> Result<(&str, &str), Problem> {
        let missing = |field: &str, what: &str| FieldError {
            field: field.to_owned(),
            message: format!("required: {what}"),
        };
        match (self.email.as_deref(), self.password.as_deref()) {
            (Some(email), Some(password)) => Ok((email, password)),
            (email, password) => {
                let email = email.is_none().then(|| missing("email", "such as ada@acme.example"));
                let password = password.is_none().then(|| missing("password", "the password of the account"));
                Err(Problem::invalid(email.into_iter().chain(password).collect()))
            }
        }
    }

    /// The membership that is named, or the only one; `None` where there is none.
    fn choose(&self, all: &[Membership]) -> Result<Option<Uuid>, Problem> {
        let fits = |it: &Membership| {
            let tenant = self.tenant_id.as_deref().is_none_or(|wanted| {
                let tenant = it.tenant.as_ref();
                tenant.is_some_and(|tenant| tenant.slug == wanted || wanted.parse() == Ok(tenant.id))
            });
            tenant && self.app.as_deref().is_none_or(|wanted| it.app == wanted)
        };
        let fitting: Vec<&Membership> = all.iter().filter(|it| fits(it)).collect();
        match fitting.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.id)),
            several => Err(choose_one(several)),
        }
    }
}

fn choose_one(several: &[&Membership]) -> Problem {
    let listed: Vec<_> = several
        .iter()
        .map(|it| {
            let tenant = it.tenant.as_ref();
            json!({
                "tenantId": tenant.map(|tenant| tenant.id), "tenant": tenant.map(|tenant| &tenant.slug),
                "name": tenant.map(|tenant| &tenant.name), "app": it.app, "role": it.role,
            })
        })
        .collect();
    let detail = "this account is a member of several; send one of `memberships` as tenantId, and app where two \
        have the same tenant";
    Problem::conflict("choose_tenant", "Choose a tenant", detail).with_member("memberships", listed.into())
}

/// What somebody is told who is not signed in.
pub(in crate::http) fn problem(refused: Refused) -> Problem {
    let (code, title) = match refused {
        Refused::Wrong => ("invalid_credentials", "Invalid credentials"),
        Refused::TooOften(_) => ("too_many_sign_ins", "Too many failed sign-ins"),
        Refused::Busy => ("busy", "Too many sign-ins at once"),
        Refused::FromElsewhere => ("from_elsewhere", "Request from another site"),
    };
    let problem = Problem::new(refused.status(), code, title, refused.words());
    let problem = match refused.seconds() {
        Some(seconds) => problem.with_header(RETRY_AFTER, seconds.into()),
        None => problem,
    };
    if refused.status() == StatusCode::UNAUTHORIZED {
        problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="weirgate""#))
    } else {
        problem
    }
}
