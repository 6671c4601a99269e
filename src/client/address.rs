//! Where a server is reached.

use std::fmt;

use reqwest::Url;
use url::Host;

/// The URL below which the paths of the API are; it may have a path of its own, as behind a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// What the text has to be.
    pub const EXPECTED: &str =
        "an http:// or https:// URL, such as https://jobs.example.com or http://127.0.0.1:8080";

    /// # Errors
    /// Says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| format!("expected {}", Self::EXPECTED))
    }

    /// The address in `text`, if it is one. A password in it would be shown by messages.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut url = Url::parse(text.trim()).ok()?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_plain {
            return None;
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Some(Self(url))
    }

    /// Whether nobody else can read what goes there: it is encrypted, or stays on this machine.
    pub(crate) fn is_private(&self) -> bool {
        self.0.scheme() == "https" || self.is_here()
    }

    /// Whether it is this machine.
    pub(super) fn is_here(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// The URL of a path of the API.
    pub(crate) fn url(&self, segments: &[String], parameters: &[(String, String)]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        url
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_below_the_address() {
        let path = ["internal".to_owned(), "a b/c?".to_owned()];
        let pairs = [("q".to_owned(), "x&y=é".to_owned())];
        for (given, base) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://example.com/", "https://example.com"),
            (" https://example.com/jobs/api// ", "https://example.com/jobs/api"),
        ] {
            let address = Address::parse(given).unwrap();
            assert_eq!(address.to_string(), base);
            assert_eq!(
                address.url(&path, &pairs).as_str(),
                format!("{base}/internal/a%20b%2Fc%3F?q=x%26y%3D%C3%A9")
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for wrong in [
            "",
            "jobs.example.com",
            "localhost:8080",
            "ftp://example.com",
            "https://",
            "https://ada:secret@example.com",
            "https://example.com/?x=1",
            "https://example.com/#x",
        ] {
            let said = Address::parse(wrong).unwrap_err();
            assert!(said.contains("such as https://") && !said.contains("secret"), "{wrong}: {said}");
        }
    }

    #[test]
    fn only_https_and_this_machine_are_private() {
        for (given, private) in [
            ("https://example.com", true),
            ("http://localhost:8080", true),
            ("http://127.0.0.1", true),
            ("http://[::1]:8080", true),
            ("http://example.com", false),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(Address::parse(given).unwrap().is_private(), private, "{given}");
        }
    }
}
