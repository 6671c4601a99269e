drop index audit_of_target;

comment on column idempotency_keys.job_id is 'The job that the first request enqueued';
