-- How the last run of each source went, so that nobody has to look through jobs for it; and what pages list by time.

create table source_runs (
    tenant_id     uuid not null references tenants (id) on delete cascade,
    dataset       text not null,
    job_id        uuid,
    finished_at   timestamptz,
    read          bigint,
    accepted      bigint,
    rejected      bigint,
    rows_before   bigint not null default 0,
    failed_since  timestamptz,
    failed_job_id uuid,
    error_code    text,
    error_message text,
    -- The one rule for what needs somebody: the overview, the page of all tenants and their filter read it.
    trouble       text generated always as (case
        when failed_since is not null then 'failing'
        when read = 0 and rows_before > 0 then 'empty'
        when rejected * 10 > read then 'rejecting'
    end) stored,
    primary key (tenant_id, dataset)
);

create index source_runs_trouble on source_runs (trouble, tenant_id, dataset) where trouble is not null;

create index source_runs_rejected on source_runs (tenant_id) include (rejected) where rejected > 0;

comment on table source_runs is 'How the last ingest of each tenant and dataset went; kept by the trigger keep_source_run of queue.jobs';
comment on column source_runs.tenant_id is 'Whose source it is';
comment on column source_runs.dataset is 'tickets, time_entries, csat or security_alerts';
comment on column source_runs.job_id is 'The last ingest that completed; null before the first one';
comment on column source_runs.finished_at is 'When that was';
comment on column source_runs.read is 'Rows that it read';
comment on column source_runs.accepted is 'Of these, taken';
comment on column source_runs.rejected is 'Of these, set aside in ingest_rejects';
comment on column source_runs.rows_before is 'Rows that the last ingest read which had any; 0 before that';
comment on column source_runs.failed_since is 'When the first ingest since then failed for good; null while none has';
comment on column source_runs.failed_job_id is 'The last ingest that failed for good since then';
comment on column source_runs.error_code is 'The code of its last error';
comment on column source_runs.error_message is 'The message of that';
comment on column source_runs.trouble is
    'failing: no ingest completed since one failed for good; empty: the last one read nothing where an earlier one had rows; rejecting: it '
    'rejected more than a tenth of what it read; null: nothing of that';

alter table source_runs enable row level security;

-- In the transaction that ends the job, whoever ends it: a handler, its worker, or the leader after the worker's death.
create function keep_source_run() returns trigger language plpgsql as $$
declare
    error constant jsonb := new.errors -> -1;
begin
    if new.state = 'discarded' then
        insert into public.source_runs as s (tenant_id, dataset, failed_since, failed_job_id, error_code, error_message)
        select t.id, substr(new.kind, length('ingest_') + 1), new.finalized_at, new.id, error ->> 'code', error ->> 'message'
        from public.tenants t where t.id = new.tenant_id
        on conflict (tenant_id, dataset) do update
        set failed_since = coalesce(s.failed_since, excluded.failed_since), failed_job_id = excluded.failed_job_id,
            error_code = excluded.error_code, error_message = excluded.error_message;
    elsif jsonb_typeof(new.output -> 'read') = 'number' then
        insert into public.source_runs as s (tenant_id, dataset, job_id, finished_at, read, accepted, rejected, rows_before)
        select t.id, substr(new.kind, length('ingest_') + 1), new.id, new.finalized_at, o.read, o.accepted, o.rejected, o.read
        from public.tenants t, jsonb_to_record(new.output) as o (read bigint, accepted bigint, rejected bigint)
        where t.id = new.tenant_id
        on conflict (tenant_id, dataset) do update
        set job_id = excluded.job_id, finished_at = excluded.finished_at, read = excluded.read, accepted = excluded.accepted,
            rejected = excluded.rejected, rows_before = case when excluded.read > 0 then excluded.read else s.rows_before end,
            failed_since = null, failed_job_id = null, error_code = null, error_message = null;
    end if;
    return null;
end
$$;

comment on function keep_source_run is 'Keeps source_runs as the ingest says that has ended';

-- The condition is all that other jobs pay.
create trigger keep_source_run after update of state on queue.jobs
    for each row when (new.state in ('completed', 'discarded') and new.state <> old.state and new.kind ^@ 'ingest_')
    execute function keep_source_run();

-- Rejects, the newest first.
create index ingest_rejects_at on ingest_rejects (rejected_at);
drop index ingest_rejects_dataset;
create index ingest_rejects_dataset on ingest_rejects (dataset, rejected_at);

-- What the overview tells of tenants.
create index lanes_paused on queue.lanes (tenant_id) where paused;
create index kpi_daily_unusual on kpi_daily (kpi_date, tenant_id) where anomaly_detected;
