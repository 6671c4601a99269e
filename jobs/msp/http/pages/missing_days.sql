-- $1 only these tenants, or null for all; $2 a text in slug or name, or null; $3 slugs after this
-- one; $4 most tenants
with asked as (
    -- The last day is one that has been over for some hours: a night's work is not missed while it
    -- is being done.
    select id, slug, time_zone, ((queue.now() - interval '6 hours') at time zone time_zone)::date - 1 as last_day
    from identity.tenants
    where is_active and ($1::uuid[] is null or id = any($1)) and slug > $3
      and ($2::text is null or position(lower($2) in lower(slug)) > 0 or position(lower($2) in lower(name)) > 0)
), counted as materialized (
    -- Tenant by tenant along the key, so that older days are not read. Days are told exactly below,
    -- where there are fewer of them: the end by `at time zone` is never too early.
    select a.*, k.days
    from asked a
    cross join lateral (
        select count(*) as days from msp.kpi_daily
        where tenant_id = a.id and kpi_date between a.last_day - 29 and a.last_day
          and computed_at >= (kpi_date + 1)::timestamp at time zone a.time_zone
    ) k
), lacking as (
    -- A tenant's days begin with its first KPIs. Without any it has none: `greatest` would pass
    -- over a null.
    select c.*, greatest(k.first_day, c.last_day - 29) as first_day, count(*) over () as total
    from counted c
    cross join lateral (select min(kpi_date) as first_day from msp.kpi_daily where tenant_id = c.id) k
    where c.days < 30 and k.first_day is not null and c.days < c.last_day - greatest(k.first_day, c.last_day - 29) + 1
    order by slug limit $4
)
select l.id as "id!", l.slug as "slug!", count(*) as "days!", min(d.day) as "first!", max(d.day) as "last!", l.total as "total!"
from lacking l
cross join lateral (select l.first_day + d.no as day from generate_series(0, l.last_day - l.first_day) as d (no)) d
where not exists (
    select from msp.kpi_daily k
    where k.tenant_id = l.id and k.kpi_date = d.day and k.computed_at >= identity.local_day_start(d.day + 1, l.time_zone)
)
group by l.id, l.slug, l.total
order by l.slug
