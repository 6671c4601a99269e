-- $1 slugs after this one; $2 a text in slug or name, or null; $3 what is so with them; $4 days
-- that are late; $5 most rows
select t.id
from identity.tenants t
where t.is_active and t.slug > $1
  and ($2::text is null or position(lower($2) in lower(t.slug)) > 0 or position(lower($2) in lower(t.name)) > 0)
  and (case $3::text
      when 'unusual' then exists (
          select from msp.kpi_daily k
          where k.tenant_id = t.id and k.anomaly_detected
            and k.kpi_date >= (queue.now() at time zone t.time_zone)::date - $4::integer
            and k.computed_at >= identity.local_day_start(k.kpi_date + 1, t.time_zone))
      else exists (select from msp.source_runs s where s.tenant_id = t.id and s.trouble = $3)
  end)
order by t.slug limit $5
