//! An app signs people in: authorization code with PKCE.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use weirgate_identity::pkce;

use crate::support::TestApi;
use crate::support::member::{
    Browser, CLIENT, ORIGIN, REDIRECT, Tokens, authorize, error, know_client, me, member, of_code, sent,
    token,
};
use crate::support::person::{PASSWORD, form};

async fn scene() -> TestApi {
    let api = TestApi::new().await;
    know_client(&api).await;
    member(&api, "grace@acme.example", "reader", &[api.cca.id]).await;
    api
}

#[tokio::test]
async fn somebody_signs_in_and_the_app_gets_tokens() {
    let api = scene().await;
    let asked = authorize(&[("scope", "read:kpis read:tickets")]);
    let to_sign_in = api.anonymous("GET", &asked).send().await;
    assert_eq!(to_sign_in.status, StatusCode::SEE_OTHER);
    let page = to_sign_in.header("location").unwrap().to_owned();
    assert!(page.starts_with("/account/sign-in?next=%2Foauth%2Fauthorize%3F"), "{page}");
    let shown = api.anonymous("GET", &page).send().await;
    assert!(shown.text().contains("Sign in to Desk"), "{}", shown.text());
    let policy = shown.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self' https://desk.example.com;"), "{policy}");
    let fields = form(&[("email", "grace@acme.example"), ("password", PASSWORD), ("next", &asked)]);
    let call = api.anonymous("POST", "/account/sign-in").body("application/x-www-form-urlencoded", fields);
    let signed_in = call.send().await;
    assert_eq!(signed_in.header("location"), Some(asked.as_str()));
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let back = api.anonymous("GET", &asked).header("cookie", &cookie).send().await;
    assert_eq!(back.status, StatusCode::SEE_OTHER);
    assert_eq!(sent(&back, "state").as_deref(), Some("a b&c"));
    assert_eq!(sent(&back, "iss").as_deref(), Some("http://localhost"));
    let answer = token(&api, &of_code(&sent(&back, "code").unwrap())).await;
    let body = answer.ok(StatusCode::OK);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(600)));
    assert_eq!(body["scope"], "read:kpis", "what was asked for and the role has");
    let me = me(&api, body["access_token"].as_str().unwrap()).await.ok(StatusCode::OK);
    assert_eq!(me["email"], "grace@acme.example");
    assert_eq!(
        (&me["tenantId"], &me["app"], &me["role"]),
        (&json!(api.cca.id), &json!("msp"), &json!("reader"))
    );
    assert_eq!(me["scopes"], json!(["read:kpis"]));
}

#[tokio::test]
async fn requests_that_are_not_the_apps_own_lead_nowhere() {
    let api = scene().await;
    let browser = Browser::sign_in(&api, "grace@acme.example").await;
    for wrong in [
        &[("client_id", "nobody")][..],
        &[("client_id", "")],
        &[("redirect_uri", "https://desk.example.com/signed-in")],
        &[("redirect_uri", "https://evil.example/signed-in?from=weirgate")],
        &[("redirect_uri", "")],
    ] {
        let refused = browser.get(&authorize(wrong)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong:?}");
        assert!(refused.header("location").is_none() && refused.text().contains("cannot sign you in"));
    }
    api.execute("update identity.clients set disabled_at = queue.now()").await;
    assert_eq!(browser.get(&authorize(&[])).await.status, StatusCode::BAD_REQUEST, "it is disabled");
}

#[tokio::test]
async fn other_wrong_requests_are_told_to_the_app() {
    let api = scene().await;
    let browser = Browser::sign_in(&api, "grace@acme.example").await;
    let plain = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c";
    for (wrong, expected) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("response_type", "")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", plain)], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("scope", "write:everything")], "invalid_scope"),
        (&[("prompt", "none"), ("tenant", "another")], "access_denied"),
    ] {
        let told = browser.get(&authorize(wrong)).await;
        assert_eq!(told.status, StatusCode::SEE_OTHER, "{wrong:?}: {}", told.text());
        assert_eq!(sent(&told, "error").as_deref(), Some(expected), "{wrong:?}");
        assert_eq!(sent(&told, "state").as_deref(), Some("a b&c"));
        assert!(sent(&told, "code").is_none() && sent(&told, "iss").is_some());
    }
    let twice = format!("{}&code_challenge={plain}", authorize(&[]));
    assert_eq!(sent(&browser.get(&twice).await, "error").as_deref(), Some("invalid_request"));
    let silently = api.anonymous("GET", &authorize(&[("prompt", "none")])).send().await;
    assert_eq!(sent(&silently, "error").as_deref(), Some("login_required"));
    assert_eq!(api.count("identity.auth_codes").await, 0);
}

