insert into raw_time_entries as t (tenant_id, cw_time_entry_id, cw_ticket_id, member, work_type, billable, minutes, notes, date_worked, ingested_at)
select $1, r.*, queue.now()
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::int4[], $8::text[], $9::date[]) as r (cw_time_entry_id, cw_ticket_id, member, work_type, billable, minutes, notes, date_worked)
on conflict (tenant_id, cw_time_entry_id) do update set
    cw_ticket_id = excluded.cw_ticket_id,
    member = excluded.member,
    work_type = excluded.work_type,
    billable = excluded.billable,
    minutes = excluded.minutes,
    notes = excluded.notes,
    date_worked = excluded.date_worked,
    ingested_at = excluded.ingested_at
-- An unchanged row is not written again.
where (t.cw_ticket_id, t.member, t.work_type, t.billable, t.minutes, t.notes, t.date_worked)
    is distinct from (excluded.cw_ticket_id, excluded.member, excluded.work_type, excluded.billable, excluded.minutes, excluded.notes, excluded.date_worked)
