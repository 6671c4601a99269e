//! The values of which the connectors' settings are made. Reasons never repeat a value that could
//! be a secret.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::{Host, Url};

/// Requests a second to one account when the settings do not say.
const USUAL_RATE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Pages of a list when the settings do not say: more than any account is known to have.
const USUAL_PAGES: NonZeroU32 = NonZeroU32::new(5000).unwrap();

/// A password, key or token. It is shown nowhere: not by `Debug`, not in errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the request that needs it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // Not as a `String`: serde's own error for another type quotes the value.
        let Value::String(text) = Value::deserialize(from)? else {
            return Err(D::Error::custom("is not a text"));
        };
        if text.is_empty() {
            return Err(D::Error::custom("is empty"));
        }
        if !text.chars().all(|it| it.is_ascii_graphic() || it == ' ') {
            return Err(D::Error::custom("has a character that is not plain ASCII"));
        }
        Ok(Self(text))
    }
}

/// Scheme and host (and port) of an upstream: HTTPS, or HTTP to this very machine, as tests do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// The base URL that `text` is.
    ///
    /// # Errors
    /// What is wrong with it, in words for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        let Some(host) = url.host() else {
            return Err("has no host".to_owned());
        };
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&host) => {}
            _ => return Err("is not an https:// URL".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user name or password in it, which have settings of their own".to_owned());
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("has more than scheme and host; the paths are known".to_owned());
        }
        Ok(Self(url))
    }

    /// The URL of a path below it. Segments are escaped, and can not climb.
    pub(super) fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        url
    }

    pub(super) fn as_url(&self) -> &Url {
        &self.0
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match *host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => IpAddr::from(address).is_loopback(),
        Host::Ipv6(address) => IpAddr::from(address).is_loopback(),
    }
}

/// A value that is no secret where secrets are expected too.
pub(super) fn public(text: &str) -> Secret {
    Secret(text.to_owned())
}

/// The default of a setting.
pub(super) fn usual_url(text: &str) -> BaseUrl {
    BaseUrl::parse(text).expect("a constant URL")
}

/// The default of `requests_per_second`.
pub(super) const fn usual_rate() -> NonZeroU32 {
    USUAL_RATE
}

/// The default of `max_pages`.
pub(super) const fn usual_pages() -> NonZeroU32 {
    USUAL_PAGES
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_https_hosts_and_this_machine_are_taken() {
        for good in
            ["https://na.example.com", "https://na.example.com:8443/", "http://127.0.0.1:9", "http://[::1]:9"]
        {
            assert!(BaseUrl::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://na.example.com", "https://"),
            ("http://127.0.0.1.example.com", "https://"),
            ("ftp://127.0.0.1", "https://"),
            ("https://user:hunter2@na.example.com", "user name"),
            ("https://na.example.com/v4_6_release", "paths are known"),
            ("https://na.example.com?x", "paths are known"),
            ("na.example.com", "not a URL"),
            ("https:", "not a URL"),
        ] {
            let reason = BaseUrl::parse(bad).expect_err(bad);
            assert!(reason.contains(why) && !reason.contains("hunter2"), "{bad}: {reason}");
        }
    }

    #[test]
    fn segments_cannot_climb() {
        let base = BaseUrl::parse("https://a.example").unwrap();
        assert_eq!(base.join(&["a/..", "b c", "?d"]).as_str(), "https://a.example/a%2F../b%20c/%3Fd");
        assert_eq!(base.join(&["..", "token"]).as_str(), "https://a.example/token");
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret: Secret = serde_json::from_value(json!("hunter2")).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        for bad in [json!(987_654), json!(["hunter2"]), json!("hunter2\n"), json!("")] {
            let reason = serde_json::from_value::<Secret>(bad).unwrap_err().to_string();
            assert!(!reason.contains("hunter2") && !reason.contains("987"), "{reason}");
        }
    }
}
