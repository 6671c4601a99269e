//! Schemas of the `OpenAPI` document that have a name of their own, so that generated clients have
//! one type for each: texts that are one of a few.

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use weirgate_identity::scopes::Scope;
use weirgate_queue::backfill::BackfillState;
use weirgate_web::backfill::BackfillKind;
use weirgate_web::schemas::one_of;

/// All of them that the operations have more, by name.
pub(crate) fn all() -> Vec<(&'static str, Schema)> {
    let reprocess = "Which days: missing (without a result from after their end; when left out), failed (discarded, \
        without a result since), or all. Days that have not begun are skipped";
    let action = "`retry` runs discarded and cancelled jobs again, `cancel` ends jobs that are not final, `delete` \
        deletes final jobs that no other job waits for";
    vec![
        ("BulkAction", one_of(["retry", "cancel", "delete"], action)),
        (
            "BackfillOrder",
            one_of(
                ["newest_first", "oldest_first"],
                "Which end of the range comes first; newest_first when left out",
            ),
        ),
        ("BackfillReprocess", one_of(["missing", "failed", "all"], reprocess)),
        (
            "BackfillState",
            one_of(
                BackfillState::ALL.map(BackfillState::as_str),
                "completed, completed_with_failures and cancelled are final",
            ),
        ),
        ("BackfillTenants", tenants()),
    ]
}

/// The kinds of backfills that are served; any text where none is.
pub(crate) fn kinds_of_backfills(kinds: &[BackfillKind]) -> (&'static str, Schema) {
    let names = (!kinds.is_empty()).then(|| kinds.iter().map(|kind| kind.name));
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(names)
        .description(Some("What is done for each tenant and day"));
    ("BackfillKind", schema.build().into())
}

/// The scopes that the domains bring which are served.
pub(crate) fn scopes(scopes: &[Scope]) -> (&'static str, Schema) {
    let told = scopes.iter().map(|scope| format!("- `{}`: {}", scope.name, scope.text));
    let told: Vec<String> =
        ["What an API key may be used for:".to_owned(), String::new()].into_iter().chain(told).collect();
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(scopes.iter().map(|scope| scope.name)))
        .description(Some(told.join("\n")));
    ("Scope", schema.build().into())
}

/// What a new API key may be used for.
pub(crate) fn scopes_of_new_key() -> Schema {
    let description =
        "What it may be used for, at least one; the default ones of `/internal/scopes` when left out";
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(RefOr::Ref(scope()))
        .min_items(Some(1))
        .description(Some(description))
        .build()
        .into()
}

macro_rules! named {
    ($($function:ident $name:literal),*) => {
        $(pub(crate) fn $function() -> Ref {
            Ref::from_schema_name($name)
        })*
    };
}

named!(
    bulk_action "BulkAction", backfill_kind "BackfillKind",
    backfill_order "BackfillOrder", backfill_reprocess "BackfillReprocess", backfill_state "BackfillState",
    backfill_tenants "BackfillTenants", scope "Scope"
);

fn tenants() -> Schema {
    let name = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]{1,64}$"));
    let names = ArrayBuilder::new()
        .items(RefOr::T(Schema::from(name.build())))
        .min_items(Some(1))
        .max_items(Some(1000));
    OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["all"])))
        .item(names)
        .description(Some("\"all\" active ones, or their slugs or UUIDs"))
        .build()
        .into()
}
