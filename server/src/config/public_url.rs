//! The address under which browsers see this server.

use std::fmt;
use std::net::SocketAddr;

use axum::http::Uri;
use axum::http::uri::Authority;

/// An origin: scheme, host and port, in the form in which browsers send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl {
    origin: String,
    https: bool,
    loopback: bool,
}

impl PublicUrl {
    /// Reads `http://host[:port]` or `https://host[:port]`. The error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "must look like https://keys.example.com or http://127.0.0.1:3000";
        let uri: Uri = text.parse().map_err(|_| SHAPE.to_owned())?;
        let authority = uri.authority().ok_or(SHAPE)?;
        // Neither user names nor a port that is no number.
        if authority.port_u16().is_none() && authority.as_str() != authority.host() || authority.as_str().contains('@') {
            return Err(SHAPE.to_owned());
        }
        if uri.path() != "/" && !uri.path().is_empty() || uri.query().is_some() {
            return Err("must not have a path: Keyfold lives at the root of its own host name".to_owned());
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self::new(true, authority)),
            Some("http") => Ok(Self::new(false, authority)),
            _ => Err(SHAPE.to_owned()),
        }
    }

    /// What a browser on the same machine types for a server that listens there.
    pub(crate) fn of_address(addr: SocketAddr) -> Self {
        let host = if addr.ip().is_unspecified() { format!("localhost:{}", addr.port()) } else { addr.to_string() };
        let loopback = addr.ip().is_unspecified() || addr.ip().is_loopback();
        let host = host.strip_suffix(":80").unwrap_or(&host);
        Self { origin: format!("http://{host}"), https: false, loopback }
    }

    fn new(https: bool, authority: &Authority) -> Self {
        let host = authority.host().to_ascii_lowercase();
        let (scheme, usual) = if https { ("https", 443) } else { ("http", 80) };
        let origin = match authority.port_u16() {
            Some(port) if port != usual => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        };
        Self { origin, https, loopback: is_loopback(&host) }
    }

    /// As in the header `Origin`.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) const fn is_https(&self) -> bool {
        self.https
    }

    /// Does it name the browser's own machine?
    pub(crate) const fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.ends_with(".localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_the_origin_that_browsers_send() {
        for (text, origin) in [
            ("https://Keys.Example.com", "https://keys.example.com"),
            ("https://keys.example.com:443/", "https://keys.example.com"),
            ("https://keys.example.com:8443", "https://keys.example.com:8443"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().origin(), origin, "{text}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in
            ["", "keys.example.com", "ftp://a", "https://", "https://a/keys", "https://a/?b", "https://u:p@a", "https://a:x", "https://a b"]
        {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_is_known_by_name_and_by_number() {
        for text in ["http://localhost:3000", "http://keys.localhost", "http://127.0.0.2", "http://[::1]"] {
            assert!(PublicUrl::parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in ["http://10.0.0.1", "http://localhost.example.com", "https://keys.example.com"] {
            assert!(!PublicUrl::parse(text).unwrap().is_loopback(), "{text}");
        }
    }

    #[test]
    fn a_server_on_all_addresses_is_reached_as_localhost() {
        assert_eq!(PublicUrl::of_address("0.0.0.0:3000".parse().unwrap()).origin(), "http://localhost:3000");
        assert_eq!(PublicUrl::of_address("[::1]:80".parse().unwrap()).origin(), "http://[::1]");
        assert!(!PublicUrl::of_address("10.0.0.1:3000".parse().unwrap()).is_loopback());
    }
}
