//! Lists, page by page: `{"items", "next"}` and `Link: <…>; rel="next"`.

use std::borrow::Cow;

use axum::Json;
use axum::http::header::LINK;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use az::SaturatingAs;
use futures_util::stream::{Stream, TryStreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use utoipa::openapi::path::Parameter;

use crate::context::RequestContext;
use crate::params::{Fields, FromQuery};
use crate::query_params;

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 500;

/// Most bytes of a page, unless its first item alone has more.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on this page.
    pub items: Vec<T>,
    /// Absolute URL of the next page; null on the last one. Also in `Link`, as `rel="next"`.
    #[schema(format = "uri", required = true)]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A list that fits one page.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next: self.next }
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let link = next_link(self.next.as_deref());
        let mut response = Json(self).into_response();
        response.headers_mut().extend(link);
        response
    }
}

/// The header that names the next page.
pub fn next_link(next: Option<&str>) -> Option<(HeaderName, HeaderValue)> {
    next.and_then(|url| Some((LINK, HeaderValue::try_from(format!("<{url}>; rel=\"next\"")).ok()?)))
}

query_params! {
    /// Which page.
    struct PageParams {
        /// Most items on a page.
        #[param(minimum = 1, maximum = 500, default = 50)]
        limit: Option<i64> = |fields, name| fields.in_range(name, 1..=MAX_LIMIT),
        /// Where the page begins: the cursor in a page's `next`, which is opaque otherwise, or that
        /// whole URL.
        cursor: Option<String> = Fields::one,
    }
}

/// Rows of a page, and whether more follow.
#[derive(Debug)]
pub struct Rows<T> {
    pub rows: Vec<T>,
    pub more: bool,
}

impl<T> Rows<T> {
    /// Their page; `end` is where a row stands in the list's order.
    pub fn page<C: Serialize>(self, context: &RequestContext, end: impl Fn(&T) -> C) -> Page<T> {
        let next = self.rows.last().filter(|_| self.more).and_then(|last| next_url(&end(last), context));
        Page { items: self.rows, next }
    }
}

/// How many bytes an item has in an answer.
pub fn bytes(item: &impl Serialize) -> usize {
    // Written and measured; items are small, and few on a page.
    serde_json::to_vec(item).map_or(0, |json| json.len() + 1)
}

/// Which page is asked for; `C` says where the one before ended.
#[derive(Debug)]
pub struct Paging<C> {
    limit: i64,
    /// Where the page before ended; `None` on the first one.
    pub after: Option<C>,
}

impl<C: DeserializeOwned> FromQuery for Paging<C> {
    fn take(fields: &mut Fields) -> Option<Self> {
        let PageParams { limit, cursor } = PageParams::take(fields)?;
        let after = cursor.and_then(|cursor| {
            let after = decode(&cursor_of(&cursor));
            if after.is_none() {
                fields.fail("cursor", "expected a page's next: its URL, or the cursor in it");
            }
            after
        });
        Some(Self { limit: limit.unwrap_or(DEFAULT_LIMIT), after })
    }

    fn parameters() -> Vec<Parameter> {
        PageParams::parameters()
    }
}

impl<C: Serialize> Paging<C> {
    /// The first page, of the usual size.
    pub fn first() -> Self {
        Self { limit: DEFAULT_LIMIT, after: None }
    }

    /// How many items a page holds.
    pub fn limit(&self) -> i64 {
        self.limit
    }

    /// How many rows to query: one more than the page holds tells whether there is a next one.
    pub fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// Where a walk down an index begins, whose first column ends before `until`, or anywhere:
    /// there, or after the page before. `split` gives the first column of a place, and the others.
    pub fn before<T: PartialOrd, R: Default>(
        &self,
        until: Option<T>,
        split: impl FnOnce(C) -> (T, R),
    ) -> (Option<T>, R)
    where
        C: Clone,
    {
        match (self.after.clone().map(split), until) {
            (Some((at, rest)), until) if until.as_ref().is_none_or(|until| at < *until) => (Some(at), rest),
            (_, until) => (until, R::default()),
        }
    }

    /// Takes as many rows as a page and its limit of bytes hold, and none after them.
    pub async fn collect<T>(
        &self,
        mut rows: impl Stream<Item = sqlx::Result<T>> + Unpin,
        bytes: impl Fn(&T) -> usize,
    ) -> sqlx::Result<Rows<T>> {
        let mut taken = Rows { rows: Vec::new(), more: false };
        let (limit, mut size) = (self.limit.saturating_as::<usize>(), 0);
        while let Some(row) = rows.try_next().await? {
            size += bytes(&row);
            taken.more = taken.rows.len() == limit || size > MOST_BYTES && !taken.rows.is_empty();
            if taken.more {
                break;
            }
            taken.rows.push(row);
        }
        Ok(taken)
    }

    /// The page in `rows`; `end` is where a row stands in the list's order.
    pub fn page<T>(&self, mut rows: Vec<T>, context: &RequestContext, end: impl Fn(&T) -> C) -> Page<T> {
        let limit = self.limit.saturating_as::<usize>();
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).and_then(|last| next_url(&end(last), context));
        Page { items: rows, next }
    }
}

/// The URL of the page after the one that ended at `end`.
pub fn next_url(end: &impl Serialize, context: &RequestContext) -> Option<String> {
    Some(context.url_with_cursor(&cursor(end)?))
}

/// The cursor of the page after the one that ended at `end`.
pub fn cursor(end: &impl Serialize) -> Option<String> {
    serde_json::to_vec(end).ok().map(hex::encode)
}

/// Most characters of a cursor.
const LONGEST_CURSOR: usize = 2000;

/// The cursor, out of the URL of a page where that is given.
fn cursor_of(given: &str) -> Cow<'_, str> {
    let given = given.trim();
    let Some((_, query)) = given.split_once('?') else { return given.into() };
    let query = query.split('#').next().unwrap_or_default();
    let cursor = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "cursor");
    cursor.map_or(Cow::Borrowed(""), |(_, cursor)| cursor)
}

fn decode<C: DeserializeOwned>(cursor: &str) -> Option<C> {
    let json = hex::decode(Some(cursor).filter(|cursor| cursor.len() <= LONGEST_CURSOR)?).ok()?;
    // Postgres cannot hold NUL in a text.
    let clean = !json.windows(6).any(|part| part == br"\u0000");
    clean.then(|| serde_json::from_slice(&json).ok()).flatten()
}
