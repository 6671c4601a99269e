//! `demo`: the main job with nothing set up, through every real part.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use chrono::{Days, NaiveDate};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use weirgate_queue::schedule::Schedules;

use super::demo_client::{DemoClient, TenantResult};
use super::mock_days::tell_if_outside;
use super::roles::{Assignment, gently, greet_first_user, serve_and_work};
use super::session::Session;
use crate::cli::Demo;
use crate::config::Config;
use crate::database::{Database, Use};
use crate::domains::{self, Domains, Prepared};
use crate::home;
use crate::output::{say, tell};
use crate::random;
use crate::sealed::{self, WithoutKey};
use crate::seed::{self, Seeded};
use crate::server::Listeners;
use crate::signals::{Interrupted, Stop};

/// So many days before the day that is asked for and after it get their KPIs too: what is unusual
/// shows among others.
const DAYS_AROUND: Days = Days::new(27);

pub(super) async fn run(options: Demo, Session { mut config, stop, .. }: Session) -> anyhow::Result<()> {
    // Apart from what `up` keeps, so that both can run.
    config.home = weirgate_private_postgres::home::prepare(&config.home)?.join("demo");
    config.public_url = None;
    // It shows the rows of the mock data, whatever else is set up here.
    config.mock_mode = true;
    config.domains = Some(BTreeSet::from([domains::SHOWN.to_owned()]));
    if !options.stay {
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    }
    home::make_for(&config)?;
    let domains = Domains::of(&config)?;
    let prepared = domains.prepare(&config)?;
    let database = Database::start(&config, "demo", Use::Exclusive, &stop).await?;
    let ended =
        database.hold(Box::pin(run_on(&options, &config, &database, (&domains, prepared), &stop))).await;
    database.close().await?;
    ended
}

async fn run_on(
    options: &Demo,
    config: &Config,
    database: &Database,
    (domains, prepared): (&Domains, Prepared),
    signals: &Stop,
) -> anyhow::Result<()> {
    let seeded = async {
        database.migrate(&domains::histories()).await?;
        seed::seed(&database.pool, &config.mock_data_path, true, &mut random::generator()).await
    };
    let tenants = signals.until_told(Box::pin(seeded)).await?;
    let config = &sealed::unlock(&database.pool, config, WithoutKey::Make).await?;
    tell_if_outside(&config.mock_data_path, options.date, options.date);
    let tenants: Vec<Seeded> =
        tenants.into_iter().filter(|tenant| tenant.slug.starts_with("tenant_demo_")).collect();
    let api = listen(config).await?;
    let base = format!("http://{}", api.local_addr()?);
    let listeners = Listeners { api, metrics: None };
    let token = random::text();
    let stop = gently(signals, config);
    // What it shows is what it started, at any time of day.
    let assigned = Assignment { domains, queues: None, schedules: Schedules::default() };
    let service =
        serve_and_work(listeners, prepared, &database.pool, config, assigned, token.clone(), stop.clone());
    let client = async {
        let shown = act(options, &tenants, &base, &token).await;
        let shown = match shown {
            Ok(()) if options.stay => stay(database, &base, &token, &tenants, &stop).await,
            shown => shown,
        };
        let interrupted = !options.stay && stop.is_cancelled();
        stop.cancel();
        if interrupted { Err(Interrupted.into()) } else { shown }
    };
    let (served, acted) = tokio::join!(service, client);
    acted.and(served)
}

/// The address that is configured; where it is taken, any free port.
async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(config.listen).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("finding a free port"),
    }
}

