//! The bodies of route maps.

use std::net::IpAddr;

use keyfold_domain::ids::KeyId;
use keyfold_domain::problem::Problem;
use keyfold_domain::route::presets::Preset;
use keyfold_domain::route::{
    ImportChoice, ImportChoices, ImportedRules, KeyTrial, LeftOut, RouteMap, RouteMapDetail, RouteMapVersion, RouteSource, RouteTrial,
    RuleDraft, Step, TrialOutcome, presets,
};
use keyfold_domain::scope::ScopeName;
use keyfold_domain::verdict::{Code, ResourceRef};
use keyfold_engine::RouteQuestion;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rest::keys::bodies::given;
use crate::rest::moments::Moment;
use crate::rest::schemas;

/// One rule. The first rule that fits a request decides.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RouteRule, example = json!({"methods": ["GET", "POST"], "path": "/projects/{id}/**", "access": "key", "scope": "project", "resource": "project:{id}", "note": "Everything in a project"}))]
pub(crate) struct RuleBody {
    /// Methods in capital letters, or `*` alone for every method. `GET` is also for `HEAD`.
    #[schema(min_items = 1, max_items = 20, example = json!(["GET", "POST"]))]
    methods: Vec<String>,
    /// The path: `*` and `{name}` stand for one part, `**` at the end for everything from there on, `[/]` at the end for a
    /// slash that may be missing. After `?` come parameters that the query must have: `?collection_id={id}`.
    #[schema(max_length = 400, example = "/projects/{id}/**")]
    path: String,
    /// `key`: a key that works. `public`: everybody. `deny`: nobody.
    #[schema(schema_with = schemas::route_access)]
    access: String,
    /// The scope that a key needs; `null` for any key. Only with `key`.
    #[serde(default)]
    #[schema(example = "project")]
    scope: Option<String>,
    /// What a key that is tied to something must be tied to: `kind:{name}` with a name from the path, `kind:id`, `kind:{own}`
    /// for the one resource of that kind that it is tied to, or `untied`, for which only keys pass that are tied to nothing.
    /// `null` for whatever it is tied to. Only with `key`.
    #[serde(default)]
    #[schema(example = "project:{id}")]
    resource: Option<String>,
    /// Why the rule is there: up to 200 characters.
    #[serde(default)]
    #[schema(max_length = 200, default = "", example = "Everything in a project")]
    note: String,
}

impl From<RuleBody> for RuleDraft {
    fn from(body: RuleBody) -> Self {
        let RuleBody { methods, path, access, scope, resource, note } = body;
        Self { methods, path, access, scope, resource, note }
    }
}

impl From<RuleDraft> for RuleBody {
    fn from(draft: RuleDraft) -> Self {
        let RuleDraft { methods, path, access, scope, resource, note } = draft;
        Self { methods, path, access, scope, resource, note }
    }
}

fn rule_bodies(map: &RouteMap) -> Vec<RuleBody> {
    map.rules().iter().cloned().map(|rule| RuleDraft::from(rule).into()).collect()
}

/// A workspace's rules.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteMap)]
pub(crate) struct RouteMapBody {
    /// Grows with every save; the `ETag` in quotes. 0 while the workspace has no rules, and every request is refused.
    #[schema(minimum = 0, example = 3)]
    version: i64,
    /// The rules in their order.
    rules: Vec<RuleBody>,
    /// Where this version came from: `edit`, `import`, `preset:` and a name, `version:` and a number.
    #[schema(required, example = "edit")]
    source: Option<String>,
    /// When it was saved.
    #[schema(schema_with = schemas::optional_moment, required)]
    saved_at: Option<Moment>,
    /// Who saved it, as they were called then.
    #[schema(required, example = "ada")]
    saved_by: Option<String>,
}

