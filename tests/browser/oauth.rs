//! An app of another origin signs somebody in: its page makes the challenge, its script takes the
//! tokens, and the browser lets it.

use std::future::IntoFuture;
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use weirgate_identity::clients::{self, New};

use super::site::Site;
use super::{PASSWORD, visit};
use crate::support::member::member;

/// The app, known to the service: its page, on a port of its own.
async fn app(site: &Site) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let page = include_str!("app.html").replace("{service}", &site.base);
    let page = get(async move || Html(page));
    let routes = Router::new().route("/", page.clone()).route("/signed-in", page);
    tokio::spawn(axum::serve(listener, routes).into_future());
    let (redirect_uris, origins) = ([format!("{origin}/signed-in")], [origin.clone()]);
    let new = New { client_id: "desk", name: "Desk", redirect_uris: &redirect_uris, origins: &origins };
    clients::create(&mut site.db().pool.acquire().await.unwrap(), new).await.unwrap();
    origin
}

#[tokio::test]
async fn an_app_signs_somebody_in_refreshes_and_loses_all_to_a_token_that_is_used_twice() {
    visit(async |site, tab| {
        let origin = app(site).await;
        member(&site.api, "grace@acme.example", "reader", &[site.cca.id]).await;
        tab.watch.expect(400);
        tab.watch.allow(&origin);
        tab.call("Page.navigate", json!({ "url": origin })).await;
        tab.see("Nobody is signed in.").await;
        tab.press("Sign in with Weirgate").await;
        tab.see_heading("Sign in to Desk").await;
        tab.fill("textbox", "Email", "grace@acme.example").await;
        tab.fill("textbox", "Password", PASSWORD).await;
        tab.press("Sign in").await;
        tab.see("Signed in as grace@acme.example, reader of msp.").await;

        let next: Value = tab.eval("refresh()").await;
        assert_eq!(next["status"], 200, "{next}");
        let same: Value = tab.eval("refresh()").await;
        assert_eq!(same["refresh_token"], next["refresh_token"], "a lost answer, asked for again");
        let after: Value = tab.eval(&format!("refresh({})", next["refresh_token"])).await;
        assert_eq!(after["status"], 200);
        site.db().travel(Duration::from_secs(11)).await;
        let reused: Value = tab.eval("refresh()").await;
        assert_eq!((&reused["status"], &reused["error"]), (&json!(400), &json!("invalid_grant")));
        let over: Value = tab.eval(&format!("refresh({})", after["refresh_token"])).await;
        assert_eq!(over["error"], "invalid_grant", "all of the sign-in is over");

        // Who is signed in here already goes through without being asked.
        tab.call("Page.navigate", json!({ "url": origin })).await;
        tab.see("Nobody is signed in.").await;
        tab.press("Sign in with Weirgate").await;
        tab.see("Signed in as grace@acme.example, reader of msp.").await;
    })
    .await;
}

#[tokio::test]
async fn a_member_of_several_chooses_and_the_browser_goes_back_to_the_app() {
    visit(async |site, tab| {
        let origin = app(site).await;
        member(&site.api, "grace@acme.example", "reader", &[site.cca.id, site.client2.id]).await;
        tab.watch.allow(&origin);
        tab.call("Page.navigate", json!({ "url": origin })).await;
        tab.press("Sign in with Weirgate").await;
        tab.see_heading("Sign in to Desk").await;
        tab.fill("textbox", "Email", "grace@acme.example").await;
        tab.fill("textbox", "Password", PASSWORD).await;
        tab.press("Sign in").await;
        tab.see("Choose what you sign in for.").await;
        let names = tab.texts("button.choice span").await;
        assert_eq!(names.len(), 2, "{names:?}");
        let click = "document.querySelector('button.choice').click(); null";
        tab.eval::<Option<bool>>(click).await;
        tab.see("Signed in as grace@acme.example, reader of msp.").await;
    })
    .await;
}
