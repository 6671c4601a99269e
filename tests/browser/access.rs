//! Every page, light and dark, wide and narrow, held against the rules of WCAG 2.1 A and AA and
//! axe's good practice.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::json;
use weirgate_identity::platform::Role;

use super::Tab;
use super::chromium::{is_required, say};
use super::scene::{Page, Scene};
use super::site::{sign_in, visit};

const RULES: &str = "{
    runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] },
    resultTypes: ['violations'],
    preload: false,
}";

/// A wide window and a phone.
pub(super) const LOOKS: [(&str, u32); 4] =
    [("light", 1440), ("dark", 1440), ("light", PHONE), ("dark", PHONE)];

const PHONE: u32 = 390;

/// What axe has to say, as far as it is told here.
#[derive(Debug, Deserialize)]
struct Violation {
    id: String,
    help: String,
    nodes: Vec<String>,
}

/// The script; `None` where it was not fetched.
fn axe() -> Option<String> {
    let usual = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/axe.min.js"));
    let path = std::env::var_os("AXE").map_or_else(usual, PathBuf::from);
    let script = std::fs::read_to_string(&path).ok();
    if script.is_none() {
        let missing =
            format!("{} is not there: scripts/tools fetches it, AXE=… names another", path.display());
        assert!(!is_required(), "{missing}");
        say(&format!("{missing}; pages are not checked for who needs a reader or a keyboard"));
    }
    script
}

/// What is wrong with the page that a tab shows.
async fn check(tab: &Tab, axe: &str, page: &str) -> Vec<String> {
    // Through the debugger, so that the page's policy, under which no such script runs, stays as it
    // is.
    tab.eval::<Option<bool>>(&format!("{axe}; null")).await;
    let mut wrong = Vec::new();
    for (scheme, width) in LOOKS {
        tab.look(scheme, width).await;
        // axe tells no contrast from texts on the shade of what scrolls, so it looks at them
        // without.
        tab.eval::<Option<bool>>("(document.querySelectorAll('.scroll, .graph, .plot').forEach((it) => (it.style.backgroundImage = 'none')), null)").await;
        let run = format!(
            "axe.run(document, {RULES}).then(({{ violations }}) => violations.map((it) => (
                {{ id: it.id, help: it.help, nodes: it.nodes.map((node) => node.html + ' ' + node.failureSummary) }})))"
        );
        let violations: Vec<Violation> = tab.eval(&run).await;
        let told = violations.iter().map(|it| format!("{}: {}: {:#?}", it.id, it.help, it.nodes));
        wrong.extend(told.map(|it| format!("{page}, {scheme}, {width} px: {it}")));
        tab.eval::<Option<bool>>(
            "(document.querySelectorAll('[style]').forEach((it) => (it.style.backgroundImage = '')), null)",
        )
        .await;
        wrong.extend(room(tab).await.into_iter().map(|it| format!("{page}, {scheme}, {width} px: {it}")));
    }
    wrong
}

/// What does not fit into the window, or does not say that it goes on beside it.
async fn room(tab: &Tab) -> Vec<String> {
    let look = "(() => {
        const wide = document.documentElement.clientWidth;
        const name = (it) => it.ariaLabel ?? it.innerText.trim().slice(0, 60);
        const seen = (it) => it.checkVisibility() && getComputedStyle(it).clipPath === 'none';
        const over = document.documentElement.scrollWidth - wide;
        const wrong = over > 0 ? [`it is ${over} px wider than the window`] : [];
        for (const it of document.querySelectorAll('button, select, input:not([type=hidden]), a.button')) {
            const { left, right } = it.getBoundingClientRect();
            if (seen(it) && (left < 0 || right > wide)) wrong.push(`${it.tagName} ${name(it)} is not on the screen`);
        }
        for (const it of document.querySelectorAll('main, main *')) {
            if (!seen(it) || it.scrollWidth <= it.clientWidth + 1 || getComputedStyle(it).overflowX === 'visible') continue;
            if (it.matches('input, .hidden, .hidden *, svg *')) continue;
            if (!it.matches('.scroll, .graph, .plot')) wrong.push(`${it.tagName} ${name(it)} is cut off`);
            else if (getComputedStyle(it).backgroundImage === 'none') wrong.push(`${name(it)} does not say that it goes on`);
        }
        for (const cell of document.querySelectorAll('.scroll > table > tbody > tr > *')) {
            const card = getComputedStyle(cell.parentElement).display === 'grid';
            const head = cell.closest('table').tHead.rows[0].cells[cell.cellIndex].textContent.trim();
            const label = getComputedStyle(cell, '::before').content;
            if (card && seen(cell) && (label === 'none' || cell.dataset.column !== head)) wrong.push(`${name(cell)} stands without ${head}`);
        }
        return wrong;
    })()";
    tab.eval(look).await
}

