-- What the dashboard draws: what runs came to, by minute, and failures by what they have in common. Workers add to both every few
-- seconds; nothing is counted over jobs.

create table queue.pulse (
    step_s    integer not null check (step_s in (60, 900, 3600)),
    at        timestamptz not null,
    queue     text not null,
    kind      text not null,
    completed bigint not null,
    retried   bigint not null,
    discarded bigint not null,
    cancelled bigint not null,
    snoozed   bigint not null,
    waits     bigint[] not null,
    runs      bigint[] not null,
    primary key (step_s, at, queue, kind)
) with (fillfactor = 50);

comment on table queue.pulse is 'How runs went, as the workers told: by stretch of time, queue and kind';
comment on column queue.pulse.step_s is 'Length of the stretch in seconds: a minute, a quarter of an hour, an hour';
comment on column queue.pulse.at is 'When it begins';
comment on column queue.pulse.queue is 'The queue';
comment on column queue.pulse.kind is 'The kind of job';
comment on column queue.pulse.completed is 'Runs that completed their job';
comment on column queue.pulse.retried is 'Runs that failed and are tried again';
comment on column queue.pulse.discarded is 'Runs that failed for good';
comment on column queue.pulse.cancelled is 'Runs that were stopped by a cancel';
comment on column queue.pulse.snoozed is 'Runs that put themselves off';
comment on column queue.pulse.waits is 'Runs by how long their jobs were due before they were claimed, but for backfills: up to 1 ms, 2.5, 5, 10, 25, 50, 100, 250, 500 ms, 1 s, 2.5, 10, 30 s, 1 min, 5, 15 min, 1 h, and longer';
comment on column queue.pulse.runs is 'Runs by how long they took, in the same steps';

create function queue.add_each(a bigint[], b bigint[]) returns bigint[] language sql immutable strict parallel safe as $$
    select array_agg(x + y order by no) from unnest(a, b) with ordinality as pair (x, y, no)
$$;

comment on function queue.add_each is 'The sums of two arrays of the same length, element by element';

create table queue.failures (
    id         bigint primary key,
    kind       text not null,
    code       text not null,
    pattern    text not null,
    first_seen timestamptz not null,
    last_seen  timestamptz not null,
    seen       bigint not null
) with (fillfactor = 70);

create index failures_last_seen on queue.failures (last_seen, id);

comment on table queue.failures is 'What failures have in common: their kind of job, their code, and their message without what differs';
comment on column queue.failures.id is 'From those three: queue.failure_id';
comment on column queue.failures.kind is 'The kind of job';
comment on column queue.failures.code is 'The stable word of the failure';
comment on column queue.failures.pattern is 'The first line of the message, with … for what is quoted and # for words with digits';
comment on column queue.failures.first_seen is 'When it was first met';
comment on column queue.failures.last_seen is 'When it was last met, to a few seconds';
comment on column queue.failures.seen is 'How many attempts failed so, as the workers told';

create table queue.failure_hours (
    failure_id bigint not null references queue.failures (id) on delete cascade,
    at         timestamptz not null,
    seen       bigint not null,
    primary key (failure_id, at)
) with (fillfactor = 70);

comment on table queue.failure_hours is 'How often a failure was met, by hour';
comment on column queue.failure_hours.failure_id is 'The failure';
comment on column queue.failure_hours.at is 'When the hour begins';
comment on column queue.failure_hours.seen is 'How many attempts failed so in it';

create function queue.failure_id(kind text, code text, pattern text) returns bigint language sql immutable strict parallel safe as $$
    select ('x' || left(encode(sha256(convert_to(kind || E'\n' || code || E'\n' || pattern, 'UTF8')), 'hex'), 13))::bit(52)::bigint
$$;

comment on function queue.failure_id is 'Which failure it is: 52 bits of a hash, so that a number of JavaScript holds it';

alter table queue.jobs add column failure_id bigint;

comment on column queue.jobs.failure_id is 'What its last failed attempt failed of (queue.failures)';

-- Written by failures only: aside changes with them anyway. It is in the index so that jobs are counted without being read.
create index jobs_failure on queue.jobs (failure_id, seq) include (aside) where failure_id is not null and aside in ('retryable', 'discarded');
