drop table queue.failure_hours;
drop table queue.failures;
drop function queue.failure_id(text, text, text);
drop table queue.rollups;
drop function queue.add_each(bigint[], bigint[]);
