//! What the domain of managed service providers is made of in this program.

use std::sync::Arc;

use anyhow::bail;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use sqlx::PgPool;
use weirgate_msp::{SourceSettings, export_store, handler_parts};
use weirgate_web::parts::Parts;

use super::made::{Install, Registration};
use crate::app::App;
use crate::config::Config;
use crate::home;

pub(super) use weirgate_msp::NAME;

pub(super) fn registration() -> Registration {
    Registration { domain: weirgate_msp::domain().within(App::part), handlers, jobs }
}

fn handlers(config: &Config) -> anyhow::Result<Parts> {
    Ok(handler_parts(exports(config)?))
}

fn jobs(config: &Config) -> anyhow::Result<(Parts, Install)> {
    let source = if config.mock_mode {
        SourceSettings::Mock(config.mock_data_path.clone())
    } else {
        SourceSettings::Live(config.sources.clone())
    };
    let (source, exports) = (source.open()?, exports(config)?);
    let handlers = handler_parts(exports.clone());
    Ok((
        handlers,
        Box::new(|app| {
            let pool = PgPool::clone(app.pool());
            app.with(Arc::new(weirgate_msp::App { pool, source, exports }))
        }),
    ))
}

/// Where exports lie: a folder in the home, where no other place is named.
fn exports(config: &Config) -> anyhow::Result<Arc<dyn ObjectStore>> {
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
    export_store(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_the_stores_of_clouds_says_so() {
        let config =
            Config::read(&|name| (name == "WEIRGATE_EXPORT_URL").then(|| "s3://bucket/exports".to_owned()));
        let error = exports(&config.unwrap()).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert_eq!(
            error.contains("`--features cloud-storage`"),
            cfg!(not(feature = "cloud-storage")),
            "{error}"
        );
    }
}
