do $$
begin
    if exists (select from queue.backfills where put_off > 0 and finished_at is null) then
        raise exception 'a backfill has put off slices, which the older schema cannot hold'
            using hint = 'let it end, or cancel it: weirgate backfills list';
    end if;
end
$$;

drop table queue.backfills_behind;
alter table queue.backfills drop column put_off, drop column reached;
comment on column queue.backfills.next_slice is 'Slices before this one were looked at: they became jobs or were skipped';
