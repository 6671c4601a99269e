//! `schedules`: what is done by the clock.

use anyhow::Context;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::json;
use sqlx::PgConnection;
use weirgate_queue::schedule::{self, Change, Overview};

use crate::audit::Actor;
use crate::cli::Schedules;
use crate::config::Config;
use crate::database::Database;

pub(super) async fn run(command: Schedules, config: &Config) -> anyhow::Result<()> {
    let database = Database::attach(config, "schedules").await?;
    let mut tx = database.pool.begin().await?;
    match command {
        Schedules::List => print_list(schedule::overview(&mut tx, &weirgate_jobs::schedules()).await?),
        Schedules::Pause { name } => enable(&mut tx, &name, false).await?,
        Schedules::Resume { name } => enable(&mut tx, &name, true).await?,
    }
    tx.commit().await?;
    database.close().await
}

async fn enable(conn: &mut PgConnection, name: &str, enabled: bool) -> anyhow::Result<()> {
    let definitions = weirgate_jobs::schedules().definitions();
    let definition = definitions.iter().find(|it| it.name == name).with_context(|| {
        let names: Vec<_> = definitions.iter().map(|it| it.name).collect();
        format!("no schedule {name:?}; there are: {}", names.join(", "))
    })?;
    schedule::change(conn, definition, &Change { enabled: Some(enabled), ..Change::default() }).await?;
    let action = if enabled { "schedule.on" } else { "schedule.off" };
    Actor::cli().note(conn, action, name, &json!({})).await?;
    println!("{name} is {}", if enabled { "on" } else { "paused" });
    Ok(())
}

fn print_list(schedules: Vec<Overview>) {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["NAME", "CRON", "TIME ZONE", "STATE", "LAST TICK", "NEXT RUN"]);
    let mut problems = Vec::new();
    for Overview { definition, settings, last_tick_at, next_runs, problems: wrong, .. } in schedules {
        let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let next = next_runs.first().map(|run| match &run.tenant {
            Some((_, tenant)) => format!("{} {tenant}", time(run.at)),
            None => time(run.at),
        });
        table.add_row([
            definition.name.to_owned(),
            settings.cron,
            settings.time_zone.unwrap_or_else(|| "each tenant's".to_owned()),
            if settings.enabled { "on" } else { "paused" }.to_owned(),
            last_tick_at.map(time).unwrap_or_default(),
            next.unwrap_or_default(),
        ]);
        problems.extend(wrong.into_iter().map(|problem| format!("{}: {problem}", definition.name)));
    }
    println!("{table}");
    for problem in problems {
        println!("{problem}");
    }
}
