//! Tickets, time entries and surveys of many tenants, made by the database itself, and what must
//! come of them.

use weirgate_web::backfill::BackfillRange;

use super::stage::Stage;

/// Rows of all tenants together.
pub(super) struct Amounts {
    pub(super) tickets: i64,
    pub(super) time_entries: i64,
    pub(super) surveys: i64,
}

/// A number from 0 to 1 that row `n` always has; `salt` tells apart what one row has of them.
const CHANCE: &str =
    "create function pg_temp.chance(n bigint, salt bigint) returns float8 language sql immutable
    return (hashint8extended(n, salt) & 2147483647) / 2147483648.0";

const TENANTS: &str = "insert into identity.tenants (id, slug, name, time_zone)
    select id, 'bench_' || place, 'Bench ' || place,
        (array['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata'])[place % 4 + 1]
    from unnest($1::uuid[]) with ordinality as t (id, place)";

/// Tenant by tenant, each in order of time, as ingests write them. They come in by number, a day
/// early or late; one in fifty is never closed, and the others within ten days.
const TICKETS: &str =
    "insert into msp.raw_tickets (tenant_id, cw_ticket_id, board, status, priority, summary, description,
        company, owner, created_at_remote, updated_at_remote, closed_at_remote, sla_status, estimated_hours)
    select ($1::uuid[])[of_tenant.place], 'T-' || n, 'Service Desk',
        case when closes then 'Closed' else 'In Progress' end,
        (array['Low', 'Medium', 'Medium', 'High', 'Critical'])[(pg_temp.chance(n, 1) * 5)::integer % 5 + 1],
        'Printer on floor ' || n % 40 || ' does not print', repeat('It worked until this morning. ', 6),
        'Customer ' || n % 97, 'Technician ' || n % 13,
        created, created + coalesce(takes, interval '1 hour'), case when closes then created + takes end,
        'Within SLA', 1.5
    from generate_series(0, $4::bigint - 1) as n,
        lateral (select (n * cardinality($1::uuid[]) / $4)::integer + 1 as place,
            n * cardinality($1::uuid[]) % $4 / $4::float8 as way) as of_tenant,
        lateral (select pg_temp.chance(n, 2) > 0.02 as closes,
            $2::date + (of_tenant.way * ($3::date - $2::date + 1)) * interval '1 day'
                + (pg_temp.chance(n, 3) * 2 - 1) * interval '1 day' as created,
            interval '10 minutes' + pg_temp.chance(n, 4) ^ 3 * interval '10 days' as takes) as story";

/// None, one or several for each ticket, on its day or the next two.
const TIME_ENTRIES: &str = "insert into msp.raw_time_entries (tenant_id, cw_time_entry_id, cw_ticket_id, member, work_type,
        billable, minutes, notes, date_worked)
    select ($1::uuid[])[of_tenant.place], 'E-' || n, 'T-' || ticket, 'Technician ' || n % 13, 'Remote',
        pg_temp.chance(n, 1) > 0.3, 5 + (pg_temp.chance(n, 2) * 115)::integer, 'Looked into it and mended it.',
        $2::date + (of_tenant.way * ($3::date - $2::date) + pg_temp.chance(n, 3) * 2)::integer
    from generate_series(0, $4::bigint - 1) as n,
        lateral (select greatest(n * $5 / $4 - (pg_temp.chance(n, 4) * 3)::bigint, 0) as ticket) as of,
        lateral (select (ticket * cardinality($1::uuid[]) / $5)::integer + 1 as place,
            ticket * cardinality($1::uuid[]) % $5 / $5::float8 as way) as of_tenant";

const SURVEYS: &str =
    "insert into msp.raw_csat_surveys (tenant_id, survey_id, ticket_id, score, submitted_at)
    select ($1::uuid[])[of_tenant.place], 'S-' || n, 'T-' || n, 1 + (pg_temp.chance(n, 1) * 4)::integer,
        $2::date + (of_tenant.way * ($3::date - $2::date + 1)) * interval '1 day'
    from generate_series(0, $4::bigint - 1) as n,
        lateral (select (n * cardinality($1::uuid[]) / $4)::integer + 1 as place,
            n * cardinality($1::uuid[]) % $4 / $4::float8 as way) as of_tenant";

/// Fills the raw tables with days of `range`.
pub(super) async fn fill(stage: &Stage, range: &BackfillRange, amounts: &Amounts) -> anyhow::Result<()> {
    let mut conn = stage.pool.acquire().await?;
    sqlx::raw_sql(CHANCE).execute(&mut *conn).await?;
    sqlx::query(TENANTS).bind(&range.tenants).execute(&mut *conn).await?;
    let Amounts { tickets, time_entries, surveys } = *amounts;
    for (sql, rows) in [(TICKETS, tickets), (TIME_ENTRIES, time_entries), (SURVEYS, surveys)] {
        let mut insert = sqlx::query(sql).bind(&range.tenants).bind(range.from).bind(range.to).bind(rows);
        if sql == TIME_ENTRIES {
            insert = insert.bind(tickets);
        }
        insert.execute(&mut *conn).await?;
    }
    sqlx::raw_sql("vacuum (analyze)").execute(&mut *conn).await?;
    sqlx::raw_sql("checkpoint").execute(&mut *conn).await.ok();
    Ok(())
}

/// Fails unless every day of `range` has all its KPIs, and they account for all the work there is.
pub(super) async fn check(stage: &Stage, range: &BackfillRange) -> anyhow::Result<()> {
    let (rows, whole, scored): (i64, i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where total_minutes > 0 and billable_minutes > 0 and tickets_created > 0
             and tickets_closed > 0 and tickets_open > 0 and tickets_high_priority > 0
             and num_nulls(avg_resolution_minutes, first_call_resolution_rate, avg_satisfaction_score) = 0),
             count(z_score)
         from msp.kpi_daily",
    )
    .fetch_one(&stage.pool)
    .await?;
    let total = i64::try_from(range.total())?;
    anyhow::ensure!(
        rows == total && whole == total,
        "{rows} days have KPIs, {whole} of them all, not {total}"
    );
    let without_history = 8 * i64::try_from(range.tenants.len())?;
    anyhow::ensure!(scored >= total - without_history, "only {scored} days have a z-score");
    let (counted, there): (i64, i64) = sqlx::query_as(
        "select (select sum(total_minutes)::bigint from msp.kpi_daily),
             (select sum(minutes) from msp.raw_time_entries where date_worked between $1 and $2)",
    )
    .bind(range.from)
    .bind(range.to)
    .fetch_one(&stage.pool)
    .await?;
    anyhow::ensure!(counted == there, "{counted} minutes are in the KPIs, not {there}");
    Ok(())
}
