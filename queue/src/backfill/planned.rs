//! What a backfill was made from, and the jobs that stand for its slices.

use std::ops::RangeInclusive;

use az::SaturatingAs;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::JobState;

/// What the application makes slices from, without a list in it that may be long.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The kind of the backfill.
    pub kind: String,
    /// Slices before this one became jobs or were skipped, except those that are put off.
    pub next_slice: u64,
    /// The plan without the list.
    pub plan: Value,
    /// Length of the list.
    pub listed: u64,
}

/// The plan of a backfill without the list of this name; none where there is no such backfill.
///
/// # Errors
/// When the database cannot answer.
pub async fn planned(conn: &mut PgConnection, id: Uuid, list: &str) -> Result<Option<Planned>> {
    let row = sqlx::query!(
        r#"select kind as "kind!", next_slice, plan - $2::text as "plan!",
               coalesce(jsonb_array_length(plan -> $2::text), 0)::bigint as "listed!"
           from queue.backfills where id = $1 and kind is not null"#,
        id,
        list
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Planned {
        kind: row.kind,
        next_slice: row.next_slice.unsigned_abs(),
        plan: row.plan,
        listed: row.listed.unsigned_abs(),
    }))
}

/// What was asked for, for people; none where there is no such backfill.
///
/// # Errors
/// When the database cannot answer.
pub async fn spec(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Value>> {
    sqlx::query_scalar!("select spec from queue.backfills where id = $1", id).fetch_optional(conn).await
}

/// A tenant of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedTenant {
    /// The tenant.
    pub id: Uuid,
    /// Its slices before this one were expanded, where the backfill went on without it.
    pub next_slice: Option<u64>,
}

/// The tenants at these places of the plan's list of this name, from 0.
///
/// # Errors
/// When the database cannot answer.
pub async fn planned_tenants(
    conn: &mut PgConnection,
    id: Uuid,
    list: &str,
    places: &RangeInclusive<u64>,
) -> Result<Vec<PlannedTenant>> {
    let rows = sqlx::query!(
        r#"select listed.id as "id!", d.next_slice as "next_slice?"
           from queue.backfills b
           cross join lateral (
               select (value #>> '{}')::uuid as id, place from jsonb_path_query(
                   b.plan -> $2::text, '$[$first to $last]', jsonb_build_object('first', $3::bigint, 'last', $4::bigint)
               ) with ordinality as p (value, place)
           ) as listed
           left join queue.backfills_behind d on d.backfill_id = b.id and d.tenant_id = listed.id
           where b.id = $1 order by listed.place"#,
        id,
        list,
        places.start().to_owned().saturating_as::<i64>(),
        places.end().to_owned().saturating_as::<i64>()
    )
    .fetch_all(conn)
    .await?;
    let tenants = rows
        .into_iter()
        .map(|row| PlannedTenant { id: row.id, next_slice: row.next_slice.map(i64::unsigned_abs) });
    Ok(tenants.collect())
}

/// Which jobs of a backfill stand for slices, and of which slices they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct SlicesAsked<'a> {
    /// The queue of these jobs.
    pub queue: &'a str,
    /// Their kind.
    pub kind: &'a str,
    /// The tenants whose jobs are asked for.
    pub tenants: &'a [Uuid],
    /// The first subject that is asked for. The backfill goes through subjects in the order of
    /// their bytes.
    pub first: &'a str,
    /// The last subject that is asked for.
    pub last: &'a str,
    /// Whether the backfill goes through the subjects backwards; `first` is then the highest.
    pub descending: bool,
    /// Most jobs of a tenant.
    pub limit: i64,
}

/// The job that stands for a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceState {
    /// The place of its tenant among those that were asked for, from 0.
    pub tenant: usize,
    /// What it is about.
    pub subject: String,
    /// The job.
    pub id: Uuid,
    /// Where it stands.
    pub state: JobState,
    /// The workflow that it belongs to.
    pub workflow_id: Option<Uuid>,
    /// Whether it was cancelled since a job before it failed.
    pub is_stopped: bool,
}

/// The jobs that stand for slices. The cost is by those that are asked for, and not by the size of
/// the backfill.
///
/// # Errors
/// When the database cannot answer.
pub async fn slice_states(
    conn: &mut PgConnection,
    id: Uuid,
    asked: &SlicesAsked<'_>,
) -> Result<Vec<SliceState>> {
    let rows = sqlx::query_file!(
        "src/backfill/slice_states.sql",
        id,
        asked.queue,
        asked.kind,
        asked.tenants,
        asked.first,
        asked.last,
        asked.descending,
        asked.limit
    )
    .fetch_all(conn)
    .await?;
    let jobs = rows.into_iter().filter_map(|row| {
        Some(SliceState {
            tenant: usize::try_from(row.place - 1).ok()?,
            subject: row.subject,
            id: row.id,
            state: row.state,
            workflow_id: row.workflow_id,
            is_stopped: row.is_stopped,
        })
    });
    Ok(jobs.collect())
}
