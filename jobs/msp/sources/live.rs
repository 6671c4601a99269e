//! Reads the real systems, each tenant's by its own accounts.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use reqwest::Client;
use serde::Deserialize;
use serde_json::error::Category;

use super::connectwise::{ConnectWise, ConnectWiseSettings};
use super::defender::{Defender, DefenderSettings};
use super::sentinelone::{SentinelOne, SentinelOneSettings};
use super::smileback::{SmileBack, SmileBackSettings};
use super::upstream::client_builder;
use super::{Dataset, Place, RowStream, Source, SourceError};
use super::{connectwise, defender, sentinelone, smileback};

/// The accounts of one tenant, as the file has them. What is absent is not read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantSettings {
    connectwise: Option<ConnectWiseSettings>,
    smileback: Option<SmileBackSettings>,
    sentinelone: Option<SentinelOneSettings>,
    defender: Option<DefenderSettings>,
}

/// The connectors of one tenant.
#[derive(Debug)]
struct Connectors {
    connectwise: Option<ConnectWise>,
    smileback: Option<SmileBack>,
    sentinelone: Option<SentinelOne>,
    defender: Option<Defender>,
}

/// Rows of the real systems: tickets and time entries of ConnectWise, surveys of SmileBack,
/// security alerts of SentinelOne and Defender.
///
/// A dataset without an account is an empty stream, as a missing file of the mock data is. A tenant
/// without an entry is [`SourceError::Refused`], as a mistyped slug must not look like a day
/// without tickets. Each account is asked no faster than its settings say, by this process; several
/// processes each have that rate.
#[derive(Debug)]
pub struct LiveSource {
    path: PathBuf,
    tenants: BTreeMap<String, Connectors>,
}

/// Why the file with the accounts cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct LiveSourceError {
    path: PathBuf,
    problem: String,
}

impl LiveSource {
    /// Makes connectors for the accounts in a JSON file; see `docs/sources.md` for its form. No
    /// upstream is called.
    ///
    /// # Errors
    /// When the file cannot be read, others than its owner may read it, or something in it is
    /// wrong: the error names the place, and never a secret.
    pub fn load(path: &Path) -> Result<Self, LiveSourceError> {
        let wrong = |problem| LiveSourceError { path: path.to_owned(), problem };
        let text = read_private(path).map_err(wrong)?;
        let client = client_builder().build().map_err(|error| {
            wrong(format!(
                "no HTTPS client can be made ({error}); are the system's CA certificates installed?"
            ))
        })?;
        Self::from_json(path, &text, &client).map_err(wrong)
    }

    fn from_json(path: &Path, text: &str, client: &Client) -> Result<Self, String> {
        let mut json = serde_json::Deserializer::from_str(text);
        let tenants: BTreeMap<String, TenantSettings> =
            serde_path_to_error::deserialize(&mut json).map_err(|error| explain(&error))?;
        json.end().map_err(|error| format!("has more after its object (line {})", error.line()))?;
        let connectors = |(slug, it): (String, TenantSettings)| {
            let connectors = Connectors {
                connectwise: it.connectwise.map(|it| ConnectWise::new(it, client.clone())),
                smileback: it.smileback.map(|it| SmileBack::new(it, client.clone())),
                sentinelone: it.sentinelone.map(|it| SentinelOne::new(&it, client.clone())),
                defender: it.defender.map(|it| Defender::new(it, client.clone())),
            };
            (slug, connectors)
        };
        Ok(Self { path: path.to_owned(), tenants: tenants.into_iter().map(connectors).collect() })
    }

    fn unknown(&self, slug: &str) -> SourceError {
        let origin = self.path.display().to_string();
        let reason = format!(
            "there is no entry for the tenant {slug}; add its accounts, or an empty object for a tenant without any (\"{slug}\": {{}}), and restart"
        );
        SourceError::Refused { origin, reason }
    }
}

impl Source for LiveSource {
    fn rows(&self, tenant_slug: &str, dataset: Dataset) -> RowStream {
        self.rows_from(tenant_slug, dataset, &Place::default())
    }

