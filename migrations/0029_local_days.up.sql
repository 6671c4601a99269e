-- Days of a tenant's time zone, from one place; and time zones by the names of the IANA database alone.

create function local_day_start(day date, time_zone text) returns timestamptz
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
    -- The clock skips midnight. The day begins at the instant of the jump, which is found by halving.
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

comment on function local_day_start(date, text) is
    'The first instant of a day in a time zone. A day ends where the next one starts, so that every instant is of exactly '
    'one day: the one that (instant at time zone zone)::date names. Days may lack midnight, or have two of them.';

-- The check of before also took abbreviations (MSK), formulas (UTC+3) and any spelling (europe/berlin), of which the
-- schedules know none.
alter table tenants drop constraint tenants_time_zone_check;

create view time_zones as
    select name from pg_timezone_names
    where name !~ '^(posix|right)/' and name not in ('localtime', 'posixrules', 'Factory');

comment on view time_zones is
    'The names of the IANA database, as far as the server has them. The server looks them up on disk: join it, but never for each row';
comment on column time_zones.name is 'A name such as Europe/Berlin, in its only spelling';

-- After the statement, since the names cost 0.1 s to look up: once for all the rows of a statement, and not for UTC.
create function refuse_unknown_time_zones() returns trigger
language plpgsql
as $$
declare
    wrong record;
begin
    if TG_OP = 'INSERT' then
        select slug, time_zone into wrong from new_rows
        where time_zone <> 'UTC' and time_zone not in (select name from public.time_zones) limit 1;
    else
        with changed as materialized (
            select n.slug, n.time_zone from new_rows n join old_rows o using (id) where n.time_zone <> o.time_zone
        )
        select slug, time_zone into wrong from changed
        where time_zone <> 'UTC' and time_zone not in (select name from public.time_zones) limit 1;
    end if;
    if found then
        raise exception 'tenant %, time_zone: no IANA time zone "%"; such as Europe/Berlin or UTC', wrong.slug, wrong.time_zone
            using errcode = 'check_violation', schema = 'public', table = 'tenants', column = 'time_zone',
                constraint = 'tenants_time_zone_is_known';
    end if;
    return null;
end
$$;

comment on function refuse_unknown_time_zones() is 'Refuses tenants whose time zone is not in time_zones';

create trigger tenants_time_zone_is_known_insert after insert on tenants
    referencing new table as new_rows for each statement execute function refuse_unknown_time_zones();

create trigger tenants_time_zone_is_known_update after update on tenants
    referencing old table as old_rows new table as new_rows for each statement execute function refuse_unknown_time_zones();

-- What is there already: another spelling is put right. What is no name at all keeps its days and is told of, as only
-- its owner knows what was meant.
do $$
declare
    wrong record;
begin
    if not exists (select from tenants where time_zone <> 'UTC') then
        return;
    end if;
    update tenants t set time_zone = z.name
    from time_zones z
    where lower(z.name) = lower(t.time_zone) and t.time_zone not in (select name from time_zones);
    for wrong in
        select slug, time_zone from tenants where time_zone not in (select name from time_zones) order by slug
    loop
        raise warning 'tenant %, time_zone: "%" is no IANA time zone, so that no schedule runs for it; put the right name into tenants.json and run `weirgate seed`',
            wrong.slug, wrong.time_zone;
    end loop;
end
$$;

comment on column tenants.time_zone is 'Name of an IANA time zone in its only spelling; where the tenant''s days begin and end';
comment on column kpi_daily.computed_at is
    'When it was worked out; before the end of the day, the row is of what there was by then, and a backfill of what is missing takes the day';
comment on column exports.created_at is
    'When it was last written; before the end of the day, a backfill of what is missing takes the day';
comment on column kpi_daily.z_score is
    'Of tickets_created against the 28 days before: (x - mean) / deviation; null under 7 days of history. The deviation is that of the '
    'sample, but at least sqrt(mean), which counts of independent events have (Poisson; the limits of a c chart, NIST/SEMATECH '
    'e-Handbook of Statistical Methods, 6.3.3.1), and at least 1 ticket';
