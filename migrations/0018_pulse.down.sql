drop index queue.jobs_failure;
alter table queue.jobs drop column failure_id;
drop function queue.failure_id;
drop table queue.failure_hours, queue.failures, queue.pulse;
drop function queue.add_each;
