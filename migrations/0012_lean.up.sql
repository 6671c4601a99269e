-- Every claim and finish computes the generated columns again: a job without a key or a backfill, and one on its usual way, is
-- done with after the first comparison.

drop index queue.jobs_due, queue.jobs_unique, queue.jobs_discarded, queue.jobs_cancelled, queue.jobs_backfill_live,
    queue.jobs_backfill_failed, queue.jobs_failed_day;
alter table queue.jobs drop column aside, drop column live_key, drop column live_backfill_id;
alter table queue.jobs
    add column aside queue.job_state generated always as (
        case when state = 'running' or state = 'completed' or state = 'available' then null else state end) stored,
    add column live_key bytea generated always as (
        case when unique_key is null or state in ('completed', 'cancelled', 'discarded') then null else unique_key end) stored,
    add column live_backfill_id uuid generated always as (
        case when backfill_id is null or state in ('completed', 'cancelled', 'discarded') then null else backfill_id end) stored;

comment on column queue.jobs.aside is 'The state, unless it is one that every job goes through (available, running, completed): for indexes';
comment on column queue.jobs.live_key is 'The unique key, while the job is not final: no other live job may have it';
comment on column queue.jobs.live_backfill_id is 'The backfill, while the job is not final';

create index jobs_due on queue.jobs (scheduled_at) where aside in ('scheduled', 'retryable');
create unique index jobs_unique on queue.jobs (live_key) where live_key is not null;
-- An index of all rare states takes the place of those two (0014).
create index jobs_backfill_live on queue.jobs (live_backfill_id, seq) where live_backfill_id is not null;
create index jobs_backfill_failed on queue.jobs (backfill_id, seq) where backfill_id is not null and aside = 'discarded';
create index jobs_failed_day on queue.jobs (kind, tenant_id, left(args ->> 'date', 10)) where aside in ('discarded', 'cancelled');

-- Their arrays are short-lived: not worth compressing.
alter table queue.claims set (toast_tuple_target = 8160);
alter table queue.lane_log set (toast_tuple_target = 8160);
