//! Who did what on pages.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_identity::invitations;
use weirgate_identity::platform::Role;
use weirgate_queue::NewJob;
use weirgate_test_support::{Does, Step, id};

use crate::support::TestApi;
use crate::support::person::{PASSWORD, Person, sign_in};

/// Where the pages are routed.
const ROUTES: &str = include_str!("../../src/http/dashboard.rs");

/// The same of those that are for everybody who signs in.
const ACCOUNT_ROUTES: &str = include_str!("../../src/http/account.rs");

/// What can be posted to, with what stands for a part of the path left out.
fn routes(of: &str) -> BTreeSet<String> {
    let lines = of.split(".route(\"").skip(1);
    let posts = lines.filter_map(|line| {
        let (path, handlers) = line.split_once('"')?;
        handlers.lines().next()?.contains("post(").then(|| shape(path))
    });
    posts.collect()
}

/// A path with a star for each part that names something.
fn shape(path: &str) -> String {
    let names_something = |part: &str| {
        part.starts_with('{')
            || part.parse::<Uuid>().is_ok()
            || part.starts_with("wg_")
            || ["kpi", "default", "daily_pipeline", "tenant_demo_cca", "desk"].contains(&part)
    };
    path.split('/').map(|part| if names_something(part) { "*" } else { part }).collect::<Vec<_>>().join("/")
}

/// What is posted on one's own account, the action that the audit has of it, and the fields.
type OwnAct<'a> = (String, &'a str, &'a [(&'a str, &'a str)]);

