//! What a domain answers over HTTP.

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

/// The routes of a domain over the state `S` of a service, by who may call them.
pub struct DomainRoutes<S> {
    /// Those below `/internal`, for callers with the service's token.
    pub internal: fn() -> OpenApiRouter<S>,
    /// Those below `/v1`, for tenants with their API keys.
    pub v1: fn() -> OpenApiRouter<S>,
    /// Its pages below `/dashboard`, for people who are signed in.
    pub pages: fn() -> Router<S>,
}

impl<S: Clone + Send + Sync + 'static> Default for DomainRoutes<S> {
    fn default() -> Self {
        Self { internal: OpenApiRouter::new, v1: OpenApiRouter::new, pages: Router::new }
    }
}

impl<S> Clone for DomainRoutes<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for DomainRoutes<S> {}
