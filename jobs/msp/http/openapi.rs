//! What the operations of this domain have in common in the `OpenAPI` document.

use std::collections::BTreeMap;

use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr};
use utoipa::{IntoResponses, Modify};
use weirgate_web::openapi::text_header;
use weirgate_web::schemas::one_of;

use crate::http::internal::ingest::Dataset;

const EXPORT_FORMAT: &str = "ExportFormat";

/// Schemas that no answer has of itself.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(Dataset)), modifiers(&NamedSchemas))]
pub(crate) struct Document;

struct NamedSchemas;

impl Modify for NamedSchemas {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let format = one_of(["json", "csv"], "How it is written");
        components.schemas.insert(EXPORT_FORMAT.to_owned(), format.into());
    }
}

/// How an export is written.
pub(crate) fn export_format() -> Ref {
    Ref::from_schema_name(EXPORT_FORMAT)
}

/// What a download of an export answers.
#[derive(Debug)]
pub(crate) struct ExportFile;

impl IntoResponses for ExportFile {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let text = Schema::from(ObjectBuilder::new().schema_type(Type::String).build());
        let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        // Clients that know one kind of content take the first: a text is whatever the file is.
        let file = ResponseBuilder::new()
            .description("The file, as it was written: CSV or JSON")
            .content("text/csv", Content::new(Some(text)))
            .content("application/json", Content::new(Some(Schema::from(any.build()))))
            .header("ETag", text_header("Its SHA-256"))
            .header("Content-Disposition", text_header("Its name"));
        let other = |description: &str| Response::new(description);
        BTreeMap::from([
            ("200".to_owned(), file.into()),
            ("304".to_owned(), other("If-None-Match names its ETag").into()),
            ("406".to_owned(), other("not_acceptable: the export was written as JSON").into()),
            (
                "410".to_owned(),
                other("export_changed: the stored file is not the one that was exported").into(),
            ),
        ])
    }
}
