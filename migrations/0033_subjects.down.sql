drop index queue.jobs_failing_subject;
drop function queue.job_subject(text, jsonb);
alter table queue.jobs drop column subject, drop column cancelled_by;
drop table queue.workflows;
