//! The role as which the program connects.

use sqlx::{Connection as _, PgConnection};
use weirgate::{domains, schema};
use weirgate_private_postgres::PrivatePostgres;

use super::{Home, connect};

async fn as_service(server: &PrivatePostgres) -> PgConnection {
    PgConnection::connect_with(&server.service_options()).await.unwrap()
}

/// Whether the program's role administers the server, and how much in the database is not its own.
async fn rights(server: &PrivatePostgres) -> (bool, i64) {
    sqlx::query_as(
        "select rolsuper or rolreplication or rolbypassrls, (
             select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace
             where nspname in ('queue', 'identity', 'msp') and relowner <> r.oid and relkind in ('r', 'p', 'v', 'S')
         ) + (
             select count(*) from pg_proc join pg_namespace n on n.oid = pronamespace
             where nspname in ('queue', 'identity', 'msp') and proowner <> r.oid
         )
         from pg_roles r where rolname = current_user",
    )
    .fetch_one(&mut as_service(server).await)
    .await
    .unwrap()
}

#[tokio::test]
async fn the_program_is_no_administrator_of_its_server() {
    let home = Home::new();
    let server = home.start().await;
    let mut conn = as_service(&server).await;
    schema::apply(&mut conn, &domains::histories()).await.unwrap();
    assert_eq!(rights(&server).await, (false, 0));
    for forbidden in [
        "select pg_read_file('postgresql.conf')",
        "copy (select 1) to program 'true'",
        "alter role weirgate password 'x'",
        "create role root superuser",
    ] {
        let refused = sqlx::raw_sql(forbidden).execute(&mut conn).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"), "{forbidden}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_home_of_an_earlier_version_is_given_to_that_role() {
    let home = Home::new();
    let server = home.start().await;
    let mut admin = connect(&server).await;
    // As such a home is: all is the administrator's.
    sqlx::raw_sql("alter database weirgate owner to weirgate").execute(&mut admin).await.unwrap();
    schema::apply(&mut admin, &domains::histories()).await.unwrap();
    admin.close().await.unwrap();
    assert!(rights(&server).await.1 > 20);
    server.stop().await.unwrap();
    for _ in 0..2 {
        let server = home.start().await;
        assert_eq!(rights(&server).await, (false, 0));
        let mut conn = as_service(&server).await;
        // What its owner alone may do.
        schema::undo_all(&mut conn, &domains::histories()).await.unwrap();
        schema::apply(&mut conn, &domains::histories()).await.unwrap();
        for role in ["weirgate_tenant", "weirgate_desk", "weirgate_super"] {
            let acts = format!("begin; set local role {role}; commit");
            sqlx::raw_sql(sqlx::AssertSqlSafe(acts)).execute(&mut conn).await.unwrap();
        }
        server.stop().await.unwrap();
    }
}
