//! The states as tabs over the list of jobs, each with how many there are.

use askama::Template;
use weirgate_queue::JobState;
use weirgate_queue::read::JobFilter;
use weirgate_queue::read::counts::{self, JobCount, JobCounts};
use weirgate_web::dashboard::words::count;
use weirgate_web::problem::Problem;

use super::jobs_asked::Asked;
use crate::http::Api;

/// A link to the same filter in one state, or in any.
pub(super) struct Tab {
    name: &'static str,
    query: String,
    jobs: String,
    /// Not all of them were counted.
    more: bool,
    current: bool,
}

#[derive(Template)]
#[template(path = "job_tabs.html")]
pub(super) struct Tabs {
    tabs: Vec<Tab>,
    /// How many jobs the filter takes, in the states that it names.
    pub(super) matching: String,
}

impl Tabs {
    pub(super) async fn of(api: &Api, asked: &Asked, filter: &JobFilter) -> Result<Self, Problem> {
        let tallies = {
            let mut tx = api.web.reads.of_service().await?;
            if counts::is_counted_by_views(filter) {
                counts::count_by_views(&api.web.queue_views, tx.conn(), filter).await?
            } else {
                counts::count_by_walking(tx.conn(), filter).await?
            }
        };
        Ok(Self::new(asked, filter, &tallies))
    }

    fn new(asked: &Asked, filter: &JobFilter, tallies: &JobCounts) -> Self {
        let states = filter.states.as_deref();
        let tab = |name, state: Option<JobState>, tally: JobCount| Tab {
            name,
            query: asked.in_state(state.map(JobState::as_str)),
            jobs: words(tally),
            more: tally.more,
            current: match state {
                Some(state) => states.is_some_and(|states| states.contains(&state)),
                None => states.is_none(),
            },
        };
        let all = tab("all", None, tallies.sum(&JobState::ALL));
        let each = JobState::ALL.map(|state| tab(state.as_str(), Some(state), tallies.of(state)));
        Self {
            tabs: std::iter::once(all).chain(each).collect(),
            matching: words(tallies.sum(states.unwrap_or(&JobState::ALL))),
        }
    }
}

fn words(tally: JobCount) -> String {
    format!("{}{}", count(tally.jobs), if tally.more { "+" } else { "" })
}