impl From<RouteMapDetail> for RouteMapBody {
    fn from(detail: RouteMapDetail) -> Self {
        let rules = rule_bodies(&detail.map);
        let version = detail.version();
        let saved = detail.saved;
        Self {
            version,
            rules,
            source: saved.as_ref().map(|saved| saved.source.to_string()),
            saved_at: saved.as_ref().map(|saved| Moment(saved.saved_at)),
            saved_by: saved.map(|saved| saved.saved_by),
        }
    }
}

/// What shall be in force: exactly one of the three. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRouteMap, example = json!({"rules": [{"methods": ["POST"], "path": "/predict/**", "access": "key", "scope": "inference"}]}))]
pub(crate) struct NewRouteMapBody {
    /// These rules, in this order: at most 500.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_items = 500, nullable = false, required = false)]
    rules: Option<Vec<RuleBody>>,
    /// The preset of this name.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::route_preset, required = false)]
    preset: Option<String>,
    /// A former version, as a new one.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, required = false, minimum = 1, example = 2)]
    from_version: Option<i64>,
}

/// What a save puts in force.
pub(super) enum Wanted {
    Map(RouteMap, RouteSource),
    Version(i64),
}

impl NewRouteMapBody {
    pub(super) fn wanted(self) -> Result<Wanted, Problem> {
        match (self.rules, self.preset, self.from_version) {
            (Some(rules), None, None) => {
                let drafts: Vec<RuleDraft> = rules.into_iter().map(RuleDraft::from).collect();
                Ok(Wanted::Map(RouteMap::read(&drafts)?, RouteSource::Edit))
            }
            (None, Some(name), None) => {
                let preset = presets::find(&name).ok_or_else(|| Problem::invalid("preset", "There is no preset of this name."))?;
                Ok(Wanted::Map(RouteMap::read(&preset.rules())?, RouteSource::Preset(name)))
            }
            (None, None, Some(version)) => Ok(Wanted::Version(version)),
            _ => Err(Problem::invalid("rules", "Send exactly one of rules, preset and from_version.")),
        }
    }
}

/// A version of the rules.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteMapVersion)]
pub(crate) struct VersionBody {
    /// Its number.
    #[schema(minimum = 1, example = 3)]
    version: i64,
    /// How many rules it has.
    #[schema(minimum = 0, example = 12)]
    rules: i64,
    /// Where it came from.
    #[schema(value_type = String, example = "preset:epigos")]
    source: RouteSource,
    /// When it was saved.
    #[schema(schema_with = schemas::created_at)]
    saved_at: Moment,
    /// Who saved it, as they were called then.
    #[schema(example = "ada")]
    saved_by: String,
}

impl From<RouteMapVersion> for VersionBody {
    fn from(version: RouteMapVersion) -> Self {
        let RouteMapVersion { version, rules, source, saved_at, saved_by } = version;
        Self { version, rules, source, saved_at: Moment(saved_at), saved_by }
    }
}

/// The versions that are kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteMapVersionPage)]
pub(crate) struct VersionPageBody {
    /// The newest first, at most 100. Older ones are forgotten.
    pub(super) data: Vec<VersionBody>,
    /// Always `null`: there are few enough for one page.
    #[schema(required, example = json!(null))]
    pub(super) next: Option<String>,
}

/// Rules that come with Keyfold.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoutePreset)]
pub(crate) struct PresetBody {
    /// Its name.
    #[schema(schema_with = schemas::route_preset)]
    name: &'static str,
    /// What it is for.
    #[schema(example = "EPIGOS AI")]
    title: &'static str,
    /// What it does.
    about: &'static str,
    /// Its rules.
    rules: Vec<RuleBody>,
}

impl From<&Preset> for PresetBody {
    fn from(preset: &Preset) -> Self {
        let rules = preset.rules().into_iter().map(RuleBody::from).collect();
        Self { name: preset.name, title: preset.title, about: preset.about, rules }
    }
}

