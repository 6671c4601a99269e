with session as (
    -- Vacuum does not wait for vacuum. Of other roles' sessions the times are only seen with
    -- pg_read_all_stats.
    select xact_start, backend_xid, backend_xmin from pg_stat_activity
    where datname = current_database() and backend_type <> 'autovacuum worker' and pid <> pg_backend_pid()
      and (backend_xid is not null or backend_xmin is not null)
), held as (
    select age(backend_xmin) as by from session
    union all
    select age(backend_xid) from session
    union all
    -- What feeds a replica or another system holds rows for all databases.
    select greatest(age(xmin), age(catalog_xmin)) from pg_replication_slots
    union all
    select age(backend_xmin) from pg_stat_replication
    union all
    select age(transaction) from pg_prepared_xacts where database = current_database()
)
select
    coalesce((select extract(epoch from max(clock_timestamp() - xact_start)) from session), 0)::float8 as "oldest_snapshot!",
    coalesce((select max(by) from held), 0)::bigint as "xmin_age!",
    pg_notification_queue_usage() as "notification_queue!"
