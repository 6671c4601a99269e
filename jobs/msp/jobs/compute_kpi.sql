-- Computes the KPIs of a tenant's day from the raw rows, and stores them in place of those that
-- were there.
--
-- - $1 uuid: the tenant
-- - $2 date: the day, in the tenant's time zone
--
-- Returns the KPIs. One statement sees one snapshot of the rows.
with bounds as (
    -- The day in the tenant's time zone, as instants; 28 days of history before it.
    select
        t.time_zone,
        identity.local_day_start($2::date, t.time_zone) as day_start,
        identity.local_day_start($2::date + 1, t.time_zone) as day_end,
        identity.local_day_start($2::date - 28, t.time_zone) as history_start
    from identity.tenants t where t.id = $1
), worked as (
    select
        coalesce(sum(minutes), 0) as total,
        coalesce(sum(minutes) filter (where billable), 0) as billable
    from msp.raw_time_entries
    where tenant_id = $1 and date_worked = $2 and deleted_at is null
), high_priority as (
    select count(*) as tickets
    from msp.raw_tickets k, bounds b
    where k.tenant_id = $1 and k.created_at_remote >= b.day_start and k.created_at_remote < b.day_end
      and lower(btrim(k.priority)) in ('high', 'critical') and k.deleted_at is null
), closed as (
    select
        count(*) as tickets,
        avg(extract(epoch from k.closed_at - k.created_at_remote) / 60)::float8 as resolution_minutes,
        -- First call resolution: closed with exactly one time entry, whenever that was.
        avg(case when entries.count = 1 then 1 else 0 end)::float8 as first_call_rate
    from bounds b
    join msp.raw_tickets k on k.tenant_id = $1 and k.closed_at >= b.day_start and k.closed_at < b.day_end
    cross join lateral (
        select count(*) from msp.raw_time_entries e
        where e.tenant_id = $1 and e.cw_ticket_id = k.cw_ticket_id and e.deleted_at is null
    ) as entries
    where k.deleted_at is null
), per_day as materialized (
    -- The tickets of the history's days and of the day itself, and how many of each are open at the
    -- end of that one. A scan a day is cheaper than to ask of each ticket which day it is of.
    select $2::date - d.ago as day, k.tickets, k.still_open
    from bounds b
    cross join generate_series(0, 28) as d (ago)
    cross join lateral (
        select count(*) as tickets, count(*) filter (where closed_at is null or closed_at >= b.day_end) as still_open
        from msp.raw_tickets
        where tenant_id = $1
          and created_at_remote >= identity.local_day_start($2::date - d.ago, b.time_zone)
          and created_at_remote < identity.local_day_start($2::date - d.ago + 1, b.time_zone)
          and deleted_at is null
    ) as k
), long_open as (
    -- What was there before and is still open has been so for 29 days, which may lack an hour: it
    -- is in the small index raw_tickets_long_open, whose condition is the last one.
    select count(*) as tickets
    from msp.raw_tickets k, bounds b
    where k.tenant_id = $1 and k.created_at_remote < b.history_start
      and (k.closed_at is null or k.closed_at >= b.day_end)
      and (k.closed_at is null or k.closed_at - k.created_at_remote > interval '28 days')
      and k.deleted_at is null
), satisfaction as (
    select avg(s.score) as score
    from msp.raw_csat_surveys s, bounds b
    where s.tenant_id = $1 and s.submitted_at >= b.day_start and s.submitted_at < b.day_end and s.deleted_at is null
), first_ticket as (
    select (min(k.created_at_remote) at time zone min(b.time_zone))::date as day
    from bounds b, lateral (
        select created_at_remote from msp.raw_tickets where tenant_id = $1 and deleted_at is null order by created_at_remote limit 1
    ) as k
), history as (
    -- Every day since the first ticket counts, also those without a ticket. Counts of independent
    -- events vary by the root of their mean at least (Poisson), and a count by 1: a flat history is
    -- no certainty.
    select count(*) as days, avg(p.tickets) as mean,
        greatest(stddev_samp(p.tickets), sqrt(avg(p.tickets)), 1) as deviation
    from first_ticket f
    join per_day p on p.day >= f.day and p.day < $2
), created as (
    select sum(tickets) filter (where day = $2)::bigint as tickets, sum(still_open)::bigint as still_open from per_day
), scored as (
    -- Standard score of the day's new tickets: (x - mean) / deviation.
    select (case when h.days >= 7 then (c.tickets - h.mean) / h.deviation end)::float8 as z
    from created c, history h
)
insert into msp.kpi_daily (
    tenant_id, kpi_date, total_minutes, billable_minutes, non_billable_minutes, avg_resolution_minutes,
    first_call_resolution_rate, avg_satisfaction_score, tickets_created, tickets_closed, tickets_open,
    tickets_high_priority, anomaly_detected, z_score, computed_at
)
select
    $1, $2, worked.total, worked.billable, worked.total - worked.billable, closed.resolution_minutes,
    closed.first_call_rate, satisfaction.score, created.tickets, closed.tickets,
    created.still_open + long_open.tickets, high_priority.tickets, coalesce(abs(scored.z) >= 3, false), scored.z,
    queue.now()
from worked, high_priority, closed, long_open, satisfaction, created, scored
on conflict (tenant_id, kpi_date) do update set
    total_minutes = excluded.total_minutes,
    billable_minutes = excluded.billable_minutes,
    non_billable_minutes = excluded.non_billable_minutes,
    avg_resolution_minutes = excluded.avg_resolution_minutes,
    first_call_resolution_rate = excluded.first_call_resolution_rate,
    avg_satisfaction_score = excluded.avg_satisfaction_score,
    tickets_created = excluded.tickets_created,
    tickets_closed = excluded.tickets_closed,
    tickets_open = excluded.tickets_open,
    tickets_high_priority = excluded.tickets_high_priority,
    anomaly_detected = excluded.anomaly_detected,
    z_score = excluded.z_score,
    computed_at = excluded.computed_at
returning
    total_minutes, billable_minutes, non_billable_minutes, avg_resolution_minutes, first_call_resolution_rate,
    avg_satisfaction_score, tickets_created, tickets_closed, tickets_open, tickets_high_priority,
    anomaly_detected, z_score
