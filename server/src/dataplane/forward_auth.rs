//! Forward-auth: a proxy asks about a request that it holds back, and passes it on only with our yes.
//!
//! The proxy is believed only where the configuration names it; what a client may have slipped in is refused. A yes always
//! carries every identity header, a no a body that names its reason.

mod asked;
mod identity;
mod presented;
mod refusal;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::{HeaderMap, Method, Response, Uri};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::route::{NoRoute, RouteMap};
use keyfold_domain::verdict::Code;
use keyfold_engine::{Client, ForwardRequest, Forwarded, Passage};

pub(super) use asked::{Asked, Place};
pub(crate) use identity::IDENTITY;
pub(super) use presented::API_KEY;
pub(super) use refusal::{Dialect, Refusal};

use super::reply::{Reply, tell_stale};
use crate::auth::{client_ip, is_trusted, user_agent};
use crate::compat::h2ogpte::is_waiting;
use crate::rate_limits;
use crate::router::AnswerBody;
use crate::state::AppState;

/// What a proxy answers by itself where it gets no answer from us: not known is no.
pub(crate) const UNAVAILABLE: &str = r#"{"type":"about:blank","title":"Not available at the moment","status":503,"code":"unavailable","reason":"unavailable","detail":"The request cannot be checked or answered at the moment. Try again.","message":"The request cannot be checked or answered at the moment. Try again.","error":"The request cannot be checked or answered at the moment. Try again.","details":[]}"#;

/// The code of a yes that needed no key.
const PUBLIC: &str = "public";

/// Ask whether a request that a proxy holds back may pass.
///
/// Any method. The proxy says in `X-Forwarded-Method` and `X-Forwarded-Uri`, in `X-Original-Method` and `X-Original-URI`, or by
/// appending the path to this one, what was asked for; the key is the request's own, in `Authorization: Bearer`,
/// `X-Api-Key` or `?api-key=`. The workspace's route map says which scope and resource it needs. Keys of other workspaces
/// are as unknown as keys that never were. Only proxies that the configuration trusts are answered; a refusal names its
/// `reason`. A no because of a limit says in `Retry-After` when to come back.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/forward-auth",
    operation_id = "check_request",
    tag = "verification",
    params(("workspace" = String, Path, description = "The workspace whose keys may pass, by slug or id.", example = "acme")),
    security(("api_key" = [])),
    responses((
        status = 204,
        description = "It may pass, and the headers say as whom; all of them are always there.",
        headers(
            ("Keyfold-Key" = String, description = "The key's id."),
            ("Keyfold-Name" = String, description = "What people call it, percent-encoded."),
            ("Keyfold-Owner" = String, description = "The username of its owner, percent-encoded."),
            ("Keyfold-Workspace" = String, description = "The workspace's short name."),
            ("Keyfold-Kind" = String, description = "The key's sort."),
            ("Keyfold-Scopes" = String, description = "Every scope that it may use, with blanks between."),
            ("Keyfold-Resource" = String, description = "What the request is about, as `kind:id`, percent-encoded."),
            ("Keyfold-Resources" = String, description = "What the key is tied to, with blanks between; empty for everything."),
            ("Keyfold-Code" = String, description = "`valid`, or `public` where no key was looked at."),
            ("Keyfold-Stale" = String, description = "Only where the workspace wants answers from a server that has lost touch with the database: for how many seconds it has."),
            ("RateLimit-Policy" = String, description = "The limits of the key, if it has any: draft-ietf-httpapi-ratelimit-headers-10."),
            ("RateLimit" = String, description = "What is left of them after this request."),
        )
    ))
)]
pub(crate) async fn check_request(
    state: &AppState,
    reply: Reply,
    peer: Option<IpAddr>,
    place: &Place<'_>,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
) -> Response<AnswerBody> {
    // nginx passes no body of ours on, so there it travels in a header as well.
    let in_header = headers.contains_key("x-original-uri");
    answer(state, reply, read(state, peer, place, (method, uri, headers)), in_header).await
}

/// The answer to a question, or to what is none. `in_header`: with the body of a no in a header as well.
pub(super) async fn answer(
    state: &AppState,
    reply: Reply,
    request: Result<ForwardRequest<'_>, Refusal>,
    in_header: bool,
) -> Response<AnswerBody> {
    let request = match request {
        Ok(request) => request,
        Err(refusal) => return reply.held_back(&refusal, Dialect::Own, in_header),
    };
    let forwarded = match state.engine.verifier.forward(&request) {
        Ok(forwarded) => forwarded,
        Err(error) => {
            let problem = reply.logged(&error).await;
            return reply.held_back(&Refusal::of(&problem), Dialect::Own, in_header);
        }
    };
    let mut response = match counted(state, &forwarded) {
        Ok(identity) => reply.passed(identity),
        Err(refusal) => {
            let dialect = forwarded.routes.as_deref().map_or(Dialect::Own, |routes| dialect(&routes.map));
            reply.held_back(&refusal, dialect, in_header)
        }
    };
    if let Passage::Judged { answer, .. } = &forwarded.passage {
        rate_limits::tell_key(response.headers_mut(), answer);
        tell_stale(response.headers_mut(), answer);
    }
    response
}

