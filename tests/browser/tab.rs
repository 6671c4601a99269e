//! A tab with cookies of its own, used as people do: what is there is found by its role and name,
//! as a screen reader finds it, clicked with a mouse and typed into. Nothing waits for a time;
//! everything waits for what it needs to see.

use std::time::{Duration, Instant};

use chromiumoxide::cdp::browser_protocol::browser::BrowserContextId;
use chromiumoxide::cdp::browser_protocol::page::{CaptureScreenshotFormat, Viewport};
use chromiumoxide::cdp::browser_protocol::target::{CreateBrowserContextParams, CreateTargetParams};
use chromiumoxide::page::ScreenshotParams;
use chromiumoxide::types::{Command, Method, MethodId};
use chromiumoxide::{Browser, Page};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::watch::Watch;

/// Something that does not come within this time does not come.
const LONGEST: Duration = Duration::from_secs(30);

/// The browser does not always answer while one page goes and another comes. What is not answered
/// within this time was lost, and is asked again.
const ANSWERED: Duration = Duration::from_secs(5);

/// A command of the browser by its name, with the answer as it comes.
#[derive(Debug, Clone, Serialize)]
struct Call {
    #[serde(skip)]
    method: &'static str,
    #[serde(flatten)]
    parameters: Value,
}

impl Method for Call {
    fn identifier(&self) -> MethodId {
        self.method.into()
    }
}

impl Command for Call {
    type Response = Value;
}

pub(super) struct Tab {
    browser: &'static Browser,
    context: BrowserContextId,
    page: Page,
    base: String,
    pub(super) watch: Watch,
}

impl Tab {
    /// An empty one, for the site at `base`.
    pub(super) async fn open(browser: &'static Browser, base: &str) -> Self {
        let context = browser.create_browser_context(CreateBrowserContextParams::default()).await.unwrap();
        let mut target = CreateTargetParams::new("about:blank");
        target.browser_context_id = Some(context.clone());
        target.new_window = Some(true);
        let page = browser.new_page(target).await.unwrap();
        let watch = Watch::of(&page, base).await;
        let tab = Self { browser, context, page, base: base.to_owned(), watch };
        tab.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
        tab.look("light", 1280).await;
        tab
    }

    /// Closes it and forgets its cookies.
    pub(super) async fn close(self) {
        self.browser.dispose_browser_context(self.context).await.unwrap();
    }

    async fn ask(&self, method: &'static str, parameters: Value) -> Result<Value, String> {
        let answer = self.page.execute(Call { method, parameters }).await;
        answer.map(|answer| answer.result).map_err(|error| error.to_string())
    }

    async fn try_call(&self, method: &'static str, parameters: Value) -> Result<Value, String> {
        let answer = timeout(ANSWERED, self.ask(method, parameters)).await;
        answer.map_err(|_| format!("{method} is not answered"))?
    }

