//! The links to the pages of the service itself.

use weirgate_web::dashboard::navigation::Entry;

/// The links to its pages; domains have theirs among them.
pub(crate) const NAVIGATION: [Entry; 10] = [
    Entry { name: "Overview", path: "" },
    Entry { name: "Jobs", path: "/jobs" },
    Entry { name: "Failures", path: "/failures" },
    Entry { name: "Tenants", path: "/tenants" },
    Entry { name: "Queues", path: "/queues" },
    Entry { name: "Workflows", path: "/workflows" },
    Entry { name: "Backfills", path: "/backfills" },
    Entry { name: "Schedules", path: "/schedules" },
    Entry { name: "Workers", path: "/workers" },
    Entry { name: "Audit", path: "/audit" },
];
