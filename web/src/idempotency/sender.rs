//! Whose an `Idempotency-Key` is.

use std::fmt;

use axum::http::Extensions;
use uuid::Uuid;

use crate::problem::Problem;

/// Who sends a request, as far as its `Idempotency-Key` goes: each sender has keys of its own. What
/// lets a request through notes it in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The service, with either of its tokens.
    Service,
    /// A tenant, with the API key of this id.
    ApiKey(Uuid),
    /// Somebody with an account, who acts for a tenant.
    Account {
        /// The account.
        id: Uuid,
        /// The tenant.
        tenant: Uuid,
    },
}

impl Sender {
    /// The sender of a request that was let through.
    pub(super) fn of(extensions: &Extensions) -> Result<Self, Problem> {
        extensions.get().copied().ok_or_else(|| {
            tracing::error!("a request with an Idempotency-Key has no sender");
            Problem::internal()
        })
    }
}

/// As it is stored.
impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("service"),
            Self::ApiKey(id) => write!(f, "key:{id}"),
            Self::Account { id, tenant } => write!(f, "account:{id}:{tenant}"),
        }
    }
}
