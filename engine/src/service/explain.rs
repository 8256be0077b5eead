//! Verdicts taken apart, for people who wonder why. Asking costs nothing and counts nothing: no use, no denial, no limit.

use std::sync::Arc;

use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::limits::{Cost, Limits, Weighed};
use keyfold_domain::policy::{Action, Actor};
use keyfold_domain::route::Demand;
use keyfold_domain::scope::ScopeName;
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::{Allowance, Code, Explanation, Facts, Key, Moment, Question, RouteHit};
use keyfold_engine_macros::compiled_here;

use super::keys::Keys;
use super::routes::{RouteQuestion, Routes};
use super::verify::{Answer, GRACE_MS, Verifier, seconds_until};
use crate::error::Error;
use crate::keyset::KeyRecord;
use crate::store;

/// Explains the verdict on a key whose limits stand so.
fn explain<'a>(
    key: impl Into<Facts<'a>>,
    limits: Option<&Limits>,
    question: &Question<'_>,
    moment: Moment,
    weighed: Option<&Weighed>,
) -> Explanation {
    let allowance = weighed.map_or(Allowance::Free, |weighed| weighed.allowance);
    let limits = limits.into_iter().flat_map(Limits::iter);
    let standings = weighed.map(|weighed| weighed.standings.as_slice()).unwrap_or_default();
    let limits: Vec<_> = limits.zip(standings).map(|((whose, limit), standing)| (whose, limit, *standing)).collect();
    let fits_at = weighed.and_then(|weighed| weighed.fits_at);
    Explanation::of(key, question, &Moment { allowance, ..moment }).with_limits(&limits, fits_at)
}

impl Verifier {
    /// The verdict on a key, with every check. Nothing is counted, and nothing is taken from its limits.
    pub(super) fn explained(&self, entry: Arc<KeyRecord>, question: &Question<'_>, cost: Cost, now: Timestamp) -> Answer {
        let last_used_at = entry.last_used_at();
        let moment = Moment { last_used_at, grace_ms: GRACE_MS, ..Moment::at(now) };
        let weighed = self.core.keyset.weigh(&entry, cost, true, now);
        let Explanation { code, checks, .. } = explain(&*entry, entry.limits(), question, moment, weighed.as_ref());
        let weighed = weighed.filter(|_| matches!(code, Code::Valid | Code::RateLimited | Code::QuotaExceeded));
        let retry_after = weighed.as_ref().filter(|_| code != Code::Valid).and_then(|weighed| weighed.fits_at);
        Answer {
            code,
            key: Some(entry),
            standings: weighed.map(|weighed| weighed.standings).unwrap_or_default(),
            retry_after: retry_after.map(|at| seconds_until(at, now)),
            checks: Some(checks),
            at: now,
            stale: None,
        }
    }
}

#[compiled_here]
impl Keys {
    /// What would be answered if the key's secret were presented with that question, now or at another moment, and why. For
    /// whoever may see the key, which may have been deleted. Nothing is counted; its limits are told as they stand now.
    pub async fn explain(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        id: &KeyId,
        question: &Question<'_>,
        at: Option<Timestamp>,
    ) -> Result<Explanation, Error> {
        let (key, stored_use) = self.record(actor, workspace, id).await?;
        Ok(self.explained(&key, stored_use, question, at))
    }

    /// The same for a request to a service behind a proxy: the workspace's route map says what it asks of the key.
    pub async fn explain_request(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        id: &KeyId,
        request: &RouteQuestion,
        at: Option<Timestamp>,
    ) -> Result<Explanation, Error> {
        let (key, stored_use) = self.record(actor, workspace, id).await?;
        let routes = Routes { core: Arc::clone(&self.core) };
        let map = routes.get(actor, workspace).await?;
        let trial = routes.test(actor, workspace, &RouteQuestion { key: None, ..request.clone() }).await?;
        let found = map.map.explain(&request.method, &request.target).0;
        let demand = match found.as_ref().map(|found| &found.demand) {
            Ok(Demand::Key(demand)) => Some(demand),
            _ => None,
        };
        let resource = demand.and_then(|demand| demand.tie.resource_for(key.resources.as_deref()));
        let question = Question {
            scope: demand.and_then(|demand| demand.scope).map(ScopeName::as_str),
            resource: resource.as_deref(),
            client_ip: request.client_ip,
        };
        let explained = self.explained(&key, stored_use, &question, at);
        Ok(Explanation { route: Some(RouteHit { position: trial.position, why: trial.why(), passes: trial.passes() }), ..explained })
    }

    /// What decides about a key that the actor may see, and its last use that is written.
    async fn record(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId) -> Result<(Key, Option<Timestamp>), Error> {
        let row = self.find_for(actor, workspace, id, Action::ReadKey).await?;
        let mut reader = self.core.db.reader().await?;
        let catalogue = store::scopes::catalogue(&mut reader.conn(), workspace.as_str()).await?;
        Ok((row.record(&catalogue)?, row.last_used_at.map(Timestamp::from_millis)))
    }

    fn explained(&self, key: &Key, stored_use: Option<Timestamp>, question: &Question<'_>, at: Option<Timestamp>) -> Explanation {
        let core = &self.core;
        let (now, last_used_at) = (core.now(), stored_use.max(core.keyset.last_used_at(&key.id)));
        let moment = Moment { last_used_at, grace_ms: GRACE_MS, ..Moment::at(at.unwrap_or(now)) };
        // Limits are told as they stand now: to look at them at another moment would move their windows there.
        let weighed = core.keyset.standings(&key.id, now).map(|(_, weighed)| weighed);
        explain(key, key.limits.as_deref(), question, moment, weighed.as_ref())
    }
}
