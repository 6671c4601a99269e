drop function queue.failed_jobs_between(text, uuid, text, text);
drop function queue.failed_jobs(text, uuid, text);
drop function queue.is_open(uuid);
drop function queue.seq_at(timestamptz);
drop table queue.jobs;
drop function queue.sublane_key(text, uuid, uuid);
drop type queue.job_state;