async fn act(options: &Demo, tenants: &[Seeded], base: &str, token: &str) -> anyhow::Result<()> {
    let client = DemoClient::new(base.to_owned(), token.to_owned())?;
    let mut workflows = Vec::new();
    for tenant in tenants {
        let started = client.start_pipeline(tenant, options.date).await;
        workflows.push(started.with_context(|| format!("starting the pipeline of {}", tenant.slug))?);
    }
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} jobs")?);
    let jobs = client.follow(&workflows, &bar).await.context("following the jobs")?;
    let mut results = Vec::new();
    for (tenant, jobs) in tenants.iter().zip(jobs) {
        let read = client.read(tenant, options.date, jobs).await;
        results.push(read.with_context(|| format!("the pipeline of {}", tenant.slug))?);
    }
    let around = around(options.date);
    client.backfill(tenants, around, &bar).await.context("the backfill of the KPIs")?;
    let mut anomalies = Vec::new();
    for tenant in tenants {
        anomalies.extend(client.anomalies(tenant, around).await?);
    }
    if options.json {
        let shown = json!({ "tenants": results, "anomalies": anomalies });
        say!("{}", serde_json::to_string_pretty(&shown)?)
    } else {
        print_table(options, &results)?;
        print_anomalies(&anomalies, around)
    }
}

fn around(date: NaiveDate) -> (NaiveDate, NaiveDate) {
    let (from, to) = (date.checked_sub_days(DAYS_AROUND), date.checked_add_days(DAYS_AROUND));
    (from.unwrap_or(date), to.unwrap_or(date))
}

fn print_anomalies(anomalies: &[Value], (from, to): (NaiveDate, NaiveDate)) -> anyhow::Result<()> {
    say!(
        "KPIs from {from} to {to}, by a backfill: {} unusual",
        match anomalies.len() {
            0 => "no day is".to_owned(),
            1 => "1 day is".to_owned(),
            days => format!("{days} days are"),
        }
    )?;
    for day in anomalies {
        say!(
            "  {} {}: {} tickets created, z-score {:.1}",
            day["tenant"].as_str().unwrap_or_default(),
            day["date"].as_str().unwrap_or_default(),
            day["tickets_created"],
            day["z_score"].as_f64().unwrap_or_default()
        )?;
    }
    Ok(())
}

fn print_table(options: &Demo, results: &[TenantResult]) -> anyhow::Result<()> {
    say!("KPIs of {}", options.date)?;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(std::iter::once("").chain(results.iter().map(|result| result.tenant.as_str())));
    let names = results.first().and_then(|result| result.kpis.as_object()).into_iter().flatten();
    for (name, _) in names.filter(|(name, _)| {
        !["tenant_id", "tenant", "date", "kpi_date", "computed_at"].contains(&name.as_str())
    }) {
        table.add_row(
            std::iter::once(name.clone()).chain(results.iter().map(|result| shown(&result.kpis[name]))),
        );
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say!("{table}")?;
    for result in results {
        let export = &result.export;
        say!(
            "{}: {} jobs completed; export {} ({} tickets, {} time entries, {} bytes)",
            result.tenant,
            result.jobs.len(),
            export["id"].as_str().unwrap_or_default(),
            export["tickets"],
            export["time_entries"],
            export["bytes"]
        )?;
        say!("  {}", result.ticket_summary["summary"].as_str().unwrap_or("no ticket"))?;
    }
    Ok(())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Number(number) if number.is_f64() => format!("{:.2}", number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// Until it is stopped, with all that one needs to look around.
async fn stay(
    database: &Database,
    base: &str,
    token: &str,
    tenants: &[Seeded],
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    tell!("API          {base}\ndocs         {base}/docs\ndashboard    {base}/dashboard");
    greet_first_user(database).await?;
    tell!("SERVICE_TOKEN {token}\nexport SERVICE_TOKEN={token}");
    for tenant in tenants {
        tell!("{} API key {}", tenant.slug, tenant.api_key.as_deref().unwrap_or_default());
    }
    if let Some(key) = tenants.first().and_then(|tenant| tenant.api_key.as_deref()) {
        tell!("export API_KEY={key}");
    }
    tell!("Ctrl-C stops.");
    stop.cancelled().await;
    Ok(())
}
