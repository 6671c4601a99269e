-- A worker may run more or fewer jobs at once in some of its queues than in the others.
alter table queue.workers add column queue_slots jsonb not null default '{}';
comment on column queue.workers.slots is 'Jobs it runs at once in each queue that queue_slots does not name';
comment on column queue.workers.queue_slots is 'Jobs it runs at once in the queues that have a number of their own, by their names';
