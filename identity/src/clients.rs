//! Browser apps that people sign in to by OAuth.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use url::{Host, Url};

/// An app that is known.
#[derive(Debug, Clone)]
pub struct Client {
    /// What it calls itself.
    pub client_id: String,
    /// For people.
    pub name: String,
    /// Where codes may be sent, each to the letter.
    pub redirect_uris: Vec<String>,
    /// From which pages scripts may ask for tokens.
    pub origins: Vec<String>,
    pub created_at: DateTime<Utc>,
    /// Since when it gets nothing.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// An app about to be made known.
#[derive(Debug)]
pub struct New<'a> {
    pub client_id: &'a str,
    pub name: &'a str,
    pub redirect_uris: &'a [String],
    pub origins: &'a [String],
}

/// What is wrong with an app, by its field.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    #[error(
        "{0:?} is no client_id; expected 1 to 64 letters, digits, dots, - and _, such as desk, and not \"login\""
    )]
    Id(String),
    #[error("a name has 1 to 200 characters, and no control characters")]
    Name,
    #[error(
        "{0:?} is no redirect URI; expected an https URL without a fragment, such as \
         https://desk.example.com/signed-in, or http on this machine, such as http://127.0.0.1:5173/signed-in"
    )]
    RedirectUri(String),
    #[error("an app needs 1 to 20 redirect URIs")]
    RedirectUris,
    #[error(
        "{0:?} is no origin; expected scheme and host alone, such as https://desk.example.com or \
         http://127.0.0.1:5173"
    )]
    Origin(String),
    #[error("an app has at most 20 origins")]
    Origins,
    #[error("there is a client {0} already")]
    Exists(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl ClientsError {
    /// The field that it is about; `None` where it is the database.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Id(_) | Self::Exists(_) => Some("client_id"),
            Self::Name => Some("name"),
            Self::RedirectUri(_) | Self::RedirectUris => Some("redirect_uris"),
            Self::Origin(_) | Self::Origins => Some("origins"),
            Self::Database(_) => None,
        }
    }
}

/// Makes an app known.
///
/// # Errors
/// [`ClientsError`].
pub async fn create(conn: &mut PgConnection, new: New<'_>) -> Result<(), ClientsError> {
    let New { client_id, name, redirect_uris, origins } = new;
    let is_id = (1..=64).contains(&client_id.len())
        && client_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && client_id != "login";
    if !is_id {
        return Err(ClientsError::Id(client_id.to_owned()));
    }
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(ClientsError::Name);
    }
    if !(1..=20).contains(&redirect_uris.len()) {
        return Err(ClientsError::RedirectUris);
    }
    if let Some(wrong) = redirect_uris.iter().find(|uri| !is_redirect_uri(uri)) {
        return Err(ClientsError::RedirectUri(wrong.clone()));
    }
    if origins.len() > 20 {
        return Err(ClientsError::Origins);
    }
    if let Some(wrong) = origins.iter().find(|origin| !is_origin(origin)) {
        return Err(ClientsError::Origin(wrong.clone()));
    }
    let made = sqlx::query!(
        "insert into identity.clients (client_id, name, redirect_uris, origins) values ($1, $2, $3, $4)
         on conflict (client_id) do nothing",
        client_id,
        name,
        redirect_uris,
        origins
    )
    .execute(conn)
    .await?;
    if made.rows_affected() == 0 { Err(ClientsError::Exists(client_id.to_owned())) } else { Ok(()) }
}

/// All apps, by their id.
///
/// # Errors
/// When the database cannot answer.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<Client>> {
    sqlx::query_as!(
        Client,
        "select client_id, name, redirect_uris, origins, created_at, disabled_at from identity.clients
         order by client_id"
    )
    .fetch_all(conn)
    .await
}

/// The app of that id, if it may be signed in to.
///
/// # Errors
/// When the database cannot answer.
pub async fn find(conn: &mut PgConnection, client_id: &str) -> sqlx::Result<Option<Client>> {
    sqlx::query_as!(
        Client,
        "select client_id, name, redirect_uris, origins, created_at, disabled_at from identity.clients
         where client_id = $1 and disabled_at is null",
        client_id
    )
    .fetch_optional(conn)
    .await
}

/// Whether scripts of pages from there may ask any app's tokens.
///
/// # Errors
/// When the database cannot answer.
pub async fn is_any_origin(conn: &mut PgConnection, origin: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
            select from identity.clients where $1 = any(origins) and disabled_at is null
        ) as "is!""#,
        origin
    )
    .fetch_one(conn)
    .await
}

/// Gives an app neither codes nor tokens from now on, or does so again. False where there is no such
/// app, or it was so before.
///
/// # Errors
/// When the database cannot answer.
pub async fn set_disabled(conn: &mut PgConnection, client_id: &str, disabled: bool) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "update identity.clients set disabled_at = case when $2 then queue.now() end
         where client_id = $1 and (disabled_at is not null) <> $2",
        client_id,
        disabled
    )
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() > 0)
}

fn is_redirect_uri(text: &str) -> bool {
    is_safe_url(text).is_some_and(|url| url.fragment().is_none() && !text.contains('#'))
}

fn is_origin(text: &str) -> bool {
    is_safe_url(text).is_some_and(|url| url.origin().ascii_serialization() == text)
}

/// An HTTPS URL, or one that leads to the machine of the browser itself.
fn is_safe_url(text: &str) -> Option<Url> {
    if text.len() > 2000 || text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let is_here = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    (is_safe && url.username().is_empty() && url.password().is_none()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sent_by_https_or_to_the_same_machine() {
        for right in [
            "https://desk.example.com/signed-in",
            "https://desk.example.com/?from=weirgate",
            "http://127.0.0.1:5173/signed-in",
            "http://localhost/",
            "http://[::1]:3000/in",
        ] {
            assert!(is_redirect_uri(right), "{right}");
        }
        for wrong in [
            "http://desk.example.com/signed-in",
            "https://desk.example.com/#in",
            "https://ada@desk.example.com/",
            "desk://signed-in",
            "javascript:alert(1)",
            "/signed-in",
            "https://desk.example.com/a b",
            "",
        ] {
            assert!(!is_redirect_uri(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_origin_has_no_path() {
        for right in ["https://desk.example.com", "http://127.0.0.1:5173"] {
            assert!(is_origin(right), "{right}");
        }
        for wrong in
            ["https://desk.example.com/", "https://Desk.example.com", "http://desk.example.com", "null", "*"]
        {
            assert!(!is_origin(wrong), "{wrong}");
        }
    }
}
