//! What an app asks for when it sends somebody to sign in, and how it is answered.

use axum::response::{IntoResponse, Redirect, Response};
use weirgate_identity::clients::{self, Client};
use weirgate_identity::pkce;
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::permits::under;
use weirgate_web::problem::Problem;

use crate::http::Api;

/// Longest value of any parameter.
const LONGEST: usize = 2000;

/// A request that an app may be answered.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) client: Client,
    pub(super) redirect_uri: String,
    /// Given back as it came.
    state: Option<String>,
    pub(super) challenge: String,
    /// Scopes that it asks for; `None` is all that the role has.
    pub(super) scopes: Option<Vec<String>>,
    /// Whether nobody may be asked anything.
    pub(super) silently: bool,
    /// Slug or UUID of the tenant that it means, if it means one.
    pub(super) tenant: Option<String>,
    /// What the service calls itself.
    issuer: String,
}

/// Why a request goes no further.
pub(super) enum Wrong {
    /// The app is not known, or the address is not its own: nothing is sent there.
    Refused(Refusal),
    /// The app is told.
    Told(Box<Response>),
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::Told(response) => *response,
        }
    }
}

/// The app of that id. Anybody may ask for any.
pub(in crate::http) async fn find(api: &Api, id: &str) -> Result<Option<Client>, Problem> {
    let (id, pool) = (id.to_owned(), api.pool.clone());
    let found = async move { clients::find(&mut *pool.acquire().await?, &id).await };
    Ok(under(api.web.permits.of_sign_in().await?, found).await?)
}

impl Request {
    /// Reads the parameters of a query or a form.
    pub(super) async fn read(api: &Api, issuer: &str, text: &[u8]) -> Result<Self, Wrong> {
        let pairs = filled(text);
        let all = |wanted: &str| -> Vec<&str> {
            pairs.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect()
        };
        let refuse = |detail: String| {
            let title = "This app cannot sign you in";
            Wrong::Refused(Refusal::new(axum::http::StatusCode::BAD_REQUEST, title, detail))
        };
        let [id] = all("client_id")[..] else {
            return Err(refuse("The app did not say who it is (client_id).".to_owned()));
        };
        let Some(client) = find(api, id).await.map_err(|error| Wrong::Refused(error.into()))? else {
            return Err(refuse(format!(
                "No app with the client_id {id:?} is known here. An admin makes one known under Accounts."
            )));
        };
        let [redirect_uri] = all("redirect_uri")[..] else {
            return Err(refuse("The app did not say where to go afterwards (redirect_uri).".to_owned()));
        };
        if !client.redirect_uris.iter().any(|known| known == redirect_uri) {
            return Err(refuse(format!(
                "{redirect_uri:?} is not among the redirect URIs of {}. They are compared to the letter.",
                client.name
            )));
        }
        let request = Self {
            redirect_uri: redirect_uri.to_owned(),
            state: match all("state")[..] {
                [state] => Some(state.to_owned()),
                _ => None,
            },
            challenge: String::new(),
            scopes: None,
            silently: all("prompt").iter().any(|it| it.split(' ').any(|it| it == "none")),
            tenant: all("tenant").first().map(|it| (*it).to_owned()),
            issuer: issuer.to_owned(),
            client,
        };
        request.with_rest(&pairs, all)
    }

    fn with_rest<'a>(
        self,
        pairs: &[(String, String)],
        all: impl Fn(&str) -> Vec<&'a str>,
    ) -> Result<Self, Wrong> {
        let wrong = |error: &str, description: &str| Wrong::Told(Box::new(self.told(error, description)));
        let names = ["response_type", "state", "code_challenge", "code_challenge_method", "scope", "tenant"];
        if let Some(twice) = names.iter().find(|name| all(name).len() > 1) {
            return Err(wrong("invalid_request", &format!("{twice} is given more than once")));
        }
        if pairs.iter().any(|(_, value)| value.len() > LONGEST) {
            return Err(wrong("invalid_request", "a parameter is longer than 2,000 bytes"));
        }
        match all("response_type")[..] {
            ["code"] => {}
            [] => return Err(wrong("invalid_request", "response_type is missing; expected code")),
            _ => return Err(wrong("unsupported_response_type", "expected response_type code")),
        }
        if all("code_challenge_method")[..] != ["S256"] {
            return Err(wrong("invalid_request", "expected code_challenge_method S256"));
        }
        let challenge = match all("code_challenge")[..] {
            [challenge] if pkce::is_challenge(challenge) => challenge.to_owned(),
            [] => return Err(wrong("invalid_request", "code_challenge is missing: PKCE is required")),
            _ => {
                let expected = "expected a code_challenge of 43 characters: SHA-256 in base64url";
                return Err(wrong("invalid_request", expected));
            }
        };
        let scopes = all("scope").first().map(|it| it.split(' ').map(str::to_owned).collect::<Vec<_>>());
        Ok(Self { challenge, scopes, ..self })
    }

    /// Sends the browser back with a code.
    pub(super) fn answered(&self, code: &str) -> Response {
        self.redirect(&[("code", code)])
    }

    /// Sends the browser back with an error of RFC 6749, section 4.1.2.1.
    pub(super) fn told(&self, error: &str, description: &str) -> Response {
        self.redirect(&[("error", error), ("error_description", description)])
    }

    fn redirect(&self, pairs: &[(&str, &str)]) -> Response {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        // Which service has answered: an app may know several (RFC 9207).
        query.append_pair("iss", &self.issuer);
        let sign = if self.redirect_uri.contains('?') { '&' } else { '?' };
        Redirect::to(&format!("{}{sign}{}", self.redirect_uri, query.finish())).into_response()
    }
}
