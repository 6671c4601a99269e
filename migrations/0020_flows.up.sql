-- A job is found among those that start in turn with it by a number that stands for queue, tenant and backfill: an entry of the
-- index is half as long, and compared by one number instead of text and ids. docs/performance.md tells what the longer one cost.

create function queue.flow_key(queue text, tenant_id uuid, backfill_id uuid) returns bigint
language sql immutable parallel safe
return hashtextextended(queue, uuid_hash_extended(tenant_id, coalesce(uuid_hash_extended(backfill_id, 0), 0)));

comment on function queue.flow_key is
    'Stands for the live work of a tenant in a queue, or for that of a backfill. Two may have the same: whoever searches by it compares the rest';

create index jobs_flow on queue.jobs (queue.flow_key(queue, tenant_id, backfill_id), priority, seq);
drop index queue.jobs_lane, queue.jobs_backfill_lane;
