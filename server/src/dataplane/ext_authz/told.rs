//! What Envoy tells of a request that it holds back.

use std::net::IpAddr;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};

use crate::auth::client_ip;
use crate::dataplane::forward_auth::{API_KEY, Asked, Refusal};
use crate::envoy::{AttributeContext, CheckRequest, HttpRequest};
use crate::state::AppState;

/// The entry of the route's context that says whose keys may pass.
const WORKSPACE: &str = "workspace";
/// Its value for keys of every workspace.
const ANY: &str = "*";
/// The longest head of a request, in bytes, as over HTTP.
const MAX_HEAD: usize = 32 * 1024;
/// The most headers. Envoy takes 100 unless it is told otherwise, and adds some.
const MAX_HEADERS: usize = 128;

/// The request, if it was told clearly.
#[derive(Debug)]
pub(super) struct Told<'r> {
    /// The workspace whose keys may pass, by slug or id; `None` for each key's own.
    pub(super) workspace: Option<&'r str>,
    method: &'r str,
    target: &'r str,
    /// Its headers, without those that only HTTP/2 has.
    pub(super) headers: HeaderMap,
    /// The other end of the connection that it came to Envoy over.
    source: Option<IpAddr>,
}

impl<'r> Told<'r> {
    /// What the message says. Whatever it says twice it has to say alike, and what cannot be read is no question.
    pub(super) fn of(question: &'r CheckRequest) -> Result<Self, Refusal> {
        let attributes = question.attributes.as_ref().ok_or_else(|| Refusal::invalid(UNTOLD))?;
        let http = attributes.request.as_ref().and_then(|request| request.http.as_ref()).ok_or_else(|| Refusal::invalid(UNTOLD))?;
        let workspace = match attributes.context_extensions.get(WORKSPACE).map(String::as_str) {
            None | Some("") => return Err(Refusal::invalid(NO_WORKSPACE)),
            Some(ANY) => None,
            named => named,
        };
        if http.path.is_empty() || Method::from_bytes(http.method.as_bytes()).is_err() {
            return Err(Refusal::invalid(UNTOLD));
        }
        if !http.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::invalid("The path has to be of visible ASCII characters; others are written as %XX."));
        }
        let headers = headers(http)?;
        Ok(Self { workspace, method: &http.method, target: &http.path, headers, source: source(attributes)? })
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { method: self.method, target: self.target }
    }

    /// The end client, if `proxy`, which is trusted, asks. As over HTTP, and the connection that Envoy names counts as the last
    /// entry of `X-Forwarded-For`, whether Envoy has written it there or not.
    pub(super) fn client(&self, state: &AppState, proxy: IpAddr) -> Option<IpAddr> {
        client_ip(&state.config.trusted_proxies, self.source.or(Some(proxy)), &self.headers)
    }

    /// Has the key to be taken out of the query before the application sees it?
    pub(super) fn has_key_in_query(&self) -> bool {
        let (_, query) = self.target.split_once('?').unwrap_or_default();
        query.split('&').any(|pair| pair.split_once('=').map_or(pair, |(name, _)| name) == API_KEY)
    }
}

const UNTOLD: &str = "The proxy does not say what was asked for. It has to ask as envoy.service.auth.v3 about a request of HTTP.";
const NO_WORKSPACE: &str = "The proxy does not say whose keys may pass. Give the route the context extension workspace: its slug, or * for \
                            every workspace's.";
const TWICE: &str = "The proxy says in two ways what was asked for, and they differ.";
const UNREADABLE: &str = "The proxy tells a header that cannot be one.";

/// The headers, from wherever they are.
fn headers(http: &HttpRequest) -> Result<HeaderMap, Refusal> {
    let raw = http.header_map.iter().flat_map(|map| &map.headers).map(|header| {
        let is_text = header.raw_value.is_empty();
        (header.key.as_str(), if is_text { header.value.as_bytes() } else { header.raw_value.as_slice() })
    });
    let merged = http.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    if !http.headers.is_empty() && http.header_map.as_ref().is_some_and(|map| !map.headers.is_empty()) {
        return Err(Refusal::invalid(TWICE));
    }
    let mut headers = HeaderMap::with_capacity(http.headers.len());
    let mut length = http.path.len();
    for (name, value) in merged.chain(raw) {
        length += name.len() + value.len();
        if length > MAX_HEAD || headers.len() >= MAX_HEADERS {
            return Err(Refusal::invalid("The head of the request is longer than 32 KiB, or has more than 128 headers."));
        }
        let told = match name {
            ":method" => Some(http.method.as_str()),
            ":path" => Some(http.path.as_str()),
            _ => None,
        };
        if told.is_some_and(|told| told.as_bytes() != value) {
            return Err(Refusal::invalid(TWICE));
        }
        // The others of these say nothing that is asked for.
        if name.starts_with(':') {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Refusal::invalid(UNREADABLE))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| Refusal::invalid(UNREADABLE))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The address at the other end of the client's connection; `None` where that is no address of the Internet protocol.
fn source(attributes: &AttributeContext) -> Result<Option<IpAddr>, Refusal> {
    let address = attributes.source.as_ref().and_then(|peer| peer.address.as_ref()).and_then(|address| address.socket_address.as_ref());
    let unreadable = |_| Refusal::invalid("The proxy tells an address of the client that is none.");
    address.map(|socket| socket.address.parse::<IpAddr>().map_err(unreadable)).transpose()
}
