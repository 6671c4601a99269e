-- What the planner could take for rare or few stands in selects of its own: else each call is planned anew, which takes longer than
-- a small claim.
with lease as materialized (
    select exists (select from queue.workers where id = (select $3::uuid) and lease_until > queue.now()) as held
), turn as (
    -- The claim was decided on the picture after turn $2 − 1. If another one took turn $2 meanwhile, this changes
    -- nothing. A worker whose lease ran out gets nothing either.
    insert into queue.lane_log (queue, no, worker_id, virtual_times, queue_tat, tenants, backfills, tags, tats)
    select
        $1, $2, $3, $4,
        case when $6::bigint > 0 then greatest($5, queue.now()) + $6::bigint * interval '1 microsecond' end,
        $7, $8, $9,
        array(
            select case
                when m.adds_us > 0 then greatest(m.tat, queue.now()) + m.adds_us * interval '1 microsecond'
            end
            from unnest((select $10::timestamptz[]), (select $11::bigint[])) with ordinality as m (tat, adds_us, position)
            order by m.position
        )
    from lease where held
    on conflict (queue, no) where no is not null do nothing
    returning no
), wanted as materialized (
    select w.*, strays.seqs
    from turn, unnest(
        (select $12::uuid[]), (select $13::uuid[]), (select $14::smallint[]), (select $15::bigint[]), (select $16::integer[])
    ) with ordinality as w (tenant_id, backfill_id, priority, from_seq, count, want)
    left join (
        select s.want, array_agg(s.seq) as seqs from unnest((select $17::integer[]), (select $18::bigint[])) as s (want, seq) group by s.want
    ) as strays using (want)
), back as materialized (
    -- What came back behind the cursor, and is still there.
    select w.want, b.*
    from wanted w
    cross join lateral (
        -- The offset keeps the planner from reading the tenant's jobs for them.
        select j.place, j.free, j.seq
        from (select *, ctid as place, xmax = '0'::xid as free from queue.jobs where seq = any(w.seqs) offset 0) j
        where j.queue = (select $1::text) and j.tenant_id = w.tenant_id and j.backfill_id is not distinct from w.backfill_id
          and j.priority = w.priority and j.state = 'available'
        order by j.seq limit w.count
    ) b
    where w.seqs is not null
), candidate as materialized (
    select * from back
    union all
    -- Each lane from its cursor, which is past all that was claimed. Written so that only the lane's own index gives the order:
    -- by seq alone, a plan may walk over all jobs.
    select w.want, c.*
    from wanted w
    cross join lateral (
        select j.ctid as place, j.xmax = '0'::xid as free, j.seq from queue.jobs j
        where j.queue = (select $1::text) and j.tenant_id = w.tenant_id and (j.priority, j.seq) >= (w.priority, w.from_seq)
          and j.priority <= w.priority and j.state = 'available' and j.backfill_id is null
        order by j.priority, j.seq limit w.count - case
            when w.seqs is null then 0 else (select count(*) from back b where b.want = w.want)
        end
    ) c
    where w.backfill_id is null
    union all
    select w.want, c.*
    from wanted w
    cross join lateral (
        select j.ctid as place, j.xmax = '0'::xid as free, j.seq from queue.jobs j
        where j.queue = (select $1::text) and j.tenant_id = w.tenant_id and j.backfill_id = w.backfill_id
          and (j.priority, j.seq) >= (w.priority, w.from_seq) and j.priority <= w.priority
          and j.state = 'available' and j.backfill_id is not null
        order by j.priority, j.seq limit w.count - case
            when w.seqs is null then 0 else (select count(*) from back b where b.want = w.want)
        end
    ) c
    where w.backfill_id is not null
), locked as materialized (
    -- What somebody else holds, such as a cancel, is left where it is. Only what has been locked or written before is
    -- asked: claims of a queue do not compete, so that locks of their own would only be written for nothing. As an array,
    -- since a limit that is not known to the planner looks like a tenth of the table, and a join to that like a scan of it.
    select j.ctid as place from queue.jobs j
    where j.ctid = any(array(select place from candidate where not free)) and j.state = 'available'
    for update of j skip locked
), claimed as (
    update queue.jobs j
    set state = 'running', run = j.run + 1, attempt = j.attempt + 1, worker_id = $3, attempted_at = queue.now(),
        progress = null
    where j.ctid = any(array(select place from candidate where free union all select place from locked))
      and j.state = 'available'
    returning j.id, j.seq, j.run, j.tenant_id, j.backfill_id, j.attempt, j.traceparent, j.kind, j.args, j.max_attempts
), noted as (
    -- Where they are found when the worker dies.
    insert into queue.claims (worker_id, queue, no, jobs)
    select $3, $1, $2, array_agg(seq) from claimed having count(*) > 0
)
select
    lease.held as "held!", turn.no is not null as "taken!", c.want as "want?", c.seq as "seq?",
    j.id as "id?", j.run as "run?", j.tenant_id as "tenant_id?", j.backfill_id as "backfill_id?", j.attempt as "attempt?",
    j.traceparent as "traceparent?", j.kind as "kind?", j.args as "args?", j.max_attempts as "max_attempts?"
from lease
left join turn on true
left join candidate c on true
left join claimed j on j.seq = c.seq
order by c.want, c.seq
