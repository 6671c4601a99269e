//! People who sign in to the dashboard: their roles and passwords.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use chrono::{DateTime, Utc};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::audit::Actor;

/// The shortest password, in characters.
pub const SHORTEST_PASSWORD: usize = 12;

/// Longer ones would only keep the hash busy.
const LONGEST_PASSWORD: usize = 1000;

/// Of a password that nobody knows, with the parameters of the others.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$eGpZ2pzHq1wWn4K1HLJfkXQxTJqHqLSmXX0cVQ0yT1A";

/// What somebody may do; each may do what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Acts on jobs and queues.
    Operator,
    /// Sets limits.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The name in the database and on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// Somebody who may sign in.
#[derive(Debug, Clone)]
pub struct User {
    /// A UUID of version 7.
    pub id: Uuid,
    /// What they sign in with.
    pub email: String,
    /// What they may do.
    pub role: Role,
}

/// A line of the list of users.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The user.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// When they were made.
    pub created_at: DateTime<Utc>,
    /// Since when they may not sign in.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// What is wrong with a new user or password.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// Not of the form name@host.
    #[error("{0:?} is not an email address")]
    NoEmail(String),
    /// Too short or too long.
    #[error("a password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")]
    Password,
    /// Somebody has this email already.
    #[error("user {0} already exists")]
    Exists(String),
    /// Nobody has this email.
    #[error("no user {0}")]
    Unknown(String),
    /// The database cannot answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// Hashing failed.
    #[error("cannot hash the password: {0}")]
    Hash(String),
}

