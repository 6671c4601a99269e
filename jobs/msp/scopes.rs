//! What API keys of tenants may be used for here. Other domains have tickets of their own.

use weirgate_identity::scopes::Scope;

pub(crate) const KPIS: Scope = read("read:kpis", "Read the KPIs of each day");
pub(crate) const TICKETS: Scope =
    read("read:msp_tickets", "Read tickets of the PSA system, with their summaries");
pub(crate) const EXPORTS: Scope = read("read:exports", "List and download exports");
pub(crate) const CSAT: Scope = read("read:csat", "Read customer satisfaction surveys");
pub(crate) const ALERTS: Scope = read("read:security_alerts", "Read security alerts");
pub(crate) const TIME_ENTRIES: Scope = read("read:time_entries", "Read time entries");

/// All of them.
pub(crate) const ALL: [Scope; 6] = [KPIS, TICKETS, EXPORTS, CSAT, ALERTS, TIME_ENTRIES];

/// As it was before keys had scopes.
const fn read(name: &'static str, text: &'static str) -> Scope {
    Scope { name, text, by_default: true }
}
