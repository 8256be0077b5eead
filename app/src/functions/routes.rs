//! Route maps: what requests to services behind a proxy need, by method and path.
#![expect(clippy::too_many_arguments, reason = "a form has the fields it has")]

use std::collections::BTreeMap;

use keyfold_domain::time::Timestamp;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
use super::workspaces::Place;
#[cfg(feature = "ssr")]
use {
    super::context::{self, RequestContext},
    keyfold_domain::ids::WorkspaceId,
    keyfold_domain::key::{KeyFilter, MAX_PAGE},
    keyfold_domain::policy::{self, Actor},
    keyfold_domain::problem::{Problem, ProblemCode},
    keyfold_domain::route::{
        ImportChoice, ImportChoices, ImportedRules, Outcome, ResourceNeed, RouteMap, RouteMapDetail, RouteMapVersion, RouteRule,
        RouteSource, RuleDraft, Step, presets,
    },
    keyfold_engine::RouteQuestion,
};

/// A rule as it stands in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleLine {
    pub methods: String,
    pub path: String,
    /// `key`, `public` or `deny`.
    pub access: String,
    pub scope: Option<String>,
    /// What the key must be tied to, in words; empty for nothing in particular.
    pub on: String,
    pub note: String,
    /// There is no such scope (any more): nothing meets the rule.
    pub lost: bool,
}

/// The rules of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutesView {
    pub workspace: Place,
    pub version: i64,
    pub rules: Vec<RuleLine>,
    pub saved: Option<SavedLine>,
    /// May the viewer change them?
    pub manages: bool,
    pub presets: Vec<PresetLine>,
    /// Keys that a request can be tried with: id and what they are called.
    pub keys: Vec<(String, String)>,
    pub now: Timestamp,
}

/// Where a version came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLine {
    pub version: i64,
    pub rules: i64,
    pub source: String,
    pub at: Timestamp,
    pub by: String,
}

/// A preset by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresetLine {
    pub name: String,
    pub title: String,
    pub about: String,
}

/// A rule in its form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleForm {
    pub methods: String,
    pub path: String,
    pub access: String,
    pub scope: String,
    pub resource: String,
    pub note: String,
}

/// What the form of a rule needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    pub workspace: Place,
    pub version: i64,
    /// The rule's place; 0 for a new one.
    pub position: usize,
    /// How many rules there are.
    pub count: usize,
    pub form: RuleForm,
    pub scopes: Vec<String>,
}

/// Rules that could take the place of the present ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalView {
    pub workspace: Place,
    pub version: i64,
    /// How many rules would be replaced.
    pub replaces: usize,
    pub title: String,
    pub about: String,
    pub rules: Vec<RuleLine>,
    /// The former version that is shown, with where it came from.
    pub saved: Option<SavedLine>,
    pub now: Timestamp,
}

/// The versions that are kept, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryView {
    pub workspace: Place,
    pub versions: Vec<SavedLine>,
    pub now: Timestamp,
}

/// What comes of a request that is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TryView {
    /// Would it pass? `None` if that depends on a key and none was chosen.
    pub passes: Option<bool>,
    /// The place of the rule that decides.
    pub position: Option<usize>,
    pub why: String,
    /// What the key is called, and its verdict as code and in words.
    pub key: Option<(String, Option<(String, String)>)>,
    /// What the service behind would be told that the request is about.
    pub resource: Option<String>,
    /// Rules before it whose path fits: place and why they do not.
    pub near: Vec<(usize, String)>,
}

/// What the form of an import needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportView {
    pub workspace: Place,
    pub scopes: Vec<String>,
    /// A form that was sent without script: what was typed, and the rules or the refusal.
    pub sent: Option<SentImport>,
}

/// A form of an import that was sent without script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentImport {
    pub typed: BTreeMap<String, String>,
    pub imported: Result<ImportedView, Fault>,
}

