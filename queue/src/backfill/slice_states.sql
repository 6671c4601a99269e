-- Finds the jobs that stand for the slices of some tenants and subjects of a backfill.
--
-- - $1 uuid: the backfill
-- - $2, $3 text: queue and kind of these jobs
-- - $4 uuid[]: the tenants
-- - $5, $6 text: the first and the last subject, in the order in which the backfill goes through
--   them
-- - $7 boolean: whether that order is descending
-- - $8 bigint: most jobs of a tenant
with recursive half (edge, low, high) as (
    -- Jobs are numbered in the order of their slices: where the subjects begin and end is found
    -- among them by halving. Compared as rows, so that only the index that is meant has the order.
    select e.edge, lowest.seq, highest.seq + 1
    from (values (0), (1)) as e (edge)
    cross join (
        select seq from queue.jobs where backfill_id is not null and (backfill_id, seq) >= ($1::uuid, 0::bigint)
          and (backfill_id, seq) < ($1, 9223372036854775807) order by backfill_id, seq limit 1
    ) as lowest
    cross join (
        select seq from queue.jobs where backfill_id is not null and (backfill_id, seq) >= ($1, 0::bigint)
          and (backfill_id, seq) < ($1, 9223372036854775807) order by backfill_id desc, seq desc limit 1
    ) as highest
    union all
    select h.edge, case when j.is_before then j.seq + 1 else h.low end,
        case when j.is_before then h.high else (h.low + h.high) / 2 end
    from half h
    left join lateral (
        select seq, case
                when h.edge = 0 and $7::boolean then subject collate "C" > $5::text
                when h.edge = 0 then subject collate "C" < $5::text
                when $7::boolean then subject collate "C" >= $6::text
                else subject collate "C" <= $6::text
            end as is_before
        from queue.jobs
        where backfill_id is not null and kind = $3
          and (backfill_id, seq) >= ($1, (h.low + h.high) / 2) and (backfill_id, seq) < ($1, h.high)
        order by backfill_id, seq limit 1
    ) as j on true
    where h.low < h.high
), edges as materialized (
    select max(low) filter (where edge = 0) as first, max(low) filter (where edge = 1) as after from half
), tenant as materialized (
    select id, place, queue.sublane_key($2, id, $1) as sublane from unnest($4::uuid[]) with ordinality as t (id, place)
)
select t.place as "place!", j.subject as "subject!", j.id as "id!", j.state::text as "state!: JobState", j.workflow_id,
    j.is_stopped as "is_stopped!"
from edges
cross join tenant t
cross join lateral (
    select id, state, workflow_id, subject,
        errors @> '[{"code": "dependency_failed"}]' as is_stopped
    from queue.jobs
    -- The sum hides the end from the planner: between two bounds it expects few jobs, and would
    -- read those of every tenant.
    where queue.sublane_key(queue, tenant_id, backfill_id) = t.sublane and seq >= edges.first and seq + 0 < edges.after
      and (queue, tenant_id, backfill_id) is not distinct from ($2, t.id, $1) and kind = $3
    order by priority, seq limit $8
) as j