/// Ask whether a request that a proxy holds back may pass, with a key of any workspace.
///
/// As `check_request`, by the route map of the key's own workspace. Whoever has any workspace on this server can let their
/// keys pass here: the application behind has to look at `Keyfold-Workspace`.
#[utoipa::path(
    get,
    path = "/v1/forward-auth",
    operation_id = "check_any_request",
    tag = "verification",
    security(("api_key" = [])),
    responses((status = 204, description = "It may pass. The headers are those of `check_request`."))
)]
pub(crate) async fn check_any_request(
    state: &AppState,
    reply: Reply,
    peer: Option<IpAddr>,
    place: &Place<'_>,
    about: (&Method, &Uri, &HeaderMap),
) -> Response<AnswerBody> {
    check_request(state, reply, peer, place, about).await
}

/// The question, if the proxy may ask and asks clearly.
fn read<'r>(
    state: &AppState,
    peer: Option<IpAddr>,
    place: &Place<'r>,
    (method, uri, headers): (&'r Method, &'r Uri, &'r HeaderMap),
) -> Result<ForwardRequest<'r>, Refusal> {
    trusted(state, peer)?;
    let asked = asked::asked(place, method, uri, headers);
    question(place.workspace, asked, client_ip(&state.config.trusted_proxies, peer, headers), headers)
}

/// May whoever is at the other end of the connection ask?
pub(super) fn trusted(state: &AppState, peer: Option<IpAddr>) -> Result<(), Refusal> {
    let may = peer.is_some_and(|peer| is_trusted(&state.config.trusted_proxies, peer));
    if may { Ok(()) } else { Err(untrusted(peer)) }
}

/// The question about a request with these headers, of an end client at `ip`, from a proxy that is trusted.
pub(super) fn question<'r>(
    workspace: Option<&'r str>,
    asked: Result<Asked<'r>, Refusal>,
    ip: Option<IpAddr>,
    headers: &'r HeaderMap,
) -> Result<ForwardRequest<'r>, Refusal> {
    if let Some(name) = presented::forged(headers) {
        let message = format!("The request carries the header {name}, which only Keyfold may set. Let the proxy remove such headers.");
        return Err(Refusal::because("forged_identity", Problem::new(ProblemCode::Invalid, message)));
    }
    let Asked { method, target } = asked?;
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Ok(ForwardRequest {
        workspace,
        key: presented::presented(headers, query)?,
        method,
        target,
        client: Client { ip, user_agent: user_agent(headers) },
        waits: is_waiting(method, path, headers),
    })
}

/// The same as [`decided`], with the verdict counted.
fn counted(state: &AppState, forwarded: &Forwarded) -> Result<HeaderMap, Refusal> {
    if let Passage::Judged { answer, .. } = &forwarded.passage {
        state.metrics.verdict(answer.code);
    }
    decided(forwarded)
}

/// The identity headers of a yes, or why not.
fn decided(forwarded: &Forwarded) -> Result<HeaderMap, Refusal> {
    match &forwarded.passage {
        Passage::Open => Ok(identity::of_nobody(PUBLIC)),
        Passage::NoKey => {
            let message = "Send an API key as `Authorization: Bearer …` or as `X-Api-Key: …`.";
            Err(Refusal::of(&Problem::new(ProblemCode::Unauthenticated, message)))
        }
        Passage::Denied => {
            let message = "The workspace's route map refuses this method and path, whatever the key.";
            Err(Refusal::because("denied", Problem::new(ProblemCode::Forbidden, message)))
        }
        Passage::NoRoute(why) => {
            let code = if *why == NoRoute::NoRule { ProblemCode::Forbidden } else { ProblemCode::Invalid };
            Err(Refusal::because(why.as_str(), Problem::new(code, why.to_string())))
        }
        Passage::Judged { answer, scope, resource } => match (answer.code, &answer.key) {
            (Code::Valid, Some(key)) => Ok(identity::of_key(key, resource.as_ref(), Code::Valid.as_str())),
            (code, _) => {
                let scope = scope.as_ref().filter(|_| code == Code::MissingScope).map(ToString::to_string);
                let resource = resource.as_ref().filter(|_| code == Code::WrongResource).map(ToString::to_string);
                Err(Refusal::verdict(code, answer.retry_after).needing(scope, resource))
            }
        },
    }
}

/// What the clients of the platform behind can read.
fn dialect(map: &RouteMap) -> Dialect {
    if map.is_for_h2ogpte() { Dialect::H2ogpte } else { Dialect::Own }
}

fn untrusted(peer: Option<IpAddr>) -> Refusal {
    static TOLD: AtomicBool = AtomicBool::new(false);
    // Once: whoever reaches this port could fill the log otherwise.
    if !TOLD.swap(true, Ordering::Relaxed) {
        let peer = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_canonical().to_string());
        tracing::warn!(peer, "forward-auth was asked by an address that is not in trusted_proxies; this is said once");
    }
    let message = "Forward-auth answers trusted proxies only. If this proxy is one, put its address into trusted_proxies \
                   (KEYFOLD_TRUSTED_PROXIES) of Keyfold; its log names the address.";
    Refusal::because("untrusted_proxy", Problem::new(ProblemCode::Forbidden, message))
}
