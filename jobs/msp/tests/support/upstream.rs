//! A system that rows come from, on this machine: answers as the test tells it, and counts what it
//! was asked.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use weirgate_msp::sources::LiveSource;

/// What is asked of it: a path, and the number of the page, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageRequest {
    pub(crate) path: String,
    pub(crate) page: u64,
}

/// Its answer to the request for a page.
pub(crate) enum Reply {
    /// Objects, and whether there is a page after this one.
    Page(Vec<Value>, bool),
    /// A status and what `Retry-After` says, if that is there.
    Status(u16, Option<u64>),
    /// None: it lets who asks wait.
    Never,
}

/// The server; it ends with the value.
pub(crate) struct Upstream {
    url: String,
    asked: Arc<Mutex<Vec<PageRequest>>>,
    server: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Upstream {
    /// Gives tokens to everybody, and pages as `reply` says; that is also told how many pages were
    /// asked for before.
    pub(crate) async fn start(
        reply: impl Fn(&PageRequest, usize) -> Reply + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<PageRequest>>> = Arc::default();
        let (base, log) = (url.clone(), asked.clone());
        let handler = move |request: Request| {
            let answer = answer(&base, &log, &reply, &request);
            async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        };
        let router = Router::new().fallback(handler);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked, server }
    }

    /// The pages that were asked for.
    pub(crate) fn pages(&self) -> Vec<u64> {
        self.asked.lock().iter().map(|wanted| wanted.page).collect()
    }

    /// The accounts of the tenant `acme` at the named systems, all of which it stands for.
    pub(crate) fn source(&self, systems: &[&str]) -> Arc<LiveSource> {
        let url = &self.url;
        let mut accounts = json!({
            "connectwise": {"url": url, "company": "acme", "public_key": "pub", "private_key": "k", "client_id": "c"},
            "smileback": {"url": url, "client_id": "app", "client_secret": "s", "username": "ada", "password": "p"},
            "sentinelone": {"url": url, "api_token": "t"},
            "defender": {"url": url, "login_url": url, "directory_id": "d", "client_id": "app", "client_secret": "s"}
        });
        let accounts = accounts.as_object_mut().unwrap();
        accounts.retain(|name, _| systems.contains(&name.as_str()));
        for account in accounts.values_mut() {
            account["requests_per_second"] = json!(1000);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(file.path(), json!({"acme": accounts}).to_string()).unwrap();
        Arc::new(LiveSource::load(file.path()).unwrap())
    }
}

fn answer(
    base: &str,
    log: &Mutex<Vec<PageRequest>>,
    reply: &impl Fn(&PageRequest, usize) -> Reply,
    request: &Request,
) -> Option<Response<Body>> {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default());
    let response = Response::builder();
    if path.contains("/token") {
        return response.body(json!({"access_token": "t"}).to_string().into()).ok();
    }
    let page = url_parts(query).find(|(name, _)| ["page", "cursor", "$skiptoken"].contains(name));
    let wanted = PageRequest { page: page.map_or(1, |(_, page)| page.parse().unwrap()), path };
    let before = {
        let mut log = log.lock();
        log.push(wanted.clone());
        log.len() - 1
    };
    match reply(&wanted, before) {
        Reply::Never => None,
        Reply::Page(objects, goes_on) => Some(page_of(base, &wanted, &objects, goes_on)),
        Reply::Status(status, wait) => {
            let response = response.status(status);
            let response = match wait {
                Some(seconds) => response.header("retry-after", seconds),
                None => response,
            };
            response.body("{}".into()).ok()
        }
    }
}

fn url_parts(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}

/// A page in the form of the system that has the path.
fn page_of(base: &str, wanted: &PageRequest, objects: &[Value], goes_on: bool) -> Response<Body> {
    let next = wanted.page + 1;
    let link = |name: &str| goes_on.then(|| format!("{base}{}?{name}={next}", wanted.path));
    let mut response = Response::builder();
    let body = match &*wanted.path {
        "/api/v3/reviews/" => json!({"results": objects, "next": link("page")}),
        "/web/api/v2.1/threats" => {
            json!({"data": objects, "pagination": {"nextCursor": goes_on.then(|| next.to_string())}})
        }
        "/v1.0/security/alerts_v2" => json!({"value": objects, "@odata.nextLink": link("$skiptoken")}),
        _ => {
            if let Some(url) = link("page") {
                let mut header = String::new();
                write!(header, "<{url}>; rel=\"next\"").unwrap();
                response = response.header("link", header);
            }
            json!(objects)
        }
    };
    response.body(body.to_string().into()).unwrap()
}
