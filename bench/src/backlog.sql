-- Rounds $1 to $2, in each of which every tenant of $3 has a job that may start.
insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at)
select
    -- A UUIDv7 of its time.
    encode(set_byte(overlay(
        uuid_send(gen_random_uuid()) placing substring(
            int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1), 6, 112), 'hex')::uuid,
    tenant, $4, 'bench', 'available', 10, $5, queue.now(), queue.now()
from generate_series($1, $2) as n, unnest($3) with ordinality as t (tenant, place)
order by n, place
