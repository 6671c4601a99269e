//! The queues there are.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::lanes::traffic;
use weirgate_web::domain::Catalog;

/// Queues of the kinds in the catalog, those that live workers claim from, and those with settings:
/// of their own, or of the lane of `tenant`.
///
/// # Errors
/// When the database cannot be asked.
pub(crate) async fn known(
    conn: &mut PgConnection,
    catalog: &Catalog,
    tenant: Option<Uuid>,
) -> weirgate_queue::Result<BTreeSet<String>> {
    let mut queues = traffic::known_queues(conn, tenant).await?;
    queues.extend(catalog.queues().iter().map(|queue| (*queue).to_owned()));
    Ok(queues)
}

/// Says which queues there are instead of the one that was named.
pub(crate) fn unknown(queues: &BTreeSet<String>) -> String {
    let names: Vec<&str> = queues.iter().map(String::as_str).collect();
    format!("unknown queue; known queues: {}", names.join(", "))
}
