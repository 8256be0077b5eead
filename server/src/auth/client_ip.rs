//! The address of the client. Behind proxies it is what the trusted ones say, never what the client says.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the peer of the connection, or, where that is a trusted proxy, the right-most address in
/// `X-Forwarded-For` that is not a trusted proxy itself. An entry that is no address ends the search at the proxy that
/// wrote it. IPv4 in IPv6 form counts as IPv4.
pub(crate) fn client_ip(trusted: &[IpNet], peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
    let mut client = peer?.to_canonical();
    if !is_trusted(trusted, client) {
        return Some(client);
    }
    for line in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        let Ok(line) = line.to_str() else { return Some(client) };
        for entry in line.rsplit(',') {
            let Some(next) = address(entry.trim()) else { return Some(client) };
            client = next;
            if !is_trusted(trusted, client) {
                return Some(client);
            }
        }
    }
    Some(client)
}

/// Is that one of the trusted proxies?
pub(crate) fn is_trusted(trusted: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    trusted.iter().any(|net| net.contains(&ip))
}

/// An address as proxies write it: bare, in brackets, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(X_FORWARDED_FOR, line.parse().unwrap());
        }
        client_ip(&trusted, Some(peer.parse().unwrap()), &headers).unwrap().to_string()
    }

    #[test]
    fn without_trusted_proxies_the_header_is_not_believed() {
        assert_eq!(seen(&[], "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(seen(&["10.0.0.0/8"], "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
    }

    #[test]
    fn the_right_most_address_that_is_no_proxy_is_the_client() {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        assert_eq!(seen(&trusted, "10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen(&trusted, "10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.2.3.4"]), "198.51.100.1");
        assert_eq!(seen(&trusted, "10.0.0.1", &["1.1.1.1", "198.51.100.1,10.2.3.4"]), "198.51.100.1");
        assert_eq!(seen(&trusted, "fd00::1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(seen(&trusted, "10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(seen(&trusted, "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn nonsense_ends_the_search_at_the_proxy_that_passed_it_on() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(seen(&trusted, "10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(seen(&trusted, "10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(seen(&trusted, "10.0.0.1", &[""]), "10.0.0.1");
    }

    #[test]
    fn an_address_is_read_in_every_form_proxies_write() {
        let trusted = ["10.0.0.0/8"];
        for (entry, client) in [
            ("198.51.100.1:4711", "198.51.100.1"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
        ] {
            assert_eq!(seen(&trusted, "::ffff:10.0.0.1", &[entry]), client, "{entry}");
        }
    }
}
