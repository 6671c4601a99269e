-- What runs came to, and failures by what they have in common. Workers add to both every few
-- seconds, so that nobody counts over jobs.

create function queue.add_each(a bigint[], b bigint[]) returns bigint[]
language sql immutable strict parallel safe as $$
    select array_agg(x + y order by position) from unnest(a, b) with ordinality as pair (x, y, position)
$$;

comment on function queue.add_each(bigint[], bigint[]) is
    'The sums of two arrays of the same length, element by element';

create table queue.rollups (
    bucket_s  integer not null check (bucket_s in (60, 900, 3600)),
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
    primary key (bucket_s, at, queue, kind)
) with (fillfactor=50);

comment on table queue.rollups is
    'How runs ended, as the workers reported: rolled up by bucket of time, queue and kind';
comment on column queue.rollups.bucket_s is
    'Length of the bucket in seconds: a minute, a quarter of an hour, an hour';
comment on column queue.rollups.at is 'When the bucket begins';
comment on column queue.rollups.queue is 'The queue';
comment on column queue.rollups.kind is 'The kind of job';
comment on column queue.rollups.completed is 'Runs that completed their job';
comment on column queue.rollups.retried is 'Runs that failed and are tried again';
comment on column queue.rollups.discarded is 'Runs that failed for good';
comment on column queue.rollups.cancelled is 'Runs that were stopped by a cancel';
comment on column queue.rollups.snoozed is 'Runs that snoozed';
comment on column queue.rollups.waits is
    'Histogram of how long jobs were due before they were claimed, without those of backfills: up '
    'to 1 ms, 2.5, 5, 10, 25, 50, 100, 250, 500 ms, 1 s, 2.5, 10, 30 s, 1 min, 5, 15 min, 1 h, '
    'and longer';
comment on column queue.rollups.runs is 'Histogram of how long runs took, with the same limits';

create function queue.failure_id(kind text, code text, pattern text) returns bigint
language sql immutable strict parallel safe as $$
    select ('x' || left(encode(sha256(convert_to(
        kind || E'\n' || code || E'\n' || pattern, 'UTF8')), 'hex'), 13))::bit(52)::bigint
$$;

comment on function queue.failure_id(text, text, text) is
    'The id of a failure: 52 bits of a hash, so that a JavaScript number holds it';

create table queue.failures (
    id         bigint primary key,
    kind       text not null,
    code       text not null,
    pattern    text not null,
    first_seen timestamptz not null,
    last_seen  timestamptz not null,
    seen       bigint not null
) with (fillfactor=70);

create index failures_last_seen on queue.failures (last_seen, id);

comment on table queue.failures is
    'Failures, grouped by kind of job, code, and message without what differs';
comment on column queue.failures.id is 'A hash of kind, code and pattern: queue.failure_id';
comment on column queue.failures.kind is 'The kind of job';
comment on column queue.failures.code is 'The stable code of the failure';
comment on column queue.failures.pattern is
    'The first line of the message, with … for what is quoted and # for words with digits';
comment on column queue.failures.first_seen is 'When it was first met';
comment on column queue.failures.last_seen is 'When it was last met, to a few seconds';
comment on column queue.failures.seen is 'How many attempts failed so, as the workers reported';

create table queue.failure_hours (
    failure_id bigint not null references queue.failures(id) on delete cascade,
    at         timestamptz not null,
    seen       bigint not null,
    primary key (failure_id, at)
) with (fillfactor=70);

comment on table queue.failure_hours is 'How often a failure was seen, by hour';
comment on column queue.failure_hours.failure_id is 'The failure';
comment on column queue.failure_hours.at is 'When the hour begins';
comment on column queue.failure_hours.seen is 'How many attempts failed so in that hour';
