//! The OpenAPI 3.1 document, built from the handlers themselves.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use bytes::Bytes;
use keyfold_domain::problem::ProblemCode;
use serde_json::json;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, InfoBuilder, ObjectBuilder, OpenApiBuilder, Ref, RefOr, ResponseBuilder, Schema, Type,
};
use utoipa::{OpenApi, ToSchema};

use crate::dataplane;
use crate::rest::query::Query;
use crate::rest::workspaces::NoQuery;

const DESCRIPTION: &str = "\
Manage API keys and verify them.

Send a management key as `Authorization: Bearer …`; a page of the same origin may use its session cookie instead. Times \
are RFC 3339 in UTC. Fields and query parameters that are not described here are refused. Every refusal is \
`application/problem+json` with a stable `code` for programs and a `detail` for people. Answers carry `X-Request-Id`; \
quote it when you ask for help. How many requests are left is in `RateLimit`; beyond the limit the answer is 429 with \
`Retry-After`.";

/// A refusal or a fault (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes what `problem::ProblemResponse` writes")]
struct ProblemBody {
    /// Names the sort of problem.
    #[schema(format = "uri-reference", example = "about:blank")]
    r#type: String,
    /// A short heading, the same for every problem of this code.
    #[schema(example = "The request is not valid")]
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 400)]
    status: u16,
    /// The sort of problem, for programs. Of `whoami` and forward-auth also the verdict on the key, like `expired`.
    #[schema(example = "invalid")]
    code: String,
    /// What happened and what to do about it.
    #[schema(example = "Choose a moment at least one minute from now.")]
    detail: String,
    /// The input at fault.
    #[schema(example = "expires_at", nullable = false)]
    field: Option<String>,
    /// The thing as it is now, when it was changed meanwhile.
    #[schema(value_type = Object, nullable = false, required = false)]
    current: Option<serde_json::Value>,
    /// Under which id the request is logged.
    request_id: String,
}

#[derive(OpenApi)]
#[openapi(
    paths(
        dataplane::whoami,
        dataplane::verify,
        dataplane::verify_batch,
        dataplane::forward_auth::check_request,
        dataplane::forward_auth::check_any_request
    ),
    components(schemas(ProblemBody)),
    tags(
        (name = "verification", description = "Ask whether a key is valid and what it may do."),
        (name = "keys", description = "API keys of a workspace, from creation to deletion."),
        (name = "policy", description = "Rules for keys, of a workspace and of the whole instance. The stricter of both holds."),
        (name = "audit", description = "What was done, by whom and from where: chained, so that no change of it goes unseen."),
        (name = "members", description = "Who belongs to a workspace, who is invited, and the keys of those who left."),
        (name = "nodes", description = "The servers that run on the database; for instance administrators."),
        (name = "users", description = "Everybody on this instance; for instance administrators."),
        (name = "resources", description = "What keys can be tied to."),
        (name = "scopes", description = "What keys may be used for."),
        (name = "routes", description = "What requests to services behind a proxy need, by method and path."),
        (name = "workspaces", description = "Workspaces. Every key belongs to exactly one."),
        (name = "document", description = "This document.")
    )
)]
struct DataPlane;

/// What the document says besides the paths of the router.
pub(super) fn skeleton() -> utoipa::openapi::OpenApi {
    let DataPlaneParts { paths, components, tags } = DataPlaneParts::new();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Keyfold")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(DESCRIPTION))
                .license(Some(
                    utoipa::openapi::LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build(),
                ))
                .build(),
        )
        .paths(paths)
        .components(components)
        .tags(tags)
        .build()
}

struct DataPlaneParts {
    paths: utoipa::openapi::Paths,
    components: Option<utoipa::openapi::Components>,
    tags: Option<Vec<utoipa::openapi::Tag>>,
}

impl DataPlaneParts {
    fn new() -> Self {
        let document = DataPlane::openapi();
        Self { paths: document.paths, components: document.components, tags: document.tags }
    }
}

/// The whole document: `GET /v1/openapi.json` and `keyfold openapi`.
pub fn openapi_document() -> utoipa::openapi::OpenApi {
    let mut document = super::routes().into_openapi();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        "management_key",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("kf_adm_…")
                .description(Some("A management key. It acts as its owner, within its scopes and its workspace."))
                .build(),
        ),
    );
    components.add_security_scheme(
        "api_key",
        SecurityScheme::Http(
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("kf_sec_…").description(Some("Any key, about itself.")).build(),
        ),
    );
    components.add_security_scheme(
        "session",
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
            "__Host-kf_session",
            "The session of a signed-in browser, from the same origin.",
        ))),
    );
    document.security = Some(["management_key", "session"].map(|scheme| SecurityRequirement::new(scheme, [""; 0])).into());
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            complete(path, operation);
        }
    }
    document
}

/// The document as it is sent: built once, the same for everybody.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| serde_json::to_vec_pretty(&openapi_document()).unwrap_or_default().into());

