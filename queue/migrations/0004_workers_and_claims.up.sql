-- Worker processes with their leases, what each has claimed, who waits for jobs, and which process
-- leads.

create table queue.workers (
    id                 uuid primary key,
    host               text not null,
    pid                integer not null,
    version            text not null,
    queues             text[] not null,
    started_at         timestamptz not null,
    heartbeat_at       timestamptz not null,
    lease_until        timestamptz not null,
    capacity           integer not null default 0,
    drain_requested_at timestamptz,
    history            uuid default queue.recorded_history()
);

create index workers_lease on queue.workers (lease_until);

comment on table queue.workers is 'Worker processes that hold a lease, or held one until lately';
comment on column queue.workers.id is
    'Id of this registration; a process that lost its lease gets a new one';
comment on column queue.workers.host is 'Name of the machine';
comment on column queue.workers.pid is 'Process id on that machine';
comment on column queue.workers.version is 'Version of the program';
comment on column queue.workers.queues is 'Queues it claims from';
comment on column queue.workers.started_at is 'When it registered';
comment on column queue.workers.heartbeat_at is 'The last heartbeat';
comment on column queue.workers.lease_until is
    'Until when its running jobs are its own; after that they are rescued';
comment on column queue.workers.capacity is 'Jobs that the worker runs at once in each queue';
comment on column queue.workers.drain_requested_at is
    'Since when it claims nothing more: it ends with its last running job';
comment on column queue.workers.history is
    'The history in which the worker registered; in another one it claims nothing, ends what it '
    'runs and registers anew';

-- Whether somebody works on a queue concerns every tenant; on which machines does not.
grant select (id, drain_requested_at, lease_until, queues) on queue.workers to weirgate_tenant;

-- Runs belong to the history in which their worker registered.
create function queue.require_workers(workers uuid[]) returns boolean
language plpgsql stable
as $$
declare
    current uuid := queue.history_id();
    lost uuid;
begin
    select w.id into lost from unnest(workers) as w (id)
    where not exists (select from queue.workers r where r.id = w.id and r.history = current)
    limit 1;
    if lost is not null then
        raise exception using errcode = 'WG002',
            message = format(
                'worker %s is not one of this database''s history: what it ran belongs to one that was lost', lost);
    end if;
    return true;
end
$$;

comment on function queue.require_workers(uuid[]) is
    'True; raises WG002 for workers that did not register in this history, and WG001 while it is '
    'not known';

-- The arrays live for a moment: they are not worth compressing.
create table queue.claims (
    worker_id uuid not null,
    queue     text not null,
    claim_seq bigint not null,
    jobs      bigint[] not null,
    runs      bigint[] not null,
    at        timestamptz not null default queue.now(),
    primary key (worker_id, queue, claim_seq)
) with (toast_tuple_target=8160);

create index claims_claim_seq on queue.claims (queue, claim_seq);

comment on table queue.claims is
    'The jobs that each worker has claimed and not finished all of: where the jobs of a dead '
    'worker are found';
comment on column queue.claims.worker_id is 'The worker that claimed';
comment on column queue.claims.queue is 'The queue';
comment on column queue.claims.claim_seq is 'The claim''s sequence number in its queue';
comment on column queue.claims.jobs is 'The seq of each job that was claimed';
comment on column queue.claims.runs is 'The run token of each job''s run that began';
comment on column queue.claims.at is 'When the jobs were claimed';

-- Where running jobs are found; row-level security hides the jobs of other tenants themselves.
grant select (jobs) on queue.claims to weirgate_tenant;

-- With the rights of its owner: a role that reads for one tenant may not read it.
create view queue.in_flight as
select c.worker_id, c.queue, c.claim_seq, c.at, t.seq, t.run
from queue.claims c cross join unnest(c.jobs, c.runs) as t (seq, run);

comment on view queue.in_flight is
    'Claims, job by job. A job that is available, and whose run precedes the claim''s by one, is '
    'running and its row does not say so yet';

-- The job's row says that it runs only once the run has lasted for a moment.
create function queue.is_current_run(job uuid, run bigint, worker uuid) returns boolean
language sql stable
as $$
    select exists (select from queue.workers w where w.id = $3 and w.lease_until > queue.now())
        and exists (
            select from queue.jobs j
            where j.id = $1 and (j.run = $2 and j.state = 'running' or j.run = $2 - 1 and j.state = 'available')
        )
$$;

comment on function queue.is_current_run(uuid, bigint, uuid) is
    'Whether a run is still the current one of its job, under a worker that holds its lease';

-- A notification takes a lock of the whole server when its transaction commits, so that commits
-- wait for each other. It is therefore sent only where a worker waits; one that is busy refreshes
-- its view by itself.
create table queue.waiters (
    queue     text not null,
    worker_id uuid not null references queue.workers(id) on delete cascade,
    primary key (queue, worker_id)
);

create index waiters_worker on queue.waiters (worker_id);

comment on table queue.waiters is
    'Workers that find no job in a queue, and refresh their view when a notification tells of one';
comment on column queue.waiters.queue is 'The queue';
comment on column queue.waiters.worker_id is 'The worker';

create table queue.leader (
    term        bigint primary key,
    only_row    boolean not null unique default true check (only_row),
    holder      uuid,
    host        text,
    pid         integer,
    lease_until timestamptz not null
);

comment on table queue.leader is
    'Which process does what only one may do; one row, locked by every act of the leader';
comment on column queue.leader.term is
    'Grows with each change of hands; an act under an older term changes nothing. The key, so '
    'that acts (for key share) hold up a change of hands but not a renewal';
comment on column queue.leader.only_row is 'Always true, so that there is one row';
comment on column queue.leader.holder is
    'The process that leads, or led last; null when it stepped down';
comment on column queue.leader.host is 'Name of its machine, for people';
comment on column queue.leader.pid is 'Its process id on that machine, for people';
comment on column queue.leader.lease_until is 'Until when it leads unless it renews';

insert into queue.leader (term, lease_until) values (0, 'epoch');
