//! MSP analytics over HTTP: its jobs are asked for under `/internal`, what they made is read under
//! both surfaces. Nothing here imports the service.

mod internal;
mod openapi;
pub(crate) mod v1;

use axum::Extension;
use axum::extract::FromRef;
use axum::middleware::from_fn;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weirgate_jobs::GenerateExport;
use weirgate_queue::Job;
use weirgate_web::Web;
use weirgate_web::accept;
use weirgate_web::client_address::TrustedProxies;
use weirgate_web::extract::AlsoNamed;
use weirgate_web::presentation::{JobPresentation, OutputLink};
use weirgate_web::reads::Reads;

pub(crate) use v1::exports::ExportFiles;

/// What tenants are told of failures with the codes of this domain.
const TEXTS: [(&str, &str); 8] = [
    (
        "all_rows_rejected",
        "The source had data, and none of it could be taken in. The operators can see why.",
    ),
    ("ingest_lost", "What was taken in before is no longer known for certain; the source is read again."),
    ("ingest_overtaken", "A newer ingest of the same data has begun, and takes in what this one had left."),
    ("source_refused", "The source system refuses to hand out the data, or may not be asked for it."),
    ("source_throttled", "The source system has asked to be called less often for a whole day."),
    ("source_unreadable", "The data of the source system cannot be read now."),
    ("unknown_time_zone", "The time zone of the tenant is not known, so that its days are not either."),
    ("upstream_unavailable", "A system that the job depends on does not answer now."),
];

/// An export's job leads to its file.
const DOWNLOAD: OutputLink = OutputLink {
    kind: GenerateExport::KIND,
    id: "export_id",
    link: "download_url",
    path: "/exports/{id}/download",
};

/// What the paths of this domain name.
const NAMED: AlsoNamed = AlsoNamed(&[
    ("exports", "unknown_export", "Unknown export"),
    ("tickets", "unknown_ticket", "Unknown ticket"),
]);

/// How the jobs of this domain are shown.
pub(crate) fn presentation() -> JobPresentation {
    JobPresentation::default().with_texts(&TEXTS).with_link(DOWNLOAD)
}

/// Its routes under `/internal`.
pub(crate) fn internal<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Web: FromRef<S>,
    Reads: FromRef<S>,
    TrustedProxies: FromRef<S>,
    ExportFiles: FromRef<S>,
{
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(internal::ingest::ingest_dataset))
        .routes(routes!(internal::kpi::compute_daily_kpi))
        .routes(routes!(internal::exports::generate_export))
        .routes(routes!(internal::pipelines::run_daily_pipeline))
        .routes(routes!(internal::rejects::list_rejects))
        .route_layer(from_fn(accept::refuse_csv))
        // Tables, and files of either kind.
        .routes(routes!(internal::results::list_daily_kpis))
        .routes(routes!(internal::results::download_export))
        .route_layer(Extension(NAMED))
}

/// Its routes under `/v1`.
pub(crate) fn v1<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Web: FromRef<S>,
    Reads: FromRef<S>,
    ExportFiles: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(v1::tickets::get_ticket))
        .routes(routes!(v1::ticket_summary::get_ticket_summary))
        .routes(routes!(v1::exports::get_export))
        .route_layer(from_fn(accept::refuse_csv))
        // Tables, and files of either kind.
        .routes(routes!(v1::kpis::list_daily_kpis))
        .routes(routes!(v1::tickets::list_tickets))
        .routes(routes!(v1::time_entries::list_time_entries))
        .routes(routes!(v1::csat::list_csat))
        .routes(routes!(v1::security_alerts::list_security_alerts))
        .routes(routes!(v1::exports::list_exports))
        .routes(routes!(v1::exports::download_export))
        .route_layer(Extension(NAMED))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The codes that the sources under `folder` name, as literals after one of these beginnings.
    fn codes(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                codes(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs" || it == "sql") {
                let text = std::fs::read_to_string(&path).unwrap();
                let is_code = |line: &&str| !line.trim_start().starts_with("//");
                let text = text.lines().filter(is_code).collect::<Vec<_>>().join("\n");
                for (start, end) in [
                    ("JobError::discard(", '"'),
                    ("JobError::failed(", '"'),
                    ("Err(JobError::Discard { code: ", '"'),
                    ("code: ", '"'),
                    ("'code', ", '\''),
                ] {
                    let literals = text.split(start).skip(1).filter_map(|rest| {
                        rest.trim_start().strip_prefix(end).and_then(|rest| rest.split_once(end))
                    });
                    found.extend(literals.map(|(code, _)| code.to_owned()));
                }
            }
        }
    }

    #[test]
    fn every_code_that_the_program_fails_with_has_a_text() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = BTreeSet::new();
        for folder in ["queue/src", "identity/src", "jobs"] {
            codes(&root.join(folder), &mut found);
        }
        assert!(found.contains("worker_lost") && found.contains("source_refused"), "{found:?}");
        let presentation = presentation();
        let without: Vec<_> = found.iter().filter(|code| !presentation.has_text(code)).collect();
        assert!(without.is_empty(), "no text for {without:?}");
    }
}
