//! The links to pages that stand above each page.

use std::sync::Arc;

use weirgate_identity::platform::Role;

/// A link of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What the link says.
    pub name: &'static str,
    /// Where it leads, below `/dashboard`.
    pub path: &'static str,
    /// Who may do less does not see it.
    pub least: Role,
}

impl Entry {
    /// For everybody on the dashboard.
    pub const fn new(name: &'static str, path: &'static str) -> Self {
        Self { name, path, least: Role::Viewer }
    }

    /// For admins alone.
    pub const fn for_admins(name: &'static str, path: &'static str) -> Self {
        Self { name, path, least: Role::Admin }
    }
}

/// A link to a page of a domain, and its place among those of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainEntry {
    /// What the link says.
    pub name: &'static str,
    /// Where it leads, below `/dashboard`.
    pub path: &'static str,
    /// The path of the page that it follows. Where there is no such page, the link comes last.
    pub after: &'static str,
}

/// All links, in order. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Navigation(Arc<[Entry]>);

impl Navigation {
    /// The links of the service, with those of its domains among them.
    pub fn new(of_service: &[Entry], of_domains: impl IntoIterator<Item = DomainEntry>) -> Self {
        let mut all = of_service.to_vec();
        for DomainEntry { name, path, after } in of_domains {
            let before = all.iter().position(|entry| entry.path == after);
            all.insert(before.map_or(all.len(), |at| at + 1), Entry::new(name, path));
        }
        Self(all.into())
    }

    /// Each link.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_of_a_domain_stands_where_it_says_or_last() {
        let of_service = [Entry::new("Jobs", "/jobs"), Entry::new("Audit", "/audit")];
        let of_domains = [("Rejects", "/rejects", "/jobs"), ("Parcels", "/parcels", "/nowhere")]
            .map(|(name, path, after)| DomainEntry { name, path, after });
        let all = Navigation::new(&of_service, of_domains);
        let names: Vec<_> = all.entries().iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["Jobs", "Rejects", "Audit", "Parcels"]);
    }
}
