//! How far a read came before it was told to wait.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a read goes on: for each upstream what its connector knows the place by, or null where it
/// is read to its end. One that is not named has not been begun, or begins again. It holds no
/// credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(BTreeMap<String, Value>);

impl Place {
    /// The place in one upstream.
    pub(super) fn at(upstream: &str, stop: Value) -> Self {
        Self(BTreeMap::from([(upstream.to_owned(), stop)]))
    }

    /// Notes that an upstream is read to its end.
    pub(super) fn end(&mut self, upstream: &str) {
        self.0.insert(upstream.to_owned(), Value::Null);
    }

    /// Adds what another one knows of other upstreams.
    pub(super) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn is_at_end(&self, upstream: &str) -> bool {
        self.0.get(upstream).is_some_and(Value::is_null)
    }

    /// The place in an upstream; `None` for its beginning.
    pub(super) fn of(&self, upstream: &str) -> Option<&Value> {
        self.0.get(upstream)
    }
}
