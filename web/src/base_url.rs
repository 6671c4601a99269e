//! Chooses the scheme and host of URLs in answers. A request that comes straight to an address that
//! this service listens on, or by a name inside its network, keeps its own host, as the public URL
//! may lead nowhere from there. All others get the public URL where one is set; else the `Host` that
//! they name, if it is such an address. An untrusted `Host` is never echoed: it could lead whoever
//! follows a link to another site.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use parking_lot::Mutex;

use crate::client_address::TrustedProxies;

/// What a proxy adds: the request has come from farther away than its peer.
const FORWARDING: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// Addresses of which it is remembered whether they are this machine's.
const MOST_REMEMBERED: usize = 100;

/// What URLs begin with.
#[derive(Debug)]
pub struct BaseUrl {
    public: Option<String>,
    listen: Option<SocketAddr>,
    /// What these pass on has come from farther away, whether they say so or not.
    proxies: TrustedProxies,
    /// Whether an address is this machine's, which may change only with its network.
    own: Mutex<HashMap<IpAddr, bool>>,
}

impl BaseUrl {
    /// `listen` is where the service really listens, if it does.
    pub fn new(public: Option<String>, listen: Option<SocketAddr>, proxies: TrustedProxies) -> Self {
        let public = public.map(|url| url.trim_end_matches('/').to_owned());
        Self { public, listen, proxies, own: Mutex::default() }
    }

    /// The one that is set for all who are not on this network.
    pub fn public(&self) -> Option<&str> {
        self.public.as_deref()
    }

    /// Whether clients are to reach it by HTTPS alone.
    pub fn is_https(&self) -> bool {
        self.public
            .as_deref()
            .is_some_and(|url| url.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("https:")))
    }

    /// What the service calls itself in tokens: the same whichever way a request takes.
    pub fn issuer(&self) -> String {
        self.public.clone().unwrap_or_else(|| format!("http://{}", self.usual()))
    }

    /// Scheme and host for the answer to a request of `peer`, without a slash at the end.
    pub fn of(&self, headers: &HeaderMap, uri: &Uri, peer: Option<IpAddr>) -> String {
        let from_inside = peer.is_none_or(|peer| is_private(peer) && !self.proxies.contains(peer))
            && !FORWARDING.iter().any(|name| headers.contains_key(*name));
        if let Some(public) = self.public.as_ref().filter(|_| !from_inside) {
            return public.clone();
        }
        let given = headers.get(HOST).and_then(|value| value.to_str().ok());
        let given =
            given.or_else(|| uri.authority().map(Authority::as_str)).and_then(|host| host.parse().ok());
        let ours = |host: &Authority| self.is_ours(host) || from_inside && self.is_name_inside(host);
        match (given.filter(ours), &self.public) {
            (Some(host), _) => format!("http://{host}"),
            (None, Some(public)) => public.clone(),
            (None, None) => format!("http://{}", self.usual()),
        }
    }

    /// Whether it is a name without a dot, such as that of a service in a compose file: no public
    /// DNS has it, only that of a network which the peer and this service are both in.
    fn is_name_inside(&self, host: &Authority) -> bool {
        let is_label = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        self.is_at_our_port(host)
            && is_label(host.host())
            && !host.host().bytes().all(|byte| byte.is_ascii_digit())
    }

    fn is_at_our_port(&self, host: &Authority) -> bool {
        let port = host.port_u16().unwrap_or(80);
        !host.as_str().contains('@') && self.listen.is_some_and(|listen| listen.port() == port)
    }

    /// How it is reached from this machine, or where it listens.
    fn usual(&self) -> String {
        match self.listen {
            None => "localhost".to_owned(),
            Some(listen) if listen.ip().is_unspecified() => format!("localhost:{}", listen.port()),
            Some(listen) => listen.to_string(),
        }
    }

    fn is_ours(&self, host: &Authority) -> bool {
        let Some(listen) = self.listen else { return host.as_str() == "localhost" };
        if !self.is_at_our_port(host) {
            return false;
        }
        let name = host.host();
        let (bound, everywhere) = (listen.ip(), listen.ip().is_unspecified());
        if name.eq_ignore_ascii_case("localhost") {
            return everywhere || bound.is_loopback();
        }
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let Ok(address) = bare.parse::<IpAddr>() else { return false };
        !address.is_unspecified() && (address == bound || everywhere && self.is_this_machines(address))
    }

    /// Whether this machine has the address: it lets nobody open a socket on one that it has not.
    fn is_this_machines(&self, address: IpAddr) -> bool {
        if address.is_loopback() {
            return true;
        }
        let mut own = self.own.lock();
        if own.len() >= MOST_REMEMBERED {
            own.clear();
        }
        // A multicast address can be opened by anybody who likes to listen to it.
        *own.entry(address)
            .or_insert_with(|| !address.is_multicast() && UdpSocket::bind((address, 0)).is_ok())
    }
}

