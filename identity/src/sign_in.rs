//! Whether an email and a password belong together.

use sqlx::PgPool;

use crate::accounts::Account;
use crate::passwords;

/// Somebody whose password is to be checked, or nobody, which is not to be told from it.
pub struct Candidate {
    account: Option<Account>,
    hash: String,
}

impl Candidate {
    /// The account of an email, if it may sign in.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn find(pool: &PgPool, email: &str) -> sqlx::Result<Self> {
        let found = sqlx::query!(
            r#"select id, email, full_name, locale, token_epoch, password_hash as "hash!" from identity.accounts
               where lower(email) = lower($1) and disabled_at is null and password_hash is not null"#,
            email.trim()
        )
        .fetch_optional(pool)
        .await?;
        Ok(match found {
            Some(row) => Self {
                account: Some(Account {
                    id: row.id,
                    email: row.email,
                    full_name: row.full_name,
                    locale: row.locale,
                    token_epoch: row.token_epoch,
                }),
                hash: row.hash,
            },
            None => Self { account: None, hash: passwords::NOBODYS.to_owned() },
        })
    }

    /// The account, if the password is its own. `held` is dropped when the processor is done, which
    /// may be after the caller has gone away. A hash of another system is replaced.
    pub async fn verify(self, pool: &PgPool, password: &str, held: impl Send + 'static) -> Option<Account> {
        let Self { account, hash } = self;
        let (given, stored) = (password.to_owned(), hash.clone());
        let right = tokio::task::spawn_blocking(move || {
            let _held = held;
            passwords::matches(&given, &stored)
        });
        let right = right.await.unwrap_or(false);
        let account = account.filter(|_| right)?;
        if passwords::is_outdated(&hash)
            && let Err(error) = replace_hash(pool, &account, &hash, password).await
        {
            // The password is right all the same: pages go on where the database takes no writes.
            tracing::debug!(error, "could not hash a password anew");
        }
        Some(account)
    }
}

/// Unless the password was changed in the meantime.
async fn replace_hash(pool: &PgPool, account: &Account, old: &str, password: &str) -> Result<(), String> {
    let new = passwords::hash_any(password.to_owned()).await.map_err(|error| error.to_string())?;
    sqlx::query!(
        "update identity.accounts set password_hash = $3 where id = $1 and password_hash = $2",
        account.id,
        old,
        new
    )
    .execute(pool)
    .await
    .map_err(|error| error.to_string())?;
    Ok(())
}
