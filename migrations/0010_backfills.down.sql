drop index queue.jobs_failed_day;
drop index queue.jobs_backfill_failed;
drop index queue.jobs_backfill_live;

alter table queue.backfills
    drop column kind, drop column spec, drop column plan, drop column queues, drop column priority,
    drop column traceparent, drop column total, drop column next_slice, drop column skipped, drop column jobs,
    drop column counts, drop column samples, drop column retry_requested_at, drop column retried_to,
    drop column created_at, drop column cancelled_at;
