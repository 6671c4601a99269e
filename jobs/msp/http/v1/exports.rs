//! `/v1/exports`: the files, and what is in the database about them.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDate, Utc};
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_web::Web;
use weirgate_web::accept::{Accepted, no_csv};
use weirgate_web::auth::CallerTenant;
use weirgate_web::context::RequestContext;
use weirgate_web::extract::Path;
use weirgate_web::follow::none_match;
use weirgate_web::page::{Page, Paging};
use weirgate_web::params::Query;
use weirgate_web::parts::Part;
use weirgate_web::permits::Permit;
use weirgate_web::problem::Problem;
use weirgate_web::reads::Reads;
use weirgate_web::table::{Listing, Row};

use crate::http::openapi::{ExportFile, export_format};
use crate::http::v1::expected_file::{Expected, FileError};
use crate::http::v1::export_file;
use crate::http::v1::verifications::Verifications;

/// An exported file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportResource {
    id: Uuid,
    /// The day it is about.
    date: NaiveDate,
    #[schema(schema_with = export_format)]
    format: String,
    /// Its size.
    bytes: i64,
    /// Of its content, hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
    /// The job that wrote it.
    job_id: Uuid,
    /// When it was last written.
    created_at: DateTime<Utc>,
    /// Where its content is.
    #[schema(format = "uri")]
    download_url: String,
}

impl Row for ExportResource {
    const COLUMNS: &'static [&'static str] =
        &["id", "date", "format", "bytes", "sha256", "job_id", "created_at", "download_url"];
}

struct Export {
    id: Uuid,
    export_date: NaiveDate,
    format: String,
    object_path: String,
    bytes: i64,
    sha256: String,
    job_id: Uuid,
    created_at: DateTime<Utc>,
}

impl Export {
    fn resource(self, context: &RequestContext) -> ExportResource {
        ExportResource {
            download_url: context.url(&format!("/v1/exports/{}/download", self.id)),
            id: self.id,
            date: self.export_date,
            format: self.format,
            bytes: self.bytes,
            sha256: self.sha256,
            job_id: self.job_id,
            created_at: self.created_at,
        }
    }
}

/// Lists the tenant's exports, the newest day first.
#[utoipa::path(
    get, path = "/v1/exports", tag = "Results", params(Listing::<Paging<(NaiveDate, String)>>),
    responses((
        status = 200, description = "A page of exports",
        content((Page<ExportResource> = "application/json"), (String = "text/csv"))
    ))
)]
pub(crate) async fn list_exports(
    State(reads): State<Reads>,
    tenant: CallerTenant,
    context: RequestContext,
    Listing { query: paging, form }: Listing<Paging<(NaiveDate, String)>>,
) -> Result<Response, Problem> {
    let mut tx = reads.under_tenant(tenant.id).await?;
    let (after_day, after_format) = paging.after.clone().unzip();
    let rows = sqlx::query_as!(
        Export,
        "select id, export_date, format, object_path, bytes, sha256, job_id, created_at from msp.exports
         where $1::date is null or (export_date, format) < ($1, $2::text)
         order by export_date desc, format desc limit $3",
        after_day,
        after_format,
        paging.rows()
    )
    .fetch_all(tx.conn())
    .await?;
    let page = paging.page(rows, &context, |row| (row.export_date, row.format.clone()));
    form.answer(page.map(|row| row.resource(&context)), &format!("{}_exports", tenant.slug))
}

/// Shows an export.
#[utoipa::path(
    get, path = "/v1/exports/{id}", tag = "Results",
    params(("id" = Uuid, Path, description = "The export")),
    responses((status = 200, description = "The export", body = ExportResource))
)]
pub(crate) async fn get_export(
    State(reads): State<Reads>,
    tenant: CallerTenant,
    context: RequestContext,
    Path(id): Path<Uuid>,
    Query(()): Query<()>,
) -> Result<Json<ExportResource>, Problem> {
    Ok(Json(Reader { tenant, is_service: false }.find(&reads, id).await?.resource(&context)))
}

/// Streams the file of an export, after its SHA-256 was found to be the one that was stored.
///
/// A file that takes so long to read that the answer is 503 `timed_out` is read to its end all the
/// same; ask again some seconds later. `HEAD` tells what was exported, without a look at the file.
#[utoipa::path(
    get, path = "/v1/exports/{id}/download", tag = "Results",
    params(("id" = Uuid, Path, description = "The export")),
    responses(ExportFile)
)]
pub(crate) async fn download_export(
    State(web): State<Web>,
    Part(files): Part<ExportFiles>,
    tenant: CallerTenant,
    Path(id): Path<Uuid>,
    Query(()): Query<()>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Reader { tenant, is_service: false }.download(&web, &files, id, (&method, &headers)).await
}

