//! Limits as they are sent and shown.

use keyfold_domain::limits::{Limit, LimitParts, read_limits};
use keyfold_domain::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bodies::given;
use crate::rest::schemas;

/// How often a key, or all keys of a member together, may be used: a rate limit with a `window`, or a `quota`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Limit, example = json!({"name": "burst", "limit": 100, "window": 60}))]
pub(crate) struct LimitBody {
    /// What it is called, once in a list: 1 to 32 of `a-z`, `0-9`, `_` and `-`, starting with a letter. What was spent goes
    /// with the name.
    #[schema(pattern = "^[a-z][a-z0-9_-]{0,31}$", example = "burst")]
    name: String,
    /// How many units may be spent.
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 100)]
    limit: u64,
    /// In how many seconds: 1 to 3,600 for a rate limit, 60 to 31,622,400 for a rolling quota. Left out for a quota by day or
    /// month.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 31_622_400, example = 60)]
    window: Option<u64>,
    /// When the units of a quota come back. Left out: it is a rate limit.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::quota, required = false)]
    quota: Option<String>,
}

impl From<Limit> for LimitBody {
    fn from(limit: Limit) -> Self {
        let LimitParts { name, limit, window, quota } = limit.into();
        Self { name, limit, window, quota }
    }
}

/// The limits that were sent, or the part of one that is at fault.
pub(crate) fn sent(limits: Vec<LimitBody>) -> Result<Vec<Limit>, Problem> {
    let parts = limits.into_iter().map(|LimitBody { name, limit, window, quota }| LimitParts { name, limit, window, quota });
    read_limits(parts.collect())
}

/// Limits as they are shown.
pub(crate) fn shown(limits: Vec<Limit>) -> Vec<LimitBody> {
    limits.into_iter().map(LimitBody::from).collect()
}
