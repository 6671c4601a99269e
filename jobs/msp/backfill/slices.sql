-- The slices from $4 up to $5 (not included) that there is something to do for, the first $9 of
-- them. $1 tenants, $2 the day that comes first, $3 1 or −1 for the days after it, $6 kind of the
-- backfill, $7 kind of the job that stands for a slice, $8 which days, $10 looks at every so
-- manieth slice only, $11 leaves these tenants out.
with slice as materialized (
    select n, ($1::uuid[])[n % cardinality($1::uuid[]) + 1] as tenant_id,
        $2::date + $3::integer * (n / cardinality($1::uuid[]))::integer as date
    from generate_series($4::bigint, $5::bigint - 1, $10::bigint) as n
    where not ($1::uuid[])[n % cardinality($1::uuid[]) + 1] = any($11::uuid[])
)
select s.n as "n!", s.date as "date!", t.id, t.slug, t.name, t.is_active, t.time_zone
from slice s
join identity.tenants t on t.id = s.tenant_id and t.is_active
-- What was made before the day's end is of a part of the day, and no result; a pipeline's is the
-- export, with the KPIs.
left join msp.kpi_daily k on $6 <> 'generate_export' and k.tenant_id = s.tenant_id and k.kpi_date = s.date
left join msp.exports e on $6 <> 'compute_kpi' and e.tenant_id = s.tenant_id and e.export_date = s.date and e.format = 'json'
    and (e.created_at at time zone t.time_zone)::date > e.export_date
cross join lateral (
    select case
        when (k.computed_at at time zone t.time_zone)::date <= k.kpi_date then null
        when $6 = 'compute_kpi' then k.computed_at
        else e.created_at
    end as at
) as result
-- Days that have not begun where the tenant is are nobody's yet.
where s.date <= (queue.now() at time zone t.time_zone)::date and case $8
    when 'all' then true
    when 'missing' then result.at is null
    -- As in backfill_count.sql.
    else exists (
        select from queue.failed_jobs($7, s.tenant_id, s.date::text) j
        where coalesce(j.args ->> 'format', 'json') = 'json'
          and ($6 <> 'pipeline' or j.workflow_id is not null)
          and ($6 = 'pipeline' or j.is_discarded)
          and j.finalized_at > coalesce(result.at, '-infinity')
    )
end
order by s.n
limit $9