/// The rules that a document makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedView {
    /// The version of the present rules.
    pub version: i64,
    pub replaces: usize,
    pub rules: Vec<RuleLine>,
    pub operations: usize,
    /// Paths without a rule, and why.
    pub left_out: Vec<(String, String)>,
    /// The rules as JSON, to be sent back when they are saved.
    pub json: String,
}

#[cfg(feature = "ssr")]
fn line(rule: &RouteRule, lost: bool) -> RuleLine {
    let (access, on) = match &rule.outcome {
        Outcome::Public => ("public", String::new()),
        Outcome::Deny => ("deny", String::new()),
        Outcome::Key { resource, .. } => {
            let on = match resource {
                ResourceNeed::Nothing => String::new(),
                ResourceNeed::Untied => "tied to nothing".to_owned(),
                ResourceNeed::Own(kind) => format!("the one {kind} it is tied to"),
                ResourceNeed::Fixed(_) | ResourceNeed::Named { .. } => resource.to_string(),
            };
            ("key", on)
        }
    };
    RuleLine {
        methods: rule.methods.to_string(),
        path: rule.path.to_string(),
        access: access.to_owned(),
        scope: rule.scope().map(ToString::to_string),
        on,
        note: rule.note.clone(),
        lost,
    }
}

#[cfg(feature = "ssr")]
fn lines(map: &RouteMap) -> Vec<RuleLine> {
    map.rules().iter().map(|rule| line(rule, false)).collect()
}

#[cfg(feature = "ssr")]
impl From<RouteMapVersion> for SavedLine {
    fn from(saved: RouteMapVersion) -> Self {
        let source = match &saved.source {
            RouteSource::Edit => "Edited".to_owned(),
            RouteSource::Preset(name) => format!("Preset: {}", presets::find(name).map_or(name.as_str(), |preset| preset.title)),
            RouteSource::Import => "Imported".to_owned(),
            RouteSource::Revert(version) => format!("Back to version {version}"),
        };
        Self { version: saved.version, rules: saved.rules, source, at: saved.saved_at, by: saved.saved_by }
    }
}

#[cfg(feature = "ssr")]
async fn place(request: &RequestContext, actor: &Actor, workspace: &str) -> Result<(Place, WorkspaceId), Fault> {
    let workspace = context::reply(request.engine.workspaces.get(actor, workspace).await)?;
    let id = workspace.id.clone();
    Ok((workspace.into(), id))
}

/// The workspace and its rules, for somebody who may change them.
#[cfg(feature = "ssr")]
async fn managed(request: &RequestContext, actor: &Actor, workspace: &str) -> Result<(Place, WorkspaceId, RouteMapDetail), Fault> {
    let (place, id) = place(request, actor, workspace).await?;
    if policy::can(actor, policy::Action::ManageRoutes, &policy::Object::Workspace(&id)) != policy::Decision::Allow {
        let text = "You may not do this. Ask an administrator of the workspace.";
        return context::reply(Err(Problem::new(ProblemCode::Forbidden, text)));
    }
    let detail = context::reply(request.engine.routes.get(actor, &id).await)?;
    Ok((place, id, detail))
}

/// The scopes that a rule can ask for.
#[cfg(feature = "ssr")]
async fn scopes(request: &RequestContext, actor: &Actor, id: &WorkspaceId) -> Result<Vec<String>, Fault> {
    let catalogue = context::reply(request.engine.scopes.catalogue(actor, id).await)?;
    Ok(catalogue.iter().map(|scope| scope.name.to_string()).collect())
}

/// The rules that are to be changed are those that the form was made from, or somebody else has changed them.
#[cfg(feature = "ssr")]
fn still(detail: &RouteMapDetail, version: i64) -> Result<(), Problem> {
    if detail.version() == version {
        return Ok(());
    }
    let text = "Somebody changed these rules meanwhile. Load the page again and repeat your change.";
    Err(Problem { field: Some("version".into()), ..Problem::new(ProblemCode::Conflict, text) })
}

