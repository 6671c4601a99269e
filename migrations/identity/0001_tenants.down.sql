drop table identity.tenants;
drop function identity.refuse_unknown_time_zones();
drop function identity.keep_tenant_identity();
drop function identity.local_day_start(date, text);
drop view identity.time_zones;
drop function identity.current_tenant();
revoke usage on schema identity from weirgate_tenant;
