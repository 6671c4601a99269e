//! The production router on a socket, and somebody in front of a browser.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;

use chromiumoxide::cdp::browser_protocol::page::CaptureScreenshotFormat;
use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;
use weirgate_identity::platform::{self, Role};
use weirgate_queue::NewJob;
use weirgate_test_support::Step;

use super::chromium;
use super::tab::Tab;
use crate::support::TestApi;

pub(super) const PASSWORD: &str = "a long password";

/// The API and the dashboard, to be reached by anybody on this machine.
pub(super) struct Site {
    pub(super) api: TestApi,
    pub(super) base: String,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Deref for Site {
    type Target = TestApi;

    fn deref(&self) -> &TestApi {
        &self.api
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Site {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Apps know the service by the address that browsers see.
        let api = TestApi::with(|config| config.listen = Some(address)).await;
        let base = format!("http://{address}");
        let service = api.router().into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(axum::serve(listener, service).into_future());
        Self { api, base, serving }
    }

    /// Makes a user and signs in.
    pub(super) async fn sign_in(&self, tab: &Tab, role: Role) {
        platform::create(&self.db().pool, "ada@example.com", role, PASSWORD).await.unwrap();
        tab.go("").await;
        sign_in(tab, PASSWORD).await;
        tab.see_heading("Overview").await;
    }

    /// A job of `tenant_demo_cca` that no production worker takes.
    pub(super) async fn step(&self, step: &Step) -> Uuid {
        self.db().enqueue_new(NewJob::of(self.cca.id, step).unwrap()).await.id
    }
}

/// Fills the form to sign in and sends it.
pub(super) async fn sign_in(tab: &Tab, password: &str) {
    tab.fill("textbox", "Email", "ada@example.com").await;
    tab.fill("textbox", "Password", password).await;
    tab.press("Sign in").await;
}

/// Runs a test in a tab of its own. Nothing may go wrong in the browser meanwhile; a test that
/// fails leaves a picture.
pub(super) async fn visit(test: impl AsyncFnOnce(&Site, &mut Tab)) {
    let Some(browser) = chromium::browser() else { return };
    let site = Site::new().await;
    let mut tab = Tab::open(browser, &site.base).await;
    let ended = AssertUnwindSafe(test(&site, &mut tab)).catch_unwind().await;
    let wrong = tab.wrong().await;
    if ended.is_err() || !wrong.is_empty() {
        let name = std::thread::current().name().unwrap_or("test").replace("::", "-");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{name}.png"));
        std::fs::write(&file, tab.picture(CaptureScreenshotFormat::Png, 5000.0).await).unwrap();
        eprintln!("the page as it was last: {}", file.display());
    }
    tab.close().await;
    ended.unwrap_or_else(|panic| resume_unwind(panic));
    assert!(wrong.is_empty(), "the browser noted: {wrong:#?}");
}
