drop table queue.backfills_behind;
drop table queue.backfills;
