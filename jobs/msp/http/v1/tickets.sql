-- A walk down raw_tickets_listed from before ($2, $3) to $1, at most $4 tickets: the first $6 of
-- those with the status $5, and the last one that was looked at where more may follow. Both ends
-- are compared as rows, so that only the index on both columns has the order.
with walk as materialized (
    select *, row_number() over (order by created_at_remote desc, cw_ticket_id desc) as place
    from (
        select cw_ticket_id, board, status, priority, summary, description, company, owner, created_at_remote, updated_at_remote,
            closed_at, sla_status, estimated_hours, ingested_at
        from msp.raw_tickets
        where (created_at_remote, cw_ticket_id) >= (coalesce($1::timestamptz, '-infinity'), '')
          and (created_at_remote, cw_ticket_id) < (coalesce($2::timestamptz, 'infinity'), $3)
        order by created_at_remote desc, cw_ticket_id desc limit $4
    ) t
)
select cw_ticket_id as "cw_ticket_id!", board, status as "status!", priority as "priority!", summary, description, company, owner,
    created_at_remote as "created_at_remote!", updated_at_remote as "updated_at_remote!", closed_at, sla_status, estimated_hours,
    ingested_at as "ingested_at!", place = $4 and $5::text is not null as "ends_walk!"
from walk
where $5::text is null or status = $5 or place = $4
order by place limit $6