/// What is live is still, so that nothing goes while it is looked at.
async fn keep_still(tab: &Tab) {
    let source = "window.EventSource = class { addEventListener() {} close() {} }";
    tab.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source })).await;
}

async fn check_all(tab: &Tab, axe: &str, pages: &[Page]) {
    let (mut wrong, mut links) = (Vec::new(), BTreeMap::new());
    for page in pages {
        page.show(tab).await;
        wrong.extend(check(tab, axe, page.name).await);
        let here: Vec<String> = tab
            .eval("[...document.querySelectorAll('a[href^=\"/\"]')].map((it) => it.getAttribute('href'))")
            .await;
        links.extend(here.into_iter().map(|link| (shape(&link), link)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(links.len() > 20, "{links:?}");
    for link in links.values() {
        let status: u16 = tab.eval(&format!("fetch({}).then((it) => it.status)", json!(link))).await;
        assert_eq!(status, 200, "{link}");
    }
}

/// What links to things of one sort have in common: all but ids, dates and numbers.
fn shape(link: &str) -> String {
    link.chars().filter(|letter| !letter.is_ascii_hexdigit() && *letter != '-').collect()
}

#[tokio::test]
async fn every_page_can_be_read_and_used_by_everybody_and_no_link_leads_nowhere() {
    let Some(axe) = axe() else { return };
    visit(async |site, tab| {
        keep_still(tab).await;
        site.sign_in(tab, Role::Admin).await;
        let scene = Scene::new(site).await;
        let linked: Vec<String> =
            tab.eval("[...document.querySelectorAll('nav a')].map((it) => it.getAttribute('href'))").await;
        for path in linked {
            let is_checked = scene.pages.iter().any(|page| page.is_at(&path));
            assert!(is_checked, "{path} is not among the pages that are checked");
        }
        check_all(tab, &axe, &scene.pages).await;
        scene.worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn so_can_those_that_refuse() {
    let Some(axe) = axe() else { return };
    visit(async |site, tab| {
        for status in [401, 403, 404, 422] {
            tab.watch.expect(status);
        }
        keep_still(tab).await;
        tab.go("").await;
        let mut wrong = check(tab, &axe, "sign-in").await;
        sign_in(tab, "not the password").await;
        tab.see("Wrong email or password").await;
        wrong.extend(check(tab, &axe, "sign-in, refused").await);
        tab.go("/jobs/nothing").await;
        wrong.extend(check(tab, &axe, "signed out, no such page").await);
        tab.go_beside("/account/invitation?token=unknown").await;
        wrong.extend(check(tab, &axe, "an invitation that has ended").await);
        site.sign_in(tab, Role::Viewer).await;
        let wrong_filters = ["/jobs?created_after=yesterday", "/rejects?tenant_id=nobody&date=yesterday"];
        for path in ["/nothing", "/jobs", "/queues", "/audit", "/accounts"].into_iter().chain(wrong_filters) {
            tab.go(path).await;
            wrong.extend(check(tab, &axe, path).await);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_into_a_phone_is_found() {
    visit(async |site, tab| {
        site.sign_in(tab, Role::Operator).await;
        tab.look("light", PHONE).await;
        for (change, told) in [
            ("document.title", None),
            ("document.querySelector('h1').style.width = '600px'", Some("wider than the window")),
            ("document.querySelector('td button').style.cssText = 'position: absolute; left: 700px'", Some("not on the screen")),
            ("document.querySelector('main').style.cssText = 'width: 300px; overflow: hidden'; document.querySelector('h1').style.width = '600px'", Some("is cut off")),
            ("document.querySelector('.scroll').style.background = 'none'; document.querySelector('table').style.minWidth = '900px'", Some("does not say that it goes on")),
            ("document.querySelector('td').removeAttribute('data-column')", Some("stands without Available")),
        ] {
            tab.go("/queues").await;
            tab.eval::<bool>(&format!("{change}; true")).await;
            let wrong = room(tab).await;
            match told {
                Some(told) => assert!(wrong.iter().any(|it| it.contains(told)), "{change}: {wrong:?}"),
                None => assert!(wrong.is_empty(), "{wrong:?}"),
            }
        }
    })
    .await;
}
