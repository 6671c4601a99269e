//! What is sealed in the database with `WEIRGATE_SECRET_KEY`: where it is, that it can be read, and
//! how it is sealed anew.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use sqlx::{PgConnection, PgPool};
use weirgate_identity::SecretKeys;
use weirgate_identity::secret_keys::{HEADER, KeyName, sealed_by};
use weirgate_identity::signing_keys;
use weirgate_queue::private;

use crate::config::Config;
use crate::home::secret_key;

/// Jobs whose private arguments are looked at together.
const BATCH: i64 = 500;

/// Somewhere in the database where sealed values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    SigningKeys,
    PrivateArguments,
}

/// What a process does that finds no key and nothing sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithoutKey {
    /// It makes one, where the database is that of its home.
    Make,
    /// It goes without.
    GoOn,
}

impl Place {
    /// All of them: the only list.
    pub(crate) const ALL: [Self; 2] = [Self::SigningKeys, Self::PrivateArguments];

    /// What is kept there, and in which table.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::SigningKeys => "private halves of signing keys (identity.signing_keys)",
            Self::PrivateArguments => "private arguments of jobs (queue.private_args)",
        }
    }

    /// The names of the keys that have sealed what is there.
    pub(crate) async fn sealed_with(self, conn: &mut PgConnection) -> Result<Vec<KeyName>> {
        let looking = || format!("looking for {}", self.what());
        match self {
            Self::SigningKeys => signing_keys::sealed_with(conn).await.with_context(looking),
            Self::PrivateArguments => {
                let bytes = i32::try_from(HEADER)?;
                let beginnings = private::beginnings(conn, bytes).await.with_context(looking)?;
                Ok(beginnings.iter().filter_map(|beginning| sealed_by(beginning)).collect())
            }
        }
    }

    /// Seals a batch anew; returns how many values that were, none at the end.
    pub(crate) async fn reseal(self, pool: &PgPool, keys: &SecretKeys) -> Result<u64> {
        match self {
            Self::SigningKeys => {
                let mut tx = pool.begin().await?;
                let sealed_anew = signing_keys::reseal(&mut tx, keys).await?;
                tx.commit().await?;
                Ok(sealed_anew)
            }
            Self::PrivateArguments => reseal_private_arguments(pool, keys).await,
        }
    }
}

/// One walk over all of them.
async fn reseal_private_arguments(pool: &PgPool, keys: &SecretKeys) -> Result<u64> {
    let mut conn = pool.acquire().await?;
    let (mut after, mut sealed_anew) = (Some(0), 0);
    while let Some(from) = after {
        let step = private::reseal(&mut conn, keys, from, BATCH).await?;
        for job in &step.unreadable {
            tracing::warn!(%job, "the private argument of a job cannot be opened, and stays as it is");
        }
        sealed_anew += step.resealed;
        after = step.next;
    }
    Ok(sealed_anew)
}

/// The settings with the secret keys that this process has: those that are set, or that of its
/// home.
///
/// # Errors
/// When something is sealed that none of them opens.
pub(crate) async fn unlock(pool: &PgPool, config: &Config, without: WithoutKey) -> Result<Config> {
    let mut found = secret_key::find(config)?;
    require_keys(&mut *pool.acquire().await?, config, found.as_ref()).await?;
    if found.is_none() && without == WithoutKey::Make {
        found = secret_key::make(config)?;
    }
    Ok(Config { secret_keys: found, ..config.clone() })
}

/// Refuses keys that do not open all that is sealed.
pub(crate) async fn require_keys(
    conn: &mut PgConnection,
    config: &Config,
    keys: Option<&SecretKeys>,
) -> Result<()> {
    let mut closed = Vec::new();
    for place in Place::ALL {
        let names: BTreeSet<KeyName> = place.sealed_with(conn).await?.into_iter().collect();
        let unknown = names.into_iter().filter(|name| !keys.is_some_and(|keys| keys.has(*name)));
        closed.extend(unknown.map(|name| format!("{}, with the key {name}", place.what())));
    }
    if closed.is_empty() {
        return Ok(());
    }
    let sealed = closed.join("; ");
    let Some(keys) = keys else {
        let file = secret_key::place(config).map_or_else(String::new, |file| {
            format!(", or put the file {} back from a backup", file.display())
        });
        bail!(
            "WEIRGATE_SECRET_KEY is not set, and the database holds what is sealed: {sealed}. Set WEIRGATE_SECRET_KEY to \
             that key, the same on every host{file}"
        );
    };
    let old = keys.old().map_or_else(String::new, |old| format!(", and WEIRGATE_SECRET_KEY_OLD is {old}"));
    bail!(
        "WEIRGATE_SECRET_KEY is the key {}{old}, and the database holds what another one has sealed: {sealed}. Set \
         WEIRGATE_SECRET_KEY to that key; while keys change, set it as WEIRGATE_SECRET_KEY_OLD and run `weirgate identity \
         reseal`",
        keys.current()
    );
}
