//! What a credential may be used for under `/v1`: each route asks for one scope.

use std::fmt;
use std::sync::Arc;

/// Something that a credential may be used for. Domains bring theirs, as lists of constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Its name, such as `read:jobs`: what is done, and what it is done to. Permanent, as it stands
    /// in rows.
    pub name: &'static str,
    /// What it allows, a sentence for people.
    pub text: &'static str,
    /// Whether API keys have it that were given no scopes. True for what keys could be used for
    /// before there were scopes, and for nothing that came later.
    pub by_default: bool,
}

/// The scopes of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// All there are: the service's.
    All,
    /// Those that are so [by default](Scope::by_default): of an API key that was given none.
    Default,
    /// These alone.
    Only(Arc<[String]>),
}

impl Scopes {
    /// Those of an API key, as they are stored.
    pub fn of_key(stored: Option<Vec<String>>) -> Self {
        stored.map_or(Self::Default, |names| Self::Only(names.into()))
    }

    /// Whether `scope` is one of them.
    pub fn allow(&self, scope: &Scope) -> bool {
        match self {
            Self::All => true,
            Self::Default => scope.by_default,
            Self::Only(names) => names.iter().any(|name| name == scope.name),
        }
    }
}

/// As a sentence goes on after "the credential has".
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all scopes"),
            Self::Default => f.write_str("the default scopes"),
            Self::Only(names) if names.is_empty() => f.write_str("no scope"),
            Self::Only(names) => f.write_str(&names.join(", ")),
        }
    }
}

/// Scopes that a new API key is to have: at least one, each known, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyScopes(Vec<String>);

impl KeyScopes {
    /// Those of these names.
    ///
    /// # Errors
    /// When there is none, or one that is not among `known`: with what was expected, for people.
    pub fn of<T: AsRef<str>>(given: &[T], known: &[Scope]) -> Result<Self, String> {
        let given: Vec<&str> = given.iter().map(|name| name.as_ref().trim()).collect();
        let expected = || known.iter().map(|scope| scope.name).collect::<Vec<_>>().join(", ");
        if given.is_empty() {
            return Err(format!(
                "no scope is given, so that the key would be of no use; there are {}",
                expected()
            ));
        }
        let mut unknown: Vec<String> = Vec::new();
        for name in given.iter().filter(|name| known.iter().all(|scope| scope.name != **name)) {
            let name = format!("{name:?}");
            if !unknown.contains(&name) {
                unknown.push(name);
            }
        }
        if !unknown.is_empty() {
            return Err(format!("no scope {}; there are {}", unknown.join(", "), expected()));
        }
        let names = known.iter().map(|scope| scope.name).filter(|name| given.contains(name));
        Ok(Self(names.map(str::to_owned).collect()))
    }

    /// Their names, in the order in which the domains bring them.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Scope; 3] = [
        Scope { name: "read:jobs", text: "", by_default: true },
        Scope { name: "read:kpis", text: "", by_default: true },
        Scope { name: "write:parcels", text: "", by_default: false },
    ];

    fn allowed(scopes: &Scopes) -> Vec<&'static str> {
        KNOWN.iter().filter(|scope| scopes.allow(scope)).map(|scope| scope.name).collect()
    }

    #[test]
    fn key_without_scopes_has_those_of_before_and_no_later_ones() {
        assert_eq!(allowed(&Scopes::of_key(None)), ["read:jobs", "read:kpis"]);
        assert_eq!(allowed(&Scopes::of_key(Some(vec!["write:parcels".into()]))), ["write:parcels"]);
        assert!(allowed(&Scopes::of_key(Some(Vec::new()))).is_empty());
        assert_eq!(allowed(&Scopes::All).len(), KNOWN.len());
    }

    #[test]
    fn scopes_of_a_new_key_are_known_and_each_there_once() {
        let of = |given: &[&str]| KeyScopes::of(given, &KNOWN).map(|scopes| scopes.0);
        assert_eq!(
            of(&["write:parcels", " read:jobs", "write:parcels"]).unwrap(),
            ["read:jobs", "write:parcels"]
        );
        let there_are = "there are read:jobs, read:kpis, write:parcels";
        assert!(of(&[]).unwrap_err().ends_with(there_are));
        let unknown = of(&["read:kpis", "read:kpi", "", "read:kpi"]).unwrap_err();
        assert_eq!(unknown, format!("no scope \"read:kpi\", \"\"; {there_are}"));
    }
}
