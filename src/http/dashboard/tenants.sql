-- $1 slugs after this one; $2 a text in slug or name, or null; $3 what is so with them, or null; $4
-- the active ones that it is so with, where $3 is not told here; $5 most rows
select t.id, t.slug, t.name, t.is_active
from identity.tenants t
where t.slug > $1
  and ($2::text is null or position(lower($2) in lower(t.slug)) > 0 or position(lower($2) in lower(t.name)) > 0)
  and (case when $3::text is null then true
      when $3 = 'inactive' then not t.is_active
      else t.is_active and t.id = any($4::uuid[])
  end)
order by t.slug limit $5
