//! The pictures in `docs/images`; `scripts/screenshots` makes them.

use std::path::Path;

use chromiumoxide::cdp::browser_protocol::page::CaptureScreenshotFormat;
use weirgate::users::Role;

use super::scene::{Page, Scene};
use super::site::visit;

const WIDTH: u32 = 1280;
const HIGHEST: f64 = 1400.0;

#[tokio::test]
#[ignore = "writes docs/images: scripts/screenshots"]
async fn every_page_in_light_and_dark() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/images"));
    std::fs::create_dir_all(folder).unwrap();
    visit(async |site, tab| {
        site.sign_in(tab, Role::Admin).await;
        let scene = Scene::after(site, 60).await;
        let only = std::env::var("PAGES").ok();
        let is_asked =
            |page: &&Page| only.as_ref().is_none_or(|only| only.split(' ').any(|it| it == page.name));
        for page in scene.pages.iter().filter(is_asked) {
            page.show(tab).await;
            for scheme in ["light", "dark"] {
                tab.look(scheme, WIDTH).await;
                let picture = tab.picture(CaptureScreenshotFormat::Webp, HIGHEST).await;
                std::fs::write(folder.join(format!("{}-{scheme}.webp", page.name)), picture).unwrap();
            }
        }
        scene.worker.stop().await;
    })
    .await;
}