/// The rules of a workspace, in their order.
#[server(endpoint = "get_routes", prefix = "/_app", input = Json, output = Json)]
pub async fn get_routes(workspace: String) -> Result<RoutesView, Fault> {
    let (request, actor) = context::actor()?;
    let (place, id) = place(&request, &actor, &workspace).await?;
    let detail = context::reply(request.engine.routes.get(&actor, &id).await)?;
    let catalogue = context::reply(request.engine.scopes.catalogue(&actor, &id).await)?;
    let lost: Vec<usize> = detail.map.unknown_scopes(&catalogue).map(|(at, _)| at).collect();
    let keys = context::reply(request.engine.keys.list(&actor, &id, &KeyFilter { limit: MAX_PAGE, ..KeyFilter::default() }).await)?;
    let called = |name: String, hint: String| if name.is_empty() { hint } else { format!("{name} · {hint}") };
    Ok(RoutesView {
        workspace: place,
        version: detail.version(),
        rules: detail.map.rules().iter().enumerate().map(|(at, rule)| line(rule, lost.contains(&at))).collect(),
        saved: detail.saved.map(SavedLine::from),
        manages: policy::can(&actor, policy::Action::ManageRoutes, &policy::Object::Workspace(&id)) == policy::Decision::Allow,
        presets: presets::PRESETS
            .iter()
            .map(|preset| PresetLine { name: preset.name.into(), title: preset.title.into(), about: preset.about.into() })
            .collect(),
        keys: keys.items.into_iter().map(|key| (key.id.to_string(), called(key.name, key.hint))).collect(),
        now: request.now(),
    })
}

/// Which rule a request meets and why, and what a key would be answered.
#[server(endpoint = "try_route", prefix = "/_app", input = Json, output = Json)]
pub async fn try_route(workspace: String, method: String, path: String, key: String) -> Result<TryView, Fault> {
    let (request, actor) = context::actor()?;
    let (_, id) = place(&request, &actor, &workspace).await?;
    let key = if key.is_empty() { None } else { Some(context::reply(key.parse().map_err(|_| Problem::not_found()))?) };
    let question = RouteQuestion { method: method.trim().to_ascii_uppercase(), target: path.trim().to_owned(), key, client_ip: None };
    let trial = context::reply(request.engine.routes.test(&actor, &id, &question).await)?;
    let (passes, why) = (trial.passes(), trial.why());
    let near = trial.steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Method | Step::Query));
    let near = near.map(|(at, step)| (at + 1, step.to_string())).collect();
    let resource = trial.key.as_ref().and_then(|key| key.resource.as_ref()).map(ToString::to_string);
    let key = trial.key.map(|key| {
        let name = if key.name.is_empty() { "The key".to_owned() } else { key.name };
        (name, key.code.map(|code| (code.as_str().to_owned(), code.explanation().to_owned())))
    });
    Ok(TryView { passes, position: trial.position, why, key, resource, near })
}

/// A rule in its form; with the place 0 an empty one.
#[server(endpoint = "get_route_rule", prefix = "/_app", input = Json, output = Json)]
pub async fn get_route_rule(workspace: String, position: usize) -> Result<RuleView, Fault> {
    let (request, actor) = context::actor()?;
    let (place, id, detail) = managed(&request, &actor, &workspace).await?;
    let form = match position.checked_sub(1) {
        None => RuleForm { access: "key".into(), ..RuleForm::default() },
        Some(at) => {
            let rule = context::reply(detail.map.rules().get(at).cloned().ok_or_else(Problem::not_found))?;
            let draft = RuleDraft::from(rule);
            RuleForm {
                methods: draft.methods.join(" "),
                path: draft.path,
                access: draft.access,
                scope: draft.scope.unwrap_or_default(),
                resource: draft.resource.unwrap_or_default(),
                note: draft.note,
            }
        }
    };
    let scopes = scopes(&request, &actor, &id).await?;
    Ok(RuleView { workspace: place, version: detail.version(), position, count: detail.map.rules().len(), form, scopes })
}

