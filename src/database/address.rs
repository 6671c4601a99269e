//! What `DATABASE_URL` says.

use std::str::FromStr;

use anyhow::{Context, bail};
use sqlx::postgres::PgConnectOptions;
use url::Url;

/// Where a database is, and what is to be set on each connection.
pub(super) struct Address {
    pub(super) options: PgConnectOptions,
    /// `?options=-c name=value` and `?options[name]=value`. As part of a connection's start a
    /// pooler such as pgbouncer refuses them, so they are set afterwards.
    pub(super) settings: Vec<(String, String)>,
}

impl FromStr for Address {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        refuse_several_hosts(text)?;
        let mut url = Url::parse(text).context("DATABASE_URL: expected postgres://user@host/database")?;
        let (mut settings, mut rest) = (Vec::new(), Vec::new());
        for (name, value) in url.query_pairs().into_owned() {
            if name == "options" {
                settings.extend(flags(&value)?);
            } else if let Some(name) = name.strip_prefix("options[").and_then(|it| it.strip_suffix(']')) {
                settings.push((name.to_owned(), value));
            } else {
                rest.push((name, value));
            }
        }
        if !settings.is_empty() {
            url.set_query(None);
            if !rest.is_empty() {
                url.query_pairs_mut().extend_pairs(rest);
            }
        }
        let options = PgConnectOptions::from_str(url.as_str()).context("DATABASE_URL")?;
        // Also those that come from the environment, such as PGHOST.
        refuse_several_hosts(options.get_host())?;
        Ok(Self { options, settings })
    }
}

/// libpq would try one after the other; to sqlx they are one strange name.
fn refuse_several_hosts(text: &str) -> anyhow::Result<()> {
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let query = after_scheme.split_once('?').map_or("", |(_, query)| query);
    let named = form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| matches!(&*name, "host" | "hostaddr" | "port") && value.contains(','));
    if hosts.contains(',') || named {
        bail!(
            "DATABASE_URL: names several hosts; expected one, such as postgres://user@db.internal:5432/weirgate. Put one address \
             in front that leads to the server that can be written to, such as haproxy (docs/operations.md has a recipe)"
        );
    }
    Ok(())
}

/// `-c name=value` and `--name=value`, as Postgres reads them.
fn flags(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        let setting = match (word.as_str(), word.strip_prefix("-c"), word.strip_prefix("--")) {
            ("-c", ..) => words.next(),
            (_, Some(setting), _) | (_, _, Some(setting)) => Some(setting.to_owned()),
            _ => None,
        };
        let Some((name, value)) = setting.as_deref().and_then(|it| it.split_once('=')) else {
            bail!(
                "DATABASE_URL: options={text}: expected settings only, such as options=-c%20work_mem%3D64MB"
            );
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// Parted by spaces that have no backslash before them.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => words.last_mut().expect("never empty").extend(chars.next()),
            char if char.is_whitespace() => words.push(String::new()),
            char => words.last_mut().expect("never empty").push(char),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", text.parse::<Address>().err().expect("it is refused"))
    }

    #[test]
    fn several_hosts_are_refused_with_what_to_do() {
        for url in [
            "postgres://a,b/db",
            "postgres://user:secret@a:5432,b:5433/db",
            "postgresql://user@a,b:5432/db?sslmode=require",
            "postgres://user@/db?host=a,b",
            "postgres:///db?host=a&port=5432,5433",
            "postgres://user@%61,b/db",
        ] {
            let error = refused(url);
            assert!(error.contains("several hosts") && error.contains("haproxy"), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_comma_elsewhere_is_none_between_hosts() {
        for url in ["postgres://u:a%2Cb@h/db?application_name=a,b", "postgres://u:a,b@h/d,b"] {
            let address: Address = url.parse().unwrap();
            assert_eq!(address.options.get_host(), "h");
        }
    }

    #[test]
    fn settings_are_taken_out_of_the_start_of_a_connection() {
        let url = "postgres://u@h/db?sslmode=disable&options[work_mem]=64MB&options=-c%20geqo%3Doff%20--lock-timeout%3D1s\
                   %20-csearch_path%3Da%5C%20b";
        let address: Address = url.parse().unwrap();
        let set: Vec<_> = address.settings.iter().map(|(name, value)| (&**name, &**value)).collect();
        let expected =
            [("work_mem", "64MB"), ("geqo", "off"), ("lock_timeout", "1s"), ("search_path", "a b")];
        assert_eq!(set, expected);
        assert_eq!(address.options.get_options(), None);
        assert!(refused("postgres://u@h/db?options=-B%205").contains("expected settings only"));
    }
}
