//! What all tables of the program have in common, whichever schema they are in.

use crate::support::database;

#[tokio::test]
async fn every_table_with_a_tenant_is_guarded() {
    let db = database().await;
    let unguarded: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relkind in ('r', 'p') and a.attname = 'tenant_id' and not a.attisdropped and not c.relrowsecurity",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(unguarded.is_empty(), "no row-level security on {unguarded:?}");
}

#[tokio::test]
async fn every_column_is_commented() {
    let db = database().await;
    let bare: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass || '.' || a.attname from pg_class c
         join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
         where c.relkind = 'r' and n.nspname in ('queue', 'identity', 'msp') and a.attnum > 0 and not a.attisdropped
           and c.relname <> '_sqlx_migrations' and col_description(c.oid, a.attnum) is null",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(bare.is_empty(), "no comment on {bare:?}");
}

/// The roles that read or write for others than the service, which owns everything.
const ROLES: [&str; 3] = ["weirgate_tenant", "weirgate_desk", "weirgate_super"];

#[tokio::test]
async fn no_role_bypasses_row_level_security_or_owns_anything() {
    let db = database().await;
    for role in ROLES {
        let (is_plain, owned): (bool, i64) = sqlx::query_as(
            "select not (rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb),
                (select count(*) from pg_class where relowner = r.oid)
             from pg_roles r where rolname = $1",
        )
        .bind(role)
        .fetch_one(&db.pool)
        .await
        .unwrap();
        assert!(is_plain && owned == 0, "{role}");
    }
}

#[tokio::test]
async fn no_role_sees_hashes_tokens_or_sealed_values() {
    let db = database().await;
    let secrets: Vec<(String, String)> = sqlx::query_as(
        r"select c.oid::regclass::text, a.attname::text from pg_class c
          join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
          where c.relkind in ('r', 'p', 'v', 'm') and n.nspname in ('queue', 'identity', 'msp')
            and a.attnum > 0 and not a.attisdropped
            and (a.attname like '%\_hash' or a.attname like '%sealed' or a.attname like 'token%' or a.attname = 'csrf')",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    for known in [("queue.private_args", "sealed"), ("identity.users", "password_hash")] {
        let found = secrets.iter().any(|(table, column)| (table.as_str(), column.as_str()) == known);
        assert!(found, "{known:?} is not among {secrets:?}");
    }
    for (table, column) in &secrets {
        for role in ROLES {
            let sees: bool = sqlx::query_scalar(
                "select has_column_privilege($1, $2, $3, 'select, insert, update, references')",
            )
            .bind(role)
            .bind(table)
            .bind(column)
            .fetch_one(&db.pool)
            .await
            .unwrap();
            assert!(!sees, "{role} is granted {table}.{column}");
        }
    }
}

#[tokio::test]
async fn what_a_tenant_reads_of_its_own_is_read_of_all_tenants_by_the_role_for_it() {
    let db = database().await;
    // Tables that tenants may read, where a policy hides the rows of others.
    let (guarded, bare): (i64, Vec<String>) = sqlx::query_as(
        "with guarded as (
             select c.oid, c.oid::regclass::text as name from pg_class c
             where c.relkind in ('r', 'p') and c.relrowsecurity and has_any_column_privilege('weirgate_tenant', c.oid, 'select')
         )
         select count(*), coalesce(array_agg(name) filter (where not exists (
             select from pg_policy p
             where p.polrelid = guarded.oid and p.polcmd = 'r' and p.polroles = array['weirgate_super'::regrole::oid])), '{}')
         from guarded",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert!(guarded > 8 && bare.is_empty(), "no policy for weirgate_super on {bare:?}, of {guarded} tables");
    let missing: Vec<String> = sqlx::query_scalar(
        "select a.attrelid::regclass || '.' || a.attname from pg_attribute a
         join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'v') and n.nspname in ('queue', 'identity', 'msp') and a.attnum > 0
           and not a.attisdropped
           and has_column_privilege('weirgate_tenant', c.oid, a.attnum, 'select')
           and not has_column_privilege('weirgate_super', c.oid, a.attnum, 'select')",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(missing.is_empty(), "weirgate_super may not read {missing:?}, which tenants read");
}

#[tokio::test]
async fn only_the_role_that_writes_for_a_tenant_may_write_and_never_a_row_of_another() {
    let db = database().await;
    // What each role may write in any table; a privilege of a column counts as well.
    let writable: Vec<(String, String, String)> = sqlx::query_as(
        "select r.rolname::text, c.oid::regclass::text, right_to from pg_roles r
         cross join pg_class c join pg_namespace n on n.oid = c.relnamespace
         cross join unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) as right_to
         where r.rolname = any($1) and c.relkind in ('r', 'p', 'v') and n.nspname !~ '^(pg_|information_schema)'
           and (has_table_privilege(r.oid, c.oid, right_to)
                or right_to in ('INSERT', 'UPDATE') and has_any_column_privilege(r.oid, c.oid, right_to))",
    )
    .bind(ROLES)
    .fetch_all(&db.pool)
    .await
    .unwrap();
    for (role, table, right) in &writable {
        assert!(role == "weirgate_desk" && right != "TRUNCATE", "{role} may {right} {table}");
    }
    // A policy for writes without a check, or of a table without row-level security, would let a
    // tenant's job write for another tenant.
    let unchecked: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c
         where c.oid = any(select to_regclass(t) from unnest($1::text[]) as t)
           and (not c.relrowsecurity or exists (
               select from pg_policy p
               where p.polrelid = c.oid and 'weirgate_desk'::regrole = any(p.polroles) and p.polcmd in ('*', 'a', 'w')
                 and p.polwithcheck is null))",
    )
    .bind(writable.iter().map(|(_, table, _)| table.clone()).collect::<Vec<_>>())
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(unchecked.is_empty(), "no row-level security with a check on {unchecked:?}");
}
