//! Lists as JSON, or as CSV for whoever accepts that first.

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, VARY};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::accept::Accepted;
use crate::csv_line::csv_line;
use crate::page::{Page, next_link};
use crate::params::{Fields, FromQuery};
use crate::problem::Problem;
use crate::query_params;

/// What Excel takes CSV for UTF-8 by.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What can stand in the rows of a table.
pub trait Row: Serialize {
    /// Its fields, also for a table without rows.
    const COLUMNS: &'static [&'static str];
}

query_params! {
    /// For whom CSV is.
    struct TableParams {
        /// Whether CSV begins with a byte-order mark, which Excel needs to take it for UTF-8. JSON
        /// never does.
        #[param(default = false)]
        bom: Option<bool>,
    }
}

/// A request for a list: which one, and how it is to be written.
#[derive(Debug)]
pub struct Listing<Q> {
    pub query: Q,
    pub form: Form,
}

/// How a list is written.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    csv: bool,
    byte_order_mark: bool,
}

impl<Q: FromQuery, S: Sync> FromRequestParts<S> for Listing<Q> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut fields = Fields::of(parts.uri.query());
        let (query, table) = (Q::take(&mut fields), TableParams::take(&mut fields));
        let (query, table) = fields.finish(query.zip(table))?;
        let byte_order_mark = table.bom.unwrap_or(false);
        let csv = Accepted::of(&parts.headers).prefers_csv();
        Ok(Self { query, form: Form { csv, byte_order_mark } })
    }
}

impl<Q: FromQuery> IntoParams for Listing<Q> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        [Q::parameters(), TableParams::parameters()].concat()
    }
}

impl Form {
    /// The page; as CSV it is a file of that name.
    pub fn answer<T: Row>(self, page: Page<T>, name: &str) -> Result<Response, Problem> {
        let mut response = if self.csv { self.csv(&page, name)? } else { page.into_response() };
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
        Ok(response)
    }

    fn csv<T: Row>(self, page: &Page<T>, name: &str) -> Result<Response, Problem> {
        let mut content = if self.byte_order_mark { BYTE_ORDER_MARK.to_vec() } else { Vec::new() };
        write(&page.items, &mut content).map_err(|error| {
            tracing::error!(%error, "could not write a list as CSV");
            Problem::internal()
        })?;
        let mut response = ([(CONTENT_TYPE, "text/csv; charset=utf-8")], content).into_response();
        let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}.csv\""));
        response.headers_mut().extend(disposition.ok().map(|value| (CONTENT_DISPOSITION, value)));
        response.headers_mut().extend(next_link(page.next.as_deref()));
        Ok(response)
    }
}

fn write<T: Row>(rows: &[T], table: &mut Vec<u8>) -> anyhow::Result<()> {
    table.extend(csv_line(T::COLUMNS)?);
    for row in rows {
        let fields = serde_json::to_value(row)?;
        let cell = |column: &&str| match &fields[*column] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        table.extend(csv_line(&T::COLUMNS.iter().map(cell).collect::<Vec<_>>())?);
    }
    Ok(())
}