/// A password that nobody can guess: 20 characters of 32, 100 bits.
pub fn new_password(rng: &mut StdRng) -> String {
    // Without those that look like others.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 20];
    rng.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// Makes a user.
///
/// # Errors
/// [`UsersError`].
pub async fn create(
    conn: impl PgExecutor<'_>,
    email: &str,
    role: Role,
    password: &str,
) -> Result<User, UsersError> {
    let email = email.trim();
    let is_email = email.len() <= 254
        && !email.chars().any(|letter| letter.is_whitespace() || letter.is_control())
        && email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if !is_email {
        return Err(UsersError::NoEmail(email.to_owned()));
    }
    let hash = hash(password).await?;
    let id = Uuid::now_v7();
    let made = sqlx::query!(
        "insert into identity.users (id, email, password_hash, role) values ($1, $2, $3, $4) on conflict (lower(email)) do nothing",
        id,
        email,
        hash,
        role.as_str()
    )
    .execute(conn)
    .await?
    .rows_affected();
    if made == 0 {
        return Err(UsersError::Exists(email.to_owned()));
    }
    Ok(User { id, email: email.to_owned(), role })
}

/// Makes the first user of an empty table, an admin; `None` where there is one already.
///
/// # Errors
/// [`UsersError`].
pub async fn create_first(pool: &PgPool, rng: &mut StdRng) -> Result<Option<(User, String)>, UsersError> {
    let any = sqlx::query_scalar!(r#"select exists (select from identity.users) as "any!""#)
        .fetch_one(pool)
        .await?;
    if any {
        return Ok(None);
    }
    let password = new_password(rng);
    let mut tx = pool.begin().await?;
    match create(&mut *tx, "admin@weirgate.local", Role::Admin, &password).await {
        Ok(user) => {
            let made = json!({ "role": user.role.as_str(), "disabled": false });
            let detail = json!({ "before": null, "after": made });
            Actor::cli().note(&mut tx, "user.create", &user.email, None, &detail).await?;
            tx.commit().await?;
            Ok(Some((user, password)))
        }
        // Another process was quicker.
        Err(UsersError::Exists(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The user with this email and password. Takes as long for an email that nobody has.
///
/// # Errors
/// [`UsersError::Database`].
pub async fn verify(pool: &PgPool, email: &str, password: &str) -> Result<Option<User>, UsersError> {
    Ok(Candidate::find(pool, email).await?.verify(password, ()).await)
}

/// Somebody whose password is to be checked, or nobody, which is not to be told from it.
pub struct Candidate {
    user: Option<User>,
    hash: String,
}

impl Candidate {
    pub async fn find(pool: &PgPool, email: &str) -> sqlx::Result<Self> {
        let found = sqlx::query!(
            r#"select id, email, password_hash, role as "role: Role" from identity.users
               where lower(email) = lower($1) and disabled_at is null"#,
            email.trim()
        )
        .fetch_optional(pool)
        .await?;
        Ok(match found {
            Some(row) => Self {
                user: Some(User { id: row.id, email: row.email, role: row.role }),
                hash: row.password_hash,
            },
            None => Self { user: None, hash: NOBODYS.to_owned() },
        })
    }

    /// The user, if the password is theirs. `held` is dropped when the processor is done, which may
    /// be after the caller has gone away.
    pub async fn verify(self, password: &str, held: impl Send + 'static) -> Option<User> {
        let Self { user, hash } = self;
        let password = password.to_owned();
        let right = tokio::task::spawn_blocking(move || {
            let _held = held;
            let hash = PasswordHash::new(&hash);
            hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        });
        let right = right.await.unwrap_or(false);
        user.filter(|_| right)
    }
}

/// All users, by email.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<Listed>> {
    let rows =
        sqlx::query!(r#"select email, role as "role: Role", created_at, disabled_at from identity.users order by lower(email)"#)
            .fetch_all(conn)
            .await?;
    let listed = rows.into_iter().map(|row| Listed {
        email: row.email,
        role: row.role,
        created_at: row.created_at,
        disabled_at: row.disabled_at,
    });
    Ok(listed.collect())
}

/// Gives a user another password and ends their sessions; no browser is known as theirs any more,
/// and somebody disabled may sign in again.
///
/// # Errors
/// [`UsersError`].
pub async fn set_password(conn: impl PgExecutor<'_>, email: &str, password: &str) -> Result<(), UsersError> {
    let hash = hash(password).await?;
    change(conn, email, Change { hash: Some(&hash), role: None, disable: false }).await
}

/// Gives a user another role and ends their sessions.
///
/// # Errors
/// [`UsersError::Unknown`], [`UsersError::Database`].
pub async fn set_role(conn: impl PgExecutor<'_>, email: &str, role: Role) -> Result<(), UsersError> {
    change(conn, email, Change { hash: None, role: Some(role), disable: false }).await
}

/// Refuses a user from now on, and ends their sessions.
///
/// # Errors
/// [`UsersError::Unknown`], [`UsersError::Database`].
pub async fn disable(conn: impl PgExecutor<'_>, email: &str) -> Result<(), UsersError> {
    change(conn, email, Change { hash: None, role: None, disable: true }).await
}

struct Change<'a> {
    hash: Option<&'a str>,
    role: Option<Role>,
    disable: bool,
}

async fn change(conn: impl PgExecutor<'_>, email: &str, change: Change<'_>) -> Result<(), UsersError> {
    let changed = sqlx::query!(
        "with changed as (
            update identity.users
            set password_hash = coalesce($2, password_hash), role = coalesce($3, role),
                disabled_at = case when $4 then coalesce(disabled_at, queue.now()) when $2::text is null then disabled_at end
            where lower(email) = lower($1) returning id
         ), ended as (
            delete from identity.sessions using changed where user_id = changed.id
         ), forgotten as (
            delete from identity.known_browsers using changed where user_id = changed.id and ($4 or $2::text is not null)
         )
         select id from changed",
        email.trim(),
        change.hash,
        change.role.map(Role::as_str),
        change.disable
    )
    .fetch_optional(conn)
    .await?;
    changed.map(drop).ok_or_else(|| UsersError::Unknown(email.to_owned()))
}

async fn hash(password: &str) -> Result<String, UsersError> {
    if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&password.chars().count()) {
        return Err(UsersError::Password);
    }
    let password = password.to_owned();
    // Takes 20 ms and 19 MiB, on purpose.
    tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string())
    })
    .await
    .map_err(|error| UsersError::Hash(error.to_string()))?
    .map_err(|error| UsersError::Hash(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unknown_email_costs_as_much_as_a_wrong_password() {
        let real = hash("a long password").await.unwrap();
        let [nobodys, real] = [NOBODYS, &real].map(|text| PasswordHash::new(text).unwrap());
        assert_eq!((nobodys.algorithm, nobodys.version), (real.algorithm, real.version));
        assert_eq!(nobodys.params.to_string(), real.params.to_string());
    }
}
