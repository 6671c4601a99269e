//! Schemas of the `OpenAPI` document that have a name of their own, so that generated clients have
//! one type for each: texts that are one of a few.

use utoipa::openapi::Ref;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use weirgate_queue::JobState;

/// All of them that are of no domain, by name.
pub fn all() -> Vec<(&'static str, Schema)> {
    vec![(
        "JobState",
        one_of(JobState::ALL.map(JobState::as_str), "completed, cancelled and discarded are final"),
    )]
}

/// The state of a job.
pub fn job_state() -> Ref {
    Ref::from_schema_name("JobState")
}

/// A text that is one of these.
pub fn one_of<const N: usize>(names: [&'static str; N], description: &str) -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .description(Some(description))
        .build()
        .into()
}
