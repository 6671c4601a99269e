//! What Postgres says of how it runs a statement, as JSON.

use serde_json::Value;

/// How jobs are read: the scans of a plan, each with its index; of one that was executed, those that were.
pub(crate) fn jobs_scans(plan: &Value) -> Vec<String> {
    let text = |field| plan[field].as_str().unwrap_or_default();
    let is_executed = plan["Actual Loops"].as_i64() != Some(0);
    let scan = (text("Relation Name") == "jobs" && is_executed)
        .then(|| format!("{} {}", text("Node Type"), text("Index Name")));
    let inner = plan["Plans"].as_array().into_iter().flatten().flat_map(jobs_scans);
    scan.into_iter().chain(inner).collect()
}
