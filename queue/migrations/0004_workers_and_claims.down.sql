drop table queue.leader;
drop table queue.waiters;
drop function queue.is_current_run(uuid, bigint, uuid);
drop view queue.in_flight;
drop table queue.claims;
drop function queue.require_workers(uuid[]);
drop table queue.workers;
