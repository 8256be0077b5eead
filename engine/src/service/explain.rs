//! Verdicts taken apart, for people who wonder why. Asking costs nothing and counts nothing: no use, no denial, no limit.

use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::policy::{Action, Actor};
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::{Explanation, Moment, Question};

use super::keys::Keys;
use super::verify::{Answer, GRACE_MS, Verifier};
use crate::error::Error;
use crate::keyset::Entry;
use crate::store;

impl Verifier {
    /// The verdict on a key, with every check. Nothing is counted.
    pub(super) fn explained(&self, entry: Entry, question: &Question<'_>, now: Timestamp) -> Answer {
        let last_used_at = self.core.keyset.last_used_at(&entry.record.id).max(entry.usage.last_used_at());
        let explained = Explanation::of(&entry.record, question, &Moment { last_used_at, grace_ms: GRACE_MS, ..Moment::at(now) });
        Answer { code: explained.code, key: Some(entry.record), checks: Some(explained.checks), at: now }
    }
}

impl Keys {
    /// What would be answered if the key's secret were presented with that question, now or at another moment, and why. For
    /// whoever may see the key, which may have been deleted. Nothing is counted.
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
        let moment = Moment { last_used_at, grace_ms: GRACE_MS, ..Moment::at(at.unwrap_or_else(|| core.now())) };
        Ok(Explanation::of(&row.record(&catalogue)?, question, &moment))
    }
}
