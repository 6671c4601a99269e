-- Ingests: whose turn it is to read a dataset, what the reading has stored so far, the rows that it
-- rejected, and how it ended.

create table msp.ingest_turns (
    tenant_id   uuid not null references identity.tenants(id) on delete cascade,
    dataset     text not null,
    generation  bigint not null default 0,
    job_id      uuid,
    run         bigint,
    worker_id   uuid,
    began_at    timestamptz,
    next_job_id uuid,
    next_seq    bigint,
    next_until  timestamptz,
    primary key (tenant_id, dataset)
);

comment on table msp.ingest_turns is
    'Which run ingests a dataset of a tenant, one at a time, and which job comes next';
comment on column msp.ingest_turns.tenant_id is 'Whose dataset it is';
comment on column msp.ingest_turns.dataset is 'tickets, time_entries, csat or security_alerts';
comment on column msp.ingest_turns.generation is
    'Counts the runs that took in the dataset, in their order';
comment on column msp.ingest_turns.job_id is
    'The job whose turn it is; it is over as soon as that job''s run is';
comment on column msp.ingest_turns.run is 'The run token of that job''s run';
comment on column msp.ingest_turns.worker_id is 'The worker of that run';
comment on column msp.ingest_turns.began_at is 'When the turn began';
comment on column msp.ingest_turns.next_job_id is
    'The oldest job that found the turn taken: it comes before newer ones';
comment on column msp.ingest_turns.next_seq is 'That job''s number in order of enqueueing';
comment on column msp.ingest_turns.next_until is
    'Until when its place is kept: a job that does not come back for it, as its lane is paused, '
    'does not keep others waiting for ever';

alter table msp.ingest_turns enable row level security;

create table msp.ingest_seen (
    tenant_id  uuid not null references identity.tenants(id) on delete cascade,
    dataset    text not null,
    generation bigint not null,
    batch      bigint not null,
    keys       text[] not null,
    parts      text[] not null,
    primary key (tenant_id, dataset, generation, batch)
);

comment on table msp.ingest_seen is
    'Which rows the reading of a dataset has stored so far; once it has come to the end, the '
    'others are marked as deleted';
comment on column msp.ingest_seen.tenant_id is 'Whose dataset it is';
comment on column msp.ingest_seen.dataset is 'tickets, time_entries, csat or security_alerts';
comment on column msp.ingest_seen.generation is
    'The turn in which the reading began (ingest_turns.generation)';
comment on column msp.ingest_seen.batch is 'Counts the reading''s batches, from 1';
comment on column msp.ingest_seen.keys is
    'The rows'' ids in the source system; of alerts, their products';
comment on column msp.ingest_seen.parts is
    'Of alerts, their ids in their products; else empty texts';

alter table msp.ingest_seen enable row level security;

create table msp.ingest_rejects (
    tenant_id   uuid not null references identity.tenants(id) on delete cascade,
    dataset     text not null,
    origin      text not null,
    line        bigint not null,
    reason      text not null,
    content     text,
    job_id      uuid not null,
    rejected_at timestamptz not null default now(),
    generation  bigint not null default 0,
    primary key (tenant_id, dataset, origin, line)
);

create index ingest_rejects_job on msp.ingest_rejects (job_id);
create index ingest_rejects_at on msp.ingest_rejects (rejected_at);
create index ingest_rejects_dataset on msp.ingest_rejects (dataset, rejected_at);

comment on table msp.ingest_rejects is
    'Rows of a source that could not be taken, as the last ingest found them';
comment on column msp.ingest_rejects.tenant_id is 'Whose source it is';
comment on column msp.ingest_rejects.dataset is 'tickets, time_entries, csat or security_alerts';
comment on column msp.ingest_rejects.origin is 'File or address of the row';
comment on column msp.ingest_rejects.line is 'Line or number of the row in it, from 1';
comment on column msp.ingest_rejects.reason is 'What is wrong with it';
comment on column msp.ingest_rejects.content is 'The row itself, its first 2,000 characters';
comment on column msp.ingest_rejects.job_id is 'The job that found it';
comment on column msp.ingest_rejects.rejected_at is 'When it was found';
comment on column msp.ingest_rejects.generation is
    'The run that found it (ingest_turns.generation): newer runs of the dataset replace it';

