-- As page.sql, of one target, actor or tenant. The first of these that is given leads the walk by
-- its index; the others look at what is walked past. It is asked for as a range of pairs, which no
-- other index has: by that of ids alone, who is rare would be looked for among all entries.
with bounds as (
    select
        least($1::bigint, (select id from identity.audit where at >= $8::timestamptz + interval '10 minutes' order by at limit 1)) as below,
        coalesce((select id from identity.audit where at < $7::timestamptz - interval '10 minutes' order by at desc limit 1), 0) as above
)
select a.id as "id!", a.at as "at!", a.actor as "actor!", a.via as "via!: Via", a.address, a.action as "action!", a.target as "target!",
    a.tenant_id, (select slug from identity.tenants where id = a.tenant_id) as "tenant?", a.detail as "detail!", a.times as "times!",
    queue.now() as "now!"
from (
    select * from (
        select * from identity.audit
        where (target, id) < ($3, (select below from bounds)) and (target, id) > ($3, (select above from bounds))
        order by target desc, id desc limit $2
    ) of_target where $3::text is not null
    union all
    select * from (
        select * from identity.audit
        where (lower(actor), id) < (lower($4), (select below from bounds)) and (lower(actor), id) > (lower($4), (select above from bounds))
        order by lower(actor) desc, id desc limit $2
    ) of_actor where $3 is null and $4::text is not null
    union all
    select * from (
        select * from identity.audit
        where tenant_id is not null and (tenant_id, id) < ($5, (select below from bounds)) and (tenant_id, id) > ($5, (select above from bounds))
        order by tenant_id desc, id desc limit $2
    ) of_tenant where $3 is null and $4 is null and $5::uuid is not null
) as a
where ($4 is null or lower(a.actor) = lower($4))
  and ($5 is null or a.tenant_id = $5)
  and ($6::text is null or a.action = $6 or starts_with(a.action, $6 || '.'))
  and ($7 is null or a.at >= $7)
  and ($8 is null or a.at < $8)
  and ($9::text is null or a.via = $9)
order by a.id desc limit $10
