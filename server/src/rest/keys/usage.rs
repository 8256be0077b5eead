//! `…/keys/{key}/usage`: what a key was used for, as JSON and as CSV.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::{ScopeName, ScopeSet};
use keyfold_domain::usage::{DEFAULT_DAYS, HourCount, KEPT_DAYS, KeyUsage, ScopeEvidence};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::workspace;
use crate::problem::ProblemResponse;
use crate::rest::caller::{Caller, KeyName};
use crate::rest::moments::Moment;
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::state::AppState;

/// How far back to look.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// How many days, today included; days are of UTC.
    #[param(minimum = 1, maximum = 400, default = 30, value_type = Option<u32>)]
    days: Option<String>,
}

impl UsageQuery {
    fn days(self) -> Result<u32, Problem> {
        let Some(text) = self.days else { return Ok(DEFAULT_DAYS) };
        let days = text.parse().ok().filter(|days| (1..=KEPT_DAYS).contains(days));
        days.ok_or_else(|| Problem::invalid("days", format!("Choose 1 to {KEPT_DAYS} days.")))
    }
}

/// The use of one day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DayUsage)]
pub(crate) struct DayBody {
    /// The day, of UTC.
    #[schema(format = "date", example = "2026-11-21")]
    day: String,
    /// Uses with success.
    #[schema(minimum = 0, example = 214)]
    calls: i64,
    /// Verdicts other than `valid`.
    #[schema(minimum = 0, example = 3)]
    denials: i64,
}

/// How often a verdict was given.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CodeCount)]
pub(crate) struct CodeBody {
    /// The verdict; `valid` for a use.
    #[schema(schema_with = schemas::code)]
    code: &'static str,
    /// How often.
    #[schema(minimum = 1, example = 214)]
    count: i64,
}

/// How often a scope was asked for with success.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScopeUse)]
pub(crate) struct ScopeUseBody {
    /// The scope.
    #[schema(value_type = String, example = "inference")]
    scope: ScopeName,
    /// Was the key given this very scope? Otherwise it comes with another.
    held: bool,
    /// When it was last asked for; `null` if not in the last 90 days.
    #[schema(schema_with = schemas::last_asked_at, required)]
    last_asked_at: Option<Moment>,
    /// How often it was asked for in the last 90 days.
    #[schema(minimum = 0, example = 12)]
    count: i64,
}

/// The use of a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyUsage)]
pub(crate) struct KeyUsageBody {
    /// Every day, the oldest first, today last.
    days: Vec<DayBody>,
    /// Uses with success by weekday, Monday first, and in it by hour of the day (UTC).
    #[schema(value_type = Vec<Vec<i64>>, min_items = 7, max_items = 7)]
    week: Vec<[i64; 24]>,
    /// Every verdict that was given, in the order of the checks.
    codes: Vec<CodeBody>,
    /// Uses with success in all these days.
    #[schema(minimum = 0, example = 214)]
    calls: i64,
    /// Other verdicts in all these days.
    #[schema(minimum = 0, example = 3)]
    denials: i64,
    /// Every scope the key was given, and those that come with them if they were asked for.
    scopes: Vec<ScopeUseBody>,
    /// Fewer scopes that would have allowed all that was asked for in 90 days; `null` if there are none, or it is too early to tell.
    #[schema(value_type = Option<Vec<String>>, required, example = json!(["inference"]))]
    suggested_scopes: Option<ScopeSet>,
}

impl KeyUsageBody {
    fn of(usage: KeyUsage, evidence: ScopeEvidence) -> Self {
        let days = usage.days.into_iter().map(|day| DayBody {
            day: Moment(day.day).to_string().chars().take(10).collect(),
            calls: day.calls,
            denials: day.denials,
        });
        let scopes = evidence.scopes.into_iter().map(|scope| ScopeUseBody {
            scope: scope.scope,
            held: scope.held,
            last_asked_at: scope.last_asked_at.map(Moment),
            count: scope.count,
        });
        Self {
            days: days.collect(),
            week: usage.week,
            codes: usage.codes.into_iter().map(|found| CodeBody { code: found.code.as_str(), count: found.count }).collect(),
            calls: usage.calls,
            denials: usage.denials,
            scopes: scopes.collect(),
            suggested_scopes: evidence.suggestion,
        }
    }
}

/// Read what a key was used for.
///
/// Uses and denials by day, by hour of the week and by verdict, and which of its scopes were asked for. Counts are a few
/// seconds behind on other servers, and are kept for 400 days.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/keys/{key}/usage",
    operation_id = "get_key_usage",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("key" = String, Path, description = "The key's id.", example = "key_00S1E8UZ2m0hmDYpk0bPVq"),
        UsageQuery
    ),
    responses((status = 200, description = "The use of the key.", body = KeyUsageBody))
)]
pub(crate) async fn get_key_usage(
    Caller(actor): Caller,
    name: KeyName,
    Query(query): Query<UsageQuery>,
    State(state): State<AppState>,
) -> Result<Reply<KeyUsageBody>, ProblemResponse> {
    let days = query.days()?;
    let workspace = workspace(&state, &actor, &name.workspace).await?;
    let usage = state.engine.keys.usage(&actor, &workspace.id, &name.key, days).await?;
    let evidence = state.engine.keys.evidence(&actor, &workspace.id, &name.key).await?;
    Ok(Reply(KeyUsageBody::of(usage, evidence)))
}

/// Read what a key was used for, hour by hour, as CSV.
///
/// A line for each hour (UTC) and verdict: `hour,code,count`. Hours without use are left out.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/keys/{key}/usage.csv",
    operation_id = "export_key_usage",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("key" = String, Path, description = "The key's id.", example = "key_00S1E8UZ2m0hmDYpk0bPVq"),
        UsageQuery
    ),
    responses((status = 200, description = "The use of the key.", body = String, content_type = "text/csv"))
)]
pub(crate) async fn export_key_usage(
    Caller(actor): Caller,
    name: KeyName,
    Query(query): Query<UsageQuery>,
    State(state): State<AppState>,
) -> Result<impl IntoResponse, ProblemResponse> {
    let days = query.days()?;
    let workspace = workspace(&state, &actor, &name.workspace).await?;
    let counts = state.engine.keys.usage_by_hour(&actor, &workspace.id, &name.key, days).await?;
    let saved_as = HeaderValue::try_from(format!("attachment; filename=\"{}-usage.csv\"", name.key));
    let headers: [(HeaderName, HeaderValue); 2] = [
        (CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (CONTENT_DISPOSITION, saved_as.unwrap_or(HeaderValue::from_static("attachment"))),
    ];
    Ok((headers, csv(&counts)))
}

/// One line for each count, ended as RFC 4180 wants it. Nothing in it needs quotes.
fn csv(counts: &[HourCount]) -> String {
    let mut text = String::from("hour,code,count\r\n");
    for HourCount { hour, code, count } in counts {
        let hour = Moment(*hour).to_string();
        text += &[hour.as_str(), ",", code.as_str(), ",", &count.to_string(), "\r\n"].concat();
    }
    text
}