/// Saves a rule in its place (0: a new one) and puts it where it shall stand (0: at the end).
#[server(endpoint = "save_route_rule", prefix = "/_app")]
pub async fn save_route_rule(
    workspace: String,
    version: i64,
    #[server(default)] position: usize,
    #[server(default)] to: String,
    #[server(default)] methods: String,
    #[server(default)] path: String,
    #[server(default)] access: String,
    #[server(default)] scope: String,
    #[server(default)] resource: String,
    #[server(default)] note: String,
) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let (place, id, detail) = managed(&request, &actor, &workspace).await?;
    let fields = [&methods, &path, &access, &scope, &resource, &note, &to];
    let names = ["methods", "path", "access", "scope", "resource", "note", "to"];
    let typed: Vec<(&str, &str)> = names.into_iter().zip(fields.map(String::as_str)).collect();
    let draft = RuleDraft {
        methods: methods.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        path: path.clone(),
        access: access.clone(),
        // What is hidden for the other choices is sent as well.
        scope: Some(scope.clone()).filter(|_| access == "key"),
        resource: Some(resource.clone()).filter(|_| access == "key"),
        note: note.clone(),
    };
    let changed = still(&detail, version).and_then(|()| changed(&detail.map, position, &to, &draft));
    let (map, at) = context::reply_to_form(changed, &typed)?;
    let saved = request.engine.routes.replace(&actor, &id, map, RouteSource::Edit, Some(version)).await;
    // The one rule of the form is the one at fault.
    let saved = saved.map_err(|error| {
        let mut fault = Fault::from(error);
        let field = fault.problem.field.take().map(|field| field.rsplit('.').next().unwrap_or_default().to_owned());
        fault.problem.field = field;
        fault
    });
    context::reply_to_form(saved, &typed)?;
    context::go_to(&format!("/w/{}/routes?done=saved", place.slug));
    Ok(format!("edit-{at}"))
}

/// The map with the rule of a form in it, and where it stands then.
#[cfg(feature = "ssr")]
fn changed(map: &RouteMap, position: usize, to: &str, draft: &RuleDraft) -> Result<(RouteMap, usize), Problem> {
    let rule = draft.checked()?;
    if position > map.rules().len() {
        return Err(Problem::not_found());
    }
    let map = map.with(position, rule)?;
    let (count, from) = (map.rules().len(), if position == 0 { map.rules().len() } else { position });
    let wrong = || Problem::invalid("to", format!("Write a number from 1 to {count}."));
    let to = if to.trim().is_empty() { from } else { to.trim().parse().map_err(|_| wrong())? };
    Ok((map.moved(from, to).ok_or_else(wrong)?, to))
}

/// Moves a rule one place; `step` is `3 up` or `3 down`. Says which element the keyboard goes to.
#[server(endpoint = "move_route_rule", prefix = "/_app")]
pub async fn move_route_rule(workspace: String, version: i64, #[server(default)] step: String) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let (place, id, detail) = managed(&request, &actor, &workspace).await?;
    let (from, up) = match step.split_once(' ') {
        Some((from, "up")) => (from.parse::<usize>().unwrap_or_default(), true),
        Some((from, _)) => (from.parse().unwrap_or_default(), false),
        None => (0, true),
    };
    let to = if up { from.saturating_sub(1) } else { from.saturating_add(1) };
    let moved = still(&detail, version).and_then(|()| detail.map.moved(from, to).ok_or_else(Problem::not_found));
    let map = context::reply_to_form(moved, &[])?;
    context::reply_to_form(request.engine.routes.replace(&actor, &id, map, RouteSource::Edit, Some(version)).await, &[])?;
    context::go_to(&format!("/w/{}/routes#rule-{to}", place.slug));
    Ok(format!("{}-{to}", if up { "up" } else { "down" }))
}

