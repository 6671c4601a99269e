//! The people of a tenant who read what is known about it.

use weirgate_identity::roles::{AppRoles, RoleDefinition};

/// The roles of MSP.
pub static ROLES: AppRoles = AppRoles {
    app: crate::NAME,
    text: "MSP analytics",
    roles: &[
        RoleDefinition {
            name: "reader",
            text: "reads the KPIs and the export files of a tenant, and follows its jobs",
            of_tenant: true,
            scopes: &["read:jobs", "read:kpis", "read:exports"],
        },
        RoleDefinition {
            name: "analyst",
            text: "also reads the tickets, time entries, surveys and security alerts behind them",
            of_tenant: true,
            scopes: &[
                "read:jobs",
                "read:kpis",
                "read:exports",
                "read:msp_tickets",
                "read:time_entries",
                "read:csat",
                "read:security_alerts",
            ],
        },
    ],
};
