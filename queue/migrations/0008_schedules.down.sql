drop table queue.schedule_ticks;
drop table queue.schedules;
