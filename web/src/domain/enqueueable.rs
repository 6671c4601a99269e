//! What people enqueue by name.

use std::fmt;

use serde_json::Value;
use weirgate_identity::Tenant;
use weirgate_queue::{Job, NewJob, Result};

use crate::plan::Plan;

/// Something that is enqueued by its name: a kind of job, or a workflow.
#[derive(Clone, Copy)]
pub struct Enqueueable {
    /// Its name.
    pub name: &'static str,
    /// The endpoint that enqueues it.
    pub path: &'static [&'static str],
    /// Whether it is for a day, which is then its argument `date`.
    pub day: bool,
    /// Its further arguments.
    pub arguments: &'static [&'static str],
    /// What it becomes for a tenant, with these arguments.
    pub plan: fn(&Tenant, Value) -> Result<Plan>,
}

impl fmt::Debug for Enqueueable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Enqueueable").field(&self.name).finish()
    }
}

impl Enqueueable {
    /// One job of this kind, for no day and without arguments but the tenant.
    pub fn of<J: Job>(path: &'static [&'static str]) -> Self {
        Self { name: J::KIND, path, day: false, arguments: &[], plan: one::<J> }
    }

    /// It is for a day.
    #[must_use]
    pub fn daily(self) -> Self {
        Self { day: true, ..self }
    }

    /// It has these further arguments.
    #[must_use]
    pub fn taking(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }
}

fn one<J: Job>(tenant: &Tenant, args: Value) -> Result<Plan> {
    Ok(Plan::Job(NewJob::of(tenant.id, &serde_json::from_value::<J>(args)?)?))
}
