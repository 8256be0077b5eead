//! What Envoy says to an authorization service over gRPC, and what it wants to hear: the messages of
//! `envoy.service.auth.v3`, as far as they matter here.
//!
//! Written by hand, so that neither a compiler for protocol buffers nor all of Envoy's API is needed to build this. Names
//! and field numbers are those of github.com/envoyproxy/envoy: `api/envoy/service/auth/v3/external_auth.proto` and
//! `attribute_context.proto`, `api/envoy/config/core/v3/base.proto` and `address.proto`, `api/envoy/type/v3/http_status.proto`;
//! and of google/rpc/status.proto. Fields that are left out are passed over when they arrive. What is decided is not here.

use std::collections::BTreeMap;
use std::fmt;

use prost::{Message, Oneof};

/// The one method of the service, as a path.
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// May a request pass?
#[derive(Clone, PartialEq, Message)]
pub struct CheckRequest {
    /// Everything that is told of it.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<AttributeContext>,
}

/// What Envoy tells of a request.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeContext {
    /// The other end of the connection that it came over.
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    /// The request.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
    /// What the configuration says of the route. No client can put anything here.
    #[prost(btree_map = "string, string", tag = "10")]
    pub context_extensions: BTreeMap<String, String>,
}

/// Somebody on the network.
#[derive(Clone, PartialEq, Message)]
pub struct Peer {
    /// Where.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
}

/// A place on the network; others than these are left empty.
#[derive(Clone, PartialEq, Message)]
pub struct Address {
    /// An address of the Internet protocol.
    #[prost(message, optional, tag = "1")]
    pub socket_address: Option<SocketAddress>,
}

/// An address and its port.
#[derive(Clone, PartialEq, Message)]
pub struct SocketAddress {
    /// The address as text.
    #[prost(string, tag = "2")]
    pub address: String,
    /// The port.
    #[prost(uint32, tag = "3")]
    pub port_value: u32,
}

/// A request, if it is one of HTTP.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// The request.
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

/// A request of HTTP.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct HttpRequest {
    /// Its method.
    #[prost(string, tag = "2")]
    pub method: String,
    /// Its headers with lower-case names; several of one name are one here, with commas between.
    #[prost(btree_map = "string, string", tag = "3")]
    pub headers: BTreeMap<String, String>,
    /// Its path and query, as the client wrote them.
    #[prost(string, tag = "4")]
    pub path: String,
    /// The host that it is for.
    #[prost(string, tag = "5")]
    pub host: String,
    /// Its headers as they came, instead of `headers`, where Envoy is configured with `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}

impl fmt::Debug for HttpRequest {
    /// Headers and queries hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Headers in the order in which they came.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderMap {
    /// Each of them.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

/// One header.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct HeaderValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value as text.
    #[prost(string, tag = "2")]
    pub value: String,
    /// Its value as it came; then there is none as text.
    #[prost(bytes = "vec", tag = "3")]
    pub raw_value: Vec<u8>,
}

impl fmt::Debug for HeaderValue {
    /// A value may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderValue").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The answer.
#[derive(Clone, PartialEq, Message)]
pub struct CheckResponse {
    /// OK lets the request pass.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// What else is to be done.
    #[prost(oneof = "HttpResponse", tags = "2, 3")]
    pub http_response: Option<HttpResponse>,
}

/// How it ended, as `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// One of the codes of gRPC; 0 is OK.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// What is to be done with a request.
#[derive(Clone, PartialEq, Oneof)]
pub enum HttpResponse {
    /// Answer it like this.
    #[prost(message, tag = "2")]
    Denied(DeniedHttpResponse),
    /// Pass it on, changed like this.
    #[prost(message, tag = "3")]
    Ok(OkHttpResponse),
}

/// The answer to a request that does not pass.
#[derive(Clone, PartialEq, Message)]
pub struct DeniedHttpResponse {
    /// Its status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    /// Its headers.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// Its body.
    #[prost(string, tag = "3")]
    pub body: String,
}

/// A status of HTTP.
#[derive(Clone, PartialEq, Message)]
pub struct HttpStatus {
    /// As a number.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// What becomes of a request that passes.
#[derive(Clone, PartialEq, Message)]
pub struct OkHttpResponse {
    /// Headers for the application.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// Headers that the application does not see.
    #[prost(string, repeated, tag = "5")]
    pub headers_to_remove: Vec<String>,
    /// Headers for the client.
    #[prost(message, repeated, tag = "6")]
    pub response_headers_to_add: Vec<HeaderValueOption>,
    /// Parameters of the query that the application does not see.
    #[prost(string, repeated, tag = "8")]
    pub query_parameters_to_remove: Vec<String>,
}

/// A header, and what becomes of others of that name.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValueOption {
    /// The header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<HeaderValue>,
    /// Keep what is there already, as `google.protobuf.BoolValue`. Old versions of Envoy know nothing else; where it is
    /// given, newer ones do not look at `append_action`.
    #[prost(message, optional, tag = "2")]
    pub append: Option<bool>,
    /// One of `HeaderAppendAction`.
    #[prost(int32, tag = "3")]
    pub append_action: i32,
    /// Send it even if it is empty.
    #[prost(bool, tag = "4")]
    pub keep_empty_value: bool,
}

/// `HeaderAppendAction`: take the place of whatever is there under the name.
pub const OVERWRITE_IF_EXISTS_OR_ADD: i32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn option(key: &str, value: &str) -> HeaderValueOption {
        let header = Some(HeaderValue { key: key.to_owned(), value: value.to_owned(), raw_value: Vec::new() });
        HeaderValueOption { header, append_action: OVERWRITE_IF_EXISTS_OR_ADD, keep_empty_value: true, append: None }
    }

