drop trigger tenants_time_zone_is_known_insert on tenants;
drop trigger tenants_time_zone_is_known_update on tenants;
drop function refuse_unknown_time_zones();
drop view time_zones;
drop function local_day_start(date, text);

alter table tenants add constraint tenants_time_zone_check check (timestamptz 'epoch' at time zone time_zone is not null);

comment on column tenants.time_zone is 'IANA time zone; where the tenant''s days begin and end';
comment on column kpi_daily.computed_at is 'When it was worked out';
comment on column exports.created_at is 'When it was last written';
comment on column kpi_daily.z_score is 'Of tickets_created against the 28 days before (sample standard deviation); null under 7 days of history or at deviation 0';
