//! The request for a backfill: what it may say, and all that can be wrong with it.

use axum::extract::{FromRequest, Request};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;
use weirgate_identity::Tenant;
use weirgate_queue::backfill::{BackfillSettings, NewBackfill};
use weirgate_web::backfill::{BackfillKind, BackfillOrder, BackfillRange, Reprocess};
use weirgate_web::context::RequestContext;
use weirgate_web::domain::Catalog;
use weirgate_web::extract::{parse_body, read_body};
use weirgate_web::idempotency::IdempotencyKey;
use weirgate_web::params::Fields;
use weirgate_web::parse::{Parse, TenantName};
use weirgate_web::problem::{FieldError, Problem};

use crate::http::backfill::{All, TenantNames};
use crate::http::{Api, schemas};

/// Most of a backfill's jobs at once that can be asked for.
const MOST_RUNNING: i64 = 1_000_000;

/// Most tenants that one request names.
const MOST_TENANTS: usize = 1000;

/// Which days of which tenants, which kind of job for each, and the share of the workers that it
/// may use.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBackfill, example = json!({
    "kind": "compute_kpi", "tenants": "all", "from": "2026-01-01", "to": "2026-01-31", "reprocess": "missing"
}))]
pub(crate) struct BackfillBody {
    /// What is done for each tenant and day.
    #[schema(required = true, schema_with = schemas::backfill_kind)]
    kind: Option<String>,
    #[schema(required = true, schema_with = schemas::backfill_tenants)]
    tenants: Option<Value>,
    /// The first day, in each tenant's time zone.
    #[schema(required = true, value_type = NaiveDate)]
    from: Option<String>,
    /// The last day.
    #[schema(required = true, value_type = NaiveDate)]
    to: Option<String>,
    /// Which end comes first; `newest_first` when left out.
    #[schema(schema_with = schemas::backfill_order)]
    order: Option<String>,
    /// Which days: `missing` (without a result from after their end; the default), `failed`
    /// (discarded, without a result since), `all`. Days that have not begun where the tenant is are
    /// skipped.
    #[schema(schema_with = schemas::backfill_reprocess)]
    reprocess: Option<String>,
    /// Most of its jobs at once in a queue; any number when left out.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    max_running: Option<i64>,
    /// Share of the workers that it may use while live jobs are available; all of them otherwise.
    /// 0.25 when left out.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    share: Option<f64>,
    /// Of its jobs; higher first. Live work comes first in any case.
    #[schema(value_type = Option<i16>, minimum = -100, maximum = 100)]
    priority: Option<i64>,
    /// Only answer how many slices there are to do, by tenant.
    dry_run: Option<bool>,
}

/// A checked request.
#[derive(Debug)]
pub(crate) struct BackfillRequest {
    pub(crate) kind: BackfillKind,
    pub(crate) tenants: TenantNames,
    pub(crate) from: NaiveDate,
    pub(crate) to: NaiveDate,
    pub(crate) order: BackfillOrder,
    pub(crate) reprocess: Reprocess,
    pub(crate) priority: i16,
    pub(crate) settings: BackfillSettings,
    pub(crate) dry_run: bool,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) context: RequestContext,
}

impl FromRequest<Api> for BackfillRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let context = request.extensions().get::<RequestContext>().cloned().ok_or_else(Problem::internal)?;
        let (head, body) = request.into_parts();
        let body = read_body(Request::from_parts(head.clone(), body)).await?;
        let key = IdempotencyKey::of(&head, &body)?;
        let mut fields = Fields::of(head.uri.query());
        let body: BackfillBody = parse_body(&head.headers, &body)?;
        let request = Self::check(&mut fields, body, key, context, &api.catalog);
        fields.finish(request)
    }
}

impl BackfillRequest {
    /// The checked `body`; `None` once `fields` holds an error.
    pub(crate) fn check(
        fields: &mut Fields,
        body: BackfillBody,
        key: Option<IdempotencyKey>,
        context: RequestContext,
        catalog: &Catalog,
    ) -> Option<Self> {
        let kind = required(fields, "kind", body.kind, |text: String| catalog.backfill(&text));
        let tenants = required(fields, "tenants", body.tenants, which_tenants);
        let from = required(fields, "from", body.from, |text| <NaiveDate as Parse>::parse(&text));
        let to = required(fields, "to", body.to, |text| <NaiveDate as Parse>::parse(&text));
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            fields.fail("to", "is before from");
        }
        let order = optional(fields, "order", body.order, |text| text.parse());
        let reprocess = optional(fields, "reprocess", body.reprocess, |text| text.parse());
        let default = BackfillSettings::default();
        let max_running = optional(fields, "max_running", body.max_running, most_running);
        let share = optional(fields, "share", body.share, a_share);
        let priority = optional(fields, "priority", body.priority, |number| {
            let expected = "expected a whole number from -100 to 100";
            i16::try_from(number)
                .ok()
                .filter(|it| (-100..=100).contains(it))
                .ok_or_else(|| expected.to_owned())
        });
        Some(Self {
            kind: kind?,
            tenants: tenants?,
            from: from?,
            to: to?,
            order: order.unwrap_or_default(),
            reprocess: reprocess.unwrap_or_default(),
            priority: priority.unwrap_or(0),
            settings: BackfillSettings { share: share.unwrap_or(default.share), max_running },
            dry_run: body.dry_run.unwrap_or(false),
            key,
            context,
        })
    }
}