#[tokio::test]
async fn who_is_signed_in_signs_in_again_where_the_app_wants_it() {
    let api = scene().await;
    let browser = Browser::sign_in(&api, "grace@acme.example").await;
    let asked = authorize(&[("prompt", "login"), ("login_hint", "ada@acme.example")]);
    let page = browser.get(&asked).await.header("location").unwrap().to_owned();
    let shown = browser.get(&page).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(shown.text().contains("ada@acme.example"), "{}", shown.text());
    let again = [("email", "grace@acme.example"), ("password", PASSWORD), ("next", asked.as_str())];
    let signed_in = browser.post("/account/sign-in", &again).await;
    let next = signed_in.header("location").unwrap();
    assert!(next.starts_with("/oauth/authorize?") && !next.contains("prompt"), "{next}");
}

#[tokio::test]
async fn a_code_is_for_one_app_one_address_one_verifier_and_a_minute() {
    let api = scene().await;
    api.execute(
        "insert into identity.clients (client_id, name, redirect_uris) select 'other', name, redirect_uris
         from identity.clients",
    )
    .await;
    let browser = Browser::sign_in(&api, "grace@acme.example").await;
    let code = browser.code(&[]).await;
    let with = |name: &'static str, value: &'static str| {
        of_code(&code).map(|(it, own)| if it == name { (it, value) } else { (it, own) })
    };
    let other_verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl";
    for (name, value) in [
        ("code_verifier", other_verifier),
        ("code_verifier", "short"),
        ("redirect_uri", "https://desk.example.com/signed-in"),
        ("client_id", "other"),
        ("code", "wgc_0000"),
    ] {
        assert_eq!(error(&token(&api, &with(name, value)).await, 400), "invalid_grant", "{name}");
    }
    assert_eq!(error(&token(&api, &with("client_id", "nobody")).await, 401), "invalid_client");
    assert_eq!(error(&token(&api, &with("grant_type", "password")).await, 400), "unsupported_grant_type");
    for missing in ["code", "redirect_uri", "code_verifier", "client_id", "grant_type"] {
        assert_eq!(error(&token(&api, &with(missing, "")).await, 400), "invalid_request", "{missing}");
    }
    api.db().travel(Duration::from_secs(61)).await;
    assert_eq!(error(&token(&api, &of_code(&code)).await, 400), "invalid_grant", "too late");
    let code = browser.code(&[]).await;
    api.db().travel(Duration::from_secs(59)).await;
    Tokens::of(&token(&api, &of_code(&code)).await);
}

#[tokio::test]
async fn a_code_that_is_used_twice_ends_what_it_became() {
    let api = scene().await;
    let code = Browser::sign_in(&api, "grace@acme.example").await.code(&[]).await;
    let tokens = Tokens::of(&token(&api, &of_code(&code)).await);
    me(&api, &tokens.access).await.ok(StatusCode::OK);
    assert_eq!(error(&token(&api, &of_code(&code)).await, 400), "invalid_grant");
    me(&api, &tokens.access).await.problem(401, "invalid_token");
    let refresh = crate::support::member::of_refresh(&tokens.refresh);
    assert_eq!(error(&token(&api, &refresh).await, 400), "invalid_grant");
    let noted: i64 = sqlx::query_scalar(
        "select count(*) from identity.audit where action = 'code.reused' and target = $1",
    )
    .bind("grace@acme.example")
    .fetch_one(&api.db().pool)
    .await
    .unwrap();
    assert_eq!(noted, 1);
}

