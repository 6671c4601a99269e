select a.id as "id!", a.at as "at!", a.actor as "actor!", a.via as "via!: Via", a.address, a.action as "action!", a.target as "target!",
    a.tenant_id, (select slug from identity.tenants where id = a.tenant_id) as "tenant?", a.detail as "detail!", a.times as "times!",
    queue.now() as "now!"
from (
    select * from identity.audit
    -- An entry is dated when its transaction begins and numbered when it is written; none takes ten
    -- minutes over that.
    where id < least($1::bigint, (select id from identity.audit where at >= $5::timestamptz + interval '10 minutes' order by at limit 1))
      and id > coalesce((select id from identity.audit where at < $4::timestamptz - interval '10 minutes' order by at desc limit 1), 0)
    order by id desc limit $2
) as a
where ($3::text is null or a.action = $3 or starts_with(a.action, $3 || '.'))
  and ($4 is null or a.at >= $4)
  and ($5 is null or a.at < $5)
  and ($6::text is null or a.via = $6)
order by a.id desc limit $7
