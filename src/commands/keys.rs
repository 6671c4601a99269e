//! `keys`: API keys of tenants.

use rand::Rng;

use super::tenant;
use crate::cli::Keys;
use crate::config::Config;
use crate::database::Database;
use crate::http::keys;
use crate::random;

pub(super) async fn run(command: Keys, config: &Config) -> anyhow::Result<()> {
    let database = Database::attach(config, "keys").await?;
    let mut conn = database.pool.acquire().await?;
    match command {
        Keys::Create { tenant: name_or_id, name } => {
            let tenant = tenant(&database.pool, &name_or_id).await?;
            let mut bytes = [0; 32];
            random::generator().fill_bytes(&mut bytes);
            println!("{}", keys::create(&mut conn, tenant.id, &name, bytes).await?);
        }
        Keys::Revoke { key } => {
            let prefix = key
                .rsplit_once('_')
                .filter(|(prefix, _)| prefix.len() > 2)
                .map_or(key.as_str(), |(prefix, _)| prefix);
            if !keys::revoke(&mut conn, prefix).await? {
                anyhow::bail!("no live key begins with {prefix:?}");
            }
            println!("{prefix} is refused from now on");
        }
    }
    drop(conn);
    database.close().await
}
