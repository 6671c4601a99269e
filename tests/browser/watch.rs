//! What a page must never do: say an error, throw, or ask another host for anything.

use std::sync::Arc;

use chromiumoxide::Page;
use chromiumoxide::cdp::browser_protocol::log::{EventEntryAdded, LogEntryLevel};
use chromiumoxide::cdp::browser_protocol::network::EventRequestWillBeSent;
use chromiumoxide::cdp::js_protocol::runtime::{
    ConsoleApiCalledType, EventConsoleApiCalled, EventExceptionThrown,
};
use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{FutureExt, StreamExt};

enum Seen {
    Log(Arc<EventEntryAdded>),
    Console(Arc<EventConsoleApiCalled>),
    Thrown(Arc<EventExceptionThrown>),
    Request(Arc<EventRequestWillBeSent>),
}

/// Everything that a tab does from its beginning on.
pub(super) struct Watch {
    base: String,
    /// Where an app is that the test is about.
    app: Option<String>,
    seen: SelectAll<BoxStream<'static, Seen>>,
    requests: usize,
    /// Of errors that a test is about.
    expected: Vec<String>,
}

impl Watch {
    pub(super) async fn of(page: &Page, base: &str) -> Self {
        let mut seen = SelectAll::new();
        seen.push(page.event_listener().await.unwrap().map(Seen::Log).boxed());
        seen.push(page.event_listener().await.unwrap().map(Seen::Console).boxed());
        seen.push(page.event_listener().await.unwrap().map(Seen::Thrown).boxed());
        seen.push(page.event_listener().await.unwrap().map(Seen::Request).boxed());
        page.enable_log().await.unwrap();
        page.enable_runtime().await.unwrap();
        Self { base: base.to_owned(), app: None, seen, requests: 0, expected: Vec::new() }
    }

    /// Requests to this origin are what the test is about.
    pub(super) fn allow(&mut self, origin: &str) {
        self.app = Some(origin.to_owned());
    }

    /// Answers of this status, which the browser logs as errors, are what the test is about.
    pub(super) fn expect(&mut self, status: u16) {
        self.expect_text(&format!("status of {status} "));
    }

    /// So are errors that say this.
    pub(super) fn expect_text(&mut self, text: &str) {
        self.expected.push(text.to_owned());
    }

    /// Reads what came so far; answers with what should not have been.
    pub(super) fn wrong(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        while let Some(Some(seen)) = self.seen.next().now_or_never() {
            wrong.extend(self.judge(&seen));
        }
        if self.requests == 0 {
            wrong.push("no request was seen, so nothing was watched".to_owned());
        }
        wrong
    }

    fn judge(&mut self, seen: &Seen) -> Option<String> {
        match seen {
            Seen::Request(event) => {
                self.requests += 1;
                let url = &event.request.url;
                // What is in the address itself, such as the browser's own signs, is asked of
                // nobody.
                let known = std::iter::once(&self.base).chain(&self.app);
                let ours = known.into_iter().any(|base| url.starts_with(&format!("{base}/")));
                let ours = ours || url.starts_with("data:");
                (!ours).then(|| format!("a request to {url}"))
            }
            Seen::Log(event) => {
                let entry = &event.entry;
                let harmless = match entry.level {
                    LogEntryLevel::Error => self.expected.iter().any(|text| entry.text.contains(text)),
                    LogEntryLevel::Warning => false,
                    LogEntryLevel::Verbose | LogEntryLevel::Info => true,
                };
                let at = entry.url.as_deref().unwrap_or_default();
                (!harmless).then(|| format!("{:?}: {} {at}", entry.level, entry.text))
            }
            Seen::Console(event) => {
                let harmless = matches!(
                    event.r#type,
                    ConsoleApiCalledType::Log | ConsoleApiCalledType::Info | ConsoleApiCalledType::Debug
                );
                (!harmless).then(|| format!("console: {:?}", event.args))
            }
            Seen::Thrown(event) => Some(format!("thrown: {:?}", event.exception_details)),
        }
    }
}