alter table msp.ingest_rejects enable row level security;
create policy tenant_reads on msp.ingest_rejects for select to weirgate_tenant
    using (tenant_id = identity.current_tenant());
grant select on msp.ingest_rejects to weirgate_tenant;

create table msp.source_runs (
    tenant_id     uuid not null references identity.tenants(id) on delete cascade,
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
    trouble       text generated always as (
        case
            when failed_since is not null then 'failing'
            when read = 0 and rows_before > 0 then 'empty'
            when rejected * 10 > read then 'rejecting'
        end) stored,
    primary key (tenant_id, dataset)
);

create index source_runs_trouble on msp.source_runs (trouble, tenant_id, dataset) where trouble is not null;
create index source_runs_rejected on msp.source_runs (tenant_id) include (rejected) where rejected > 0;

comment on table msp.source_runs is
    'How the last ingest of each tenant and dataset went; kept by the function keep_source_run, '
    'which the engine calls when a job ends';
comment on column msp.source_runs.tenant_id is 'Whose source it is';
comment on column msp.source_runs.dataset is 'tickets, time_entries, csat or security_alerts';
comment on column msp.source_runs.job_id is
    'The last ingest that completed; null before the first one';
comment on column msp.source_runs.finished_at is 'When that was';
comment on column msp.source_runs.read is 'Rows that it read';
comment on column msp.source_runs.accepted is 'Of these, taken';
comment on column msp.source_runs.rejected is 'Of these, set aside in ingest_rejects';
comment on column msp.source_runs.rows_before is
    'Rows that the last ingest read which had any; 0 before that';
comment on column msp.source_runs.failed_since is
    'When the first ingest since then failed for good; null while none has';
comment on column msp.source_runs.failed_job_id is
    'The last ingest that failed for good since then';
comment on column msp.source_runs.error_code is 'The code of its last error';
comment on column msp.source_runs.error_message is 'The message of that';
comment on column msp.source_runs.trouble is
    'failing: no ingest completed since one failed for good; empty: the last one read nothing '
    'where an earlier one had rows; rejecting: it rejected more than a tenth of what it read; '
    'null: nothing of that';

alter table msp.source_runs enable row level security;

-- The engine calls it in the transaction that ends an ingest, whoever ends it: a handler, its
-- worker, or the leader after the worker's death.
create function msp.keep_source_run(
    job uuid, tenant uuid, kind text, state text, finalized_at timestamptz, output jsonb, error jsonb
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if state = 'discarded' then
        insert into msp.source_runs as s (tenant_id, dataset, failed_since, failed_job_id, error_code, error_message)
        select t.id, substr(kind, length('ingest_') + 1), finalized_at, job, error ->> 'code', error ->> 'message'
        from identity.tenants t where t.id = tenant
        on conflict (tenant_id, dataset) do update
        set failed_since = coalesce(s.failed_since, excluded.failed_since), failed_job_id = excluded.failed_job_id,
            error_code = excluded.error_code, error_message = excluded.error_message;
    elsif jsonb_typeof(output -> 'read') = 'number' then
        insert into msp.source_runs as s (
            tenant_id, dataset, job_id, finished_at, read, accepted, rejected, rows_before)
        select t.id, substr(kind, length('ingest_') + 1), job, finalized_at, o.read, o.accepted, o.rejected, o.read
        from identity.tenants t, jsonb_to_record(output) as o (read bigint, accepted bigint, rejected bigint)
        where t.id = tenant
        on conflict (tenant_id, dataset) do update
        set job_id = excluded.job_id, finished_at = excluded.finished_at, read = excluded.read,
            accepted = excluded.accepted, rejected = excluded.rejected,
            rows_before = case when excluded.read > 0 then excluded.read else s.rows_before end,
            failed_since = null, failed_job_id = null, error_code = null, error_message = null;
    end if;
end
$$;

comment on function msp.keep_source_run(uuid, uuid, text, text, timestamptz, jsonb, jsonb) is
    'Keeps source_runs up to date, in the transaction that ends an ingest; a hook of the engine '
    '(queue.add_final_hook)';

select queue.add_final_hook('ingest_', 'msp.keep_source_run');