/// Read this document.
///
/// For everybody, without a key.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    operation_id = "get_openapi",
    tag = "document",
    security(()),
    responses((status = 200, description = "The OpenAPI 3.1 document of this API.", body = serde_json::Value))
)]
pub(super) async fn get_openapi(_: Query<NoQuery>) -> impl IntoResponse {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], TEXT.clone())
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().filter_map(Option::as_mut)
}

/// Adds to an operation what holds by rule: the request id on every answer, and the refusals that can happen.
fn complete(path: &str, operation: &mut Operation) {
    let request_id = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some("Under which id the request is logged."))
        .build();
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers.insert("X-Request-Id".to_owned(), RefOr::T(request_id.clone()));
        }
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        // What has a schema of its own is described there; readers look for it here.
        if let (None, Some(RefOr::T(Schema::Object(schema)))) = (&parameter.description, &mut parameter.schema) {
            parameter.description = schema.description.take();
        }
    }
    for code in refusals(path, operation) {
        let mut response = ResponseBuilder::new()
            .description(code.title())
            .header("X-Request-Id", request_id.clone())
            .content("application/problem+json", ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build());
        if matches!(code, ProblemCode::Unavailable | ProblemCode::RateLimited) {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).examples([json!(1)]);
            response =
                response.header("Retry-After", HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait.")).build());
        }
        if code == ProblemCode::Unauthenticated {
            let challenge = ObjectBuilder::new().schema_type(Type::String);
            response = response.header("WWW-Authenticate", HeaderBuilder::new().schema(Some(challenge)).build());
        }
        operation.responses.responses.insert(code.status().to_string(), response.build().into());
    }
    if is_counted(path) {
        tell_limits(operation);
    }
}

/// Does the router's limit on requests hold for that path? The data plane and this document are not counted.
fn is_counted(path: &str) -> bool {
    !path.contains("/forward-auth") && ["/v1/workspaces", "/v1/admin"].iter().any(|prefix| path.starts_with(prefix))
}

/// Describes the headers that say how many requests are left.
fn tell_limits(operation: &mut Operation) {
    let header = |about: &str, example: &str| {
        let schema = ObjectBuilder::new().schema_type(Type::String).examples([json!(example)]);
        HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build()
    };
    let policy = header("How many requests (`q`) you may make in so many seconds (`w`).", "\"requests\";q=1200;w=60");
    let left =
        header("How many of them are left (`r`), and after how many seconds all of them are there again (`t`).", "\"requests\";r=1199;t=1");
    for (status, response) in &mut operation.responses.responses {
        // Refusals carry them too; saying so at each of them would make the document half as long again.
        if let (true, RefOr::T(response)) = (status.starts_with('2') || status == "429", response) {
            response.headers.insert("RateLimit-Policy".to_owned(), RefOr::T(policy.clone()));
            response.headers.insert("RateLimit".to_owned(), RefOr::T(left.clone()));
        }
    }
}

/// Operations that the state of things can be in the way of.
const CONFLICTING: [&str; 29] = [
    "create_key",
    "update_key",
    "delete_key",
    "deactivate_key",
    "activate_key",
    "rotate_key",
    "end_secret",
    "run_batch",
    "run_batch_of_all",
    "create_resource",
    "delete_resource",
    "create_scope",
    "update_scope",
    "delete_scope",
    "update_policy",
    "update_instance_policy",
    "update_routes",
    "add_member",
    "update_member",
    "remove_member",
    "create_invitation",
    "decide_left_keys",
    "create_user",
    "update_user",
    "disable_user",
    "enable_user",
    "create_reset_link",
    "create_workspace",
    "rename_workspace",
];

fn refusals(path: &str, operation: &Operation) -> Vec<ProblemCode> {
    use ProblemCode as Code;
    if operation.security.as_ref().is_some_and(|schemes| schemes.iter().all(|scheme| *scheme == SecurityRequirement::default())) {
        return vec![ProblemCode::Invalid, ProblemCode::Internal];
    }
    let takes_body = operation.request_body.is_some();
    let id = operation.operation_id.as_deref().unwrap_or_default();
    // In the path, or as ids in the body.
    let names_a_thing = path.contains('{') || id.ends_with("_batch_of_all");
    let key_act = CONFLICTING.contains(&id);
    [
        // Unknown query parameters are refused everywhere but before the router.
        (takes_body || is_counted(path) || path.contains("/forward-auth"), Code::Invalid),
        (true, Code::Unauthenticated),
        (true, Code::Forbidden),
        (names_a_thing, Code::NotFound),
        (key_act, Code::Conflict),
        (takes_body, Code::PayloadTooLarge),
        (takes_body, Code::UnsupportedMediaType),
        (true, Code::RateLimited),
        (true, Code::Internal),
        (true, Code::Unavailable),
    ]
    .into_iter()
    .filter_map(|(happens, code)| happens.then_some(code))
    .collect()
}