/// Whether an address is of no public network.
fn is_private(address: IpAddr) -> bool {
    const UNIQUE_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0);
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => {
            let unique_local = address.segments()[0] & 0xfe00 == UNIQUE_LOCAL.segments()[0];
            address.is_loopback() || unique_local || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(base: &BaseUrl, host: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        base.of(&headers, &Uri::from_static("/v1/jobs"), Some("203.0.113.9".parse().unwrap()))
    }

    /// To a peer of a network that is not public.
    fn answered_inside(base: &BaseUrl, host: &str, more: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        for (name, value) in more {
            headers.insert(*name, value.parse().unwrap());
        }
        base.of(&headers, &Uri::from_static("/v1/jobs"), Some("172.18.0.5".parse().unwrap()))
    }

    fn listening(at: &str) -> BaseUrl {
        BaseUrl::new(None, Some(at.parse().unwrap()), TrustedProxies::default())
    }

    fn public_at(listen: &str) -> BaseUrl {
        let public = Some("https://jobs.example/".to_owned());
        BaseUrl::new(public, Some(listen.parse().unwrap()), TrustedProxies::default())
    }

    #[test]
    fn a_trusted_proxy_that_adds_no_header_is_not_inside() {
        let mut public = public_at("0.0.0.0:8080");
        assert_eq!(answered_inside(&public, "api:8080", &[]), "http://api:8080");
        public.proxies = TrustedProxies::parse("172.16.0.0/12").unwrap();
        assert_eq!(answered_inside(&public, "api:8080", &[]), "https://jobs.example");
    }

    #[test]
    fn only_the_address_that_is_listened_on_is_followed() {
        let one = listening("127.0.0.1:8080");
        for host in ["127.0.0.1:8080", "localhost:8080"] {
            assert_eq!(answered(&one, host), format!("http://{host}"));
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.1:8081",
            "127.0.0.1:8080@evil.example",
            "evil@127.0.0.1:8080",
            "127.0.0.1:8080.evil.example",
            "localhost.evil.example:8080",
            "127.0.0.2:8080",
            "6.6.6.6:8080",
            "",
        ] {
            assert_eq!(answered(&one, host), "http://127.0.0.1:8080", "{host}");
        }
        assert_eq!(answered(&listening("[::1]:8080"), "[::1]:8080"), "http://[::1]:8080");
        assert_eq!(answered(&listening("192.0.2.7:80"), "192.0.2.7"), "http://192.0.2.7");
        assert_eq!(answered(&listening("192.0.2.7:80"), "localhost"), "http://192.0.2.7:80");
    }

    #[test]
    fn who_listens_everywhere_is_at_each_address_of_the_machine() {
        let all = listening("0.0.0.0:8080");
        for host in ["127.0.0.1:8080", "localhost:8080"] {
            assert_eq!(answered(&all, host), format!("http://{host}"));
        }
        // The last ones are for documentation, for many, and nobody's.
        for host in ["evil.example:8080", "203.0.113.9:8080", "224.0.0.1:8080", "0.0.0.0:8080"] {
            assert_eq!(answered(&all, host), "http://localhost:8080", "{host}");
        }
    }

    #[test]
    fn a_host_in_the_request_line_is_no_better_than_one_in_the_header() {
        let one = listening("127.0.0.1:8080");
        let of = |uri: &'static str| one.of(&HeaderMap::new(), &Uri::from_static(uri), None);
        assert_eq!(of("http://evil.example/v1/jobs"), "http://127.0.0.1:8080");
        assert_eq!(of("http://localhost:8080/v1/jobs"), "http://localhost:8080");
    }

    #[test]
    fn who_comes_from_inside_goes_on_as_they_came() {
        let public = public_at("0.0.0.0:8080");
        for base in [&public, &listening("0.0.0.0:8080")] {
            for host in ["api:8080", "weirgate_api:8080", "localhost:8080", "127.0.0.1:8080"] {
                assert_eq!(answered_inside(base, host, &[]), format!("http://{host}"));
            }
        }
        // Nor is it inside where a proxy in front has added who asks, or for a name that others may
        // have.
        for host in ["api:8080", "localhost:8080", "jobs.example"] {
            for proxy in
                [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9"), ("via", "1.1 p")]
            {
                assert_eq!(answered_inside(&public, host, &[proxy]), "https://jobs.example", "{host}");
            }
        }
        for host in
            ["jobs.example", "evil.example:8080", "api", "api:80", "evil@api:8080", "web.:8080", "1:8080", ""]
        {
            assert_eq!(answered_inside(&public, host, &[]), "https://jobs.example", "{host}");
        }
    }

    #[test]
    fn the_public_url_is_for_all_who_come_from_outside() {
        let public = public_at("0.0.0.0:80");
        for host in ["evil.example", "127.0.0.1", "localhost"] {
            assert_eq!(answered(&public, host), "https://jobs.example");
        }
        assert!(public.is_https() && !listening("127.0.0.1:443").is_https());
    }
}
