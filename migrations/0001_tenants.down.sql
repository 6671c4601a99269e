drop table api_keys;
drop table tenants;
drop function current_tenant();
revoke usage on schema public from weirgate_tenant;
-- The role stays: other databases of the server may use it.
