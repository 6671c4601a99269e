//! `rejects`: rows of sources that could not be taken.

use futures_util::TryStreamExt;
use sqlx::PgPool;
use weirgate_msp::rejects::{self, Filter, RejectedRow};

use super::door::Door;
use super::remote;
use super::session::Session;
use super::table::{instant, table};
use super::tenant::tenant;
use crate::cli::Rejects;
use crate::output::say;

pub(super) async fn run(options: Rejects, session: &Session) -> anyhow::Result<()> {
    let json = options.json;
    let find = async |door: Door<'_>| match door {
        Door::Database(database) => find(&options, &database.pool).await,
        Door::Server(client) => remote::rejects::list(client, &options).await,
    };
    print(&session.with_door("rejects", find).await?, json)
}

async fn find(options: &Rejects, pool: &PgPool) -> anyhow::Result<Vec<RejectedRow>> {
    let tenant = match &options.tenant {
        Some(name) => Some(tenant(pool, name).await?.id),
        None => None,
    };
    let filter = Filter { tenant, dataset: options.dataset, date: options.date, job: options.job };
    let mut tx = pool.begin().await?;
    Ok(rejects::list(&mut tx, &filter, None, options.limit).await?.try_collect().await?)
}

fn print(rows: &[RejectedRow], json: bool) -> anyhow::Result<()> {
    if json {
        for row in rows {
            say!("{}", serde_json::to_string(row)?)?;
        }
        return Ok(());
    }
    if rows.is_empty() {
        return say!("no rejected rows match");
    }
    let mut table = table(&["FOUND", "TENANT", "DATASET", "ORIGIN", "LINE", "REASON", "JOB"]);
    for row in rows {
        table.add_row([
            instant(row.rejected_at),
            row.tenant.clone(),
            row.dataset.clone(),
            row.origin.clone(),
            row.line.to_string(),
            row.reason.clone(),
            row.job_id.to_string(),
        ]);
    }
    say!("{table}")
}
