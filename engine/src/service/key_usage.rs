//! What keys are used for: calls and denials over time, and the evidence on their scopes.

use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::policy::{Action, Actor};
use keyfold_domain::problem::Problem;
use keyfold_domain::time::Timestamp;
use keyfold_domain::usage::{EVIDENCE_DAYS, HOUR_MS, HourCount, KEPT_DAYS, KeyUsage, ScopeEvidence, ScopeUse, day_of};
use keyfold_domain::verdict::Code;
use keyfold_engine_macros::compiled_here;

use super::keys::Keys;
use crate::error::Error;
use crate::store;

#[compiled_here]
impl Keys {
    /// The use of a key in the last `days` days (1 to [`KEPT_DAYS`]), today included.
    pub async fn usage(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId, days: u32) -> Result<KeyUsage, Error> {
        let counts = self.usage_by_hour(actor, workspace, id, days).await?;
        Ok(KeyUsage::of(&counts, self.core.now(), days))
    }

    /// The same hour by hour, the oldest first; hours without use are left out.
    pub async fn usage_by_hour(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId, days: u32) -> Result<Vec<HourCount>, Error> {
        self.find_for(actor, workspace, id, Action::ReadKey).await?;
        if !(1..=KEPT_DAYS).contains(&days) {
            return Err(Problem::invalid("days", format!("Choose 1 to {KEPT_DAYS} days.")).into());
        }
        let first = KeyUsage::first_hour(self.core.now(), days);
        let mut reader = self.core.db.reader().await?;
        let rows = store::usage::hours(&mut reader.conn(), workspace, id, first).await?;
        drop(reader);
        let mut counts = Vec::with_capacity(rows.len());
        for (hour, code, count) in rows {
            let code = Code::ALL.into_iter().find(|known| known.as_str() == code);
            let code = code.ok_or_else(|| Error::Internal("the database holds an unknown verdict".into()))?;
            add(&mut counts, hour, code, count);
        }
        for (_, usage) in self.core.keyset.usages(id) {
            let waiting = usage.waiting();
            let calls = waiting.calls.iter().map(|(hour, count)| (*hour, Code::Valid, *count));
            for (hour, code, count) in calls.chain(waiting.denials.iter().copied()).filter(|(hour, ..)| *hour >= first) {
                add(&mut counts, hour, code, i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        Ok(counts)
    }

    /// Which scopes of a key were asked for, and which would have been enough.
    pub async fn evidence(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId) -> Result<ScopeEvidence, Error> {
        let row = self.find_for(actor, workspace, id, Action::ReadKey).await?;
        let (record, now) = (row.settings()?, self.core.now());
        let first = day_of(now.plus_days(-i64::from(EVIDENCE_DAYS)));
        let mut reader = self.core.db.reader().await?;
        let rows = store::usage::scopes(&mut reader.conn(), workspace, id, first).await?;
        let catalogue = store::scopes::catalogue(&mut reader.conn(), workspace.as_str()).await?;
        drop(reader);
        let mut counted = Vec::with_capacity(rows.len());
        for (scope, count, last) in rows {
            let scope = scope.parse().map_err(|_| Error::Internal("the database holds a damaged scope".into()))?;
            counted.push(ScopeUse { scope, held: false, last_asked_at: Some(Timestamp::from_millis(last)), count });
        }
        for (_, usage) in self.core.keyset.usages(id) {
            for (scope, count, last) in usage.waiting().scopes {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                match counted.iter_mut().find(|known| known.scope == scope) {
                    Some(known) => {
                        known.count = known.count.saturating_add(count);
                        known.last_asked_at = known.last_asked_at.max(Some(last));
                    }
                    None => counted.push(ScopeUse { scope, held: false, last_asked_at: Some(last), count }),
                }
            }
        }
        let watched_since = row.scopes_at.map_or(record.created_at, |at| record.created_at.max(Timestamp::from_millis(at)));
        Ok(ScopeEvidence::of(&record.scopes, record.kind, counted, (watched_since, now), &catalogue))
    }
}

/// Adds to the count of that hour and verdict. Rows come in order, so that it is among the last if it is there at all.
fn add(counts: &mut Vec<HourCount>, hour: i64, code: Code, count: i64) {
    let hour = Timestamp::from_millis(hour.saturating_mul(HOUR_MS));
    let recent = counts.len().saturating_sub(4 * Code::ALL.len());
    match counts.iter_mut().skip(recent).find(|known| known.hour == hour && known.code == code) {
        Some(known) => known.count = known.count.saturating_add(count),
        None => counts.push(HourCount { hour, code, count }),
    }
}
