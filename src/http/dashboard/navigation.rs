//! The links to the pages of the service itself.

use weirgate_web::dashboard::navigation::Entry;

/// The links to its pages; domains have theirs among them.
pub(crate) const NAVIGATION: [Entry; 11] = [
    Entry::new("Overview", ""),
    Entry::new("Jobs", "/jobs"),
    Entry::new("Failures", "/failures"),
    Entry::new("Tenants", "/tenants"),
    Entry::new("Queues", "/queues"),
    Entry::new("Workflows", "/workflows"),
    Entry::new("Backfills", "/backfills"),
    Entry::new("Schedules", "/schedules"),
    Entry::new("Workers", "/workers"),
    Entry::for_admins("Accounts", "/accounts"),
    Entry::new("Audit", "/audit"),
];
