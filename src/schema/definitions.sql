-- The statements that give functions and comments of a schema their present form, where they are
-- there by name.
select pg_get_functiondef(p.oid) as "statement!"
from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = any($1)
union all
select format('comment on %s %I.%I is %L',
    case c.relkind when 'v' then 'view' else 'table' end, n.nspname, c.relname, obj_description(c.oid, 'pg_class'))
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any($1) and c.relkind in ('r', 'v') and c.relname <> '_sqlx_migrations'
union all
select format('comment on column %I.%I.%I is %L', n.nspname, c.relname, a.attname, col_description(c.oid, a.attnum))
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname = any($1) and c.relkind in ('r', 'v') and c.relname <> '_sqlx_migrations'
union all
select format('comment on function %s is %L', p.oid::regprocedure, obj_description(p.oid, 'pg_proc'))
from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = any($1)
