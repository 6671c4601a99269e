revoke select on identity.tenants from weirgate_desk, weirgate_super;
drop policy super_reads on identity.tenants;
drop policy desk_reads on identity.tenants;
revoke usage on schema identity from weirgate_desk, weirgate_super;
