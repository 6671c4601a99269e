-- $1 slugs after this one; $2 a text in slug or name, or null; $3 what is so with them, or null; $4 of these, where $3 is not
-- told here; $5 days that are late; $6 most rows
select t.id, t.slug, t.name, t.is_active
from identity.tenants t
where t.slug > $1
  and ($2::text is null or position(lower($2) in lower(t.slug)) > 0 or position(lower($2) in lower(t.name)) > 0)
  and (case when $3::text is null then true
      when $3 = 'inactive' then not t.is_active
      else t.is_active and case $3
          when 'paused' then exists (select from queue.lanes l where l.tenant_id = t.id and l.paused)
          when 'unusual' then exists (
              select from msp.kpi_daily k
              where k.tenant_id = t.id and k.anomaly_detected
                and k.kpi_date >= (queue.now() at time zone t.time_zone)::date - $5::integer
                and k.computed_at >= identity.local_day_start(k.kpi_date + 1, t.time_zone))
          when 'missing' then t.id = any($4::uuid[])
          else exists (select from msp.source_runs s where s.tenant_id = t.id and s.trouble = $3)
      end
  end)
order by t.slug limit $6