/// Where exports are, and which of them were found to be what was exported. Cheap to clone.
#[derive(Clone)]
pub struct ExportFiles {
    store: Arc<dyn ObjectStore>,
    verifications: Verifications,
}

impl ExportFiles {
    /// No file was looked at so far.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, verifications: Verifications::new() }
    }
}

/// Who reads a tenant's exports: the tenant itself, or the service.
pub(crate) struct Reader {
    pub(crate) tenant: CallerTenant,
    pub(crate) is_service: bool,
}

impl Reader {
    /// The answer to a request for the file of an export.
    pub(crate) async fn download(
        &self,
        web: &Web,
        files: &ExportFiles,
        id: Uuid,
        (method, headers): (&Method, &HeaderMap),
    ) -> Result<Response, Problem> {
        let row = self.find(&web.reads, id).await?;
        if row.format != "csv" && Accepted::of(headers).only_csv() {
            return Err(no_csv("this export was written as JSON"));
        }
        let etag = etag(&row)?;
        if none_match(headers, &etag) {
            return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
        }
        // Who asks for the head alone is told what was exported; the file is not read.
        if method == Method::HEAD {
            return Ok((head(&self.tenant, &row)?, Body::empty()).into_response());
        }
        let permit = Arc::new(web.permits.of_download(self.tenant.id, self.is_service).await?);
        let (row, file) = self.open((&web.reads, files), row, &permit).await?;
        Ok((head(&self.tenant, &row)?, file).into_response())
    }

    /// The file of an export, and the export as it was when its file was opened: it may be written
    /// anew at any time, to another place.
    async fn open(
        &self,
        (reads, files): (&Reads, &ExportFiles),
        mut row: Export,
        permit: &Arc<Permit>,
    ) -> Result<(Export, Body), Problem> {
        let mut found = open_file(files, &row, permit).await;
        if found.is_err() {
            let now = self.find(reads, row.id).await?;
            if now.object_path != row.object_path {
                found = open_file(files, &now, permit).await;
                row = now;
            }
        }
        match found {
            Ok(file) => Ok((row, file)),
            Err(FileError::Gone) => Err(unknown_export(row.id)),
            Err(error @ FileError::Changed(_)) => {
                tracing::error!(%error, path = row.object_path, export.id = %row.id, tenant.id = %self.tenant.id, "not sent");
                let detail = format!(
                    "the stored file of the export {} is not the one that was exported, so that it is not handed out; have the \
                     day exported again",
                    row.id
                );
                Err(Problem::new(StatusCode::GONE, "export_changed", "Export changed", detail))
            }
            Err(error @ (FileError::Store(_) | FileError::Broken)) => {
                tracing::error!(%error, path = row.object_path, "could not read an export");
                let detail = "the store of the files cannot answer now; try again";
                Err(Problem::unavailable("export_store_unavailable", "Export store unavailable", detail))
            }
        }
    }

    async fn find(&self, reads: &Reads, id: Uuid) -> Result<Export, Problem> {
        let mut tx = if self.is_service {
            reads.of_service_under(self.tenant.id).await?
        } else {
            reads.under_tenant(self.tenant.id).await?
        };
        let row = sqlx::query_as!(
            Export,
            "select id, export_date, format, object_path, bytes, sha256, job_id, created_at from msp.exports where id = $1",
            id
        )
        .fetch_optional(tx.conn())
        .await?;
        row.ok_or_else(|| unknown_export(id))
    }
}

/// What is told of a file before its content.
fn head(tenant: &CallerTenant, row: &Export) -> Result<[(HeaderName, HeaderValue); 4], Problem> {
    let content_type = if row.format == "csv" { "text/csv; charset=utf-8" } else { "application/json" };
    let name = format!("attachment; filename=\"{}_{}.{}\"", tenant.slug, row.export_date, row.format);
    let name = HeaderValue::try_from(name).map_err(|_| Problem::internal())?;
    Ok([
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_DISPOSITION, name),
        (CONTENT_LENGTH, row.bytes.into()),
        (ETAG, etag(row)?),
    ])
}

async fn open_file(files: &ExportFiles, row: &Export, permit: &Arc<Permit>) -> Result<Body, FileError> {
    let path = ObjectPath::from(row.object_path.as_str());
    let expected = Expected { path, bytes: row.bytes.unsigned_abs(), sha256: row.sha256.clone() };
    export_file::open(&files.store, &files.verifications, expected, permit).await
}

fn etag(row: &Export) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(format!("\"{}\"", row.sha256)).map_err(|_| Problem::internal())
}

pub(crate) fn unknown_export(id: Uuid) -> Problem {
    Problem::not_found("unknown_export", "Unknown export", format!("no export {id}"))
}
