-- How many days each tenant has that there is something to do for. $1 tenants, $2 first and $3 last day, $4 kind of the
-- backfill, $5 kind of the job that stands for a slice, $6 which days.
with result as (
    select tenant_id, kpi_date as date, computed_at as at from kpi_daily
    where $4 = 'compute_kpi' and $6 <> 'all' and tenant_id = any($1) and kpi_date between $2 and $3
    union all
    select tenant_id, export_date, created_at from exports
    where $4 <> 'compute_kpi' and $6 <> 'all' and tenant_id = any($1) and export_date between $2 and $3 and format = 'json'
), there as (
    select tenant_id, count(*) as days from result where $6 = 'missing' group by tenant_id
), failed as (
    -- As in backfill_slices.sql.
    select j.tenant_id, count(distinct j.args ->> 'date') as days
    from queue.jobs j
    left join result r on r.tenant_id = j.tenant_id and r.date::text = left(j.args ->> 'date', 10)
    where $6 = 'failed'
      and j.kind = $5 and j.tenant_id = any($1) and left(j.args ->> 'date', 10) between $2::text and $3::text
      and j.aside in ('discarded', 'cancelled')
      and coalesce(j.args ->> 'format', 'json') = 'json'
      and (j.state = 'discarded' or j.errors @> '[{"code": "dependency_failed"}]')
      and ($4 <> 'pipeline' or j.workflow_id is not null)
      and ($4 = 'pipeline' or j.state = 'discarded')
      and j.finalized_at > coalesce(r.at, '-infinity')
    group by j.tenant_id
)
select t.id, t.slug,
    case $6
        when 'all' then $3::date - $2::date + 1
        when 'missing' then $3::date - $2::date + 1 - coalesce(there.days, 0)
        else coalesce(failed.days, 0)
    end as "slices!"
from unnest($1::uuid[]) with ordinality as asked (id, position)
join tenants t on t.id = asked.id and t.is_active
left join there on there.tenant_id = t.id
left join failed on failed.tenant_id = t.id
order by asked.position
