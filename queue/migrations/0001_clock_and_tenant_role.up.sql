-- The engine's clock, and the role whose reads row-level security limits to one tenant.

-- The role owns nothing and cannot bypass row-level security. Roles belong to the whole server:
-- another database of the same server, or an administrator, may have made it already.
do $$
begin
    if not exists (select from pg_roles where rolname = 'weirgate_tenant') then
        begin
            create role weirgate_tenant nologin;
        exception
            when duplicate_object or unique_violation then null;
        end;
    end if;
    begin
        execute format('grant weirgate_tenant to %I', current_user);
    exception
        when insufficient_privilege then null;
    end;
    if not pg_has_role(current_user, 'weirgate_tenant', 'member') then
        raise exception 'the role % may not act as weirgate_tenant', current_user
            using hint = format('as an administrator: grant weirgate_tenant to %I', current_user);
    end if;
end
$$;

-- Whoever reads for a tenant names it in the setting weirgate.tenant of the transaction. Where
-- nothing is set, the policies of the tables let nothing be read.
grant usage on schema queue to weirgate_tenant;

-- Machines' clocks decide nothing: due times, leases and retries are compared with this. Tests
-- replace it to travel in time.
create function queue.now() returns timestamptz
language sql stable
as $$ select now() $$;

comment on function queue.now() is 'The engine''s only clock';