impl BackfillBody {
    /// The same from the fields of a form: tenants as words, none of them for all.
    pub(crate) fn of_form(fields: &mut Fields) -> Self {
        let names: Option<String> = fields.get("tenants");
        let names: Vec<Value> = names
            .iter()
            .flat_map(|text| text.split([',', ' ', '\t', '\r', '\n']))
            .filter(|name| !name.is_empty() && *name != "all")
            .map(Value::from)
            .collect();
        let share: Option<String> = fields.get("share");
        let wrong = "expected a number above 0, up to 1";
        let share = share.and_then(|text| text.parse().map_err(|_| fields.fail("share", wrong)).ok());
        Self {
            kind: fields.get("kind"),
            tenants: Some(if names.is_empty() { Value::from("all") } else { Value::from(names) }),
            from: fields.get("from"),
            to: fields.get("to"),
            order: fields.get("order"),
            reprocess: fields.get("reprocess"),
            max_running: fields.in_range("max_running", 1..=MOST_RUNNING),
            share,
            priority: fields.in_range("priority", -100..=100),
            dry_run: None,
        }
    }
}

impl BackfillRequest {
    /// The days it is about, and whose they are.
    pub(crate) async fn range(
        &self,
        conn: &mut PgConnection,
    ) -> Result<(BackfillRange, Vec<Tenant>), Problem> {
        let tenants = Tenant::active(conn, self.named()).await?;
        let range = BackfillRange {
            tenants: tenants.iter().map(|tenant| tenant.id).collect(),
            from: self.from,
            to: self.to,
            order: self.order,
            reprocess: self.reprocess,
        };
        if range.total() > BackfillRange::MOST_SLICES {
            let message = format!(
                "{} slices are more than the {} that are allowed",
                range.total(),
                BackfillRange::MOST_SLICES
            );
            return Err(Problem::invalid(vec![FieldError { field: "to".to_owned(), message }]));
        }
        Ok((range, tenants))
    }

    /// What it makes of its [range](Self::range).
    pub(crate) async fn backfill(
        &self,
        conn: &mut PgConnection,
        range: &BackfillRange,
        tenants: &[Tenant],
    ) -> weirgate_queue::Result<NewBackfill> {
        let traceparent = Some(self.context.traceparent.clone());
        let named = self.named().map(|_| tenants);
        self.kind.backfill(conn, range, named, self.priority, self.settings, traceparent).await
    }

    fn named(&self) -> Option<&[String]> {
        match &self.tenants {
            TenantNames::All(_) => None,
            TenantNames::Named(names) => Some(names),
        }
    }
}

fn required<T, U>(
    fields: &mut Fields,
    name: &str,
    value: Option<T>,
    parse: impl FnOnce(T) -> Result<U, String>,
) -> Option<U> {
    if value.is_none() {
        fields.fail(name, "required");
    }
    optional(fields, name, value, parse)
}

fn optional<T, U>(
    fields: &mut Fields,
    name: &str,
    value: Option<T>,
    parse: impl FnOnce(T) -> Result<U, String>,
) -> Option<U> {
    parse(value?).map_err(|message| fields.fail(name, message)).ok()
}

fn which_tenants(value: Value) -> Result<TenantNames, String> {
    let expected = "expected \"all\", or a list of 1 to 1000 tenants' slugs or UUIDs";
    match value {
        Value::String(text) if text.trim() == "all" => Ok(TenantNames::All(All::All)),
        Value::Array(names) if (1..=MOST_TENANTS).contains(&names.len()) => names
            .into_iter()
            .map(|name| match name {
                Value::String(name) => TenantName::parse(&name).map(|name| name.0).ok(),
                _ => None,
            })
            .collect::<Option<Vec<String>>>()
            .map(TenantNames::Named)
            .ok_or_else(|| expected.to_owned()),
        _ => Err(expected.to_owned()),
    }
}

fn most_running(number: i64) -> Result<u32, String> {
    u32::try_from(number)
        .ok()
        .filter(|_| (1..=MOST_RUNNING).contains(&number))
        .ok_or_else(|| format!("expected a whole number from 1 to {MOST_RUNNING}"))
}

fn a_share(share: f64) -> Result<f64, String> {
    let fits = share > 0.0 && share <= 1.0;
    // A smaller one would be 0 in the database; it is one slot in any case.
    fits.then_some(share.max(1e-6)).ok_or_else(|| "expected a number above 0, up to 1".to_owned())
}

/// What can be changed of a backfill; what is left out stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BackfillSettings, example = json!({"share": 0.5, "max_running": null}))]
pub(crate) struct SettingsBody {
    /// Share of the workers that it may use while live jobs are available.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    share: Option<f64>,
    /// Most of its jobs at once in a queue; null for any number.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    #[expect(clippy::option_option, reason = "left out is not null")]
    max_running: Option<Option<i64>>,
}

#[expect(clippy::option_option, reason = "left out is not null")]
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A checked change of settings.
#[derive(Debug)]
pub(crate) struct SettingsRequest {
    share: Option<f64>,
    #[expect(clippy::option_option, reason = "left out is not null")]
    max_running: Option<Option<u32>>,
}

impl FromRequest<Api> for SettingsRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        let body: SettingsBody = parse_body(&headers, &read_body(request).await?)?;
        let mut fields = Fields::of(uri.query());
        let share = optional(&mut fields, "share", body.share, a_share);
        let max_running = match body.max_running {
            Some(Some(number)) => optional(&mut fields, "max_running", Some(number), most_running).map(Some),
            Some(None) => Some(None),
            None => None,
        };
        fields.finish(Some(Self { share, max_running }))
    }
}

impl SettingsRequest {
    pub(crate) fn apply(&self, settings: &mut BackfillSettings) {
        settings.share = self.share.unwrap_or(settings.share);
        settings.max_running = self.max_running.unwrap_or(settings.max_running);
    }

    /// What was asked to be set.
    pub(crate) fn named(&self) -> Vec<&'static str> {
        let share = self.share.map(|_| "share");
        share.into_iter().chain(self.max_running.map(|_| "max_running")).collect()
    }
}
