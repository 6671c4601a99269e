//! What many operations of the `OpenAPI` document answer, and the parts that it is written with.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{Content, Ref, RefOr};

/// A header that is a text.
pub fn text_header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}

/// `Retry-After`.
pub fn retry_after() -> Header {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    HeaderBuilder::new().schema(Some(seconds)).description(Some("Whole seconds")).build()
}

fn job(description: &str) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .content("application/json", Content::new(Some(Ref::from_schema_name("Job"))))
}

type Responses = BTreeMap<String, RefOr<Response>>;

/// What an enqueueing request answers when it is accepted.
#[derive(Debug)]
pub struct JobAccepted;

impl IntoResponses for JobAccepted {
    fn responses() -> Responses {
        let accepted = |description| {
            job(description)
                .header("Location", text_header("The job's URL"))
                .header(
                    "Job-Duplicate",
                    text_header("true when the same job was enqueued already; the answer is that job"),
                )
                .header("Idempotency-Replayed", text_header("true when the Idempotency-Key was used before"))
                .header("Preference-Applied", text_header("The wait that was applied"))
        };
        let enqueued =
            accepted("The job is enqueued, or it was already").header("Retry-After", retry_after());
        let ended =
            accepted("The job is final already: after `Prefer: wait`, or under a repeated Idempotency-Key");
        BTreeMap::from([("202".to_owned(), enqueued.into()), ("200".to_owned(), ended.into())])
    }
}

/// What a poll answers.
#[derive(Debug)]
pub struct JobPolled;

impl IntoResponses for JobPolled {
    fn responses() -> Responses {
        let found = job("The job")
            .header("ETag", text_header("Only once final"))
            .header("Retry-After", retry_after());
        let same = ResponseBuilder::new().description("If-None-Match names the ETag of the final job");
        BTreeMap::from([("200".to_owned(), found.into()), ("304".to_owned(), same.into())])
    }
}

/// What a stream answers.
#[derive(Debug)]
pub struct JobEvents;

impl IntoResponses for JobEvents {
    fn responses() -> Responses {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let stream = ResponseBuilder::new()
            .description("Server-sent events `job`; the data of each is a Job")
            .content("text/event-stream", Content::new(Some(Schema::from(text.build()))));
        BTreeMap::from([("200".to_owned(), stream.into())])
    }
}

/// A day or an instant.
pub fn date_or_time() -> Schema {
    let text = |format| {
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)))
    };
    OneOfBuilder::new().item(text(KnownFormat::Date)).item(text(KnownFormat::DateTime)).build().into()
}
