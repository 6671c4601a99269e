-- Makes the role weirgate_service, and gives it the current database with all that the current role
-- owns there. Changes nothing where that is done. In one transaction: a start that is killed leaves
-- all or nothing.
do $$
declare
    one text;
begin
    if not exists (select from pg_roles where rolname = 'weirgate_service') then
        create role weirgate_service login createdb createrole;
    end if;
    execute format('alter role weirgate_service password %L', current_setting('weirgate.service_password'));
    -- As whom tenants read, as whom jobs write for one tenant, and as whom all tenants are read;
    -- migrations make them where they are absent.
    foreach one in array array['weirgate_tenant', 'weirgate_desk', 'weirgate_super'] loop
        if not exists (select from pg_roles where rolname = one) then
            execute format('create role %I nologin', one);
        end if;
        if not pg_has_role('weirgate_service', one, 'member with admin option') then
            execute format('grant %I to weirgate_service with admin option', one);
        end if;
    end loop;

    for one in
        with ours as (
            select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
        ),
        of_extensions as (select classid, objid from pg_depend where deptype = 'e')
        select format('alter schema %I owner to weirgate_service', n.nspname)
        from pg_namespace n join ours on ours.oid = n.oid where n.nspowner = current_user::regrole
        union all
        -- A sequence that belongs to a column goes with its table.
        select format('alter table %s owner to weirgate_service', c.oid::regclass)
        from pg_class c join ours on ours.oid = c.relnamespace
        where c.relowner = current_user::regrole and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
            and not exists (
                select from pg_depend d
                where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i') and c.relkind = 'S')
            and ('pg_class'::regclass, c.oid) not in (select classid, objid from of_extensions)
        union all
        select format('alter routine %s owner to weirgate_service', p.oid::regprocedure)
        from pg_proc p join ours on ours.oid = p.pronamespace
        where p.proowner = current_user::regrole
            and ('pg_proc'::regclass, p.oid) not in (select classid, objid from of_extensions)
        union all
        select format('alter type %s owner to weirgate_service', t.oid::regtype)
        from pg_type t join ours on ours.oid = t.typnamespace
        left join pg_class c on c.oid = t.typrelid
        where t.typowner = current_user::regrole and (t.typtype in ('e', 'd', 'r') or c.relkind = 'c')
            and ('pg_type'::regclass, t.oid) not in (select classid, objid from of_extensions)
    loop
        execute one;
    end loop;

    if exists (select from pg_database where datname = current_database() and datdba = current_user::regrole) then
        execute format('alter database %I owner to weirgate_service', current_database());
    end if;
end
$$;
