//! What domains need beside the state that all handlers share, found by its type, so that a service
//! knows none of it by name.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request;

use crate::problem::Problem;

/// Parts of an application or of a state, at most one of each type. Cheap to clone.
#[derive(Clone, Default)]
pub struct Parts(Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Parts {
    /// These, and `part` in the place of an earlier one of its type.
    #[must_use]
    pub fn with<T: Any + Send + Sync>(mut self, part: T) -> Self {
        Arc::make_mut(&mut self.0).insert(TypeId::of::<T>(), Arc::new(part));
        self
    }

    /// These and those.
    #[must_use]
    pub fn join(mut self, others: &Self) -> Self {
        let others = others.0.iter().map(|(id, part)| (*id, part.clone()));
        Arc::make_mut(&mut self.0).extend(others);
        self
    }

    /// The part of a type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Parts").field(&self.0.len()).finish()
    }
}

/// A part of the state, for a handler of the domain that it was made for.
#[derive(Debug, Clone, Copy)]
pub struct Part<T>(pub T);

impl<T, S> FromRequestParts<S> for Part<T>
where
    T: Any + Clone + Send + Sync,
    S: Send + Sync,
    Parts: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(_: &mut request::Parts, state: &S) -> Result<Self, Problem> {
        if let Some(part) = Parts::from_ref(state).get::<T>() {
            return Ok(Self(part.clone()));
        }
        tracing::error!(part = type_name::<T>(), "a domain is served without a part that it needs");
        Err(Problem::internal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_is_found_by_its_type() {
        let parts = Parts::default().with(1_u8).with("one");
        let joined = parts.clone().with(2_u8).join(&Parts::default().with('c'));
        assert_eq!((parts.get::<u8>(), parts.get::<char>()), (Some(&1), None));
        assert_eq!((joined.get::<u8>(), joined.get::<char>()), (Some(&2), Some(&'c')));
        assert_eq!(joined.get::<&str>(), Some(&"one"));
    }
}