/// All presets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoutePresetPage)]
pub(crate) struct PresetPageBody {
    /// The presets.
    pub(super) data: Vec<PresetBody>,
    /// Always `null`: there are few enough for one page.
    #[schema(required, example = json!(null))]
    pub(super) next: Option<String>,
}

/// A request to be tried. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RouteTest, example = json!({"method": "POST", "path": "/predict/detect/m1/"}))]
pub(crate) struct TestBody {
    /// Its method.
    #[schema(example = "POST")]
    method: String,
    /// Its path with the query, as it would be sent.
    #[schema(example = "/predict/detect/m1/")]
    path: String,
    /// The id of a key of the workspace that you may see, to be told what it would be answered.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, nullable = false, required = false)]
    key: Option<KeyId>,
    /// From where the key would be used.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, nullable = false, required = false, example = "203.0.113.7")]
    client_ip: Option<IpAddr>,
}

impl From<TestBody> for RouteQuestion {
    fn from(body: TestBody) -> Self {
        Self { method: body.method, target: body.path, key: body.key, client_ip: body.client_ip }
    }
}

/// How a rule took a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteStep)]
pub(crate) struct StepBody {
    /// The rule's place in the list, from 1.
    #[schema(minimum = 1, example = 1)]
    position: usize,
    /// `fits`, or what kept it from fitting: `method`, `path`, `query`.
    #[schema(schema_with = schemas::route_step)]
    result: &'static str,
}

/// What a key would be answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteKeyVerdict)]
pub(crate) struct KeyTrialBody {
    /// The key.
    #[schema(value_type = String, example = "key_00S1E8UZ2m0hmDYpk0bPVq")]
    id: KeyId,
    /// What people call it.
    #[schema(example = "CI")]
    name: String,
    /// The verdict; `null` where no key is asked for. Limits of calls are left out.
    #[schema(schema_with = schemas::optional_verdict_code, required)]
    code: Option<Code>,
    /// The verdict in words.
    #[schema(required, example = "This API key is valid.")]
    detail: Option<&'static str>,
    /// What the service behind would be told that the request is about.
    #[schema(value_type = Option<String>, required, example = "project:p1")]
    resource: Option<ResourceRef>,
}

impl From<KeyTrial> for KeyTrialBody {
    fn from(trial: KeyTrial) -> Self {
        let KeyTrial { id, name, code, resource } = trial;
        Self { id, name, code, detail: code.map(Code::explanation), resource }
    }
}

/// What comes of a request that is tried.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteTestResult)]
pub(crate) struct TrialBody {
    /// The version of the rules; 0 if there are none.
    #[schema(minimum = 0, example = 3)]
    version: i64,
    /// `key`, `public` or `deny` as the rule says; `no_route` if no rule fits, `unsafe_path` if servers would read the request
    /// differently.
    #[schema(schema_with = schemas::route_outcome)]
    outcome: &'static str,
    /// Would it pass? `null` if that depends on a key and none was named.
    #[schema(required)]
    passes: Option<bool>,
    /// Why, in words.
    #[schema(example = "Rule 1 decides. Needs the scope inference.")]
    detail: String,
    /// The place of the rule that decides, from 1.
    #[schema(required, minimum = 1, example = 1)]
    position: Option<usize>,
    /// The rule that decides.
    #[schema(required)]
    rule: Option<RuleBody>,
    /// The scope that a key needs.
    #[schema(value_type = Option<String>, required, example = "inference")]
    scope: Option<ScopeName>,
    /// What the request is about, as far as the rule knows.
    #[schema(required, example = "model:m1")]
    on: Option<String>,
    /// How each rule took the request, up to the one that decides.
    steps: Vec<StepBody>,
    /// What the key would be answered that was named.
    #[schema(required)]
    key: Option<KeyTrialBody>,
}

