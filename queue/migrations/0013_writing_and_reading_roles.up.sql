-- Two more roles beside weirgate_tenant, which own nothing and cannot bypass row-level security
-- either: weirgate_desk writes the rows of one tenant, where policies of an application let it, and
-- weirgate_super reads the rows of all tenants and writes none.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['weirgate_desk', 'weirgate_super'] loop
        -- Another database of the same server, or an administrator, may have made it already.
        if not exists (select from pg_roles where rolname = wanted) then
            begin
                execute format('create role %I nologin', wanted);
            exception
                when duplicate_object or unique_violation then null;
            end;
        end if;
        begin
            execute format('grant %I to %I', wanted, current_user);
        exception
            when insufficient_privilege then null;
        end;
        if not pg_has_role(current_user, wanted, 'member') then
            raise exception 'the role % may not act as %', current_user, wanted
                using hint = format('as an administrator: grant %I to %I', wanted, current_user);
        end if;
    end loop;
end
$$;

-- For queue.now(). The engine's tables are written by their owner alone.
grant usage on schema queue to weirgate_desk, weirgate_super;

create policy super_reads on queue.jobs for select to weirgate_super using (true);
grant select on queue.jobs to weirgate_super;

create policy super_reads on queue.job_dependencies for select to weirgate_super using (true);
grant select on queue.job_dependencies to weirgate_super;

create policy super_reads on queue.lanes for select to weirgate_super using (true);
grant select on queue.lanes to weirgate_super;

grant select (id, drain_requested_at, lease_until, queues) on queue.workers to weirgate_super;
grant select (jobs) on queue.claims to weirgate_super;
