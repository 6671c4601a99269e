drop function queue.seq_at;
revoke select (jobs) on queue.claims from weirgate_tenant;
create index jobs_discarded on queue.jobs (seq) where aside = 'discarded';
create index jobs_cancelled on queue.jobs (seq) where aside = 'cancelled';
drop index queue.jobs_aside;
drop index queue.jobs_tenant_aside;
