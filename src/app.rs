//! Puts the application together from the settings: sources, export store, jobs.

use std::sync::Arc;

use anyhow::{Context, bail};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use sqlx::PgPool;
use weirgate_msp::provide_tls;
use weirgate_msp::sources::{LiveSource, MockSource, Source};

use crate::config::Config;
use crate::home;

/// The application: what the operations and the domains share with their jobs.
#[derive(Debug)]
pub struct App {
    /// The database, which the operations need alone.
    pub pool: Arc<PgPool>,
    /// That of the managed service providers, where it is served.
    pub msp: Option<Arc<weirgate_msp::App>>,
}

impl App {
    /// The part of the operations.
    pub fn pool(&self) -> &Arc<PgPool> {
        &self.pool
    }

    /// The part of the managed service providers.
    ///
    /// # Panics
    /// Where they are not served: then there is no job of theirs that could ask for it.
    pub fn msp(&self) -> &Arc<weirgate_msp::App> {
        self.msp.as_ref().expect("made where the domain is served")
    }
}

/// What the settings alone decide; made first, so that a wrong one stops the start before a
/// database does.
pub(crate) struct Parts {
    /// Of the managed service providers, where these are served.
    source: Option<Arc<dyn Source>>,
    exports: Arc<dyn ObjectStore>,
}

impl Parts {
    /// # Errors
    /// When a folder cannot be used, or the object store's URL or the accounts at the source
    /// systems are wrong.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let source = config.serves(weirgate_msp::NAME).then(|| source(config)).transpose()?;
        Ok(Self { source, exports: export_store(config)? })
    }

    /// Where exports lie.
    pub(crate) fn exports(&self) -> Arc<dyn ObjectStore> {
        self.exports.clone()
    }

    /// The application that handlers share.
    pub(crate) fn with(self, pool: PgPool) -> Arc<App> {
        let Self { source, exports } = self;
        let msp = source.map(|source| Arc::new(weirgate_msp::App { pool: pool.clone(), source, exports }));
        Arc::new(App { pool: Arc::new(pool), msp })
    }
}

fn source(config: &Config) -> anyhow::Result<Arc<dyn Source>> {
    if !config.mock_mode {
        let Some(path) = &config.sources else {
            bail!(
                "WEIRGATE_SOURCES: is not set; with MOCK_MODE=false it is the path of a JSON file with the accounts at \
                 the source systems (see docs/sources.md)"
            );
        };
        return Ok(Arc::new(LiveSource::load(path).context("WEIRGATE_SOURCES")?));
    }
    let path = &config.mock_data_path;
    if !path.is_dir() {
        bail!(
            "MOCK_DATA_PATH: {} is not a folder; create one with `weirgate mock-data --out DIR`",
            path.display()
        );
    }
    Ok(Arc::new(MockSource { path: path.clone() }))
}

/// Where exports lie.
///
/// # Errors
/// When the folder cannot be made or the URL is wrong.
pub(crate) fn export_store(config: &Config) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let Some(url) = &config.export_url else {
        home::require(config)?;
        return Ok(Arc::new(LocalFileSystem::new_with_prefix(home::exports(&config.home)?)?));
    };
    if cfg!(not(feature = "cloud-storage")) && url.scheme() != "file" {
        bail!(
            "WEIRGATE_EXPORT_URL: this build stores exports in folders only, such as file:///srv/exports; for {}: build it with \
             `--features cloud-storage` or `--features full`, as images are",
            url.scheme()
        );
    }
    provide_tls();
    // Credentials come from the environment, under the names that each cloud's own tools use.
    let (store, path) = object_store::parse_url_opts(url, std::env::vars()).context("WEIRGATE_EXPORT_URL")?;
    Ok(Arc::new(PrefixStore::new(store, path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(pairs: &[(&str, &str)]) -> anyhow::Result<String> {
        let get = |name: &str| pairs.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        source(&Config::read(&get)?).map(|it| it.describe())
    }

    #[test]
    fn a_build_without_the_stores_of_clouds_says_so() {
        let config =
            Config::read(&|name| (name == "WEIRGATE_EXPORT_URL").then(|| "s3://bucket/exports".to_owned()));
        let error =
            export_store(&config.unwrap()).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert_eq!(
            error.contains("`--features cloud-storage`"),
            cfg!(not(feature = "cloud-storage")),
            "{error}"
        );
    }

    #[test]
    fn real_sources_need_their_accounts() {
        let error = started(&[("MOCK_MODE", "false")]).unwrap_err().to_string();
        assert!(error.starts_with("WEIRGATE_SOURCES: is not set") && error.contains("JSON file"), "{error}");
        let error = started(&[("MOCK_MODE", "false"), ("WEIRGATE_SOURCES", "/nowhere.json")]).unwrap_err();
        assert!(
            format!("{error:#}").starts_with("WEIRGATE_SOURCES: /nowhere.json: cannot be read"),
            "{error:#}"
        );
    }
}