/// Deletes the rule at a place.
#[server(endpoint = "delete_route_rule", prefix = "/_app")]
pub async fn delete_route_rule(workspace: String, version: i64, position: usize) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let (place, id, detail) = managed(&request, &actor, &workspace).await?;
    let without = still(&detail, version).and_then(|()| detail.map.without(position).ok_or_else(Problem::not_found));
    let map = context::reply_to_form(without, &[])?;
    context::reply_to_form(request.engine.routes.replace(&actor, &id, map, RouteSource::Edit, Some(version)).await, &[])?;
    context::go_to(&format!("/w/{}/routes?done=deleted", place.slug));
    Ok(String::new())
}

/// A preset's rules, beside what they would replace.
#[server(endpoint = "get_route_preset", prefix = "/_app", input = Json, output = Json)]
pub async fn get_route_preset(workspace: String, name: String) -> Result<ProposalView, Fault> {
    let (request, actor) = context::actor()?;
    let (place, _, detail) = managed(&request, &actor, &workspace).await?;
    let preset = context::reply(presets::find(&name).ok_or_else(Problem::not_found))?;
    let map = context::reply(RouteMap::read(&preset.rules()))?;
    Ok(ProposalView {
        workspace: place,
        version: detail.version(),
        replaces: detail.map.rules().len(),
        title: preset.title.into(),
        about: preset.about.into(),
        rules: lines(&map),
        saved: None,
        now: request.now(),
    })
}

/// Puts a preset's rules in force.
#[server(endpoint = "load_route_preset", prefix = "/_app")]
pub async fn load_route_preset(workspace: String, version: i64, name: String) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let (place, id) = place(&request, &actor, &workspace).await?;
    let preset = context::reply(presets::find(&name).ok_or_else(Problem::not_found))?;
    let map = context::reply(RouteMap::read(&preset.rules()))?;
    context::reply_to_form(request.engine.routes.replace(&actor, &id, map, RouteSource::Preset(name), Some(version)).await, &[])?;
    context::go_to(&format!("/w/{}/routes?done=replaced", place.slug));
    Ok(String::new())
}

/// The versions that are kept, the newest first.
#[server(endpoint = "list_route_versions", prefix = "/_app", input = Json, output = Json)]
pub async fn list_route_versions(workspace: String) -> Result<HistoryView, Fault> {
    let (request, actor) = context::actor()?;
    let (place, id) = place(&request, &actor, &workspace).await?;
    let versions = context::reply(request.engine.routes.versions(&actor, &id).await)?;
    Ok(HistoryView { workspace: place, versions: versions.into_iter().map(SavedLine::from).collect(), now: request.now() })
}

/// The rules of a former version, beside what they would replace.
#[server(endpoint = "get_route_version", prefix = "/_app", input = Json, output = Json)]
pub async fn get_route_version(workspace: String, version: i64) -> Result<ProposalView, Fault> {
    let (request, actor) = context::actor()?;
    let (place, id, detail) = managed(&request, &actor, &workspace).await?;
    let former = context::reply(request.engine.routes.get_version(&actor, &id, version).await)?;
    Ok(ProposalView {
        workspace: place,
        version: detail.version(),
        replaces: detail.map.rules().len(),
        title: format!("Version {version}"),
        about: String::new(),
        rules: lines(&former.map),
        saved: former.saved.map(SavedLine::from),
        now: request.now(),
    })
}

/// Puts a former version in force again.
#[server(endpoint = "revert_routes", prefix = "/_app")]
pub async fn revert_routes(workspace: String, version: i64, to: i64) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let (place, id) = place(&request, &actor, &workspace).await?;
    context::reply_to_form(request.engine.routes.revert(&actor, &id, to, Some(version)).await, &[])?;
    context::go_to(&format!("/w/{}/routes?done=replaced", place.slug));
    Ok(String::new())
}