/// What is posted, and what the audit has of it: the action, and how it was and is.
type Act = (String, Vec<(&'static str, String)>, &'static str, [Value; 2]);

fn act(path: &str, action: &'static str, before: Value, after: Value) -> Act {
    (path.to_owned(), vec![("confirmed", "true".to_owned())], action, [before, after])
}

fn state(before: &str, after: &str) -> [Value; 2] {
    [json!({ "state": before }), json!({ "state": after })]
}

fn with((path, mut fields, action, sides): Act, more: &[(&'static str, &str)]) -> Act {
    fields.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    (path, fields, action, sides)
}

/// On queues, tenants and schedules.
fn acts_on_settings() -> Vec<Act> {
    let (paused, open) = (|| json!({ "paused": true }), || json!({ "paused": false }));
    let lane = "/tenants/tenant_demo_cca/lanes/kpi";
    vec![
        act("/queues/kpi/pause", "queue.pause", open(), paused()),
        act("/queues/kpi/resume", "queue.resume", paused(), open()),
        with(
            act(
                "/queues/kpi/limits",
                "queue.limits",
                json!({ "limits": {} }),
                json!({ "limits": { "max_running": 4 } }),
            ),
            &[("of", "all"), ("max_running", "4")],
        ),
        act(&format!("{lane}/pause"), "lane.pause", open(), paused()),
        act(&format!("{lane}/pause"), "lane.pause", paused(), paused()),
        act(
            "/tenants/tenant_demo_cca/pause",
            "tenant.pause",
            json!({ "paused": { "default": false, "export": false, "ingest": false, "kpi": true, "system": false } }),
            json!({ "paused": { "default": true, "export": true, "ingest": true, "kpi": true, "system": true } }),
        ),
        act(&format!("{lane}/resume"), "lane.resume", paused(), open()),
        act(
            "/tenants/tenant_demo_cca/resume",
            "tenant.resume",
            json!({ "paused": { "default": true, "export": true, "ingest": true, "kpi": false, "system": true } }),
            json!({ "paused": { "default": false, "export": false, "ingest": false, "kpi": false, "system": false } }),
        ),
        with(
            act(
                &format!("{lane}/limits"),
                "lane.limits",
                json!({ "limits": null }),
                json!({ "limits": { "max_running": 2, "weight": 1.0 } }),
            ),
            &[("max_running", "2")],
        ),
        act(
            "/schedules/daily_pipeline/pause",
            "schedule.off",
            json!({ "enabled": true }),
            json!({ "enabled": false }),
        ),
        act(
            "/schedules/daily_pipeline/resume",
            "schedule.on",
            json!({ "enabled": false }),
            json!({ "enabled": true }),
        ),
        act("/schedules/daily_pipeline/run", "schedule.run", Value::Null, json!({ "enqueued": 2 })),
    ]
}

/// On tenants and their keys.
fn acts_on_tenants(api: &TestApi) -> Vec<Act> {
    let tenant = "/tenants/tenant_demo_cca";
    let key = api.cca.api_key.as_deref().unwrap();
    let active = |active: bool| json!({ "is_active": active });
    let sent = |path: &str, action, before, after, fields: &[(&'static str, &str)]| {
        let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        (path.to_owned(), fields, action, [before, after])
    };
    vec![
        sent(
            "/tenants",
            "tenant.create",
            Value::Null,
            json!({ "slug": "acme", "name": "Acme Ltd", "time_zone": "Europe/London", "is_active": true }),
            &[("slug", "acme"), ("name", "Acme Ltd"), ("time_zone", "Europe/London")],
        ),
        sent(
            &format!("{tenant}/change"),
            "tenant.change",
            json!({ "time_zone": "UTC" }),
            json!({ "time_zone": "Europe/Paris", "name": null }),
            &[("name", &api.cca.name), ("time_zone", "Europe/Paris")],
        ),
        act(&format!("{tenant}/deactivate"), "tenant.change", active(true), active(false)),
        act(&format!("{tenant}/activate"), "tenant.change", active(false), active(true)),
        sent(
            &format!("{tenant}/api-keys"),
            "key.create",
            Value::Null,
            json!({ "name": "n8n", "scopes": ["read:kpis"], "expires_at": null }),
            &[("id", &Uuid::now_v7().to_string()), ("name", "n8n"), ("scopes", "read:kpis")],
        ),
        act(
            &format!("{tenant}/api-keys/{}/revoke", key.rsplit_once('_').unwrap().0),
            "key.revoke",
            json!({ "is_active": true, "name": "seed" }),
            json!({ "is_active": false, "name": "seed" }),
        ),
    ]
}

/// On jobs, workflows, backfills and workers.
async fn acts(api: &TestApi) -> Vec<Act> {
    let step = async || {
        let job = NewJob::of(api.cca.id, &Step::new("a", Does::Succeed)).unwrap().not_unique();
        api.db().enqueue_new(job).await.id
    };
    let job = step().await;
    let target = "/internal/ingest/csat?tenant_id=tenant_demo_cca&run_at=2099-01-01T00:00:00Z";
    let later = id(&api.enqueue(target).await["id"]);
    let daily = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    let workflow = id(&daily["workflow_id"]);
    let other = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-21").await;
    let failed = id(&other["workflow_id"]);
    sqlx::query("update queue.jobs set state = 'discarded', finalized_at = queue.now() where workflow_id = $1 and name = 'csat'")
        .bind(failed)
        .execute(&api.db().pool)
        .await
        .unwrap();
    let worker = api.db().register_worker().await;
    let backfill = Uuid::now_v7();
    let plain =
        |path: String, action, [before, after]: [Value; 2]| (path, Vec::new(), action, [before, after]);
    let of_backfill = |verb: &str, sides: [Value; 2]| {
        let action: &'static str = match verb {
            "pause" => "backfill.pause",
            "resume" => "backfill.resume",
            "retry_failed" => "backfill.retry_failed",
            _ => "backfill.cancel",
        };
        let path = format!("/backfills/{backfill}/{verb}");
        match (verb, sides) {
            ("pause" | "resume", [before, after]) => act(&path, action, before, after),
            (_, sides) => plain(path, action, sides),
        }
    };
    vec![
        plain(format!("/jobs/{job}/cancel"), "job.cancel", state("available", "cancelled")),
        plain(format!("/jobs/{job}/retry"), "job.retry", state("cancelled", "available")),
        plain(format!("/jobs/{later}/run_now"), "job.run_now", state("scheduled", "available")),
        with(
            plain(
                format!("/jobs/{job}/priority"),
                "job.priority",
                [json!({ "priority": 0 }), json!({ "priority": 5 })],
            ),
            &[("priority", "5")],
        ),
        with(
            act("/jobs/bulk", "jobs.cancel", Value::Null, json!({})),
            &[("action", "cancel"), ("kind", "step")],
        ),
        plain(
            format!("/workflows/{failed}/retry-failed"),
            "workflow.retry_failed",
            [json!({ "failed_jobs": 1 }), json!({ "failed_jobs": 0 })],
        ),
        plain(
            format!("/workflows/{workflow}/cancel"),
            "workflow.cancel",
            [json!({ "open_jobs": 6 }), json!({ "open_jobs": 0 })],
        ),
        with(
            act(
                "/backfills",
                "backfill.create",
                Value::Null,
                json!({ "kind": "compute_kpi", "to": "2026-01-31" }),
            ),
            &[
                ("id", &backfill.to_string()),
                ("kind", "compute_kpi"),
                ("from", "2026-01-01"),
                ("to", "2026-01-31"),
                ("reprocess", "all"),
            ],
        ),
        of_backfill("pause", state("running", "paused")),
        of_backfill("resume", state("paused", "running")),
        of_backfill("retry_failed", state("running", "running")),
        of_backfill("cancel", state("running", "cancelling")),
        act(
            &format!("/workers/{worker}/drain"),
            "worker.drain",
            json!({ "draining": false }),
            json!({ "draining": true }),
        ),
    ]
}

/// Somebody who is signed in by a browser and to an app, for an admin to end.
async fn signed_in(api: &TestApi, email: &str) -> [Uuid; 3] {
    Person::reader(api, email).await;
    let sql = "with made as (
            insert into identity.grants (id, account_id, membership_id, token_epoch)
            select gen_random_uuid(), m.account_id, m.id, 0 from identity.memberships m
            join identity.accounts a on a.id = m.account_id where a.email = $1 returning id, account_id
         )
         select m.account_id, s.id, m.id from made m join identity.sessions s on s.user_id = m.account_id";
    let (account, session, grant) = sqlx::query_as(sql).bind(email).fetch_one(&api.db().pool).await.unwrap();
    [account, session, grant]
}

/// On accounts and on apps that people sign in to.
async fn acts_on_accounts(api: &TestApi) -> Vec<Act> {
    let [grace, session, grant] = signed_in(api, "grace@acme.example").await;
    let tenant = api.cca.id.to_string();
    let of = |path: &str| format!("/accounts/{grace}/{path}");
    let disabled = |is: bool| json!({ "disabled": is });
    let role = |role: Value| json!({ "msp tenant_demo_cca": role });
    let on = |path: &str, action| act(&of(path), action, disabled(false), disabled(false));
    let created = json!({ "platform": "viewer", "has_password": false });
    let desk = json!({ "name": "Desk", "disabled": false });
    let fields = [("client_id", "desk"), ("name", "Desk"), ("redirect_uris", "https://desk.example/in")];
    vec![
        with(
            act("/accounts", "account.create", Value::Null, created),
            &[("email", "new@example.com"), ("role", "platform viewer")],
        ),
        with(
            act(&of("roles"), "account.grant", role("reader".into()), role("analyst".into())),
            &[("role", "msp analyst"), ("tenant", "tenant_demo_cca")],
        ),
        on("invitation", "account.invite"),
        on("invitation/withdraw", "account.uninvite"),
        on(&format!("sessions/{session}/end"), "account.session_end"),
        on(&format!("grants/{grant}/end"), "account.grant_end"),
        with(
            act(&of("roles/withdraw"), "account.withdraw", role("analyst".into()), role(Value::Null)),
            &[("app", "msp"), ("tenant", &tenant)],
        ),
        on("sign-out", "account.sign_out"),
        act(&of("disable"), "account.disable", disabled(false), disabled(true)),
        act(&of("enable"), "account.enable", disabled(true), disabled(false)),
        with(act("/accounts/clients", "client.create", Value::Null, desk), &fields),
        act("/accounts/clients/desk/disable", "client.disable", disabled(false), disabled(true)),
        act("/accounts/clients/desk/enable", "client.enable", disabled(true), disabled(false)),
    ]
}

/// Whether `told` has all that is expected of it.
fn has(told: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(members) => members.iter().all(|(name, value)| told[name] == *value),
        _ => told == expected,
    }
}

#[tokio::test]
async fn every_act_on_pages_is_in_the_audit_with_who_and_what_it_was_before() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Admin).await;
    let mut acts = acts(&api).await;
    acts.extend(acts_on_settings());
    acts.extend(acts_on_tenants(&api));
    acts.extend(acts_on_accounts(&api).await);
    let mut covered: BTreeSet<String> = acts.iter().map(|(path, ..)| shape(path)).collect();
    covered.extend(["/sign-in", "/sign-out"].map(str::to_owned));
    assert_eq!(covered, routes(ROUTES), "a new form says what the audit has of it");
    let newest = async || api.get("/internal/audit?via=dashboard&limit=1").await.items()[0].clone();
    for (path, fields, action, [before, after]) in acts {
        // A link is shown at once, as it is shown only then; these ask nothing first.
        let shows_link = matches!(action, "account.create" | "account.invite");
        let is_sent = |name: &str| {
            !(shows_link || action == "account.grant" || action == "client.create") || name != "confirmed"
        };
        let fields = fields.iter().filter(|(name, _)| is_sent(name));
        let fields: Vec<(&str, &str)> = fields.map(|(name, value)| (*name, value.as_str())).collect();
        let answer = person.post(&format!("/dashboard{path}"), &fields).await;
        // A new key is shown in the answer itself, as is a link.
        let shows = shows_link || path.ends_with("/api-keys");
        let status = if shows { StatusCode::OK } else { StatusCode::SEE_OTHER };
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        let entry = newest().await;
        assert_eq!(
            (&entry["action"], &entry["actor"]),
            (&json!(action), &json!("ada@example.com")),
            "{path}"
        );
        let detail = &entry["detail"];
        assert!(has(&detail["before"], &before) && has(&detail["after"], &after), "{path}: {entry}");
        if path.starts_with("/tenants/") || path.starts_with("/jobs/0") {
            assert_eq!(entry["tenant"], "tenant_demo_cca", "{path}: {entry}");
        }
    }
    let page = person.get("/dashboard/audit").await;
    for told in ["state available → cancelled", "paused true (unchanged)", "open_jobs 6 → 0"] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    person.post("/dashboard/sign-out", &[]).await;
    assert_eq!(newest().await["action"], "sign_out");
    sign_in(&api, "ada@example.com", PASSWORD).await;
    assert_eq!(newest().await["action"], "sign_in");
}

