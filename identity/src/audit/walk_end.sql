-- Where the walk of page.sql or page_of.sql ends after its most entries, if it does so before the
-- end of the list.
with bounds as (
    select
        least($1::bigint, (select id from identity.audit where at >= $7::timestamptz + interval '10 minutes' order by at limit 1)) as below,
        coalesce((select id from identity.audit where at < $6::timestamptz - interval '10 minutes' order by at desc limit 1), 0) as above
)
select id as "id!" from (
    select * from (
        select id from identity.audit
        where (target, id) < ($3, (select below from bounds)) and (target, id) > ($3, (select above from bounds))
        order by target desc, id desc offset $2 limit 1
    ) of_target where $3::text is not null
    union all
    select * from (
        select id from identity.audit
        where (lower(actor), id) < (lower($4), (select below from bounds)) and (lower(actor), id) > (lower($4), (select above from bounds))
        order by lower(actor) desc, id desc offset $2 limit 1
    ) of_actor where $3 is null and $4::text is not null
    union all
    select * from (
        select id from identity.audit
        where tenant_id is not null and (tenant_id, id) < ($5, (select below from bounds)) and (tenant_id, id) > ($5, (select above from bounds))
        order by tenant_id desc, id desc offset $2 limit 1
    ) of_tenant where $3 is null and $4 is null and $5::uuid is not null
    union all
    select * from (
        select id from identity.audit where id < (select below from bounds) and id > (select above from bounds)
        order by id desc offset $2 limit 1
    ) of_all where $3 is null and $4 is null and $5 is null
) as walked
