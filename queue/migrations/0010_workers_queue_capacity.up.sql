-- A worker may run more or fewer jobs at once in some of its queues than in the others.
alter table queue.workers add column queue_capacity jsonb not null default '{}';
comment on column queue.workers.capacity is 'Jobs that the worker runs at once in each queue that queue_capacity does not name';
comment on column queue.workers.queue_capacity is 'Jobs that the worker runs at once in the queues that have a number of their own, by their names';
