-- A tenant is its id; its slug never changes. Ingests of a dataset come one after the other.

-- Files, cached names and the arguments of jobs that earlier versions enqueued were made under the slug: were it given to another
-- tenant, that one would have them. What people may call a tenant otherwise is its name.
create function keep_tenant_identity() returns trigger language plpgsql as $$
begin
    raise exception 'tenant % is called % for ever: its id and its slug never change', old.id, old.slug
        using errcode = 'check_violation', constraint = 'tenants_identity', table = 'tenants',
            hint = 'Change the column name, which is for people; for another slug, make another tenant.';
end
$$;

create trigger keep_identity before update of id, slug on tenants
    for each row when (old.id is distinct from new.id or old.slug is distinct from new.slug)
    execute function keep_tenant_identity();

-- A tenant is named by its slug or its id, so that no slug may look like an id. Tenants that were made before are not looked at.
alter table tenants add constraint tenants_slug_is_no_id
    check (slug !~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$') not valid;

comment on column tenants.slug is 'Name in URLs and of the files of its sources, such as tenant_demo_cca; never changes';

-- Whether a run is still the current one of its job, under a worker that holds its lease. The job's row says so only once the run
-- has lasted for a moment.
create function queue.is_current_run(job uuid, run bigint, worker uuid) returns boolean
language sql stable
as $$
    select exists (select from queue.workers w where w.id = $3 and w.lease_until > queue.now())
        and exists (
            select from queue.jobs j
            where j.id = $1 and (j.run = $2 and j.state = 'running' or j.run = $2 - 1 and j.state = 'available')
        )
$$;

create table ingest_turns (
    tenant_id     uuid not null references tenants (id) on delete cascade,
    dataset       text not null,
    generation    bigint not null default 0,
    job_id        uuid,
    run           bigint,
    worker_id     uuid,
    began_at      timestamptz,
    next_job_id   uuid,
    next_seq      bigint,
    next_until    timestamptz,
    primary key (tenant_id, dataset)
);

comment on table ingest_turns is 'Which run takes in a dataset of a tenant, one at a time, and which job comes next';
comment on column ingest_turns.tenant_id is 'Whose dataset it is';
comment on column ingest_turns.dataset is 'tickets, time_entries, csat or security_alerts';
comment on column ingest_turns.generation is 'Counts the runs that took in the dataset, in their order';
comment on column ingest_turns.job_id is 'The job whose turn it is; it is over as soon as that job''s run is';
comment on column ingest_turns.run is 'The run token of that job''s run';
comment on column ingest_turns.worker_id is 'The worker of that run';
comment on column ingest_turns.began_at is 'When the turn began';
comment on column ingest_turns.next_job_id is 'The oldest job that found the turn taken: it comes before newer ones';
comment on column ingest_turns.next_seq is 'That job''s number in order of enqueueing';
comment on column ingest_turns.next_until is 'Until when its place is kept: a job that does not come back for it, as its lane is paused, does not keep others waiting for ever';

alter table ingest_turns enable row level security;

-- Workers of earlier versions write no generation; what they found is replaced by any run that does.
alter table ingest_rejects add column generation bigint not null default 0;
comment on column ingest_rejects.generation is 'The run that found it (ingest_turns.generation): newer runs of the dataset replace it';
