alter table queue.workers drop column queue_slots;
comment on column queue.workers.slots is 'Jobs it runs at once in each queue';
