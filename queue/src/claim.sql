-- What the planner could take for rare or few stands in selects of its own: else each call is planned anew, which takes longer than
-- a small claim.
with lease as materialized (
    select exists (select from queue.workers where id = (select $3::uuid) and lease_until > queue.now() and drain_requested_at is null) as held
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
        (select $12::uuid[]), (select $13::uuid[]), (select $14::smallint[]), (select $15::bigint[]), (select $16::bigint[]),
        (select $17::integer[])
    ) with ordinality as w (tenant_id, backfill_id, priority, from_seq, fresh_seq, count, want)
    left join (
        select s.want, array_agg(s.seq) as seqs from unnest((select $18::integer[]), (select $19::bigint[])) as s (want, seq) group by s.want
    ) as strays using (want)
), taken as materialized (
    -- What was claimed and does not say so in its row: seen by whoever took turn $2, as it is all from turns before. Only read where a
    -- lane is read again, or a job has come back.
    select t.seq, t.run from queue.claims c cross join unnest(c.jobs, c.runs) as t (seq, run)
    where c.queue = (select $1::text) and c.no >= (select $20::bigint)
), back as materialized (
    -- What came back behind the cursor, and is still there.
    select w.want, b.*
    from wanted w
    cross join lateral (
        -- The offset keeps the planner from reading the tenant's jobs for them.
        select j.seq, j.id, j.run, j.tenant_id, j.backfill_id, j.attempt, j.traceparent, j.kind, j.args, j.max_attempts, j.scheduled_at
        from (select * from queue.jobs where seq = any(w.seqs) offset 0) j
        where j.queue = (select $1::text) and j.tenant_id = w.tenant_id and j.backfill_id is not distinct from w.backfill_id
          and j.priority = w.priority and j.state = 'available' and (j.seq, j.run + 1) not in (select seq, run from taken)
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
        select j.seq, j.id, j.run, j.tenant_id, j.backfill_id, j.attempt, j.traceparent, j.kind, j.args, j.max_attempts, j.scheduled_at
        from queue.jobs j
        where j.queue = (select $1::text) and j.tenant_id = w.tenant_id and (j.priority, j.seq) >= (w.priority, w.from_seq)
          and j.priority <= w.priority and j.state = 'available' and j.backfill_id is null
          and (j.seq >= w.fresh_seq or (j.seq, j.run + 1) not in (select seq, run from taken))
        order by j.priority, j.seq limit w.count - case
            when w.seqs is null then 0 else (select count(*) from back b where b.want = w.want)
        end
    ) c
    where w.backfill_id is null
    union all
    select w.want, c.*
    from wanted w
    cross join lateral (
        select j.seq, j.id, j.run, j.tenant_id, j.backfill_id, j.attempt, j.traceparent, j.kind, j.args, j.max_attempts, j.scheduled_at
        from queue.jobs j
        where j.queue = (select $1::text) and j.tenant_id = w.tenant_id and j.backfill_id = w.backfill_id
          and (j.priority, j.seq) >= (w.priority, w.from_seq) and j.priority <= w.priority
          and j.state = 'available' and j.backfill_id is not null
          and (j.seq >= w.fresh_seq or (j.seq, j.run + 1) not in (select seq, run from taken))
        order by j.priority, j.seq limit w.count - case
            when w.seqs is null then 0 else (select count(*) from back b where b.want = w.want)
        end
    ) c
    where w.backfill_id is not null
), noted as (
    -- Where they are found by whoever must know that they run: the next claims, the rescuer, who wants to change them.
    insert into queue.claims (worker_id, queue, no, jobs, runs)
    select $3, $1, $2, array_agg(seq), array_agg(run + 1) from candidate having count(*) > 0
), counted as (
    insert into queue.lane_log (queue, of_turn, tenants, backfills, priorities, states, changes, lowest)
    select $1, $2, array_agg(w.tenant_id), array_agg(w.backfill_id), array_agg(w.priority), array_agg(s.state), array_agg(s.sign * c.count),
        array_agg(case when s.sign > 0 then c.past end)
    from (select want, count(*)::integer as count, max(seq) + 1 as past from candidate group by want) c
    join wanted w using (want)
    cross join (values ('available'::queue.job_state, -1), ('running', 1)) as s (state, sign)
    having count(*) > 0
)
select
    lease.held as "held!", turn.no is not null as "taken!", queue.now() as "at!", c.want as "want?", c.seq as "seq?",
    c.id as "id?", c.run + 1 as "run?", c.tenant_id as "tenant_id?", c.backfill_id as "backfill_id?", (c.attempt + 1)::smallint as "attempt?",
    c.traceparent as "traceparent?", c.kind as "kind?", c.args as "args?", c.max_attempts as "max_attempts?",
    c.scheduled_at as "due?"
from lease
left join turn on true
left join candidate c on true
order by c.want, c.seq