/// The form of an import.
#[server(endpoint = "get_route_import", prefix = "/_app", input = Json, output = Json)]
pub async fn get_route_import(workspace: String) -> Result<ImportView, Fault> {
    let (request, actor) = context::actor()?;
    let (place, id, _) = managed(&request, &actor, &workspace).await?;
    let scopes = scopes(&request, &actor, &id).await?;
    Ok(ImportView { workspace: place, scopes, sent: use_context::<SentImport>() })
}

/// The rules that a document makes. Saves nothing.
#[server(endpoint = "preview_import", prefix = "/_app", output = Json)]
pub async fn preview_import(
    workspace: String,
    #[server(default)] document: String,
    #[server(default)] read: String,
    #[server(default)] write: String,
    #[server(default)] delete: String,
    #[server(default)] prefix: String,
    #[server(default)] variable: String,
    #[server(default)] kind: String,
) -> Result<ImportedView, Fault> {
    let (request, actor) = context::actor()?;
    let form = ImportForm { document, read, write, delete, prefix, variable, kind };
    context::reply(import(&request, &actor, &workspace, &form).await)
}

/// The form of an import as it was filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportForm {
    pub document: String,
    pub read: String,
    pub write: String,
    pub delete: String,
    pub prefix: String,
    pub variable: String,
    pub kind: String,
}

impl ImportForm {
    /// The names of its fields.
    pub const FIELDS: [&str; 7] = ["document", "read", "write", "delete", "prefix", "variable", "kind"];
}

/// `key:chat`, `key` for any key, `public`, `deny`, or nothing for no rule.
#[cfg(feature = "ssr")]
fn choice(text: &str) -> ImportChoice {
    let (access, scope) = text.split_once(':').map_or((text, None), |(access, scope)| (access, Some(scope.to_owned())));
    ImportChoice { access: access.to_owned(), scope }
}

/// The rules that the form's document makes.
#[cfg(feature = "ssr")]
pub async fn import(request: &RequestContext, actor: &Actor, workspace: &str, form: &ImportForm) -> Result<ImportedView, Fault> {
    let id = request.engine.workspaces.get(actor, workspace).await?.id;
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let choices = ImportChoices {
        read: choice(&form.read),
        write: choice(&form.write),
        delete: choice(&form.delete),
        prefix: given(&form.prefix),
        variable: given(&form.variable),
        kind: given(&form.kind),
    };
    let imported = request.engine.routes.import(actor, &id, &form.document, &choices).await.map_err(|error| {
        let mut fault = Fault::from(error);
        // Each choice is one field of the form.
        fault.problem.field = fault.problem.field.map(|field| field.split('.').next().unwrap_or_default().to_owned());
        fault
    })?;
    let present = request.engine.routes.get(actor, &id).await?;
    let ImportedRules { rules, operations, left_out } = imported;
    Ok(ImportedView {
        version: present.version(),
        replaces: present.map.rules().len(),
        operations,
        left_out: left_out.into_iter().map(|left| (left.path, left.why)).collect(),
        json: serde_json::to_string(&rules).unwrap_or_default(),
        rules: lines(&RouteMap::read(&rules)?),
    })
}

/// Puts the rules of an import in force.
#[server(endpoint = "save_import", prefix = "/_app")]
pub async fn save_import(workspace: String, version: i64, #[server(default)] rules: String) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let (place, id) = place(&request, &actor, &workspace).await?;
    let unreadable = |_| Problem::invalid("document", "The rules did not arrive whole. Import the document again.");
    let drafts: Vec<RuleDraft> = context::reply_to_form(serde_json::from_str(&rules).map_err(unreadable), &[])?;
    let map = context::reply_to_form(RouteMap::read(&drafts), &[])?;
    context::reply_to_form(request.engine.routes.replace(&actor, &id, map, RouteSource::Import, Some(version)).await, &[])?;
    context::go_to(&format!("/w/{}/routes?done=replaced", place.slug));
    Ok(String::new())
}
