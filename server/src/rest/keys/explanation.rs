//! `…/keys/{key}/explain`: what a key would be answered and why, without its secret.

use axum::Json as Reply;
use axum::extract::State;
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::ScopeName;
use keyfold_domain::verdict::{Check, Code, Question, ResourceRef};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::workspace;
use crate::dataplane::address;
use crate::problem::ProblemResponse;
use crate::rest::body::OptionalJson;
use crate::rest::caller::{Caller, KeyName};
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
    /// The end client's address, for keys with a list of addresses.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, example = "203.0.113.7")]
    client_ip: Option<String>,
    /// At which moment, with the key as it is now. Left out: now.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::moment, required = false)]
    at: Option<String>,
}

/// A `null` from a program's unset variable must not drop a check.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
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
    /// May the key do what was asked?
    valid: bool,
    /// The code of the first check that fails, or `valid`.
    #[schema(schema_with = schemas::code)]
    code: &'static str,
    /// Every check, in the order in which they are made.
    explain: Vec<CheckBody>,
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
    let question = Question { scope: scope.as_ref().map(ScopeName::as_str), resource: resource.as_ref(), client_ip };
    let explained = state.engine.keys.explain(&actor, &workspace.id, &name.key, &question, at).await?;
    Ok(Reply(ExplanationBody {
        valid: explained.code == Code::Valid,
        code: explained.code.as_str(),
        explain: explained.checks.into_iter().map(CheckBody::from).collect(),
    }))
}
