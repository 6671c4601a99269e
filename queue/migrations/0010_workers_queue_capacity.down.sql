alter table queue.workers drop column queue_capacity;
