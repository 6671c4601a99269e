-- Lists everything that schemas are made of, a line each, but for rows and owners: the lines of two
-- databases of one server are the same exactly if their schemas are. Columns are not numbered, as
-- their order matters to nobody.
--
-- - $1 text[]: the names of the schemas
with relation as materialized (
    select c.oid, c.relkind, c.relowner, c.relacl, c.reloptions, c.relrowsecurity, c.relreplident, c.relpersistence,
        format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any($1) and c.relkind in ('r', 'p', 'v', 'm', 'S') and c.relname <> '_sqlx_migrations'
), routine as materialized (
    select p.oid, p.proowner, p.proacl, p.oid::regprocedure::text as name
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = any($1)
), line as (
    select format('%s of kind %s, options %s, row-level security %s, replica identity %s, persistence %s',
        name, relkind, reloptions, relrowsecurity, relreplident, relpersistence) as line
    from relation
    union all
    select format('view %s: %s', name, pg_get_viewdef(oid)) from relation where relkind = 'v'
    union all
    select format('sequence %s: %s from %s by %s, %s to %s, cycle %s, cache %s',
        r.name, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle, s.seqcache)
    from relation r join pg_sequence s on s.seqrelid = r.oid
    union all
    select format('column %s.%I: %s, not null %s, identity "%s", generated "%s", collation %s, default %s',
        r.name, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
        a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid))
    from relation r
    join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where r.relkind <> 'S'
    union all
    select format('constraint %I on %s: %s', c.conname, r.name, pg_get_constraintdef(c.oid))
    from relation r join pg_constraint c on c.conrelid = r.oid
    where c.contype in ('c', 'f', 'p', 'u', 'x')
    union all
    select format('%s, valid %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
    from relation r join pg_index i on i.indrelid = r.oid
    union all
    select format('%s, enabled %s', pg_get_triggerdef(t.oid), t.tgenabled)
    from relation r join pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal
    union all
    select format('policy %I on %s for %s to %s, permissive %s: using %s, check %s',
        p.polname, r.name, p.polcmd, p.polroles::regrole[], p.polpermissive,
        pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    from relation r join pg_policy p on p.polrelid = r.oid
    union all
    select pg_get_functiondef(oid) from routine
    union all
    select format('type %s: %s', t.oid::regtype, array_agg(e.enumlabel order by e.enumsortorder))
    from pg_type t join pg_namespace n on n.oid = t.typnamespace join pg_enum e on e.enumtypid = t.oid
    where n.nspname = any($1) group by t.oid
    union all
    -- Rights that are granted to others than the owner.
    select format('grant %s on %s to %s', a.privilege_type, granted.name, coalesce(nullif(a.grantee, 0)::regrole::text, 'public'))
    from (
        select name, relowner as owner, relacl as acl from relation
        union all
        select r.name || '.' || a.attname, r.relowner, a.attacl from relation r join pg_attribute a on a.attrelid = r.oid
        union all
        select name, proowner, coalesce(proacl, acldefault('f', proowner)) from routine
        union all
        select 'schema ' || nspname, nspowner, nspacl from pg_namespace where nspname = any($1)
    ) as granted
    cross join aclexplode(granted.acl) as a
    where a.grantee <> granted.owner
    union all
    select format('comment on %s: %s', r.name, obj_description(r.oid, 'pg_class')) from relation r
    union all
    select format('comment on %s.%I: %s', r.name, a.attname, col_description(r.oid, a.attnum))
    from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    union all
    select format('comment on %s: %s', name, obj_description(oid, 'pg_proc')) from routine
)
select line as "line!" from line order by line
