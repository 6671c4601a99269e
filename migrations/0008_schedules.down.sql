drop table queue.schedule_ticks;
drop table queue.schedules;
drop table queue.leader;
