//! What is sent and answered about acts on many keys.

use keyfold_domain::bulk::{BulkAct, BulkChoice, BulkPreview, BulkReport, BulkResult, BulkState};
use keyfold_domain::ids::{BulkId, KeyId, UserId, WorkspaceId};
use keyfold_domain::key::{KeyFilter, StateFilter};
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::{KeyKind, ScopeName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rest::keys::bodies::given;
use crate::rest::moments::Moment;
use crate::rest::schemas;

/// Which keys an act takes. What is left out asks nothing.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = KeyChoice)]
pub(crate) struct FilterBody {
    /// Part of a name, of the masked secret's end or of an id.
    #[schema(max_length = 200, required = false)]
    search: String,
    /// Which states; deleted keys are never taken.
    #[serde(deserialize_with = "given")]
    #[schema(schema_with = schemas::state_filter, required = false)]
    state: Option<StateFilter>,
    /// The id of the user whose keys are wanted.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = String, required = false, example = "usr_00S1E8TYPmMQMyNxIYvHyv")]
    owner: Option<UserId>,
    /// Only keys that hold this scope itself.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = String, required = false, example = "inference")]
    scope: Option<ScopeName>,
    /// Only keys of this kind.
    #[serde(deserialize_with = "given")]
    #[schema(schema_with = schemas::kind, required = false)]
    kind: Option<KeyKind>,
    /// Only keys that end within so many days and have not ended yet.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = u32, minimum = 1, maximum = 3650, required = false)]
    expiring: Option<u32>,
    /// Only keys that nobody ever used.
    #[schema(required = false)]
    never_used: bool,
    /// Only keys not used for so many days; one that was never used counts from its creation.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = u32, minimum = 1, maximum = 3650, required = false)]
    idle: Option<u32>,
}

impl From<FilterBody> for KeyFilter {
    fn from(body: FilterBody) -> Self {
        Self {
            search: body.search,
            state: body.state.unwrap_or_default(),
            owner: body.owner,
            scope: body.scope,
            kind: body.kind,
            expiring: body.expiring,
            never_used: body.never_used,
            idle: body.idle,
            ..Self::default()
        }
    }
}

/// An act and the keys it takes: `ids` or a `filter`, and not both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BatchChoice, example = json!({"act": "deactivate", "filter": {"never_used": true, "idle": 90}}))]
pub(crate) struct BatchChoiceBody {
    /// What is done with each key.
    #[schema(schema_with = schemas::bulk_act)]
    act: BulkAct,
    /// The ids of the keys; at most 200.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 200, required = false)]
    ids: Option<Vec<KeyId>>,
    /// Every key that matches.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = FilterBody, required = false)]
    filter: Option<FilterBody>,
}

fn choice(ids: Option<Vec<KeyId>>, filter: Option<FilterBody>) -> Result<BulkChoice, Problem> {
    match (ids, filter) {
        (Some(ids), None) => Ok(BulkChoice::Ids(ids)),
        (None, Some(filter)) => Ok(BulkChoice::Matching(Box::new(filter.into()))),
        _ => Err(Problem::invalid("ids", "Send either `ids` or a `filter`.")),
    }
}

impl BatchChoiceBody {
    /// What the engine is asked for.
    pub(crate) fn choice(self) -> Result<(BulkAct, BulkChoice), Problem> {
        Ok((self.act, choice(self.ids, self.filter)?))
    }
}

/// An act to be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBatch, example = json!({"act": "delete", "ids": ["key_00S1E8UZ2m0hmDYpk0bPVq"]}))]
pub(crate) struct NewBatchBody {
    /// What is done with each key.
    #[schema(schema_with = schemas::bulk_act)]
    act: BulkAct,
    /// The ids of the keys; at most 200.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 200, required = false)]
    ids: Option<Vec<KeyId>>,
    /// Every key that matches.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = FilterBody, required = false)]
    filter: Option<FilterBody>,
    /// How many keys you expect; needed with a filter.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, minimum = 0, required = false)]
    expected: Option<i64>,
}

impl NewBatchBody {
    /// What the engine is asked for.
    pub(crate) fn wanted(self) -> Result<(BulkAct, BulkChoice, Option<i64>), Problem> {
        Ok((self.act, choice(self.ids, self.filter)?, self.expected))
    }
}

/// What an act would touch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchPreview)]
pub(crate) struct BatchPreviewBody {
    /// What would be done.
    #[schema(schema_with = schemas::bulk_act)]
    act: BulkAct,
    /// How many keys are chosen; the `expected` of the act itself.
    #[schema(minimum = 0)]
    chosen: i64,
    /// The names of the first ten.
    names: Vec<String>,
    /// How many of them were used in the last 7 days.
    #[schema(minimum = 0)]
    in_use: i64,
    /// How many of the named ids would stay as they are: they are that already, or you may not change them.
    #[schema(minimum = 0)]
    untouched: i64,
}

impl From<BulkPreview> for BatchPreviewBody {
    fn from(preview: BulkPreview) -> Self {
        Self { act: preview.act, chosen: preview.chosen, names: preview.names, in_use: preview.in_use, untouched: preview.untouched }
    }
}

/// What became of one key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchResult)]
pub(crate) struct ResultBody {
    /// The key's id.
    #[schema(value_type = String, example = "key_00S1E8UZ2m0hmDYpk0bPVq")]
    key_id: KeyId,
    /// The workspace the key belongs to.
    #[schema(value_type = String, example = "wsp_00S1E8TYPmMQMyNxIYvHyv")]
    workspace_id: WorkspaceId,
    /// Its name then.
    name: String,
    /// What became of it.
    #[schema(schema_with = schemas::bulk_outcome)]
    outcome: &'static str,
    /// Why it was not done.
    #[schema(required, example = json!(null))]
    why: Option<String>,
}

impl From<BulkResult> for ResultBody {
    fn from(result: BulkResult) -> Self {
        Self { key_id: result.key, workspace_id: result.workspace_id, name: result.name, outcome: result.outcome.as_str(), why: result.why }
    }
}

/// An act on many keys, and how far it came.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Batch)]
pub(crate) struct BatchBody {
    /// The act's id.
    #[schema(value_type = String, example = "blk_00S1E8UZ2m0hmDYpk0bPVq")]
    id: BulkId,
    /// What is done.
    #[schema(schema_with = schemas::bulk_act)]
    act: BulkAct,
    /// How it stands.
    #[schema(schema_with = schemas::bulk_state)]
    state: &'static str,
    /// Who started it, by name.
    started_by: String,
    /// How many keys there were to look at.
    expected: i64,
    /// How many were changed.
    done: i64,
    /// How many stayed as they were.
    skipped: i64,
    /// How many could not be changed.
    failed: i64,
    /// Why it stopped, if it did.
    #[schema(required, example = json!(null))]
    why: Option<String>,
    /// When it started.
    #[schema(schema_with = schemas::moment)]
    started_at: Moment,
    /// When something was last done.
    #[schema(schema_with = schemas::moment)]
    updated_at: Moment,
    /// One page of what became of each key, in the order they were looked at.
    data: Vec<ResultBody>,
    /// The `cursor` of the next page of results; `null` at the end of what there is.
    #[schema(required)]
    next: Option<String>,
}

impl BatchBody {
    /// Does it go on?
    pub(crate) fn is_running(&self) -> bool {
        self.state == BulkState::Running.as_str()
    }

    /// Under what it can be asked for.
    pub(crate) const fn id(&self) -> &BulkId {
        &self.id
    }
}

impl From<BulkReport> for BatchBody {
    fn from(report: BulkReport) -> Self {
        Self {
            id: report.id,
            act: report.act,
            state: report.state.as_str(),
            started_by: report.started_by,
            expected: report.expected,
            done: report.done,
            skipped: report.skipped,
            failed: report.failed,
            why: report.why,
            started_at: Moment(report.started_at),
            updated_at: Moment(report.updated_at),
            data: report.results.into_iter().map(ResultBody::from).collect(),
            next: report.next.map(|seq| seq.to_string()),
        }
    }
}
