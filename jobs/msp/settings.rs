//! What this domain is made of: where its rows come from, and where its exports go.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use url::Url;
use weirgate_web::parts::Parts;
use weirgate_web::tls::provide_tls;

use crate::http::ExportFiles;
use crate::sources::{LiveSource, MockSource, Source};

/// Where rows come from, as settings have it.
#[derive(Debug, Clone)]
pub enum SourceSettings {
    /// From files in this folder.
    Mock(PathBuf),
    /// From the source systems, by the accounts in this file.
    Live(Option<PathBuf>),
}

impl SourceSettings {
    /// What reads rows.
    ///
    /// # Errors
    /// When the folder is not there, or the accounts are wrong.
    pub fn open(&self) -> anyhow::Result<Arc<dyn Source>> {
        match self {
            Self::Live(None) => bail!(
                "WEIRGATE_SOURCES: is not set; with MOCK_MODE=false it is the path of a JSON file with the accounts at \
                 the source systems (see docs/sources.md)"
            ),
            Self::Live(Some(path)) => Ok(Arc::new(LiveSource::load(path).context("WEIRGATE_SOURCES")?)),
            Self::Mock(path) if !path.is_dir() => bail!(
                "MOCK_DATA_PATH: {} is not a folder; create one with `weirgate mock-data --out DIR`",
                path.display()
            ),
            Self::Mock(path) => Ok(Arc::new(MockSource { path: path.clone() })),
        }
    }
}

/// The object store of a URL such as `s3://bucket/exports`. Credentials come from the environment,
/// under the names that each cloud's own tools use.
///
/// # Errors
/// When the URL is of no store that there is.
pub fn export_store(url: &Url) -> anyhow::Result<Arc<dyn ObjectStore>> {
    provide_tls();
    let (store, path) = object_store::parse_url_opts(url, std::env::vars()).context("WEIRGATE_EXPORT_URL")?;
    Ok(Arc::new(PrefixStore::new(store, path)))
}

/// What handlers need where exports lie in this store.
pub fn handler_parts(exports: Arc<dyn ObjectStore>) -> Parts {
    Parts::default().with(ExportFiles::new(exports))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_sources_need_their_accounts() {
        let error = SourceSettings::Live(None).open().err().unwrap().to_string();
        assert!(error.starts_with("WEIRGATE_SOURCES: is not set") && error.contains("JSON file"), "{error}");
        let error = SourceSettings::Live(Some("/nowhere.json".into())).open().err().unwrap();
        assert!(
            format!("{error:#}").starts_with("WEIRGATE_SOURCES: /nowhere.json: cannot be read"),
            "{error:#}"
        );
    }
}
