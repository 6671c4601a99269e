-- Tenants, the tenant that a transaction reads for, and the days of a tenant's time zone.

grant usage on schema identity to weirgate_tenant;

create function identity.current_tenant() returns uuid
language sql stable
as $$ select nullif(current_setting('weirgate.tenant', true), '')::uuid $$;

comment on function identity.current_tenant() is
    'The tenant that the current transaction reads for; null where none is set, so that nothing '
    'is visible';

create view identity.time_zones as
    select name from pg_timezone_names
    where name !~ '^(posix|right)/' and name not in ('localtime', 'posixrules', 'Factory');

comment on view identity.time_zones is
    'The names of the IANA database, as far as the server has them. The server reads them from '
    'disk: join the view, but never for each row';
comment on column identity.time_zones.name is 'A name such as Europe/Berlin, in its only spelling';

create function identity.local_day_start(day date, time_zone text) returns timestamptz
language plpgsql stable strict parallel safe
as $$
declare
    midnight constant timestamp := day;
    -- Of two midnights, `at time zone` takes the later one.
    later constant timestamptz := midnight at time zone time_zone;
    before timestamptz := later - interval '24 hours';
    -- Midnight by the offset that was in force the day before.
    earlier constant timestamptz := later + (midnight - interval '24 hours' - (before at time zone time_zone));
    after timestamptz;
    middle timestamptz;
begin
    if earlier < later and (earlier at time zone time_zone) = midnight then
        return earlier;
    end if;
    if (later at time zone time_zone) = midnight then
        return later;
    end if;
    -- The clock skips midnight. The day begins at the instant of the jump, which is found by
    -- halving.
    before := midnight at time zone 'UTC' - interval '2 days';
    after := midnight at time zone 'UTC' + interval '2 days';
    while after - before > interval '1 microsecond' loop
        middle := before + (after - before) / 2;
        if (middle at time zone time_zone) < midnight then
            before := middle;
        else
            after := middle;
        end if;
    end loop;
    return after;
end
$$;

comment on function identity.local_day_start(date, text) is
    'The first instant of a day in a time zone. A day ends where the next one starts, so that '
    'every instant is of exactly one day: the one that (instant at time zone zone)::date names. '
    'Days may lack midnight, or have two of them.';

-- Jobs that belong to no single tenant belong to the system, which is nobody's customer and has no
-- key. A tenant is named by its slug or its id, so that no slug may look like an id; a database
-- that was taken over may have such slugs from before, which are not looked at.
create table identity.tenants (
    id          uuid primary key,
    slug        text not null unique check (slug ~ '^[A-Za-z0-9_-]{1,64}$'),
    name        text not null,
    is_active   boolean not null default true,
    llm_enabled boolean not null default false,
    time_zone   text not null default 'UTC',
    created_at  timestamptz not null default now(),
    constraint tenants_are_not_the_system check (id <> '00000000-0000-0000-0000-000000000000' and slug <> 'system')
);
alter table identity.tenants add constraint tenants_slug_is_no_id
    check (slug !~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$') not valid;

comment on table identity.tenants is 'The customers whose data is ingested';
comment on column identity.tenants.id is 'Permanent id of the tenant';
comment on column identity.tenants.slug is
    'Name in URLs and of the files of its sources, such as tenant_demo_cca; never changes';
comment on column identity.tenants.name is 'Name for people';
comment on column identity.tenants.is_active is
    'Inactive tenants keep their data, but no job is accepted for them';
comment on column identity.tenants.llm_enabled is
    'Whether the tenant allows language models on its data';
comment on column identity.tenants.time_zone is
    'Name of an IANA time zone in its only spelling; where the tenant''s days begin and end';
comment on column identity.tenants.created_at is 'When the tenant was made';

alter table identity.tenants enable row level security;
create policy tenant_reads on identity.tenants for select to weirgate_tenant
    using (id = identity.current_tenant());
grant select on identity.tenants to weirgate_tenant;

-- Files, cached names and the arguments of jobs were made under the slug: were it given to another
-- tenant, that one would have them. What people may call a tenant otherwise is its name.
create function identity.keep_tenant_identity() returns trigger language plpgsql as $$
begin
    raise exception 'tenant % is called % for ever: its id and its slug never change', old.id, old.slug
        using errcode = 'check_violation', constraint = 'tenants_identity', table = 'tenants',
            hint = 'Change the column name, which is for people; for another slug, make another tenant.';
end
$$;

create trigger keep_identity before update of id, slug on identity.tenants
    for each row when (old.id is distinct from new.id or old.slug is distinct from new.slug)
    execute function identity.keep_tenant_identity();

-- After the statement, since the names cost 0.1 s to look up: once for all the rows of a statement,
-- and not for UTC.
create function identity.refuse_unknown_time_zones() returns trigger
language plpgsql
as $$
declare
    wrong record;
begin
    if TG_OP = 'INSERT' then
        select slug, time_zone into wrong from new_rows
        where time_zone <> 'UTC' and time_zone not in (select name from identity.time_zones) limit 1;
    else
        with changed as materialized (
            select n.slug, n.time_zone from new_rows n join old_rows o using (id) where n.time_zone <> o.time_zone
        )
        select slug, time_zone into wrong from changed
        where time_zone <> 'UTC' and time_zone not in (select name from identity.time_zones) limit 1;
    end if;
    if found then
        raise exception 'tenant %, time_zone: no IANA time zone "%"; such as Europe/Berlin or UTC',
            wrong.slug, wrong.time_zone
            using errcode = 'check_violation', schema = 'identity', table = 'tenants', column = 'time_zone',
                constraint = 'tenants_time_zone_is_known';
    end if;
    return null;
end
$$;

comment on function identity.refuse_unknown_time_zones() is
    'Refuses tenants whose time zone is not in time_zones';

create trigger tenants_time_zone_is_known_insert after insert on identity.tenants
    referencing new table as new_rows for each statement execute function identity.refuse_unknown_time_zones();
create trigger tenants_time_zone_is_known_update after update on identity.tenants
    referencing old table as old_rows new table as new_rows for each statement
    execute function identity.refuse_unknown_time_zones();
