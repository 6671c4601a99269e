-- Counts the days of each tenant that a backfill has something to do for.
--
-- - $1 uuid[]: the tenants
-- - $2, $3 date: the first and the last day
-- - $4 text: the kind of the backfill
-- - $5 text: the kind of the job that stands for a slice
-- - $6 text: which days: all, missing or failed
with tenant as (
    -- Days that have not begun where the tenant is are nobody's yet.
    select t.id, t.slug, t.time_zone, asked.position,
        least($3::date, (queue.now() at time zone t.time_zone)::date) as last_day
    from unnest($1::uuid[]) with ordinality as asked (id, position)
    join identity.tenants t on t.id = asked.id and t.is_active
), result as (
    -- As in backfill_slices.sql: what was made before the day's end is no result.
    select k.tenant_id, k.kpi_date as date, k.computed_at as at
    from msp.kpi_daily k join tenant t on t.id = k.tenant_id
    where $4 = 'compute_kpi' and $6 <> 'all' and k.tenant_id = any($1) and k.kpi_date between $2 and $3
      and (k.computed_at at time zone t.time_zone)::date > k.kpi_date
    union all
    select e.tenant_id, e.export_date, e.created_at
    from msp.exports e join tenant t on t.id = e.tenant_id
    where $4 <> 'compute_kpi' and $6 <> 'all' and e.tenant_id = any($1) and e.export_date between $2 and $3
      and e.format = 'json' and (e.created_at at time zone t.time_zone)::date > e.export_date
      and not ($4 = 'pipeline' and exists (
          select from msp.kpi_daily k
          where k.tenant_id = e.tenant_id and k.kpi_date = e.export_date
            and (k.computed_at at time zone t.time_zone)::date <= k.kpi_date
      ))
), there as (
    select tenant_id, count(*) as days from result where $6 = 'missing' group by tenant_id
), failed as (
    -- As in backfill_slices.sql.
    select t.id as tenant_id, count(distinct j.subject) as days
    from tenant t
    cross join lateral queue.failed_jobs_between($5, t.id, $2::date::text, t.last_day::text) j
    left join result r on r.tenant_id = t.id and r.date::text = j.subject
    where $6 = 'failed'
      and coalesce(j.args ->> 'format', 'json') = 'json'
      and ($4 <> 'pipeline' or j.workflow_id is not null)
      and ($4 = 'pipeline' or j.is_discarded)
      and j.finalized_at > coalesce(r.at, '-infinity')
    group by t.id
)
select t.id, t.slug,
    case $6
        when 'all' then greatest(t.last_day - $2::date + 1, 0)
        when 'missing' then greatest(t.last_day - $2::date + 1, 0) - coalesce(there.days, 0)
        else coalesce(failed.days, 0)
    end as "slices!"
from tenant t
left join there on there.tenant_id = t.id
left join failed on failed.tenant_id = t.id
order by t.position
