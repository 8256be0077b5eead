//! Verdicts taken apart, for people who wonder why. Asking costs nothing and counts nothing: no use, no denial, no limit.

use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::limits::{Cost, Limits, Weighed};
use keyfold_domain::policy::{Action, Actor};
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::{Allowance, Code, Explanation, Key, Moment, Question};

use super::keys::Keys;
use super::verify::{Answer, GRACE_MS, Verifier, seconds_until};
use crate::error::Error;
use crate::keyset::Entry;
use crate::store;

/// Explains the verdict on a key whose limits stand so.
fn explain(key: &Key, question: &Question<'_>, moment: Moment, weighed: Option<&Weighed>) -> Explanation {
    let allowance = weighed.map_or(Allowance::Free, |weighed| weighed.allowance);
    let limits = key.limits.as_deref().into_iter().flat_map(Limits::iter);
    let standings = weighed.map(|weighed| weighed.standings.as_slice()).unwrap_or_default();
    let limits: Vec<_> = limits.zip(standings).map(|((whose, limit), standing)| (whose, limit, *standing)).collect();
    let fits_at = weighed.and_then(|weighed| weighed.fits_at);
    Explanation::of(key, question, &Moment { allowance, ..moment }).with_limits(&limits, fits_at)
}

impl Verifier {
    /// The verdict on a key, with every check. Nothing is counted, and nothing is taken from its limits.
    pub(super) fn explained(&self, entry: Entry, question: &Question<'_>, cost: Cost, now: Timestamp) -> Answer {
        let last_used_at = self.core.keyset.last_used_at(&entry.record.id).max(entry.usage.last_used_at());
        let moment = Moment { last_used_at, grace_ms: GRACE_MS, ..Moment::at(now) };
        let weighed = self.core.keyset.weigh(&entry, cost, true, now);
        let Explanation { code, checks } = explain(&entry.record, question, moment, weighed.as_ref());
        let weighed = weighed.filter(|_| matches!(code, Code::Valid | Code::RateLimited | Code::QuotaExceeded));
        let retry_after = weighed.as_ref().filter(|_| code != Code::Valid).and_then(|weighed| weighed.fits_at);
        Answer {
            code,
            key: Some(entry.record),
            standings: weighed.map(|weighed| weighed.standings).unwrap_or_default(),
            retry_after: retry_after.map(|at| seconds_until(at, now)),
            checks: Some(checks),
            at: now,
        }
    }
}

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
        let row = self.find_for(actor, workspace, id, Action::ReadKey).await?;
        let core = &self.core;
        let mut reader = core.db.reader().await?;
        let catalogue = store::scopes::catalogue(&mut reader.conn(), workspace.as_str()).await?;
        drop(reader);
        let stored = row.last_used_at.map(Timestamp::from_millis);
        let last_used_at = stored.max(core.keyset.last_used_at(id));
        let now = core.now();
        let moment = Moment { last_used_at, grace_ms: GRACE_MS, ..Moment::at(at.unwrap_or(now)) };
        // Limits are told as they stand now: to look at them at another moment would move their windows there.
        let weighed = core.keyset.standings(id, now).map(|(_, weighed)| weighed);
        Ok(explain(&row.record(&catalogue)?, question, moment, weighed.as_ref()))
    }
}
