-- A notice takes a lock of the whole server when its transaction commits, so that commits wait for each other. It is sent only where
-- a worker sleeps; one that is busy looks for itself.

create table queue.sleepers (
    queue     text not null,
    worker_id uuid not null references queue.workers (id) on delete cascade,
    primary key (queue, worker_id)
);

comment on table queue.sleepers is 'Workers that find nothing to do in a queue, and look again when they are told of a job';
comment on column queue.sleepers.queue is 'The queue';
comment on column queue.sleepers.worker_id is 'The worker';

create index sleepers_worker on queue.sleepers (worker_id);

create or replace function queue.log_inserted_jobs() returns trigger language plpgsql as $$
begin
    insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
    select queue, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state), array_agg(change),
        array_agg(lowest)
    from (
        select queue, tenant_id, backfill_id, priority, state, count(*)::integer as change, min(seq) as lowest
        from new_jobs group by 1, 2, 3, 4, 5
    ) as counted
    group by queue;
    -- A statement of its own, as it must see more than the one that inserts: who is not seen here went to sleep after this
    -- transaction got its number, and finds that under way. Where all statements see the same, nobody can be relied on.
    perform pg_notify('weirgate_jobs', woken.queue)
    from (select distinct queue from new_jobs where state = 'available') as woken
    where exists (select from queue.sleepers s where s.queue = woken.queue)
        or current_setting('transaction_isolation') <> 'read committed';
    return null;
end
$$;
