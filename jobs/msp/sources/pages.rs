//! Turns an upstream's pages into rows, holding one page at a time.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::upstream::origin;
use super::values::as_utc;
use super::walk::{Page, Start, Walk};
use super::{MAX_ROW_BYTES, Piece, RowStream, SourceError, SourceRow};

/// The rows of all pages of a list, by a function that fetches the page at a cursor, the first one
/// at none. `map` makes an upstream's object a row; `None` leaves it out. A row's line is the
/// number of its object, from 1 on over all pages.
pub(super) fn rows<F, Fut, M>(start: &Start<'_>, fetch: F, map: M) -> RowStream
where
    F: Fn(Option<String>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Page, SourceError>> + Send + 'static,
    M: Fn(&Value) -> Option<Value> + Send + 'static,
{
    let shown: Arc<str> = origin(start.url).into();
    let pages = stream::try_unfold(Walk::new(start, fetch), |mut walk| async move {
        let page = walk.next_page().await?;
        Ok::<_, SourceError>(page.map(|page| (stream::iter(page.into_iter().map(Ok)), walk)))
    });
    pages
        .try_flatten()
        .try_filter_map(move |(line, item): (u64, Box<RawValue>)| {
            std::future::ready(Ok(row(&shown, line, &item, &map)))
        })
        .boxed()
}

fn row(
    origin: &Arc<str>,
    line: u64,
    item: &RawValue,
    map: &impl Fn(&Value) -> Option<Value>,
) -> Option<SourceRow> {
    let piece = match serde_json::from_str::<Value>(item.get()) {
        Ok(object) => {
            let text = map(&object)?.to_string();
            if text.len() > MAX_ROW_BYTES { Piece::too_long(line) } else { Piece { line, text: Ok(text) } }
        }
        Err(error) => Piece::bad(line, &format!("object cannot be read: {error}")),
    };
    Some(SourceRow { origin: Arc::clone(origin), line, json: piece.text })
}

/// Builds a row from an upstream's object. Values are taken over as they are, also those of a wrong
/// type: whether a row is good is for [`super::parse`] to say. Nulls are left out, so that it says
/// "is missing".
#[derive(Debug)]
pub(super) struct Fields<'a> {
    from: &'a Value,
    row: Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(from: &'a Value, tenant: &str) -> Self {
        let tenant = ("tenant_id".to_owned(), Value::from(tenant));
        Self { from, row: Map::from_iter([tenant]) }
    }

    /// Sets a field to the first of the pointers (RFC 6901) that has a value.
    pub(super) fn copy(self, field: &str, pointers: &[&str]) -> Self {
        let value = pointers.iter().find_map(|it| self.from.pointer(it).filter(|value| !value.is_null()));
        let value = value.cloned();
        self.set(field, value)
    }

    /// As [`Self::copy`], for a time that the upstream documents as UTC, also where it writes no
    /// offset.
    pub(super) fn copy_utc(self, field: &str, pointers: &[&str]) -> Self {
        let mut copied = self.copy(field, pointers);
        let value = copied.row.get_mut(field);
        if let Some(value) = value
            && let Some(utc) = value.as_str().and_then(as_utc)
        {
            *value = utc.into();
        }
        copied
    }

    /// As [`Self::copy`], for an id, which upstreams write as a number and rows as a text.
    pub(super) fn copy_id(self, field: &str, pointer: &str) -> Self {
        let value = match self.from.pointer(pointer) {
            Some(Value::Number(number)) => Some(Value::from(number.to_string())),
            Some(Value::Null) | None => None,
            Some(other) => Some(other.clone()),
        };
        self.set(field, value)
    }

    /// Sets a field when there is a value.
    pub(super) fn set(mut self, field: &str, value: Option<Value>) -> Self {
        if let Some(value) = value {
            self.row.insert(field.to_owned(), value);
        }
        self
    }

    pub(super) fn done(self) -> Value {
        Value::Object(self.row)
    }
}
