//! Puts the application together from the settings: sources, export store, jobs.

use std::sync::Arc;

use anyhow::{Context, bail};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use sqlx::PgPool;
use weirgate_jobs::App;
use weirgate_jobs::sources::{MockSource, Source};

use crate::config::Config;

/// The application that handlers and HTTP share.
///
/// # Errors
/// When a folder cannot be used or the object store's URL is wrong.
pub(crate) fn build(config: &Config, pool: PgPool) -> anyhow::Result<Arc<App>> {
    Ok(Arc::new(App { pool, source: source(config)?, exports: export_store(config)? }))
}

fn source(config: &Config) -> anyhow::Result<Arc<dyn Source>> {
    if !config.mock_mode {
        bail!(
            "MOCK_MODE: false needs connectors to the source systems, which this version does not have; set it to true"
        );
    }
    let path = &config.mock_data_path;
    if !path.is_dir() {
        bail!("MOCK_DATA_PATH: {} is not a folder; `weirgate mock-data --out DIR` makes one", path.display());
    }
    Ok(Arc::new(MockSource { path: path.clone() }))
}

fn export_store(config: &Config) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let Some(url) = &config.export_url else {
        let folder = config.home.join("exports");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("making the folder for exports, {}", folder.display()))?;
        return Ok(Arc::new(LocalFileSystem::new_with_prefix(&folder)?));
    };
    // Credentials come from the environment, under the names that each cloud's own tools use.
    let (store, path) = object_store::parse_url_opts(url, std::env::vars()).context("WEIRGATE_EXPORT_URL")?;
    Ok(Arc::new(PrefixStore::new(store, path)))
}
