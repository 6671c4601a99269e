insert into raw_security_alerts as t (tenant_id, source, alert_id, severity, title, device, status, detected_at, ingested_at)
select $1, r.*, queue.now()
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[]) as r (source, alert_id, severity, title, device, status, detected_at)
on conflict (tenant_id, source, alert_id) do update set
    severity = excluded.severity,
    title = excluded.title,
    device = excluded.device,
    status = excluded.status,
    detected_at = excluded.detected_at,
    ingested_at = excluded.ingested_at
-- An unchanged row is not written again.
where (t.severity, t.title, t.device, t.status, t.detected_at)
    is distinct from (excluded.severity, excluded.title, excluded.device, excluded.status, excluded.detected_at)
