-- Who reads the log late, many claims at once, knows from what each had seen which jobs it knew of, and so how far it has read its lanes.

alter table queue.lane_log
    add column sees_before bigint,
    add column sees_not bigint[];

-- Workers of earlier versions would read lanes without the index that 0020 dropped: they finish what they run and take nothing more.
alter table queue.lane_log
    add constraint claims_see check (of_turn is null or sees_before is not null and sees_not is not null) not valid;

comment on column queue.lane_log.sees_before is
    'Counts of a claim: it was decided on what transactions below this one did; null in those from before this column, which tell nothing';
comment on column queue.lane_log.sees_not is 'Counts of a claim: but for these, which were under way';
