-- Schedules, and the ticks that the leader decided.

create table queue.schedules (
    name         text primary key,
    cron         text not null,
    time_zone    text,
    enabled      boolean not null,
    missed       text not null check (missed in ('skip', 'one', 'all')),
    missed_limit integer not null check (missed_limit between 1 and 1000),
    since        timestamptz not null,
    upkeep_at    timestamptz,
    updated_at   timestamptz not null
);

comment on table queue.schedules is
    'Settings of the schedules that the program has: its defaults at first, then what operators '
    'set';
comment on column queue.schedules.name is 'Permanent name';
comment on column queue.schedules.cron is 'Second, minute, hour, day of month, month, day of week';
comment on column queue.schedules.time_zone is
    'IANA time zone that the expression is read in; null for each tenant''s own';
comment on column queue.schedules.enabled is 'False while it is paused';
comment on column queue.schedules.missed is
    'What happens to ticks that are over a minute late: skip, one (the newest) or all';
comment on column queue.schedules.missed_limit is 'With all: at most so many, the newest';
comment on column queue.schedules.since is
    'When the schedule was enabled or its times were changed; earlier ticks are not fired';
comment on column queue.schedules.upkeep_at is
    'When the maintenance that the schedule stands for was last done, kept to the minute; null '
    'for schedules that enqueue';
comment on column queue.schedules.updated_at is 'When its settings were last changed';

create table queue.schedule_ticks (
    tenant_id  uuid not null,
    schedule   text not null,
    tick       timestamptz not null,
    fired      boolean not null,
    job_id     uuid,
    decided_at timestamptz not null,
    primary key (tenant_id, schedule, tick)
);

create index schedule_ticks_newest on queue.schedule_ticks (schedule, tick);

comment on table queue.schedule_ticks is
    'Ticks that were decided; committed with what they enqueued, so that each fires once';
comment on column queue.schedule_ticks.tenant_id is
    'The tenant that the tick is for; the nil UUID for a schedule that is not per tenant';
comment on column queue.schedule_ticks.schedule is 'Name of the schedule';
comment on column queue.schedule_ticks.tick is 'When it was due';
comment on column queue.schedule_ticks.fired is
    'False for the newest of the missed ticks that were passed over';
comment on column queue.schedule_ticks.job_id is 'The job that stands for what it enqueued';
comment on column queue.schedule_ticks.decided_at is 'When it was fired or passed over';

alter table queue.schedule_ticks enable row level security;
create policy tenant_reads on queue.schedule_ticks for select to weirgate_tenant
    using (tenant_id = nullif(current_setting('weirgate.tenant', true), '')::uuid);
