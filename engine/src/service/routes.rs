//! Route maps: what a request to a service behind a proxy needs, by method and path.
//!
//! Every save is a version, and each save is checked against the one that it was made from. What is in force is in the
//! verifier's memory, kept exact by the change log.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::policy::{Action, Actor, Object, Principal};
use keyfold_domain::problem::Problem;
use keyfold_domain::route::{
    Demand, ImportChoices, ImportedRules, KEPT_VERSIONS, KeyDemand, KeyTrial, RouteMap, RouteMapDetail, RouteMapVersion, RouteRule,
    RouteSource, RouteTrial, TrialOutcome,
};
use keyfold_domain::scope::ScopeName;
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::{Moment, Question, judge};
use keyfold_engine_macros::compiled_here;
use serde_json::{Value, json};

use super::Core;
use super::audit::Event;
use super::keys::Keys;
use super::verify::GRACE_MS;
use crate::error::Error;
use crate::store::changes::Change;
use crate::{openapi, store};

/// So many added and removed rules are told in an audit event.
const TOLD: usize = 20;

/// A request that is tried on a workspace's map.
#[derive(Debug, Clone, Default)]
pub struct RouteQuestion {
    /// Its method.
    pub method: String,
    /// Its path with the query, as it would be sent.
    pub target: String,
    /// A key of the workspace to be judged with it.
    pub key: Option<KeyId>,
    /// From where the key would be used.
    pub client_ip: Option<IpAddr>,
}

/// Route maps as a use case.
#[derive(Clone)]
pub struct Routes {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
impl Routes {
    /// The map in force.
    pub async fn get(&self, actor: &Actor, workspace: &WorkspaceId) -> Result<RouteMapDetail, Error> {
        self.core.authorize(actor, Action::ReadRoutes, &Object::Workspace(workspace)).await?;
        self.row(workspace, None).await.map(Option::unwrap_or_default)
    }

    /// A version that was in force once, or still is.
    pub async fn get_version(&self, actor: &Actor, workspace: &WorkspaceId, version: i64) -> Result<RouteMapDetail, Error> {
        self.core.authorize(actor, Action::ReadRoutes, &Object::Workspace(workspace)).await?;
        self.row(workspace, Some(version)).await?.ok_or_else(Error::not_found)
    }

