//! People sign in with their passwords, and use their access tokens; measured is how many, and what
//! becomes of enqueues beside them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use az::SaturatingAs;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use weirgate_identity::accounts::{self, New};

use super::api::Api;
use super::client::{Client, Credential};
use super::report::{Report, median, percentile_ms};
use super::stage::{Stage, tenants};

/// Accounts that sign in.
const ACCOUNTS: u32 = 200;
const PASSWORD: &str = "a password of the bench";
/// Connections that sign in, or use tokens, at once.
const CLIENTS: usize = 8;
const PART: Duration = Duration::from_secs(8);
const ROUNDS: usize = 3;
/// Sign-ins a second beside the enqueues.
const BESIDE: u32 = 20;
/// Between two enqueues of a client.
const PAUSE: Duration = Duration::from_millis(20);
/// Unknown emails, and wrong passwords, that are compared.
const COMPARED: u32 = 100;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    set(stage).await?;
    let api = Api::with_sign_ins(stage).await?;
    let mut report = Report::new("login");
    report.figure("signins_per_s", sign_ins(&api).await?);
    report.figure("verify_per_s", verify(&api).await?);
    let (mut ratios, mut alone, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let quiet = enqueue(&api).await?;
        let disturbed = enqueue_beside(&api).await?;
        ratios.push(disturbed / quiet);
        alone.push(quiet);
        beside.push(disturbed);
    }
    report.figure("enqueue_p99_ratio", median(ratios));
    report.figure("enqueue_alone_p99_ms", median(alone));
    report.figure("enqueue_beside_p99_ms", median(beside));
    report.figure("unknown_email_ratio", unknown_to_wrong(&api).await?);
    report.setting("accounts", ACCOUNTS);
    report.setting("connections", CLIENTS);
    report.setting("signins_beside_per_s", BESIDE);
    report.setting("enqueues", json!({"connections": 2, "pause_ms": PAUSE.as_millis()}));
    report.setting("rounds", json!({"count": ROUNDS, "seconds": [PART.as_secs(), PART.as_secs()]}));
    Ok(report)
}

/// Members of one tenant, all with the same password: hashing it for each would take a while.
async fn set(stage: &Stage) -> anyhow::Result<()> {
    let tenant = tenants(0, 1)[0];
    sqlx::query("insert into identity.tenants (id, slug, name) values ($1, 'tenant_bench_1', 'Tenant 1')")
        .bind(tenant)
        .execute(&stage.pool)
        .await?;
    let first = email(0);
    let new = New { email: &first, password: Some(PASSWORD), ..New::default() };
    accounts::create(&mut *stage.pool.acquire().await?, new).await?;
    sqlx::query(
        "with made as (
            insert into identity.accounts (id, email, password_hash)
            select gen_random_uuid(), 'member' || n || '@bench.example', a.password_hash
            from identity.accounts a, generate_series(1, $2 - 1) n returning id
         )
         insert into identity.memberships (id, account_id, app, tenant_id, role)
         select gen_random_uuid(), id, 'msp', $1, 'reader'
         from (select id from made union all select id from identity.accounts) as members (id)",
    )
    .bind(tenant)
    .bind(i64::from(ACCOUNTS))
    .execute(&stage.pool)
    .await?;
    Ok(())
}

fn email(number: u32) -> String {
    format!("member{number}@bench.example")
}

/// Somebody who comes from an address of their own, behind a proxy that is trusted.
fn from(number: u32) -> anyhow::Result<Credential> {
    let [_, b, c, d] = number.to_be_bytes();
    let address = HeaderValue::try_from(format!("10.{b}.{c}.{d}"))?;
    Ok((HeaderName::from_static("x-forwarded-for"), address))
}

/// The answer to a sign-in.
async fn sign_in(
    client: &mut Client,
    number: u32,
    email: &str,
    password: &str,
) -> anyhow::Result<(StatusCode, Value)> {
    let body = json!({"email": email, "password": password}).to_string();
    let (status, body) = client.post_json("/api/v1/auth/login", &from(number)?, body).await?;
    Ok((status, serde_json::from_slice(&body)?))
}