#[tokio::test]
async fn every_act_on_ones_own_account_is_in_the_audit() {
    let api = TestApi::new().await;
    let grace = "grace@acme.example";
    let [account, session, grant] = signed_in(&api, grace).await;
    let person = Person::at_account(&api, grace).await;
    let (new, token) = ("correct horse battery", "a token");
    let acts: [OwnAct<'_>; 6] = [
        ("/name".to_owned(), "account.name", &[("full_name", "Grace"), ("locale", "en")]),
        (format!("/sessions/{session}/end"), "account.session_end", &[]),
        (format!("/apps/{grant}/end"), "account.grant_end", &[]),
        ("/sessions/others/end".to_owned(), "account.sign_out", &[]),
        ("/password".to_owned(), "account.password", &[("current", PASSWORD), ("new", new), ("again", new)]),
        ("/invitation".to_owned(), "account.accept", &[("token", token), ("password", new), ("again", new)]),
    ];
    let mut covered: BTreeSet<String> = acts.iter().map(|(path, ..)| shape(path)).collect();
    covered.extend(["/sign-in", "/sign-out"].map(str::to_owned));
    assert_eq!(covered, routes(ACCOUNT_ROUTES), "a new form says what the audit has of it");
    let mut conn = api.db().pool.acquire().await.unwrap();
    for (path, action, fields) in acts {
        // Who is invited is nobody yet: their form has no token of a session.
        let answer = match path.as_str() {
            "/invitation" => {
                invitations::create(&mut conn, account, token, "ada@example.com").await.unwrap();
                person.post_with("/account/invitation", fields).await
            }
            path => person.post(&format!("/account{path}"), fields).await,
        };
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}: {}", answer.text());
        let entry = api.get("/internal/audit?via=account&limit=1").await.items()[0].clone();
        assert_eq!((&entry["action"], &entry["actor"]), (&json!(action), &json!(grace)), "{path}");
        assert!(!entry.to_string().contains("horse"), "{entry}");
    }
}
