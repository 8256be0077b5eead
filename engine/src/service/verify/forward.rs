//! Forward-auth: may a request that a proxy holds back pass? The workspace's route map says what it needs, the verdict on
//! its key is the same as everywhere.

use std::sync::Arc;

use keyfold_domain::limits::Cost;
use keyfold_domain::route::{Demand, NoRoute, Tie};
use keyfold_domain::scope::ScopeName;
use keyfold_domain::verdict::{Code, Question, ResourceRef};

use super::{Answer, Verifier};
use crate::error::Error;
use crate::keyset::{Client, KeyRecord, WorkspaceRoutes};

/// A request that a proxy holds back.
#[derive(Debug, Clone, Copy)]
pub struct ForwardRequest<'a> {
    /// The workspace whose keys may pass, by its short name or id; `None` for each key's own.
    pub workspace: Option<&'a str>,
    /// The presented secret, if there is one.
    pub key: Option<&'a str>,
    /// The request's method.
    pub method: &'a str,
    /// Its path and query, as they were sent.
    pub target: &'a str,
    /// The end client.
    pub client: Client<'a>,
    /// The client says that it only waits for a job. Before an h2oGPTe, whose clients say so, that is no use of the key.
    pub waits: bool,
}

/// What becomes of it.
#[derive(Debug, Clone)]
pub struct Forwarded {
    /// The outcome.
    pub passage: Passage,
    /// The map that was asked. `None` if the workspace is not known, or has none.
    pub routes: Option<Arc<WorkspaceRoutes>>,
}

/// The outcome for a request that a proxy holds back.
#[derive(Debug, Clone)]
pub enum Passage {
    /// It passes, whoever asks. A key in it was not looked at.
    Open,
    /// It needs a key and has none.
    NoKey,
    /// Its key is good, and no rule is for the request. Also a request that cannot be read, with whatever key.
    NoRoute(NoRoute),
    /// Its key is good, and the rule refuses everybody.
    Denied,
    /// The verdict on its key.
    Judged {
        /// The verdict.
        answer: Answer,
        /// The scope that was asked for.
        scope: Option<ScopeName>,
        /// What the request is about. For a refused key only what the request itself names.
        resource: Option<ResourceRef>,
    },
}

impl Verifier {
    /// May the request pass? A key that is judged is counted as in [`Verifier::verify`]; what the map refuses whatever the key
    /// is no use of the key. With a workspace named, keys of others are answered like keys that were never there.
    pub fn forward(&self, request: &ForwardRequest<'_>) -> Result<Forwarded, Error> {
        let named = request.workspace.map(|workspace| self.routes(workspace)).transpose()?.flatten();
        let asked = named.clone();
        let found = asked.as_ref().map(|routes| routes.map.find(request.method, request.target));
        // What can be said without a key is said without looking at one.
        match &found {
            Some(Ok(found)) if found.demand == Demand::Public => return Ok(Forwarded { passage: Passage::Open, routes: named }),
            Some(Err(why @ NoRoute::Unsafe(_))) => return Ok(Forwarded { passage: Passage::NoRoute(*why), routes: named }),
            _ => {}
        }
        let Some(secret) = request.key else { return Ok(Forwarded { passage: Passage::NoKey, routes: named }) };
        let now = self.core.now();
        let refused = |code| Passage::Judged { answer: Answer::nothing(code, now), scope: None, resource: None };
        let (entry, stale) = match self.find(secret, now)? {
            Ok(found) => found,
            Err(code) => return Ok(Forwarded { passage: refused(code), routes: named }),
        };
        if request.workspace.is_some_and(|workspace| !is_of(&entry, workspace)) {
            return Ok(Forwarded { passage: refused(Code::NotFound), routes: named });
        }
        let routes = match named {
            None => self.routes(entry.workspace_id().as_str())?,
            named => named,
        };
        let found = found.or_else(|| routes.as_ref().map(|routes| routes.map.find(request.method, request.target)));
        let found = found.unwrap_or(Err(NoRoute::NoRule));
        let question = Question { client_ip: request.client.ip, ..Question::default() };
        let passage = match found.map(|found| found.demand) {
            Ok(Demand::Public) => Passage::Open,
            Ok(Demand::Key(demand)) => {
                let resource = demand.tie.resource_for(entry.resources());
                let scope = demand.scope;
                let question = Question { scope: scope.map(ScopeName::as_str), resource: resource.as_deref(), ..question };
                let named = matches!(demand.tie, Tie::To(_));
                let waits = request.waits && routes.as_deref().is_some_and(|routes| routes.map.is_for_h2ogpte());
                let answer = if waits {
                    self.answer_uncounted(entry, &question, now)
                } else {
                    self.answer(entry, &question, Cost::default(), &request.client, now)
                };
                let answer = Answer { stale, ..answer };
                // The resource that stands for "none that this key has" is for the verdict alone.
                let resource = resource.as_deref().filter(|_| named || answer.code == Code::Valid).cloned();
                Passage::Judged { answer, scope: scope.cloned(), resource }
            }
            Err(why @ NoRoute::Unsafe(_)) => Passage::NoRoute(why),
            refusal @ (Ok(Demand::Deny) | Err(NoRoute::NoRule)) => match Self::judge(&entry, &question, now) {
                Code::Valid if refusal.is_ok() => Passage::Denied,
                Code::Valid => Passage::NoRoute(NoRoute::NoRule),
                code => {
                    self.core.keyset.count_denial(&entry, code, now);
                    refused(code)
                }
            },
        };
        Ok(Forwarded { passage, routes })
    }
}

fn is_of(key: &KeyRecord, workspace: &str) -> bool {
    key.workspace() == workspace || key.workspace_id().as_str() == workspace
}
