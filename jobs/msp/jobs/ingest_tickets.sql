insert into msp.raw_tickets as t (tenant_id, cw_ticket_id, board, status, priority, summary, description, company, owner, created_at_remote, updated_at_remote, closed_at_remote, sla_status, estimated_hours, closed_flag, read_at, ingested_at)
select $1, r.*, $2, queue.now()
from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::text[], $15::float8[], $16::bool[]) as r (cw_ticket_id, board, status, priority, summary, description, company, owner, created_at_remote, updated_at_remote, closed_at_remote, sla_status, estimated_hours, closed_flag)
on conflict (tenant_id, cw_ticket_id) do update set
    board = excluded.board,
    status = excluded.status,
    priority = excluded.priority,
    summary = excluded.summary,
    description = excluded.description,
    company = excluded.company,
    owner = excluded.owner,
    created_at_remote = excluded.created_at_remote,
    updated_at_remote = excluded.updated_at_remote,
    closed_at_remote = excluded.closed_at_remote,
    sla_status = excluded.sla_status,
    estimated_hours = excluded.estimated_hours,
    closed_flag = excluded.closed_flag,
    read_at = excluded.read_at,
    deleted_at = null,
    ingested_at = excluded.ingested_at
-- An unchanged row is not written again, and an older reading does not take the place of a newer
-- one.
where (t.board, t.status, t.priority, t.summary, t.description, t.company, t.owner, t.created_at_remote, t.updated_at_remote, t.closed_at_remote, t.sla_status, t.estimated_hours, t.closed_flag, t.deleted_at)
    is distinct from (excluded.board, excluded.status, excluded.priority, excluded.summary, excluded.description, excluded.company, excluded.owner, excluded.created_at_remote, excluded.updated_at_remote, excluded.closed_at_remote, excluded.sla_status, excluded.estimated_hours, excluded.closed_flag, null)
  and msp.is_newer_row(t.updated_at_remote, t.read_at, t.deleted_at, excluded.updated_at_remote, excluded.read_at)