    /// The versions that are kept, the newest first: at most [`KEPT_VERSIONS`].
    pub async fn versions(&self, actor: &Actor, workspace: &WorkspaceId) -> Result<Vec<RouteMapVersion>, Error> {
        self.core.authorize(actor, Action::ReadRoutes, &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        Ok(store::routes::versions(&mut reader.conn(), workspace, KEPT_VERSIONS).await?)
    }

    /// Puts a map in the place of the present one. `version` is the one that the change was made from, 0 for none; `None` for
    /// any. Every scope that is asked for must be there.
    pub async fn replace(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        map: RouteMap,
        source: RouteSource,
        version: Option<i64>,
    ) -> Result<RouteMapDetail, Error> {
        self.core.authorize(actor, Action::ManageRoutes, &Object::Workspace(workspace)).await?;
        self.save(actor, workspace, map, source, version).await
    }

    /// Puts a former version in force again, as a new one.
    pub async fn revert(&self, actor: &Actor, workspace: &WorkspaceId, to: i64, version: Option<i64>) -> Result<RouteMapDetail, Error> {
        self.core.authorize(actor, Action::ManageRoutes, &Object::Workspace(workspace)).await?;
        let old = self.row(workspace, Some(to)).await?.ok_or_else(Error::not_found)?;
        self.save(actor, workspace, old.map, RouteSource::Revert(to), version).await
    }

    /// Tries a request: which rule it meets, why the ones before it did not fit, and what a key would be answered. Counts
    /// nothing; what a key's limits would say is left out.
    pub async fn test(&self, actor: &Actor, workspace: &WorkspaceId, question: &RouteQuestion) -> Result<RouteTrial, Error> {
        let map = self.get(actor, workspace).await?;
        let (found, steps) = map.map.explain(&question.method, &question.target);
        let mut trial = RouteTrial { steps, ..RouteTrial::refused(map.version(), found.as_ref().err().copied()) };
        let mut asked = None;
        if let Ok(found) = &found {
            trial.position = Some(found.position);
            trial.rule = Some(found.rule.clone());
            trial.outcome = match &found.demand {
                Demand::Public => TrialOutcome::Public,
                Demand::Deny => TrialOutcome::Deny,
                Demand::Key(demand) => {
                    asked = Some(demand);
                    TrialOutcome::Key { scope: demand.scope.cloned(), on: demand.tie.to_string() }
                }
            };
        }
        if let Some(id) = &question.key {
            trial.key = Some(self.judged(actor, workspace, id, asked, question.client_ip).await?);
        }
        Ok(trial)
    }

    /// What a key would be answered, or, where no key is asked for, only what it is called.
    async fn judged(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        id: &KeyId,
        demand: Option<&KeyDemand<'_>>,
        client_ip: Option<IpAddr>,
    ) -> Result<KeyTrial, Error> {
        let core = &self.core;
        let row = Keys { core: Arc::clone(core) }.find_for(actor, workspace, id, Action::ReadKey).await?;
        let mut reader = core.db.reader().await?;
        let catalogue = store::scopes::catalogue(&mut reader.conn(), workspace.as_str()).await?;
        drop(reader);
        let key = row.record(&catalogue)?;
        let Some(demand) = demand else { return Ok(KeyTrial { id: key.id, name: key.name, code: None, resource: None }) };
        let resource = demand.tie.resource_for(key.resources.as_deref());
        let question = Question { scope: demand.scope.map(ScopeName::as_str), resource: resource.as_deref(), client_ip };
        let last_used_at = row.last_used_at.map(Timestamp::from_millis).max(core.keyset.last_used_at(id));
        let code = judge(&key, &question, &Moment { last_used_at, grace_ms: GRACE_MS, ..Moment::at(core.now()) });
        let resource = resource.filter(|_| code == keyfold_domain::verdict::Code::Valid).map(std::borrow::Cow::into_owned);
        Ok(KeyTrial { id: key.id, name: key.name, code: Some(code), resource })
    }

    /// The rules that an OpenAPI document makes, JSON or YAML, at most 1 MiB. Saves nothing.
    pub async fn import(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        document: &str,
        choices: &ImportChoices,
    ) -> Result<ImportedRules, Error> {
        self.core.authorize(actor, Action::ManageRoutes, &Object::Workspace(workspace)).await?;
        let (operations, prefix) = openapi::operations(document)?;
        let imported = choices.rules(&operations, &prefix)?;
        let mut reader = self.core.db.reader().await?;
        let catalogue = store::scopes::catalogue(&mut reader.conn(), workspace.as_str()).await?;
        for (name, choice) in [("read", &choices.read), ("write", &choices.write), ("delete", &choices.delete)] {
            if let Some(scope) = choice.scope.as_deref().map(str::trim).filter(|scope| !scope.is_empty() && catalogue.find(scope).is_none())
            {
                return Err(Problem::invalid(format!("{name}.scope"), format!("There is no scope named {scope}.")).into());
            }
        }
        Ok(imported)
    }

    async fn row(&self, workspace: &WorkspaceId, version: Option<i64>) -> Result<Option<RouteMapDetail>, Error> {
        let mut reader = self.core.db.reader().await?;
        let row = store::routes::find(&mut reader.conn(), workspace.as_str(), version).await?;
        row.map(store::routes::RouteMapRow::detail).transpose()
    }

    async fn save(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        map: RouteMap,
        source: RouteSource,
        version: Option<i64>,
    ) -> Result<RouteMapDetail, Error> {
        let core = &self.core;
        let now = core.now();
        let rules = serde_json::to_string(&map).map_err(|error| Error::Internal(format!("a route map cannot be written: {error}")))?;
        let event = Event::done(now, actor, Some(workspace.as_str()), "routes.update", workspace.as_str());
        let saved = RouteMapVersion {
            version: 0,
            rules: i64::try_from(map.rules().len()).unwrap_or(i64::MAX),
            source,
            saved_at: now,
            saved_by: called(actor),
        };
        let input = Arc::new((workspace.clone(), map, rules, saved, version, event));
        let macs = Arc::clone(&core.macs);
        let (detail, seq) = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, map, rules, saved, version, event) = &*input;
                    store::audit::lock(&mut conn, workspace.as_str()).await?;
                    let before = store::routes::find(&mut conn, workspace.as_str(), None).await?;
                    let before = before.map(store::routes::RouteMapRow::detail).transpose()?.unwrap_or_default();
                    if version.is_some_and(|version| version != before.version()) {
                        return Err(changed_meanwhile(before.version()));
                    }
                    map.check_scopes(&store::scopes::catalogue(&mut conn, workspace.as_str()).await?)?;
                    let saved = RouteMapVersion { version: before.version() + 1, ..saved.clone() };
                    let told = (told_before(&before), told_after(&before.map, map, &saved));
                    event.clone().change(told.0, Some(told.1)).append(&mut conn, &macs).await?;
                    store::routes::insert(&mut conn, workspace, rules, &saved).await?;
                    store::routes::trim(&mut conn, workspace, saved.version - KEPT_VERSIONS).await?;
                    let seq = store::changes::append(&mut conn, &Change::Routes(workspace), saved.saved_at).await?;
                    Ok((RouteMapDetail { map: map.clone(), saved: Some(saved) }, seq))
                })
            })
            .await?;
        core.reach(seq).await?;
        Ok(detail)
    }
}