    fn rows_from(&self, tenant_slug: &str, dataset: Dataset, place: &Place) -> RowStream {
        let Some(it) = self.tenants.get(tenant_slug) else {
            return stream::iter([Err(self.unknown(tenant_slug))]).boxed();
        };
        let mut streams = VecDeque::new();
        let mut add = |upstream, rows: Option<RowStream>| {
            if !place.is_at_end(upstream) {
                streams.extend(rows.map(|rows| (upstream, rows)));
            }
        };
        let (slug, from) = (tenant_slug, |upstream| place.of(upstream));
        match dataset {
            Dataset::Tickets => add(
                connectwise::NAME,
                it.connectwise.as_ref().map(|it| it.tickets(slug, from(connectwise::NAME))),
            ),
            Dataset::TimeEntries => add(
                connectwise::NAME,
                it.connectwise.as_ref().map(|it| it.time_entries(slug, from(connectwise::NAME))),
            ),
            Dataset::Csat => {
                add(smileback::NAME, it.smileback.as_ref().map(|it| it.reviews(slug, from(smileback::NAME))));
            }
            Dataset::SecurityAlerts => {
                add(
                    sentinelone::NAME,
                    it.sentinelone.as_ref().map(|it| it.threats(slug, from(sentinelone::NAME))),
                );
                add(defender::NAME, it.defender.as_ref().map(|it| it.alerts(slug, from(defender::NAME))));
            }
        }
        chained(streams, place.clone())
    }

    fn has(&self, tenant_slug: &str, dataset: Dataset) -> bool {
        self.tenants.get(tenant_slug).is_some_and(|it| match dataset {
            Dataset::Tickets | Dataset::TimeEntries => it.connectwise.is_some(),
            Dataset::Csat => it.smileback.is_some(),
            Dataset::SecurityAlerts => it.sentinelone.is_some() || it.defender.is_some(),
        })
    }

    fn describe(&self) -> String {
        format!("the accounts of {} tenants in {}", self.tenants.len(), self.path.display())
    }
}

/// One stream after the other. An error comes last: an upstream that is down must not hide the rows
/// of the others. A wait goes before other errors, which are met again after it; of two waits the
/// longer one counts, as both are over then.
fn chained(streams: VecDeque<(&'static str, RowStream)>, place: Place) -> RowStream {
    stream::try_unfold((streams, place, None), |(mut streams, mut place, mut error)| async move {
        while let Some((upstream, current)) = streams.front_mut() {
            match current.try_next().await {
                Ok(Some(row)) => return Ok(Some((row, (streams, place, error)))),
                Ok(None) => place.end(upstream),
                Err(SourceError::Throttled { origin, retry_after, place: here }) => {
                    place.merge(here.unwrap_or_default());
                    if !matches!(&error, Some(SourceError::Throttled { retry_after: other, .. }) if *other >= retry_after) {
                        error = Some(SourceError::Throttled { origin, retry_after, place: None });
                    }
                }
                Err(new) => error = error.or(Some(new)),
            }
            streams.pop_front();
        }
        match error {
            None => Ok(None),
            Some(SourceError::Throttled { origin, retry_after, .. }) => {
                Err(SourceError::Throttled { origin, retry_after, place: Some(place) })
            }
            Some(error) => Err(error),
        }
    })
    .boxed()
}

/// The text of a file that only its owner can read, since it is full of secrets.
fn read_private(path: &Path) -> Result<String, String> {
    let unread = |error: std::io::Error| format!("cannot be read: {error}");
    // Looked at before it is opened: opening a named pipe would wait for its writer for ever.
    if !std::fs::metadata(path).map_err(unread)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut file = File::open(path).map_err(unread)?;
    check_mode(&file.metadata().map_err(unread)?, path)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unread)?;
    Ok(text)
}

#[cfg(unix)]
fn check_mode(metadata: &std::fs::Metadata, path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = metadata.mode() & 0o777;
    let for_others = mode & 0o077;
    if for_others == 0 {
        return Ok(());
    }
    Err(format!("others can use it (mode {mode:03o}), and it has secrets: chmod 600 {}", path.display()))
}

#[cfg(not(unix))]
fn check_mode(_: &std::fs::Metadata, _: &Path) -> Result<(), String> {
    Ok(())
}

/// Puts an error in words. Where serde would quote the value, only what was expected is kept.
fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let (path, inner) = (error.path(), error.inner());
    let (line, column) = (inner.line(), inner.column());
    if inner.classify() != Category::Data {
        return format!("is not JSON at line {line} column {column}");
    }
    let full = inner.to_string();
    let what = full.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&full);
    match what.rsplit_once(", expected ") {
        Some((start, wanted)) if start.starts_with("invalid ") => {
            let wanted = if wanted.starts_with("struct ") { "a JSON object" } else { wanted };
            format!("{path}: is not {wanted}")
        }
        _ => format!("{path}: {what}"),
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "live_walk_tests.rs"]
mod walk_tests;
