-- A tenant is its id; its slug never changes. Ingests of a dataset come one after the other.

-- Files, cached names and the arguments of jobs that earlier versions enqueued were made under the slug: were it given to another
-- tenant, that one would have them. What people may call a tenant otherwise is its name.
create function keep_tenant_identity() returns trigger language plpgsql as $$
begin
    raise exception 'tenant % is called % for ever: its id and its slug never change', old.id, old.slug
        using errcode = 'check_violation', constraint = 'tenants_identity', table = 'tenants',
            hint = 'Change the column name, which is for people; for another slug, make another tenant.';
end
$$;

create trigger keep_identity before update of id, slug on tenants
    for each row when (old.id is distinct from new.id or old.slug is distinct from new.slug)
    execute function keep_tenant_identity();

-- A tenant is named by its slug or its id, so that no slug may look like an id. Tenants that were made before are not looked at.
alter table tenants add constraint tenants_slug_is_no_id
    check (slug !~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$') not valid;

comment on column tenants.slug is 'Name in URLs and of the files of its sources, such as tenant_demo_cca; never changes';
