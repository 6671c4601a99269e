//! The columns of [`JobRow`](crate::read::row::JobRow), for all queries that read jobs.

/// A query for [`JobRow`](crate::read::row::JobRow)s from `queue.jobs j`, or from what takes its
/// place, with the given tail; sqlx checks each whole text at compile time.
///
/// Outputs above 64 KiB are left out, unless `whole` ones are asked for. A stored output may be
/// compressed, but not to less than a hundredth: only an output whose size is in doubt is written
/// out to be measured.
macro_rules! job_rows {
    (@outputs $output:literal, from $($from:literal)*, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            $crate::read::row::JobRow,
            r#"select j.id, j.seq as "seq!", j.tenant_id, j.queue, j.kind, j.state::text as "state!: crate::job::state::JobState", j.priority,
                j.attempt, j.max_attempts, j.run, j.pending_parents, j.args, "# + $output + r#", j.progress, j.errors,
                j.workflow_id, j.name, j.subject, j.cancelled_by, j.backfill_id, j.traceparent, j.created_at, j.scheduled_at, j.attempted_at,
                j.finalized_at,
                array(select d.parent_id from queue.job_dependencies d where d.child_id = j.id order by 1)
                    as "depends_on!",
                case when j.state = 'waiting' then (
                    select jsonb_build_object('id', p.id, 'kind', p.kind, 'name', p.name, 'state', p.state)
                    from queue.job_dependencies d join queue.jobs p on p.id = d.parent_id
                    where d.child_id = j.id and d.outcome = 'pending' order by d.child_id, d.parent_id limit 1)
                end as "waits_on: sqlx::types::Json<crate::read::row::WaitsOn>",
                clock_timestamp() + (queue.now() - now()) as "observed_at!",
                case when j.state = 'available' then exists (
                    select from queue.workers w
                    where j.queue = any(w.queues) and w.lease_until > queue.now() and w.drain_requested_at is null)
                end as has_worker
            from "# $(+ $from)*,
            $($args),*
        )
    };
    (whole $tail:literal, $($args:expr),* $(,)?) => {
        job_rows!(@outputs r#"j.output, false as "output_omitted!""#, from "queue.jobs j " $tail, $($args),*)
    };
    (from $($from:literal)*, $($args:expr),* $(,)?) => {
        job_rows!(
            @outputs
            r#"case when pg_column_size(j.output) <= 600 or pg_column_size(j.output) <= 65536 and octet_length(j.output::text) <= 65536
                    then j.output end as output,
                coalesce(pg_column_size(j.output) > 600 and (pg_column_size(j.output) > 65536 or octet_length(j.output::text) > 65536), false)
                    as "output_omitted!""#,
            from $($from)*, $($args),*
        )
    };
    ($tail:literal, $($args:expr),* $(,)?) => {
        job_rows!(from "queue.jobs j " $tail, $($args),*)
    };
}
