//! Routes below `/v1`, each of which asks for one scope: said once, where the route is listed.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use weirgate_identity::scopes::Scope;

use crate::auth::CallerTenant;
use crate::problem::Problem;

/// What the document calls the credentials of tenants.
const CREDENTIALS: [&str; 3] = ["api_key", "api_key_as_bearer", "access_token"];

/// These routes for callers with `scope` alone; others are refused with 403. The document says so
/// of each of their operations.
pub fn scoped<S: Clone + Send + Sync + 'static>(
    scope: Scope,
    (schemas, mut paths, methods): UtoipaMethodRouter<S>,
) -> UtoipaMethodRouter<S> {
    for operation in paths.paths.values_mut().flat_map(operations) {
        let any_of = CREDENTIALS.map(|name| SecurityRequirement::new(name, [scope.name]));
        operation.security = Some(any_of.into());
    }
    let check = move |tenant: CallerTenant, request: Request, next: Next| async move {
        if tenant.scopes.allow(&scope) {
            Ok(next.run(request).await)
        } else {
            Err(Problem::insufficient_scope(&scope, &tenant.scopes))
        }
    };
    (schemas, paths, methods.route_layer(from_fn(check)))
}

/// The same routes, of which each asks for a scope.
///
/// # Panics
/// When one does not, so that every credential of a tenant could use it.
#[must_use]
pub fn all_scoped<S: Clone + Send + Sync + 'static>(mut routes: OpenApiRouter<S>) -> OpenApiRouter<S> {
    let open = without_scope(routes.get_openapi_mut());
    assert!(open.is_empty(), "list these with scoped(…, routes!(…)): {}", open.join(", "));
    routes
}

fn without_scope(document: &mut OpenApi) -> Vec<&str> {
    let asks = |operation: &mut Operation| scope_of(operation).is_some();
    let paths = document.paths.paths.iter_mut();
    paths.filter_map(|(path, item)| (!operations(item).all(asks)).then_some(path.as_str())).collect()
}

/// The scope that an operation asks for, where it asks for one.
pub(crate) fn scope_of(operation: &Operation) -> Option<String> {
    let requirements = serde_json::to_value(operation.security.as_ref()?).ok()?;
    Some(requirements[0].as_object()?.values().next()?[0].as_str()?.to_owned())
}

/// The operations on a path.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    [get, post, put, patch, delete].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use utoipa_axum::routes;

    use super::*;

    const READ: Scope = Scope { name: "read:parcels", text: "Read parcels", by_default: true };

    #[utoipa::path(get, path = "/v1/parcels", responses((status = 200)))]
    async fn list_parcels() {}

    #[utoipa::path(get, path = "/v1/boxes", responses((status = 200)))]
    async fn list_boxes() {}

    #[test]
    fn scope_of_a_route_stands_in_the_document() {
        let routes = OpenApiRouter::<()>::new().routes(scoped(READ, routes!(list_parcels)));
        let (_, mut document) = all_scoped(routes).split_for_parts();
        let mut found = document.paths.paths.values_mut().flat_map(operations);
        assert_eq!(found.next().and_then(|it| scope_of(it)).as_deref(), Some("read:parcels"));
    }

    #[test]
    #[should_panic(expected = "list these with scoped(…, routes!(…)): /v1/boxes")]
    fn route_without_a_scope_is_refused() {
        let routes = OpenApiRouter::<()>::new().routes(scoped(READ, routes!(list_parcels)));
        drop(all_scoped(routes.routes(routes!(list_boxes))));
    }
}
