revoke select (jobs) on queue.claims from weirgate_super;
revoke select (id, drain_requested_at, lease_until, queues) on queue.workers from weirgate_super;
revoke select on queue.lanes, queue.job_dependencies, queue.jobs from weirgate_super;
drop policy super_reads on queue.lanes;
drop policy super_reads on queue.job_dependencies;
drop policy super_reads on queue.jobs;
revoke usage on schema queue from weirgate_desk, weirgate_super;
-- The roles stay: other databases of the server may use them.
