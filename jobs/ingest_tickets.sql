insert into raw_tickets as t (tenant_id, cw_ticket_id, board, status, priority, summary, description, company, owner, created_at_remote, updated_at_remote, closed_at_remote, sla_status, estimated_hours, ingested_at)
select $1, r.*, queue.now()
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::float8[]) as r (cw_ticket_id, board, status, priority, summary, description, company, owner, created_at_remote, updated_at_remote, closed_at_remote, sla_status, estimated_hours)
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
    ingested_at = excluded.ingested_at
-- An unchanged row is not written again.
where (t.board, t.status, t.priority, t.summary, t.description, t.company, t.owner, t.created_at_remote, t.updated_at_remote, t.closed_at_remote, t.sla_status, t.estimated_hours)
    is distinct from (excluded.board, excluded.status, excluded.priority, excluded.summary, excluded.description, excluded.company, excluded.owner, excluded.created_at_remote, excluded.updated_at_remote, excluded.closed_at_remote, excluded.sla_status, excluded.estimated_hours)
