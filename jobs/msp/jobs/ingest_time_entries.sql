insert into msp.raw_time_entries as t (tenant_id, cw_time_entry_id, cw_ticket_id, member, work_type, billable, minutes, notes, date_worked, updated_at_remote, read_at, ingested_at)
select $1, r.*, $2, queue.now()
from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::int4[], $9::text[], $10::date[], $11::timestamptz[]) as r (cw_time_entry_id, cw_ticket_id, member, work_type, billable, minutes, notes, date_worked, updated_at_remote)
on conflict (tenant_id, cw_time_entry_id) do update set
    cw_ticket_id = excluded.cw_ticket_id,
    member = excluded.member,
    work_type = excluded.work_type,
    billable = excluded.billable,
    minutes = excluded.minutes,
    notes = excluded.notes,
    date_worked = excluded.date_worked,
    updated_at_remote = excluded.updated_at_remote,
    read_at = excluded.read_at,
    deleted_at = null,
    ingested_at = excluded.ingested_at
-- An unchanged row is not written again, and an older reading does not take the place of a newer
-- one.
where (t.cw_ticket_id, t.member, t.work_type, t.billable, t.minutes, t.notes, t.date_worked, t.updated_at_remote, t.deleted_at)
    is distinct from (excluded.cw_ticket_id, excluded.member, excluded.work_type, excluded.billable, excluded.minutes, excluded.notes, excluded.date_worked, excluded.updated_at_remote, null)
  and msp.is_newer_row(t.updated_at_remote, t.read_at, t.deleted_at, excluded.updated_at_remote, excluded.read_at)
