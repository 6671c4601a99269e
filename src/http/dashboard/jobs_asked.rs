//! The filter of the list of jobs as it was given: to be read, to be shown again, and to be sent
//! with an action.

use weirgate_queue::read::JobFilter;
use weirgate_web::dashboard::form::{Field, Given, KINDS, QUEUES, TENANTS, Wrong, sent_time};
use weirgate_web::job_list::{resolved, take_filter};
use weirgate_web::params::Fields;
use weirgate_web::parse::TenantName;
use weirgate_web::problem::Problem;

use crate::http::Api;

/// Where in the list one is, and which rows are ticked: no part of the filter.
const BESIDE: [&str; 2] = ["before", "select"];

pub(super) struct Asked {
    pub(super) pairs: Vec<(String, String)>,
}

impl Asked {
    /// What a query or a form says, in the words of the API: `arg=name=value` is `args.name=value`,
    /// and a time without a zone is one in UTC.
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        let pairs = pairs.into_iter().filter(|(name, _)| !BESIDE.contains(&name.as_str()));
        let pairs = pairs.map(|(name, value)| match (name.as_str(), value.split_once('=')) {
            ("arg", Some((argument, wanted))) => argument_of(argument.trim(), wanted.trim()),
            ("args.date", _) => ("date".to_owned(), value),
            ("created_after" | "created_before", _) => (name, sent_time(value)),
            _ => (name, value),
        });
        Self { pairs: pairs.collect() }
    }

    /// What it takes.
    pub(super) async fn filter(&self, api: &Api) -> Result<JobFilter, Problem> {
        let mut fields = Fields::of_pairs(self.pairs.clone());
        let filter = take_filter(&mut fields);
        let tenant: Option<TenantName> = fields.get("tenant_id");
        if fields.one("arg").is_some() {
            fields.fail("arg", "expected a name and a value, such as format=csv");
        }
        if let (Some(after), Some(before)) = (filter.created_after, filter.created_before)
            && after >= before
        {
            fields.fail("created_before", "expected a time after the one from which on they were enqueued");
        }
        fields.finish(Some(()))?;
        resolved(&api.web, filter, tenant.as_ref()).await
    }

    pub(super) fn of(&self, wanted: &str) -> &str {
        self.pairs.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }

    /// The first argument that is asked for.
    fn argument(&self) -> Option<(&str, &str)> {
        self.pairs.iter().find_map(|(name, value)| Some((name.strip_prefix("args.")?, value.as_str())))
    }

    /// What the form has no field for, and keeps: further arguments, a failure, single jobs.
    pub(super) fn kept(&self) -> impl Iterator<Item = &(String, String)> {
        // What is wrong with the field for arguments is shown there, in the place of the first one.
        let mut first = self.of("arg").is_empty();
        self.pairs.iter().filter(move |(name, _)| {
            if name.starts_with("args.") {
                return !std::mem::take(&mut first);
            }
            name == "failure_id" || name == "id"
        })
    }

    /// As a query.
    pub(super) fn query(&self) -> String {
        self.query_with(&[])
    }

    /// As a query, with what is beside the filter.
    pub(super) fn query_with(&self, more: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.pairs).extend_pairs(more).finish()
    }

    /// The same for other states: as a query.
    pub(super) fn in_state(&self, state: Option<&str>) -> String {
        let others = self.pairs.iter().filter(|(name, _)| name != "state");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(others).extend_pairs(state.map(|state| ("state", state))).finish()
    }

    /// The form with what was given, and with what is wrong with it.
    pub(super) fn form(&self, wrong: Option<&Wrong>) -> Form {
        let mut pairs = self.pairs.clone();
        let argument = self.argument();
        pairs.extend(argument.map(|(name, value)| ("arg".to_owned(), format!("{name}={value}"))));
        let mut given = Given::new(pairs, wrong);
        if let Some((name, _)) = argument {
            given.shown_at("arg", &format!("args.{name}"));
        }
        let fields = [
            given.field("kind", "Kind").suggesting(KINDS),
            given.field("queue", "Queue").suggesting(QUEUES),
            given.field("tenant_id", "Tenant").suggesting(TENANTS),
            given.field("date", "Day (tenant's time zone)").day(),
            given.field("q", "Text in arguments or errors").search(),
            given.field("created_after", "Enqueued from (UTC)").time(),
            given.field("created_before", "Enqueued before (UTC)").time(),
        ];
        let more = [
            given.field("arg", "Argument").with_placeholder("format=csv"),
            given.field("workflow_id", "Workflow").with_placeholder("id"),
            given.field("backfill_id", "Backfill").with_placeholder("id"),
        ];
        let all: Vec<&Field> = fields.iter().chain(&more).collect();
        Form { others: given.elsewhere(&all), fields, more }
    }
}

/// An argument by its name; the day of a job is a field of its own.
fn argument_of(name: &str, wanted: &str) -> (String, String) {
    let name = if name == "date" { name.to_owned() } else { format!("args.{name}") };
    (name, wanted.to_owned())
}

/// The fields of the filter.
pub(super) struct Form {
    pub(super) fields: [Field; 7],
    /// Those that are not asked for often.
    pub(super) more: [Field; 3],
    /// What is wrong beside them.
    pub(super) others: Vec<String>,
}

impl Form {
    /// Whether those that are not asked for often are to be seen.
    pub(super) fn is_open(&self) -> bool {
        self.more.iter().any(|field| field.is_given() || field.is_wrong())
    }
}