    // The bytes in these tests were written by the Python package envoy-data-plane 2.2.0, which is generated from Envoy's own
    // files.

    #[test]
    fn a_question_is_read_as_envoys_own_definitions_write_it_and_what_is_not_needed_is_passed_over() {
        let question = bytes(
            "0ab9010a1a0a120a10120b3230332e302e3131332e3918e72412017322017012100a0e0a0c120831302e302e302e311850227612740a013112034745541a0d\
             0a053a7061746812042f613f621a190a0d617574686f72697a6174696f6e1208426561726572206b6a180a0e0a09782d6170692d6b65791a01ff0a060a017912\
             017a22042f613f622a01683205687474707348ffffffffffffffffff015208485454502f312e315a017852110a09776f726b7370616365120461636d65",
        );
        let raw = |key: &str, value: &str, raw: &[u8]| HeaderValue { key: key.into(), value: value.into(), raw_value: raw.to_vec() };
        let http = HttpRequest {
            method: "GET".into(),
            headers: [(":path".into(), "/a?b".into()), ("authorization".into(), "Bearer k".into())].into(),
            path: "/a?b".into(),
            host: "h".into(),
            header_map: Some(HeaderMap { headers: vec![raw("x-api-key", "", b"\xff"), raw("y", "z", b"")] }),
        };
        let socket_address = Some(SocketAddress { address: "203.0.113.9".into(), port_value: 4711 });
        let attributes = AttributeContext {
            source: Some(Peer { address: Some(Address { socket_address }) }),
            request: Some(Request { http: Some(http) }),
            context_extensions: [("workspace".into(), "acme".into())].into(),
        };
        let read = CheckRequest::decode(&question[..]).unwrap();
        assert!(read == CheckRequest { attributes: Some(attributes) });
        let told = format!("{read:?}");
        assert!(told.contains("GET") && !told.contains("Bearer") && !told.contains("a?b"), "{told}");
    }

    #[test]
    fn answers_are_written_as_envoys_own_definitions_write_them() {
        let beside = Some(HeaderValue { key: "ratelimit".into(), value: "r".into(), raw_value: Vec::new() });
        let ok = OkHttpResponse {
            headers: vec![option("keyfold-key", "")],
            headers_to_remove: vec!["authorization".into()],
            response_headers_to_add: vec![HeaderValueOption { header: beside, append: Some(true), ..HeaderValueOption::default() }],
            query_parameters_to_remove: vec!["api-key".into()],
        };
        let yes = CheckResponse { status: Some(Status { code: 0 }), http_response: Some(HttpResponse::Ok(ok)) };
        let written = "0a001a4312130a0d0a0b6b6579666f6c642d6b6579180220012a0d617574686f72697a6174696f6e32140a0e0a09726174656c696d6974120172\
                       1202080142076170692d6b6579";
        assert_eq!(yes.encode_to_vec(), bytes(written));

        let denied = DeniedHttpResponse {
            status: Some(HttpStatus { code: 403 }),
            headers: vec![option("keyfold-code", "denied")],
            body: "{}".into(),
        };
        let no = CheckResponse { status: Some(Status { code: 7 }), http_response: Some(HttpResponse::Denied(denied)) };
        let written = "0a02080712270a03089303121c0a160a0c6b6579666f6c642d636f6465120664656e696564180220011a027b7d";
        assert_eq!(no.encode_to_vec(), bytes(written));
    }
}