fn changed_meanwhile(version: i64) -> Error {
    let text =
        format!("Somebody changed these rules meanwhile (they are at version {version} now). Load them again and repeat your change.");
    Error::conflict(Some("version"), text)
}

/// Who saves a version, as a name that outlives the person.
fn called(actor: &Actor) -> String {
    match &actor.principal {
        Principal::Operator => "command line".to_owned(),
        _ => actor.user().map(|user| user.username.clone()).unwrap_or_default(),
    }
}

fn told_before(before: &RouteMapDetail) -> Option<Value> {
    before.saved.as_ref().map(|saved| json!({"map_version": saved.version, "rules": saved.rules}))
}

fn line(rule: &RouteRule) -> String {
    format!("{} {}: {}", rule.methods, rule.path, rule.outcome)
}

/// The change in words: the rules that came and went, as many as fit, and whether others moved.
fn told_after(before: &RouteMap, after: &RouteMap, saved: &RouteMapVersion) -> Value {
    let lines = |map: &RouteMap| map.rules().iter().map(line).collect::<Vec<_>>();
    let (old, new) = (lines(before), lines(after));
    let only_in = |these: &[String], others: &[String]| {
        let others: HashSet<&String> = others.iter().collect();
        these.iter().filter(|line| !others.contains(line)).cloned().collect::<Vec<_>>()
    };
    let (added, removed) = (only_in(&new, &old), only_in(&old, &new));
    let stayed = |all: &[String], gone: &[String]| all.iter().filter(|line| !gone.contains(line)).cloned().collect::<Vec<_>>();
    let moved = stayed(&new, &added) != stayed(&old, &removed);
    json!({
        "map_version": saved.version, "rules": saved.rules, "source": saved.source.to_string(),
        "added": in_a_line(&added), "removed": in_a_line(&removed), "moved": moved.then_some("rules stand in another order"),
    })
}

/// The first of some rules as one text; nothing for none.
fn in_a_line(rules: &[String]) -> Option<String> {
    let rest = rules.len().saturating_sub(TOLD);
    let first = rules.iter().take(TOLD).map(|rule| rule.trim_end_matches('.').to_owned());
    let more = (rest > 0).then(|| format!("and {rest} more"));
    let text = first.chain(more).collect::<Vec<_>>().join("; ");
    (!rules.is_empty()).then_some(text)
}
