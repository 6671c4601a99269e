alter table queue.lane_log replica identity default;
drop function queue.advance_sequences();
alter table queue.lane_books drop column history;
drop function queue.require_workers(uuid[]);
alter table queue.workers drop column history;
drop function queue.history_id();
drop function queue.recorded_history();
drop function queue.timeline();
drop table queue.history;
