//! What the handlers' annotations do not say because it holds for all operations of a surface.

mod lines;

use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{ArrayItems, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required};

use crate::openapi::{retry_after, text_header};
use crate::scoped::{operations, scope_of};

pub use lines::join as join_lines;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Pages of a resource name it, rather than have all of it once more.
fn name_items(openapi: &mut OpenApi) {
    let Some(components) = &mut openapi.components else { return };
    for (name, schema) in &mut components.schemas {
        if let Some(item) = name.strip_prefix("Page_")
            && let RefOr::T(Schema::Object(page)) = schema
            && let Some(RefOr::T(Schema::Array(items))) = page.properties.get_mut("items")
        {
            items.items = ArrayItems::RefOrSchema(Box::new(Ref::from_schema_name(item).into()));
        }
    }
}

/// Adds what every operation of a surface shares: who may call it and how it fails.
pub fn complete(openapi: &mut OpenApi) {
    name_items(openapi);
    for (path, item) in &mut openapi.paths.paths {
        let is_service = path.starts_with("/internal/");
        let is_sign_in = path.starts_with("/oauth/") || path.starts_with("/api/v1/auth/");
        if let Some(operation) = item.post.as_mut().filter(|_| !is_sign_in) {
            describe_repeats(operation);
        }
        for operation in operations(item) {
            if is_service {
                operation.security = Some(vec![SecurityRequirement::new("service_token", [""; 0])]);
            }
            describe_failures(operation, path.contains('{'));
        }
    }
}

/// A POST is done once under a key.
fn describe_repeats(operation: &mut Operation) {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let key = text.pattern(Some("^[!-~]{1,255}$")).min_length(Some(1)).max_length(Some(255)).build();
    let parameters = operation.parameters.get_or_insert_default();
    let is_key =
        |it: &RefOr<Parameter>| matches!(it, RefOr::T(parameter) if parameter.name == IDEMPOTENCY_KEY);
    if !parameters.iter().any(is_key) {
        let description = "A request of the same caller with the same key is done once within 24 hours; a repeat shows the current state";
        let parameter = ParameterBuilder::new()
            .name(IDEMPOTENCY_KEY)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(key))
            .build();
        parameters.push(RefOr::T(parameter));
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with('2')
        {
            let replayed = text_header("true when the Idempotency-Key was used before");
            response.headers.entry("Idempotency-Replayed".to_owned()).or_insert(RefOr::T(replayed));
        }
    }
    let reused = Response::new("validation_failed, idempotency_key_reused");
    operation.responses.responses.entry("422".to_owned()).or_insert(reused.into());
}

fn describe_failures(operation: &mut Operation, names_something: bool) {
    let mut failures = vec![
        (500, "internal_error"),
        (503, "database_unavailable, database_full, timed_out, query_timed_out, too_many_connections"),
    ];
    let scope =
        scope_of(operation).map(|scope| format!("insufficient_scope: the credential does not have {scope}"));
    if operation.security.is_some() {
        failures.extend([
            (401, "unauthorized: the credential is missing or wrong"),
            (422, "validation_failed: `errors` lists all that is wrong"),
            (429, "rate_limited, too_many_at_once"),
            (414, "The address is longer than 64 KiB; there is no body"),
        ]);
        if !is_table(operation) {
            failures.push((406, "not_acceptable: only text/csv is accepted"));
        }
    }
    if names_something {
        failures.push((404, "unknown_…, not_found: there is nothing with that name"));
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        if body.content.values().any(is_optional) {
            body.required = Some(Required::False);
        }
        failures.extend([
            (400, "malformed_json, unreadable_body"),
            (408, "body_timed_out"),
            (413, "payload_too_large: over 1 MiB"),
            (415, "unsupported_media_type: a body that is not application/json"),
            (422, "validation_failed: `errors` lists all that is wrong"),
        ]);
        if operation.tags.iter().flatten().any(|tag| tag == "Enqueue") {
            failures.extend([
                (404, "unknown_tenant"),
                (409, "tenant_inactive"),
                (422, "validation_failed, idempotency_key_reused"),
            ]);
        }
    }
    let responses = &mut operation.responses.responses;
    if let Some(description) = scope {
        responses.entry("403".to_owned()).or_insert_with(|| Response::new(description).into());
    }
    for (status, description) in failures {
        responses.entry(status.to_string()).or_insert_with(|| Response::new(description).into());
    }
    for (status, response) in responses {
        if let RefOr::T(response) = response {
            describe_response(status, response);
        }
    }
}

/// Whether it is also answered as CSV.
fn is_table(operation: &Operation) -> bool {
    let ok = operation.responses.responses.get("200");
    matches!(ok, Some(RefOr::T(response)) if response.content.contains_key("text/csv"))
}

/// Whether the body holds nothing that is needed, so that it may be left out.
fn is_optional(content: &RefOr<Content>) -> bool {
    let RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) = content else { return false };
    ["/EnqueueOptions", "/RunSchedule"].iter().any(|name| schema.ref_location.ends_with(name))
}

fn describe_response(status: &str, response: &mut Response) {
    let mut header = |name: &str, header: Header| {
        response.headers.entry(name.to_owned()).or_insert(RefOr::T(header));
    };
    header("X-Request-Id", text_header("The caller's, or a generated one"));
    match status {
        "401" => header("WWW-Authenticate", text_header("The expected credential")),
        "403" => header("WWW-Authenticate", text_header("The scope that is needed")),
        "429" | "503" => header("Retry-After", retry_after()),
        _ => {}
    }
    if status.starts_with(['4', '5']) && status != "414" && response.content.is_empty() {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        response.content.insert("application/problem+json".to_owned(), RefOr::T(content));
    }
}
