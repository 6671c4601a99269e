//! Accounts: people who sign in, whatever for.

mod change;
mod list;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::passwords::{self, PasswordError};

pub use change::{
    disable, enable, end_sign_ins, set_name, set_password, sign_out_everywhere, store_password,
};
pub use list::{Listed, ListedMembership, find, get, id_of, list};

/// Most characters of an email address (RFC 5321).
const LONGEST_EMAIL: usize = 254;

/// Most characters of a name.
const LONGEST_NAME: usize = 200;

/// Somebody who may sign in.
#[derive(Debug, Clone)]
pub struct Account {
    /// A UUID of version 7.
    pub id: Uuid,
    /// What they sign in with.
    pub email: String,
    /// For people; empty where it is not known.
    pub full_name: String,
    /// The language that they are written to in (BCP 47).
    pub locale: String,
    /// Goes up when all their tokens end.
    pub token_epoch: i32,
}

/// What is wrong with an account, or what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// Not of the form name@host.
    #[error("{0:?} is not an email address; expected one such as ada@example.com")]
    NoEmail(String),
    /// Too long, or with characters that nobody can see.
    #[error("a name has at most {LONGEST_NAME} characters, and no control characters")]
    Name,
    /// No language.
    #[error("{0:?} is no language; expected a tag such as fr or pt-BR")]
    Locale(String),
    /// The password cannot be taken.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Somebody has this email already.
    #[error("an account with the email {0} already exists")]
    Exists(String),
    /// Nobody has this email.
    #[error("no account with the email {0}")]
    Unknown(String),
    /// The database cannot answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl AccountsError {
    /// The field that it is about; `None` where it is of nobody's making.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::NoEmail(_) | Self::Exists(_) | Self::Unknown(_) => Some("email"),
            Self::Name => Some("full_name"),
            Self::Locale(_) => Some("locale"),
            Self::Password(PasswordError::Length | PasswordError::UnknownHash) => Some("password"),
            Self::Password(PasswordError::Hash(_)) | Self::Database(_) => None,
        }
    }
}

/// An account about to be made.
#[derive(Debug, Default)]
pub struct New<'a> {
    /// What they sign in with.
    pub email: &'a str,
    /// For people; may be empty.
    pub full_name: &'a str,
    /// The language that they are written to in; empty is English.
    pub locale: &'a str,
    /// None where they choose it themselves, by an invitation.
    pub password: Option<&'a str>,
}

/// Makes an account, which may do nothing yet.
///
/// # Errors
/// [`AccountsError`].
pub async fn create(conn: &mut PgConnection, new: New<'_>) -> Result<Account, AccountsError> {
    let address = email(new.email)?;
    let full_name = name(new.full_name)?;
    let locale = if new.locale.is_empty() { "en" } else { locale(new.locale)? };
    let hash = match new.password {
        Some(password) => Some(passwords::hash(password).await?),
        None => None,
    };
    let id = Uuid::now_v7();
    let made = sqlx::query!(
        "insert into identity.accounts (id, email, password_hash, full_name, locale) values ($1, $2, $3, $4, $5)
         on conflict (lower(email)) do nothing",
        id,
        address,
        hash,
        full_name,
        locale
    )
    .execute(conn)
    .await?
    .rows_affected();
    if made == 0 {
        return Err(AccountsError::Exists(address.to_owned()));
    }
    let (email, full_name, locale) = (address.to_owned(), full_name.to_owned(), locale.to_owned());
    Ok(Account { id, email, full_name, locale, token_epoch: 0 })
}

/// The address without space around it, if it is one.
pub(crate) fn email(given: &str) -> Result<&str, AccountsError> {
    let email = given.trim();
    let is_email = email.len() <= LONGEST_EMAIL
        && !email.chars().any(|letter| letter.is_whitespace() || letter.is_control())
        && email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if is_email { Ok(email) } else { Err(AccountsError::NoEmail(given.to_owned())) }
}

fn name(given: &str) -> Result<&str, AccountsError> {
    let name = given.trim();
    let fits = name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if fits { Ok(name) } else { Err(AccountsError::Name) }
}

fn locale(given: &str) -> Result<&str, AccountsError> {
    let mut parts = given.split('-');
    let language = parts.next().unwrap_or_default();
    let is_language =
        (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_rest = parts
        .all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if is_language && is_rest && given.len() <= 35 {
        Ok(given)
    } else {
        Err(AccountsError::Locale(given.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_names_and_languages_are_checked() {
        for right in ["ada@example.com", " ada@example.com ", "a@b"] {
            assert_eq!(email(right).unwrap(), right.trim());
        }
        for wrong in ["", "ada", "@example.com", "ada@", "a b@example.com", "a\n@example.com"] {
            email(wrong).unwrap_err();
        }
        email(&format!("{}@example.com", "a".repeat(250))).unwrap_err();
        for right in ["en", "fr", "pt-BR", "zh-Hant-TW"] {
            assert_eq!(locale(right).unwrap(), right);
        }
        for wrong in ["e", "EN", "english", "en-", "en_US", "fr-a"] {
            locale(wrong).unwrap_err();
        }
        assert!(name(&"a".repeat(201)).is_err() && name("Ada\u{7}").is_err());
        assert_eq!(name(" Ada Lovelace ").unwrap(), "Ada Lovelace");
    }
}
