-- A tenant that is limited, paused or slow does not hold up a backfill's other tenants: the backfill goes on without it, and the
-- tenant follows from where it was left behind.

create table queue.backfills_behind (
    backfill_id uuid not null references queue.backfills on delete cascade,
    tenant_id   uuid not null,
    next_slice  bigint not null,
    primary key (backfill_id, tenant_id)
);
comment on table queue.backfills_behind is 'Tenants that a backfill went on without, as enough of their jobs wait';
comment on column queue.backfills_behind.backfill_id is 'The backfill';
comment on column queue.backfills_behind.tenant_id is 'The tenant';
alter table queue.backfills_behind enable row level security;
comment on column queue.backfills_behind.next_slice is 'Slices of the tenant before this one were looked at; those from here to the backfill''s next_slice are put off';

alter table queue.backfills
    add column put_off bigint not null default 0,
    add column reached bigint not null default 0,
    add constraint backfills_put_off_check check (
        put_off between 0 and next_slice - skipped
        and (put_off = 0 or reached = next_slice and (finished_at is null or cancelled_at is not null)));
comment on column queue.backfills.put_off is 'Slices before next_slice that were not looked at, as their tenants are behind';
comment on column queue.backfills.reached is
    'The same as next_slice while slices are put off: a version that knows of none cannot move such a backfill on, nor end it';
comment on column queue.backfills.next_slice is
    'Slices before this one were looked at, but for those that are put off: they became jobs or were skipped';
