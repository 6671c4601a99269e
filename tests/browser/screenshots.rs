//! Pictures of every page: those in `docs/images`, or of wide windows and phones to look through;
//! `scripts/screenshots` makes them.

use std::path::Path;

use chromiumoxide::cdp::browser_protocol::page::CaptureScreenshotFormat;
use weirgate_identity::platform::Role;

use super::access::LOOKS;
use super::scene::{Page, Scene};
use super::site::visit;

const WIDTH: u32 = 1280;
const HIGHEST: f64 = 1400.0;

/// Whether somebody has asked for this page, or for all.
fn is_asked(page: &Page) -> bool {
    std::env::var("PAGES").map_or(true, |only| only.split(' ').any(|it| it == page.name))
}

#[tokio::test]
#[ignore = "writes docs/images: scripts/screenshots"]
async fn every_page_in_light_and_dark() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/images"));
    take(folder, 60, &[("light", WIDTH), ("dark", WIDTH)], |page, scheme, _| format!("{page}-{scheme}.webp"))
        .await;
}

#[tokio::test]
#[ignore = "writes a folder: scripts/screenshots --into"]
async fn every_page_wide_and_narrow() {
    let folder = std::env::var_os("INTO").expect("INTO names a folder");
    let name = |page: &str, scheme: &str, width| format!("{page}-{width}-{scheme}.webp");
    take(Path::new(&folder), 3, &LOOKS, name).await;
}

/// After so many minutes of work, each page in each look, under the name that it gets for it.
async fn take(folder: &Path, minutes: u32, looks: &[(&str, u32)], name: impl Fn(&str, &str, u32) -> String) {
    std::fs::create_dir_all(folder).unwrap();
    visit(async |site, tab| {
        site.sign_in(tab, Role::Admin).await;
        let scene = Scene::after(site, minutes).await;
        for page in scene.pages.iter().filter(|page| is_asked(page)) {
            page.show(tab).await;
            for (scheme, width) in looks {
                tab.look(scheme, *width).await;
                let picture = tab.picture(CaptureScreenshotFormat::Webp, HIGHEST).await;
                std::fs::write(folder.join(name(page.name, scheme, *width)), picture).unwrap();
            }
            tab.look("light", WIDTH).await;
        }
        scene.worker.stop().await;
    })
    .await;
}