#[tokio::test]
async fn of_two_who_use_a_code_at_once_neither_keeps_tokens() {
    let api = scene().await;
    let code = Browser::sign_in(&api, "grace@acme.example").await.code(&[]).await;
    let fields = of_code(&code);
    let (one, other) = tokio::join!(token(&api, &fields), token(&api, &fields));
    let good = [&one, &other].into_iter().filter(|it| it.status == StatusCode::OK).collect::<Vec<_>>();
    assert_eq!(good.len(), 1);
    me(&api, &Tokens::of(good[0]).access).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn a_member_of_several_chooses_the_tenant() {
    let api = TestApi::new().await;
    know_client(&api).await;
    member(&api, "grace@acme.example", "reader", &[api.cca.id, api.client2.id]).await;
    let browser = Browser::sign_in(&api, "grace@acme.example").await;
    let silently = browser.get(&authorize(&[("prompt", "none")])).await;
    assert_eq!(sent(&silently, "error").as_deref(), Some("interaction_required"));
    let page = browser.get(&authorize(&[])).await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text();
    let value_of = |start: &str| text.split_once(start).unwrap().1.split('"').next().unwrap().to_owned();
    let csrf = value_of(r#"name="csrf" value=""#);
    let query = authorize(&[]).split_once('?').unwrap().1.to_owned();
    let memberships: Vec<&str> =
        text.split(r#"name="membership" value=""#).skip(1).map(|it| it.split('"').next().unwrap()).collect();
    assert_eq!(memberships.len(), 2);
    let chosen = [("csrf", csrf.as_str()), ("request", &query), ("membership", memberships[1])];
    let back = browser.post("/oauth/authorize", &chosen).await;
    let tokens = Tokens::of(&token(&api, &of_code(&sent(&back, "code").unwrap())).await);
    let me = me(&api, &tokens.access).await.ok(StatusCode::OK);
    let expected: uuid::Uuid =
        sqlx::query_scalar("select tenant_id from identity.memberships where id = $1::uuid")
            .bind(memberships[1])
            .fetch_one(&api.db().pool)
            .await
            .unwrap();
    assert_eq!(me["tenantId"], json!(expected));
    let forged = [("csrf", "0"), ("request", query.as_str()), ("membership", memberships[1])];
    assert_eq!(browser.post("/oauth/authorize", &forged).await.status, StatusCode::FORBIDDEN);
    let anothers = uuid::Uuid::now_v7().to_string();
    let anothers = [("csrf", csrf.as_str()), ("request", &query), ("membership", &anothers)];
    let again = browser.post("/oauth/authorize", &anothers).await;
    assert!(again.header("location").unwrap().starts_with("/oauth/authorize?"), "nothing is given out");
    let named = browser.code(&[("tenant", &api.client2.slug)]).await;
    let tokens = Tokens::of(&token(&api, &of_code(&named)).await);
    let me = crate::support::member::me(&api, &tokens.access).await.ok(StatusCode::OK);
    assert_eq!(me["tenantId"], json!(api.client2.id), "the app named the tenant");
}

#[tokio::test]
async fn who_is_a_member_of_nothing_that_the_app_is_for_is_told_so() {
    let api = TestApi::new().await;
    know_client(&api).await;
    member(&api, "grace@acme.example", "reader", &[]).await;
    let browser = Browser::sign_in(&api, "grace@acme.example").await;
    let page = browser.get(&authorize(&[])).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.text().contains("Sign in with another account"), "{}", page.text());
}

#[tokio::test]
async fn scripts_of_the_apps_pages_alone_may_ask_for_tokens() {
    let api = scene().await;
    let allowed = |answer: &weirgate_test_support::Answer| {
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    for path in ["/oauth/token", "/oauth/revoke"] {
        for (origin, expected) in
            [(ORIGIN, Some(ORIGIN.to_owned())), ("https://evil.example", None), ("null", None)]
        {
            let preflight = api
                .anonymous("OPTIONS", path)
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .send()
                .await;
            assert_eq!(preflight.status, StatusCode::NO_CONTENT);
            assert_eq!(allowed(&preflight), expected, "{path} {origin}");
            assert_eq!(preflight.header("vary"), Some("origin"));
            let call = api.anonymous("POST", path).header("origin", origin);
            let refused = call.body("application/x-www-form-urlencoded", "client_id=nobody").send().await;
            assert_eq!(allowed(&refused), expected, "{path} {origin}: the script reads the error, too");
        }
    }
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/jwks.json"] {
        let answer = api.anonymous("GET", path).header("origin", "https://evil.example").send().await;
        assert_eq!(allowed(&answer).as_deref(), Some("*"));
    }
    let me = api.anonymous("GET", "/api/v1/auth/me").header("origin", ORIGIN).send().await;
    me.problem(401, "unauthorized");
}

#[tokio::test]
async fn apps_find_out_by_themselves_how_to_sign_in() {
    let api = scene().await;
    let metadata = api.anonymous("GET", "/.well-known/oauth-authorization-server").send().await;
    let metadata = metadata.ok(StatusCode::OK);
    assert_eq!(metadata["issuer"], "http://localhost");
    assert_eq!(metadata["authorization_endpoint"], "http://localhost/oauth/authorize");
    assert_eq!(metadata["token_endpoint"], "http://localhost/oauth/token");
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["grant_types_supported"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    assert!(metadata["scopes_supported"].as_array().unwrap().contains(&json!("read:kpis")));
    let tokens = crate::support::member::tokens(&api, "grace@acme.example").await;
    let keys = api.anonymous("GET", "/.well-known/jwks.json").send().await.ok(StatusCode::OK);
    let key = &keys["keys"][0];
    assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA")));
    assert!(key.get("d").is_none(), "the private part stays here");
    let header = tokens.access.split('.').next().unwrap();
    assert!(pkce::is_challenge(key["kid"].as_str().unwrap()), "a thumbprint");
    assert!(!header.is_empty());
}

#[tokio::test]
async fn a_service_without_a_secret_key_gives_out_no_tokens() {
    let api = TestApi::with(|config| config.secret_keys = None).await;
    for (method, path) in
        [("GET", "/.well-known/jwks.json"), ("GET", "/.well-known/oauth-authorization-server")]
    {
        api.anonymous(method, path).send().await.problem(503, "no_secret_key");
    }
    let body = json!({ "email": "grace@acme.example", "password": PASSWORD }).to_string();
    api.anonymous("POST", "/api/v1/auth/login").json(body).send().await.problem(503, "no_secret_key");
    assert_eq!(error(&token(&api, &[("client_id", CLIENT)]).await, 503), "temporarily_unavailable");
    let page = api.anonymous("GET", &authorize(&[("redirect_uri", REDIRECT)])).send().await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
}