/// An access token of the account with that number.
async fn token(client: &mut Client, number: u32) -> anyhow::Result<Credential> {
    let (status, body) = sign_in(client, number, &email(number % ACCOUNTS), PASSWORD).await?;
    let token = body["token"].as_str().with_context(|| format!("a sign-in was answered {status}"))?;
    Ok((AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}"))?))
}

/// Sign-ins a second, as many as are answered.
async fn sign_ins(api: &Api) -> anyhow::Result<f64> {
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS.saturating_as::<u32>() {
        let (mut client, count) = (Client::connect(api.address).await?, count.clone());
        clients.spawn(async move {
            let mut at = number;
            while begun.elapsed() < PART {
                token(&mut client, at).await?;
                count.fetch_add(1, Ordering::Relaxed);
                at += CLIENTS.saturating_as::<u32>();
            }
            anyhow::Ok(())
        });
    }
    ended(clients).await?;
    Ok(per_s(&count, begun))
}

/// Requests a second with access tokens, each of which is checked.
async fn verify(api: &Api) -> anyhow::Result<f64> {
    let mut who = Vec::new();
    for number in 0..CLIENTS.saturating_as::<u32>() {
        let mut client = Client::connect(api.address).await?;
        let token = token(&mut client, number).await?;
        who.push((client, token));
    }
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for (mut client, token) in who {
        let count = count.clone();
        clients.spawn(async move {
            while begun.elapsed() < PART {
                client.get("/api/v1/auth/me", &token).await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    ended(clients).await?;
    Ok(per_s(&count, begun))
}

/// The p99 of enqueues, in milliseconds.
async fn enqueue(api: &Api) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..2 {
        let (mut client, service) = (Client::connect(api.address).await?, api.service.clone());
        clients.spawn(async move {
            let mut took = Vec::new();
            while begun.elapsed() < PART {
                let asked = Instant::now();
                client.post("/internal/ingest/tickets?tenant_id=tenant_bench_1&force=true", &service).await?;
                took.push(asked.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = clients.join_next().await {
        all.extend(took??);
    }
    Ok(percentile_ms(&mut all, 99))
}

/// The same while people sign in.
async fn enqueue_beside(api: &Api) -> anyhow::Result<f64> {
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS.saturating_as::<u32>() {
        let (mut client, over) = (Client::connect(api.address).await?, over.clone());
        clients.spawn(async move {
            let clients = CLIENTS.saturating_as::<u32>();
            let mut ticks = interval(Duration::from_secs(1) * clients / BESIDE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut at = number;
            while !over.load(Ordering::Relaxed) {
                ticks.tick().await;
                token(&mut client, at).await?;
                at += clients;
            }
            anyhow::Ok(())
        });
    }
    let p99 = enqueue(api).await;
    over.store(true, Ordering::Relaxed);
    ended(clients).await?;
    p99
}

/// How long an email that nobody has takes, as a part of a wrong password's time: medians, tried in
/// turns.
async fn unknown_to_wrong(api: &Api) -> anyhow::Result<f64> {
    let mut client = Client::connect(api.address).await?;
    let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
    for number in 0..COMPARED {
        for (email, took) in
            [(format!("nobody{number}@bench.example"), &mut unknown), (email(number), &mut wrong)]
        {
            let asked = Instant::now();
            // From addresses that nothing has failed from yet.
            let at = 1_000_000 + number;
            let (status, _) = sign_in(&mut client, at, &email, "not the password of anybody").await?;
            took.push(asked.elapsed().as_secs_f64());
            anyhow::ensure!(status == StatusCode::UNAUTHORIZED, "a wrong sign-in was answered {status}");
        }
    }
    Ok(median(unknown) / median(wrong))
}

async fn ended(mut clients: JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(())
}

fn per_s(count: &AtomicU64, begun: Instant) -> f64 {
    let count = count.load(Ordering::Relaxed).saturating_as::<u32>();
    f64::from(count) / begun.elapsed().as_secs_f64()
}
