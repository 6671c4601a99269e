//! Roles and their scopes, as data. Each domain brings a table of its own; which of them a process
//! knows is the list that it makes of the domains that it serves.

use std::sync::Arc;

/// The roles of one app.
#[derive(Debug)]
pub struct AppRoles {
    /// What memberships call the app: `platform`, or the name of a domain.
    pub app: &'static str,
    /// What it is, for people.
    pub text: &'static str,
    /// Its roles, the least first.
    pub roles: &'static [RoleDefinition],
}

/// One role.
#[derive(Debug)]
pub struct RoleDefinition {
    /// What memberships and tokens call it.
    pub name: &'static str,
    /// What who has it does, for people: "reads KPIs".
    pub text: &'static str,
    /// Whether it is about one tenant; else a membership with it names none.
    pub of_tenant: bool,
    /// What its tokens may be used for.
    pub scopes: &'static [&'static str],
}

impl AppRoles {
    /// The role of that name.
    pub fn role(&self, name: &str) -> Option<&'static RoleDefinition> {
        self.roles.iter().find(|role| role.name == name)
    }
}

/// The roles that a process knows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Roles(Arc<[&'static AppRoles]>);

impl Roles {
    /// Those of the platform, and these.
    pub fn new(of_domains: impl IntoIterator<Item = &'static AppRoles>) -> Self {
        Self(std::iter::once(&crate::platform::ROLES).chain(of_domains).collect())
    }

    /// Each app.
    pub fn apps(&self) -> &[&'static AppRoles] {
        &self.0
    }

    /// The roles of an app; `None` where this process does not know it.
    pub fn app(&self, name: &str) -> Option<&'static AppRoles> {
        self.0.iter().copied().find(|app| app.app == name)
    }

    /// A role of an app.
    pub fn role(&self, app: &str, name: &str) -> Option<&'static RoleDefinition> {
        self.app(app)?.role(name)
    }
}

/// The scopes of a role that were asked for, in the order of the role; `None` asks for all.
pub fn granted(role: &RoleDefinition, asked: Option<&[String]>) -> Vec<&'static str> {
    let is_asked = |scope: &&&str| asked.is_none_or(|asked| asked.iter().any(|it| it == **scope));
    role.scopes.iter().filter(is_asked).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    static PARCELS: AppRoles = AppRoles {
        app: "parcels",
        text: "parcels",
        roles: &[
            RoleDefinition { name: "clerk", text: "reads", of_tenant: true, scopes: &["read:parcels"] },
            RoleDefinition {
                name: "chief",
                text: "writes",
                of_tenant: true,
                scopes: &["read:parcels", "write:parcels"],
            },
        ],
    };

    #[test]
    fn a_token_has_what_was_asked_for_and_the_role_has() {
        let chief = PARCELS.role("chief").unwrap();
        let asked = ["write:parcels", "manage:parcels"].map(str::to_owned);
        assert_eq!(granted(chief, Some(&asked)), ["write:parcels"]);
        assert_eq!(granted(chief, None), ["read:parcels", "write:parcels"]);
        assert_eq!(granted(chief, Some(&[])), [""; 0]);
        assert_eq!(granted(PARCELS.role("clerk").unwrap(), Some(&asked)), [""; 0]);
    }

    #[test]
    fn a_role_of_a_domain_that_is_not_served_is_not_known() {
        let roles = Roles::new([&PARCELS]);
        assert!(roles.role("parcels", "clerk").is_some() && roles.role("platform", "admin").is_some());
        assert!(roles.role("parcels", "admin").is_none() && roles.role("desk", "clerk").is_none());
    }
}
