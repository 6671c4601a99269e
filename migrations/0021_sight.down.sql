alter table queue.lane_log drop constraint claims_see, drop column sees_before, drop column sees_not;
