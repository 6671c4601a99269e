alter table queue.workers drop column drain_requested_at;
