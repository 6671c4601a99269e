create index jobs_lane on queue.jobs (queue, tenant_id, priority, seq) where backfill_id is null;
create index jobs_backfill_lane on queue.jobs (queue, tenant_id, backfill_id, priority, seq) where backfill_id is not null;
drop index queue.jobs_flow;
drop function queue.flow_key;
