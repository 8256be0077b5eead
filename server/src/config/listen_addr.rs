//! Where a listener of its own is, apart from the console's.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// An address of the network, or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListenAddr {
    /// An address and port.
    Tcp(SocketAddr),
    /// The path of a socket file.
    Unix(PathBuf),
}

/// The text is neither.
#[derive(Debug)]
pub(crate) struct InvalidListenAddr;

impl FromStr for ListenAddr {
    type Err = InvalidListenAddr;

    /// Reads `127.0.0.1:3001` or `unix:/run/keyfold/verify.sock`. The path is absolute: where a relative one leads depends on
    /// who starts the server.
    fn from_str(text: &str) -> Result<Self, InvalidListenAddr> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') && !path.ends_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(InvalidListenAddr),
            None => text.parse().map(Self::Tcp).map_err(|_| InvalidListenAddr),
        }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["127.0.0.1:3001", "[::1]:0", "unix:/run/keyfold/verify.sock"] {
            assert_eq!(text.parse::<ListenAddr>().unwrap().to_string(), text);
        }
        for text in ["", "3001", "localhost:3001", "unix:", "unix:verify.sock", "unix:/", "unix:/run/", "/run/verify.sock"] {
            assert!(text.parse::<ListenAddr>().is_err(), "{text:?}");
        }
    }
}
