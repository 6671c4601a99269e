//! The `OpenAPI` document before the routes are added: what it is about, its tags and its named
//! schemas.

use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use weirgate_web::problem::ProblemBody;

use crate::http::internal::bulk::BulkCount;
use crate::http::internal::limits::LaneBody;
use crate::http::schemas;

const DESCRIPTION: &str = "Durable, multi-tenant jobs: `/internal` enqueues and follows them for every tenant, `/v1` \
shows one tenant its jobs and results.

Every answer carries `X-Request-Id`. Errors are `application/problem+json` (RFC 9457) with a stable `code`. Unknown \
query parameters and body fields are refused with 422; blank ones count as not given, equal values given twice as one, and numbers \
and booleans may be texts. Times are RFC 3339 in UTC. \
An `Idempotency-Key` is its caller's own: the same key of another caller is another request. Each operation under `/v1` needs the scope \
that its `security` names; a key without it is refused with 403 `insufficient_scope`. Lists page by cursor: follow `next` until it is null. Lists under `/v1` are CSV \
for `Accept: text/csv`. What a client needs of an answer's headers is in its body, too. A failed job is still a 200: look at `state`. Under `/v1`, `links.cancel` and `links.retry` are null.";

/// The document before the routes are added.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Weirgate", description = DESCRIPTION, license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    components(schemas(ProblemBody, BulkCount, LaneBody)),
    tags(
        (name = "Enqueue", description = "Enqueue jobs. Nothing else changes a tenant's data."),
        (name = "Jobs", description = "Follow and control jobs of every tenant"),
        (name = "Backfills", description = "Jobs for ranges of days, run behind live jobs"),
        (name = "Results", description = "What a tenant sees of its data and its jobs"),
        (name = "Sign-in", description = "People sign in, for every domain: by OAuth 2.1 with PKCE, or with a password"),
        (name = "Operation", description = "Tenants, queues, limits, workers, schedules, health")
    ),
    modifiers(&SecuritySchemes, &NamedSchemas)
)]
pub(crate) struct Document;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = |description: &str| {
            let scheme =
                HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
            SecurityScheme::Http(scheme)
        };
        let key = ApiKeyValue::with_description("X-API-Key", "A tenant's API key");
        components.add_security_scheme("service_token", bearer("The service's own token"));
        components.add_security_scheme("api_key", SecurityScheme::ApiKey(ApiKey::Header(key)));
        components.add_security_scheme("api_key_as_bearer", bearer("A tenant's API key"));
        components
            .add_security_scheme("access_token", bearer("An access token of a person, who has signed in"));
    }
}

struct NamedSchemas;

impl Modify for NamedSchemas {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.schemas.extend(
            weirgate_web::schemas::all()
                .into_iter()
                .chain(schemas::all())
                .map(|(name, schema)| (name.to_owned(), schema.into())),
        );
    }
}
