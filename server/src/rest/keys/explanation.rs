//! `…/keys/{key}/explain`: what a key would be answered and why, without its secret.

use axum::Json as Reply;
use axum::extract::State;
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::ScopeName;
use keyfold_domain::verdict::{Check, Question, ResourceRef, RouteHit};
use keyfold_engine::RouteQuestion;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::workspace;
use crate::dataplane::address;
use crate::problem::ProblemResponse;
use crate::rest::body::OptionalJson;
use crate::rest::caller::{Caller, KeyName};
use crate::rest::keys::bodies::given;
use crate::rest::moments::{self, Moment};
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

/// What is asked of a key. A field is sent with a value or not at all.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyQuestion, example = json!({"scope": "inference", "client_ip": "203.0.113.7"}))]
pub(crate) struct QuestionBody {
    /// The scope that the act needs.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, min_length = 1, example = "inference")]
    scope: Option<String>,
    /// The resource that the act touches, as `kind:id`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, pattern = "^[a-z][a-z0-9_-]{0,39}:.{1,200}$", example = "collection:contracts")]
    resource: Option<String>,
    /// Instead of a scope and a resource: the method of a request to a service behind a proxy. The workspace's route map says
    /// what it asks of the key.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, example = json!(null))]
    method: Option<String>,
    /// The path of that request with its query.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, example = json!(null))]
    path: Option<String>,
    /// The end client's address, for keys with a list of addresses.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, example = "203.0.113.7")]
    client_ip: Option<String>,
    /// At which moment, with the key as it is now. Left out: now.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::moment, required = false)]
    at: Option<String>,
}

/// One check and how it came out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Check)]
pub(crate) struct CheckBody {
    /// The code that its failure gives.
    #[schema(schema_with = schemas::code)]
    code: &'static str,
    /// Does the key pass it?
    passed: bool,
    /// What was looked at and found.
    #[schema(example = "It does not hold chat. It holds inference.")]
    detail: String,
    /// What would make it pass; `null` if it does.
    #[schema(required, example = "Give it the scope chat, or one that implies it.")]
    remedy: Option<String>,
    /// When what it looks at came or will come to pass; `null` where time has no part in it.
    #[schema(schema_with = schemas::passing_at, required)]
    at: Option<Moment>,
}

impl From<Check> for CheckBody {
    fn from(check: Check) -> Self {
        let Check { code, passed, detail, remedy, at } = check;
        Self { code: code.as_str(), passed, detail, remedy, at: at.map(Moment) }
    }
}

/// What a key would be answered, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(crate) struct ExplanationBody {
    /// May the key do what was asked? A route rule that decides whoever asks goes before the key's own code.
    valid: bool,
    /// The code of the first check that fails, or `valid`.
    #[schema(schema_with = schemas::code)]
    code: &'static str,
    /// Every check, in the order in which they are made.
    explain: Vec<CheckBody>,
    /// Which route rule applied; only if a request was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    route: Option<RouteHitBody>,
}

/// What the workspace's route map says of a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteHit)]
pub(crate) struct RouteHitBody {
    /// The place of the rule that decides, from 1; `null` if no rule is for the request.
    #[schema(required, minimum = 1, example = 2)]
    position: Option<usize>,
    /// What it says.
    #[schema(example = "Rule 2 decides. Needs the scope inference.")]
    detail: String,
    /// Does the request pass, or not, whoever asks? `null` if the key decides.
    #[schema(required, example = json!(null))]
    passes: Option<bool>,
}

/// Test what a key may do.
///
/// The verdict that its secret would get with this question, and every check that leads to it: passed or not, what was
/// found, and what would make it pass. For whoever may see the key; its secret is not needed. Nothing is counted: no use,
/// no denial, no limit.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/keys/{key}/explain",
    operation_id = "explain_key",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("key" = String, Path, description = "The key's id.", example = "key_00S1E8UZ2m0hmDYpk0bPVq"),
    ),
    request_body(content = Option<QuestionBody>, description = "Left out: is it a live key?"),
    responses((status = 200, description = "The verdict and its checks.", body = ExplanationBody))
)]
pub(crate) async fn explain_key(
    Caller(actor): Caller,
    name: KeyName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    OptionalJson(body): OptionalJson<QuestionBody>,
) -> Result<Reply<ExplanationBody>, ProblemResponse> {
    let workspace = workspace(&state, &actor, &name.workspace).await?;
    let wrong = |_| Problem::invalid("scope", "A scope is 1 to 63 of a-z, 0-9, _ . : - and starts with a letter.");
    let scope: Option<ScopeName> = body.scope.map(|text| text.parse().map_err(wrong)).transpose()?;
    let resource: Option<ResourceRef> = body.resource.map(|text| text.parse()).transpose()?;
    let client_ip = body.client_ip.as_deref().map(address).transpose()?;
    let moment = |text: &str| moments::parse(text).ok_or_else(|| Problem::invalid("at", "Send a moment like 2027-01-31T12:00:00Z."));
    let at = body.at.as_deref().map(moment).transpose()?.map(|Moment(at)| at);
    let keys = &state.engine.keys;
    let explained = match (body.method, body.path) {
        (None, None) => {
            let question = Question { scope: scope.as_ref().map(ScopeName::as_str), resource: resource.as_ref(), client_ip };
            keys.explain(&actor, &workspace.id, &name.key, &question, at).await?
        }
        (Some(method), Some(target)) if scope.is_none() && resource.is_none() => {
            let request = RouteQuestion { method, target, key: None, client_ip };
            keys.explain_request(&actor, &workspace.id, &name.key, &request, at).await?
        }
        (method, _) => {
            let field = if method.is_some() { "path" } else { "method" };
            return Err(Problem::invalid(field, "Send a method and a path, or a scope and a resource, not parts of both.").into());
        }
    };
    Ok(Reply(ExplanationBody {
        valid: explained.passes(),
        route: explained.route.map(|RouteHit { position, why, passes }| RouteHitBody { position, detail: why, passes }),
        code: explained.code.as_str(),
        explain: explained.checks.into_iter().map(CheckBody::from).collect(),
    }))
}
