-- What the roles that write for one tenant and that read for all see of this schema: tenants, the
-- first its own. Neither sees accounts, keys, sessions or the audit.
grant usage on schema identity to weirgate_desk, weirgate_super;

create policy desk_reads on identity.tenants for select to weirgate_desk
    using (id = identity.current_tenant());
grant select on identity.tenants to weirgate_desk;

create policy super_reads on identity.tenants for select to weirgate_super using (true);
grant select on identity.tenants to weirgate_super;