impl From<RouteTrial> for TrialBody {
    fn from(trial: RouteTrial) -> Self {
        let (detail, passes) = (trial.why(), trial.passes());
        let (outcome, scope, on) = match trial.outcome {
            TrialOutcome::Public => ("public", None, None),
            TrialOutcome::Deny => ("deny", None, None),
            TrialOutcome::NoRoute(why) => (why.as_str(), None, None),
            TrialOutcome::Key { scope, on } => ("key", scope, Some(on)),
        };
        let step = |(at, step): (usize, Step)| StepBody { position: at + 1, result: step.as_str() };
        Self {
            version: trial.version,
            outcome,
            passes,
            detail,
            position: trial.position,
            rule: trial.rule.map(|rule| RuleDraft::from(rule).into()),
            scope,
            on,
            steps: trial.steps.into_iter().enumerate().map(step).collect(),
            key: trial.key.map(KeyTrialBody::from),
        }
    }
}

/// What becomes of operations of one class.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImportChoice, example = json!({"access": "key", "scope": "project"}))]
pub(crate) struct ChoiceBody {
    /// `key`, `public` or `deny`.
    #[schema(schema_with = schemas::route_access)]
    access: String,
    /// The scope that a key needs; left out for any key. Only with `key`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, required = false, example = "project")]
    scope: Option<String>,
}

impl From<ChoiceBody> for ImportChoice {
    fn from(body: ChoiceBody) -> Self {
        Self { access: body.access, scope: body.scope }
    }
}

/// An OpenAPI document and what becomes of its operations. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RouteImport, example = json!({"document": "openapi: 3.1.0\npaths:\n  /projects/{id}:\n    get: {}\n", "read": {"access": "key", "scope": "project"}}))]
pub(crate) struct ImportBody {
    /// The document as text, JSON or YAML: at most 1 MiB. Only its paths and its first server are read.
    document: String,
    /// What becomes of GET and HEAD; left out for no rule, which is a refusal as well.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, required = false)]
    read: Option<ChoiceBody>,
    /// What becomes of POST, PUT, PATCH and all others.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, required = false)]
    write: Option<ChoiceBody>,
    /// What becomes of DELETE.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, required = false)]
    delete: Option<ChoiceBody>,
    /// What stands before every path; left out for what the document's first server says.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, required = false, example = "/api/v1")]
    prefix: Option<String>,
    /// The name of a variable in the paths whose value is a resource's id.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, required = false, example = "project_id")]
    variable: Option<String>,
    /// The kind of that resource.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, required = false, example = "project")]
    kind: Option<String>,
}

impl ImportBody {
    pub(super) fn parts(self) -> (String, ImportChoices) {
        let choice = |body: Option<ChoiceBody>| body.map(ImportChoice::from).unwrap_or_default();
        let choices = ImportChoices {
            read: choice(self.read),
            write: choice(self.write),
            delete: choice(self.delete),
            prefix: self.prefix,
            variable: self.variable,
            kind: self.kind,
        };
        (self.document, choices)
    }
}

/// A path of a document that has no rule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteLeftOut)]
pub(crate) struct LeftOutBody {
    /// The path as it stands in the document.
    path: String,
    /// Why.
    detail: String,
}

/// The rules that a document makes. Nothing of it is saved: send the rules to do that.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportedRoutes)]
pub(crate) struct ImportedBody {
    /// The rules, in an order in which none hides another.
    rules: Vec<RuleBody>,
    /// How many operations they are for.
    #[schema(minimum = 1, example = 12)]
    operations: usize,
    /// Paths that cannot be a rule's.
    left_out: Vec<LeftOutBody>,
}

impl From<ImportedRules> for ImportedBody {
    fn from(imported: ImportedRules) -> Self {
        let left_out = |LeftOut { path, why }| LeftOutBody { path, detail: why };
        Self {
            rules: imported.rules.into_iter().map(RuleBody::from).collect(),
            operations: imported.operations,
            left_out: imported.left_out.into_iter().map(left_out).collect(),
        }
    }
}
