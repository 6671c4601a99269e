drop function queue.seq_at;
revoke select (jobs) on queue.claims from weirgate_tenant;
drop index queue.jobs_aside;
drop index queue.jobs_tenant_aside;
