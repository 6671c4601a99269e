//! `/v1`: for one tenant, its own jobs only. What it reads of its data is its domains' business.

pub(crate) mod jobs;
