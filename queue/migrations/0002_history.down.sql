drop function queue.advance_sequences();
drop function queue.history_id();
drop function queue.recorded_history();
drop table queue.history;
drop function queue.timeline();
