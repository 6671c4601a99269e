//! Where a request comes from: the peer, or the client that proxies which are trusted say they had.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use ipnet::IpNet;
use weirgate_identity::audit::{Actor, ServiceToken};

use crate::problem::Problem;

/// Proxies whose word on where a request came from is taken.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Reads a list of addresses and networks with commas between, such as `10.0.0.0/8, ::1`.
    pub fn parse(text: &str) -> Option<Self> {
        let network = |item: &str| {
            let item = item.trim();
            item.parse::<IpNet>().ok().or_else(|| item.parse::<IpAddr>().ok().map(IpNet::from))
        };
        text.split(',').map(network).collect::<Option<_>>().map(Self)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client that a peer had this request from. A proxy writes one of the two headers and may
    /// pass on what the client has said in the other one. Which one it is we do not know, so where
    /// they lead to different clients neither is believed.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        let (usual, standard) = (said(headers, "x-forwarded-for"), said_in_forwarded(headers));
        let (by_usual, by_standard) = (self.last_before(peer, &usual), self.last_before(peer, &standard));
        match (usual.is_empty(), standard.is_empty()) {
            (_, true) => by_usual,
            (true, false) => by_standard,
            (false, false) if by_usual == by_standard => by_usual,
            (false, false) => peer,
        }
    }

    /// Each proxy adds whom it had the request from at the right end, so the first one from there
    /// that is no proxy of ours is the client; what stands before it, the client may have made up.
    fn last_before(&self, peer: IpAddr, said: &[Option<IpAddr>]) -> IpAddr {
        let mut client = peer;
        for address in said.iter().rev() {
            if !self.contains(client) {
                break;
            }
            let Some(address) = address else { break };
            client = address.to_canonical();
        }
        client
    }
}

/// The items of a header that may be there several times.
fn items<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    // A value that is no text counts as an item that says nothing.
    headers.get_all(name).iter().flat_map(|value| value.to_str().unwrap_or("?").split(','))
}

fn said(headers: &HeaderMap, name: &'static str) -> Vec<Option<IpAddr>> {
    items(headers, name).map(|item| address(item.trim())).collect()
}

/// <https://www.rfc-editor.org/rfc/rfc7239#section-4>
fn said_in_forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let of_item = |item: &str| {
        let pairs = item.split(';').filter_map(|pair| pair.trim().split_once('='));
        let mut of = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for")).map(|(_, value)| value);
        address(of.next()?.trim().trim_matches('"'))
    };
    items(headers, "forwarded").map(of_item).collect()
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))
}

/// The client's address; `None` where no socket is known.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub Option<IpAddr>);

impl ClientAddress {
    pub fn of(proxies: &TrustedProxies, extensions: &Extensions, headers: &HeaderMap) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        Self(peer.map(|ConnectInfo(peer)| proxies.client(peer.ip(), headers)))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientAddress
where
    TrustedProxies: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self::of(&TrustedProxies::from_ref(state), &parts.extensions, &parts.headers))
    }
}

/// Who acts on `/internal`: whoever has a token of the service.
#[derive(Debug, Clone)]
pub struct ServiceActor(pub Actor);

impl<S: Sync> FromRequestParts<S> for ServiceActor
where
    TrustedProxies: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = parts.extensions.get::<ServiceToken>().ok_or_else(Problem::internal)?;
        let proxies = TrustedProxies::from_ref(state);
        let ClientAddress(address) = ClientAddress::of(&proxies, &parts.extensions, &parts.headers);
        Ok(Self(Actor::service(*token, address)))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn client(trusted: &str, peer: &str, headers: &[(&'static str, &str)]) -> String {
        let proxies = TrustedProxies::parse(trusted).unwrap_or_default();
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .fold(HeaderMap::new(), |mut all, (name, value)| {
                all.append(name, value);
                all
            });
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        let told = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9")];
        assert_eq!(client("", "198.51.100.7", &told), "198.51.100.7");
        assert_eq!(client("10.0.0.0/8", "198.51.100.7", &told), "198.51.100.7");
    }

    #[test]
    fn the_rightmost_that_is_no_proxy_of_ours_is_the_client() {
        let trusted = "10.0.0.0/8, 192.0.2.1, fd00::/8";
        let of = |said: &str| client(trusted, "10.0.0.1", &[("x-forwarded-for", said)]);
        assert_eq!(of("203.0.113.9"), "203.0.113.9");
        assert_eq!(of("8.8.8.8, 203.0.113.9, 192.0.2.1"), "203.0.113.9");
        assert_eq!(of("203.0.113.9:4711"), "203.0.113.9");
        assert_eq!(of("[2001:db8::1]:4711"), "2001:db8::1");
        assert_eq!(of("2001:db8::1"), "2001:db8::1");
        assert_eq!(of("10.0.0.3, 10.0.0.2"), "10.0.0.3", "a client inside of the network");
        assert_eq!(of("203.0.113.9, unknown"), "10.0.0.1", "the last one that is known");
        assert_eq!(of(""), "10.0.0.1");
        let lines = [("x-forwarded-for", "8.8.8.8"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(client(trusted, "10.0.0.1", &lines), "203.0.113.9");
        assert_eq!(client(trusted, "::ffff:10.0.0.1", &lines), "203.0.113.9", "a socket for both versions");
    }

    #[test]
    fn the_standard_header_is_read_where_the_usual_one_is_missing() {
        let of = |said: &str| client("::1", "::1", &[("forwarded", said)]);
        assert_eq!(of("for=8.8.8.8, For=\"[2001:db8::1]:80\";proto=https"), "2001:db8::1");
        assert_eq!(of("proto=https;for=203.0.113.9"), "203.0.113.9");
        assert_eq!(of("for=_hidden"), "::1");
    }

    #[test]
    fn where_both_headers_are_there_they_have_to_agree() {
        let trusted = "10.0.0.0/8";
        let of = |usual: &str, standard: &str| {
            client(trusted, "10.0.0.1", &[("forwarded", standard), ("x-forwarded-for", usual)])
        };
        assert_eq!(of("203.0.113.9", "for=203.0.113.9"), "203.0.113.9");
        assert_eq!(of("8.8.8.8, 203.0.113.9, 10.0.0.2", "for=\"203.0.113.9:4711\""), "203.0.113.9");
        // Whichever of the two the proxy has written, the client has written the other one.
        assert_eq!(of("8.8.8.8", "for=203.0.113.9"), "10.0.0.1");
        assert_eq!(of("203.0.113.9", "for=8.8.8.8"), "10.0.0.1");
        assert_eq!(of("203.0.113.9", "for=unknown"), "10.0.0.1");
        assert_eq!(of("8.8.8.8", ""), "10.0.0.1");
    }

    #[test]
    fn a_list_with_an_error_is_none() {
        assert!(TrustedProxies::parse("10.0.0.0/8,127.0.0.1").is_some());
        for wrong in ["10.0.0.0/33", "proxy.example.com", "10.0.0.0/8,", "*"] {
            assert!(TrustedProxies::parse(wrong).is_none(), "{wrong}");
        }
    }
}