    pub(super) async fn call(&self, method: &'static str, parameters: Value) -> Value {
        self.ask(method, parameters).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The look that somebody has set: `light` or `dark`, and so many pixels wide.
    pub(super) async fn look(&self, scheme: &str, width: u32) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features })).await;
        let height = if width < 600 { 844 } else { 900 };
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    pub(super) async fn turn_scripts_off(&self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    }

    /// Goes to a page of the dashboard and waits until it is there.
    pub(super) async fn go(&self, path: &str) {
        self.go_beside(&format!("/dashboard{path}")).await;
    }

    /// Goes to any page of the site.
    pub(super) async fn go_beside(&self, path: &str) {
        let url = format!("{}{path}", self.base);
        self.page.goto(url.as_str()).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// What an expression gives; `None` while one page goes and another comes.
    pub(super) async fn try_eval<T: DeserializeOwned>(&self, expression: &str) -> Option<T> {
        timeout(ANSWERED, self.evaluate(expression)).await.ok()?
    }

    async fn evaluate<T: DeserializeOwned>(&self, expression: &str) -> Option<T> {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.ask("Runtime.evaluate", asked).await.ok()?;
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]);
        serde_json::from_value(answer["result"]["value"].clone()).ok()
    }

    pub(super) async fn eval<T: DeserializeOwned>(&self, expression: &str) -> T {
        self.evaluate(expression).await.unwrap_or_else(|| panic!("{expression} gives nothing"))
    }

    /// Waits until an expression is true.
    pub(super) async fn until(&self, what: &str, expression: &str) {
        let deadline = Instant::now() + LONGEST;
        while self.try_eval::<bool>(&format!("Boolean({expression})")).await != Some(true) {
            assert!(Instant::now() < deadline, "{what} does not come; the page says: {}", self.text().await);
            self.pause().await;
        }
    }

    /// Between two looks.
    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    /// What can be read on the page.
    pub(super) async fn text(&self) -> String {
        self.try_eval("document.body?.innerText").await.unwrap_or_default()
    }

    /// Waits until the page says this.
    pub(super) async fn see(&self, text: &str) {
        self.until(&format!("{text:?}"), &format!("document.body?.innerText.includes({})", json!(text)))
            .await;
    }

    /// Waits until this is the whole page's heading.
    pub(super) async fn see_heading(&self, text: &str) {
        let is = format!("document.querySelector('h1')?.innerText.trim() === {}", json!(text));
        self.until(&format!("the heading {text:?}"), &is).await;
    }

    /// Waits until the address, without the host, is this.
    pub(super) async fn see_address(&self, path: &str) {
        let is = format!("location.pathname + location.search === {}", json!(format!("/dashboard{path}")));
        self.until(&format!("the address {path:?}"), &is).await;
    }

    /// The text of everything that a selector takes.
    pub(super) async fn texts(&self, selector: &str) -> Vec<String> {
        let all =
            format!("[...document.querySelectorAll({})].map((it) => it.innerText.trim())", json!(selector));
        self.eval(&all).await
    }

    /// Whether something of this role and name is there.
    pub(super) async fn has(&self, role: &str, name: &str) -> bool {
        self.find(role, name).await.is_ok()
    }

    async fn find(&self, role: &str, name: &str) -> Result<i64, String> {
        // While a page comes, clicks on it get lost.
        if self.try_eval("document.readyState").await != Some("complete".to_owned()) {
            return Err("the page is not there yet".to_owned());
        }
        let document = self.try_call("DOM.getDocument", json!({ "depth": 0 })).await?;
        let root = document["root"]["backendNodeId"].clone();
        let asked = json!({ "backendNodeId": root, "role": role, "accessibleName": name });
        let found = self.try_call("Accessibility.queryAXTree", asked).await?;
        let nodes = found["nodes"].as_array().ok_or("no nodes")?;
        let shown = nodes.iter().find(|node| node["ignored"] != true);
        shown.and_then(|node| node["backendDOMNodeId"].as_i64()).ok_or_else(|| "it is not there".to_owned())
    }

    /// Does `act` to what has this role and name, as soon as it is there and stays long enough.
    async fn with(&self, role: &str, name: &str, act: impl AsyncFn(i64) -> Result<(), String>) {
        let deadline = Instant::now() + LONGEST;
        loop {
            let done = match self.find(role, name).await {
                Ok(node) => act(node).await,
                Err(error) => Err(error),
            };
            let Err(error) = done else { return };
            let said = || format!("the {role} {name:?}: {error}");
            assert!(Instant::now() < deadline, "{}; the page says: {}", said(), self.text().await);
            self.pause().await;
        }
    }

    pub(super) async fn click(&self, role: &str, name: &str) {
        self.with(role, name, async |node| {
            let it = json!({ "backendNodeId": node });
            self.try_call("DOM.scrollIntoViewIfNeeded", it.clone()).await?;
            let quads = self.try_call("DOM.getContentQuads", it).await?;
            let corner = |at: usize| quads["quads"][0][at].as_f64().ok_or("it has no place");
            let (x, y) = (corner(0)?.midpoint(corner(4)?), corner(1)?.midpoint(corner(5)?));
            self.mouse("mousePressed", x, y).await?;
            match self.mouse("mouseReleased", x, y).await {
                // The page may have gone at once, and with it the answer.
                Err(error) if self.find(role, name).await == Ok(node) => Err(error),
                _ => Ok(()),
            }
        })
        .await;
    }

    async fn mouse(&self, kind: &str, x: f64, y: f64) -> Result<(), String> {
        let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
        self.try_call("Input.dispatchMouseEvent", event).await.map(drop)
    }

    pub(super) async fn press(&self, button: &str) {
        self.click("button", button).await;
    }

    pub(super) async fn follow(&self, link: &str) {
        self.click("link", link).await;
    }

    /// Puts a text in place of what a field has.
    pub(super) async fn fill(&self, role: &str, label: &str, text: &str) {
        self.with(role, label, async |node| {
            self.try_call("DOM.focus", json!({ "backendNodeId": node })).await?;
            let chosen: Option<bool> = self.try_eval("(document.activeElement.select(), true)").await;
            chosen.ok_or("the page goes")?;
            self.try_call("Input.insertText", json!({ "text": text })).await.map(drop)
        })
        .await;
    }

    /// Presses one key: `Tab`, `Enter` or a space.
    pub(super) async fn key(&self, key: &str) {
        let (code, number, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            " " => ("Space", 32, " "),
            _ => panic!("the key {key:?} is not known here"),
        };
        let kind = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        for (kind, text) in [(kind, text), ("keyUp", "")] {
            let event = json!({ "type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number, "text": text });
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Types where the focus is.
    pub(super) async fn type_text(&self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// A picture of the page, no higher than `height`.
    pub(super) async fn picture(&self, format: CaptureScreenshotFormat, height: f64) -> Vec<u8> {
        let size = self.page.layout_metrics().await.unwrap().css_content_size;
        let clip =
            Viewport { x: 0.0, y: 0.0, width: size.width, height: size.height.min(height), scale: 1.0 };
        let asked = ScreenshotParams::builder().format(format).clip(clip).capture_beyond_viewport(true);
        self.page.screenshot(asked.build()).await.unwrap()
    }

    /// What the page did that it should not have done, up to now.
    pub(super) async fn wrong(&mut self) -> Vec<String> {
        // What came before these answers has been noted once they are here.
        for _ in 0..2 {
            let _ = self.try_eval::<Value>("0").await;
        }
        self.watch.wrong()
    }
}
