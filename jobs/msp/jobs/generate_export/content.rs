//! What stands in an export: the KPIs of the day, tickets created or closed on it, time worked on
//! it.

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::TryStreamExt;
use serde::Serialize;
use sqlx::PgConnection;
use weirgate_identity::Tenant;
use weirgate_web::csv_line::csv_line;

use super::file::ExportFile;
use crate::Kpis;

#[derive(Debug, Serialize)]
struct Ticket {
    cw_ticket_id: String,
    board: Option<String>,
    status: String,
    priority: String,
    summary: Option<String>,
    description: Option<String>,
    company: Option<String>,
    owner: Option<String>,
    created_at_remote: DateTime<Utc>,
    updated_at_remote: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
    sla_status: Option<String>,
    estimated_hours: Option<f64>,
}

#[derive(Debug, Serialize)]
struct TimeEntry {
    cw_time_entry_id: String,
    cw_ticket_id: Option<String>,
    member: Option<String>,
    work_type: Option<String>,
    billable: bool,
    minutes: i32,
    notes: Option<String>,
    date_worked: NaiveDate,
}

async fn kpis(conn: &mut PgConnection, tenant: &Tenant, date: NaiveDate) -> sqlx::Result<Option<Kpis>> {
    sqlx::query_as!(
        Kpis,
        "select total_minutes, billable_minutes, non_billable_minutes, avg_resolution_minutes,
            first_call_resolution_rate, avg_satisfaction_score, tickets_created, tickets_closed, tickets_open,
            tickets_high_priority, anomaly_detected, z_score
         from msp.kpi_daily where tenant_id = $1 and kpi_date = $2",
        tenant.id,
        date
    )
    .fetch_optional(conn)
    .await
}

/// Tickets created or closed on the day. A macro, since the row stream borrows the connection.
macro_rules! tickets {
    ($conn:expr, $tenant:expr, $date:expr) => {
        sqlx::query_as!(
            Ticket,
            "select k.cw_ticket_id, k.board, k.status, k.priority, k.summary, k.description, k.company, k.owner,
                k.created_at_remote, k.updated_at_remote, k.closed_at, k.sla_status, k.estimated_hours
             from msp.raw_tickets k join identity.tenants t on t.id = k.tenant_id
             cross join lateral (select identity.local_day_start($2, t.time_zone) as day_start,
                identity.local_day_start($2::date + 1, t.time_zone) as day_end offset 0) b
             where k.tenant_id = $1 and k.deleted_at is null
               and ((k.created_at_remote >= b.day_start and k.created_at_remote < b.day_end)
                 or (k.closed_at >= b.day_start and k.closed_at < b.day_end))
             order by k.cw_ticket_id",
            $tenant.id,
            $date
        )
        .fetch($conn)
    };
}

/// Time worked on the day.
macro_rules! time_entries {
    ($conn:expr, $tenant:expr, $date:expr) => {
        sqlx::query_as!(
            TimeEntry,
            "select cw_time_entry_id, cw_ticket_id, member, work_type, billable, minutes, notes, date_worked
             from msp.raw_time_entries where tenant_id = $1 and date_worked = $2 and deleted_at is null order by cw_time_entry_id",
            $tenant.id,
            $date
        )
        .fetch($conn)
    };
}

