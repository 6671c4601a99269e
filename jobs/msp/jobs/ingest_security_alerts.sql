insert into msp.raw_security_alerts as t (tenant_id, source, alert_id, severity, title, device, status, detected_at, updated_at_remote, read_at, ingested_at)
select $1, r.*, $2, queue.now()
from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[]) as r (source, alert_id, severity, title, device, status, detected_at, updated_at_remote)
on conflict (tenant_id, source, alert_id) do update set
    severity = excluded.severity,
    title = excluded.title,
    device = excluded.device,
    status = excluded.status,
    detected_at = excluded.detected_at,
    updated_at_remote = excluded.updated_at_remote,
    read_at = excluded.read_at,
    deleted_at = null,
    ingested_at = excluded.ingested_at
-- An unchanged row is not written again, and an older reading does not take the place of a newer
-- one.
where (t.severity, t.title, t.device, t.status, t.detected_at, t.updated_at_remote, t.deleted_at)
    is distinct from (excluded.severity, excluded.title, excluded.device, excluded.status, excluded.detected_at, excluded.updated_at_remote, null)
  and msp.is_newer_row(t.updated_at_remote, t.read_at, t.deleted_at, excluded.updated_at_remote, excluded.read_at)