/// `{"tenant", "date", "kpis", "tickets": […], "time_entries": […]}`; `kpis` is null when they were
/// not computed.
pub(crate) async fn write_json(
    conn: &mut PgConnection,
    tenant: &Tenant,
    date: NaiveDate,
    file: &mut ExportFile,
) -> anyhow::Result<()> {
    let kpis = serde_json::to_string(&kpis(conn, tenant, date).await?)?;
    let slug = serde_json::to_string(&tenant.slug)?;
    file.write(format!("{{\"tenant\":{slug},\"date\":\"{date}\",\"kpis\":{kpis},\"tickets\":[").as_bytes())
        .await?;
    let mut between = "\n";
    let mut rows = tickets!(&mut *conn, tenant, date);
    while let Some(ticket) = rows.try_next().await? {
        file.write(format!("{between}{}", serde_json::to_string(&ticket)?).as_bytes()).await?;
        between = ",\n";
    }
    drop(rows);
    file.write(b"],\"time_entries\":[").await?;
    between = "\n";
    let mut rows = time_entries!(&mut *conn, tenant, date);
    while let Some(entry) = rows.try_next().await? {
        file.write(format!("{between}{}", serde_json::to_string(&entry)?).as_bytes()).await?;
        between = ",\n";
    }
    file.write(b"]}\n").await
}

/// One table for all three: `record` says what a line is (`kpi`, `ticket`, `time_entry`), and
/// columns that it has no use for are empty.
pub(crate) async fn write_csv(
    conn: &mut PgConnection,
    tenant: &Tenant,
    date: NaiveDate,
    file: &mut ExportFile,
) -> anyhow::Result<()> {
    file.write(&csv_line(CSV_COLUMNS)?).await?;
    let kpis = serde_json::to_value(kpis(conn, tenant, date).await?)?;
    for (name, value) in kpis.as_object().into_iter().flatten() {
        let value = if value.is_null() { String::new() } else { value.to_string() };
        file.write(&row(&[("record", "kpi"), ("id", name), ("value", &value)])?).await?;
    }
    let mut rows = tickets!(&mut *conn, tenant, date);
    while let Some(ticket) = rows.try_next().await? {
        file.write(&csv_record("ticket", "cw_ticket_id", &serde_json::to_value(&ticket)?)?).await?;
    }
    drop(rows);
    let mut rows = time_entries!(&mut *conn, tenant, date);
    while let Some(entry) = rows.try_next().await? {
        file.write(&csv_record("time_entry", "cw_time_entry_id", &serde_json::to_value(&entry)?)?).await?;
    }
    Ok(())
}

const CSV_COLUMNS: &[&str] = &[
    "record",
    "id",
    "value",
    "cw_ticket_id",
    "board",
    "status",
    "priority",
    "summary",
    "description",
    "company",
    "owner",
    "created_at_remote",
    "updated_at_remote",
    "closed_at",
    "sla_status",
    "estimated_hours",
    "member",
    "work_type",
    "billable",
    "minutes",
    "notes",
    "date_worked",
];

fn csv_record(record: &str, id: &str, fields: &serde_json::Value) -> anyhow::Result<Vec<u8>> {
    let mut cells = vec![("record".to_owned(), record.to_owned())];
    for (name, value) in fields.as_object().into_iter().flatten() {
        let text = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        cells.push((if name == id { "id" } else { name }.to_owned(), text));
    }
    row(&cells.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
}

/// The cells that there are, each under its column.
fn row(cells: &[(&str, &str)]) -> anyhow::Result<Vec<u8>> {
    let find = |column: &&str| cells.iter().find(|(name, _)| name == column).map_or("", |(_, text)| *text);
    csv_line(&CSV_COLUMNS.iter().map(find).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_column() {
        let row =
            serde_json::json!({"cw_time_entry_id": "TE-1", "notes": "a \"quoted\", note", "minutes": 5});
        let text = String::from_utf8(csv_record("time_entry", "cw_time_entry_id", &row).unwrap()).unwrap();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let cells: Vec<String> =
            reader.records().next().unwrap().unwrap().iter().map(str::to_owned).collect();
        let cell = |name: &str| &cells[CSV_COLUMNS.iter().position(|it| *it == name).unwrap()];
        assert_eq!(cells.len(), CSV_COLUMNS.len());
        assert_eq!((cell("id").as_str(), cell("minutes").as_str()), ("TE-1", "5"));
        assert_eq!(cell("notes"), "a \"quoted\", note");
    }
}
