//! Fills the verifier's memory with every key there is. Most keys have nothing that few have: those are read from one line of
//! text each, and what they have in common is worked out once. All others go the way that a changed key goes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use keyfold_domain::ids::{IdDigits, KeyId};
use keyfold_domain::time::Timestamp;

use crate::changes::{Filling, mac_of};
use crate::error::Error;
use crate::keyset::{Keyset, PlainKey, Profile};
use crate::store::db::Conn;
use crate::store::keys::{KeyRow, LINE_FIELDS, LINE_SEPARATOR, SHARED_FIELDS, count_all_live, lines_after};
use crate::store::limits::{SpentRow, spent};
use crate::store::secrets::{RetiringRow, retiring};
use crate::store::users::parse_id;

/// Keys read at once.
const PAGE: i64 = 4000;

/// A key as one line of text, whose fields are in the order of [`lines_after`].
struct Line<'a> {
    /// The fields that many keys have in common, as they stand there.
    shared: &'a str,
    fields: [&'a str; LINE_FIELDS],
}

impl<'a> Line<'a> {
    fn read(text: &'a str) -> Result<Self, Error> {
        let damaged = || Error::Internal("the database holds a key whose texts hold control characters".into());
        let fields: [&str; LINE_FIELDS] = text.splitn(LINE_FIELDS, LINE_SEPARATOR).collect::<Vec<_>>().try_into().map_err(|_| damaged())?;
        let (end, _) = text.match_indices(LINE_SEPARATOR).nth(SHARED_FIELDS - 1).ok_or_else(damaged)?;
        if fields.last().is_some_and(|last| last.contains(LINE_SEPARATOR)) {
            return Err(damaged());
        }
        Ok(Self { shared: text.get(..end).ok_or_else(damaged)?, fields })
    }

    fn id(&self) -> &'a str {
        self.fields[9]
    }

    /// Has it nothing that few keys have?
    fn is_plain(&self) -> bool {
        // Deactivated; a list of addresses, limits of its own and of its owner, resources.
        self.fields[15].is_empty() && self.fields[16] == "0" && self.fields[18..].iter().all(|field| field.is_empty())
    }

    fn plain(&self, profile: &Arc<Profile>) -> Result<PlainKey<'a>, Error> {
        let (made, activated) = (self.number(13)?.unwrap_or_default(), self.number(14)?.unwrap_or(i64::MIN));
        let days = self.number(12)?.map_or(Ok(0), u16::try_from);
        Ok(PlainKey {
            id: parse_id::<KeyId>(self.id())?.digits(),
            name: self.fields[10],
            profile: Arc::clone(profile),
            expires_at: self.number(11)?.map(Timestamp::from_millis),
            inactivity_days: days.map_err(|_| Error::Internal("the database holds a damaged inactivity interval of a key".into()))?,
            idle_from: Timestamp::from_millis(made.max(activated)),
            last_used_at: self.number(17)?.map(Timestamp::from_millis),
        })
    }

    fn number(&self, field: usize) -> Result<Option<i64>, Error> {
        let text = self.fields[field];
        let number = (!text.is_empty()).then(|| text.parse()).transpose();
        number.map_err(|_| Error::Internal("the database holds a damaged number of a key".into()))
    }

    /// The row that the way of a changed key wants. What decides nothing is not in it.
    fn row(&self, mac: &[u8]) -> Result<KeyRow, Error> {
        let text = |field: usize| self.fields[field].to_owned();
        let optional = |field: usize| Some(text(field)).filter(|text| !text.is_empty());
        Ok(KeyRow {
            id: text(9),
            workspace_id: text(0),
            slug: text(2),
            owner_id: text(1),
            username: text(3),
            display_name: text(4),
            owner_active: self.fields[5] == "1",
            role: optional(6),
            name: text(10),
            kind: text(7),
            scopes: text(8),
            expires_at: self.number(11)?,
            inactivity_days: self.number(12)?,
            created_at: self.number(13)?.unwrap_or_default(),
            activated_at: self.number(14)?,
            deactivated_at: self.number(15)?,
            stopped_for_good: self.fields[16] == "1",
            last_used_at: self.number(17)?,
            ip_allow: optional(18),
            limits: optional(19),
            owner_limits: optional(20),
            ties: optional(21),
            mac: mac.to_vec(),
            ..KeyRow::default()
        })
    }
}

/// Puts every key into the memory, and forgets those that are there no more.
pub(crate) async fn load_keys(conn: &mut Conn<'_>, keyset: &Keyset) -> Result<(), Error> {
    // What is in the memory already goes over to the new record of a key.
    let fresh = keyset.len() == 0;
    if fresh {
        keyset.reserve(usize::try_from(count_all_live(conn).await?).unwrap_or_default());
    }
    let mut seen = HashSet::<IdDigits>::new();
    let mut profiles = HashMap::<String, Arc<Profile>>::new();
    let mut filling = Filling::new(keyset);
    let mut last = String::new();
    loop {
        let rows = lines_after(conn, &last, PAGE).await?;
        let lines = rows.iter().map(|(text, mac)| Ok((Line::read(text)?, mac))).collect::<Result<Vec<_>, Error>>()?;
        let (Some((first, _)), Some((end, _))) = (lines.first(), lines.last()) else { break };
        let (first, end) = (first.id(), end.id().to_owned());
        let mut older = HashMap::<String, Vec<RetiringRow>>::new();
        for secret in retiring(conn, first, &end).await? {
            older.entry(secret.key_id.clone()).or_default().push(secret);
        }
        let mut quotas = HashMap::<String, Vec<SpentRow>>::new();
        for row in spent(conn, first, &end).await? {
            quotas.entry(row.subject.clone()).or_default().push(row);
        }
        for (line, mac) in &lines {
            let alone = fresh && line.is_plain() && !older.contains_key(line.id());
            if let Some(profile) = profiles.get(line.shared).filter(|_| alone) {
                keyset.put_plain(line.plain(profile)?, mac_of(mac)?);
                continue;
            }
            let (older, own) = (older.remove(line.id()).unwrap_or_default(), quotas.remove(line.id()).unwrap_or_default());
            let id = filling.insert(conn, &line.row(mac)?, older, Some(own)).await?;
            if let Some(profile) = keyset.profile(&id).filter(|_| alone) {
                profiles.insert(line.shared.to_owned(), profile);
            }
            if !fresh {
                seen.insert(id);
            }
        }
        last = end;
    }
    if !fresh {
        keyset.retain(&seen);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyfold_domain::catalogue::ScopeCatalogue;

    const PLAIN: [&str; LINE_FIELDS] = [
        "wsp_0123456789012345678901",
        "usr_0123456789012345678901",
        "acme",
        "ada",
        "Ada Löv",
        "1",
        "member",
        "secret",
        "chat project",
        "key_0123456789012345678901",
        "CI",
        "9000",
        "30",
        "1000",
        "2000",
        "",
        "0",
        "3000",
        "",
        "",
        "",
        "",
    ];

    fn with(field: usize, text: &str) -> String {
        let mut fields = PLAIN;
        fields[field] = text;
        fields.join(&LINE_SEPARATOR.to_string())
    }

    #[test]
    fn what_few_keys_have_is_seen_in_the_line() {
        assert!(Line::read(&with(0, PLAIN[0])).unwrap().is_plain());
        for (field, text) in [(15, "7"), (16, "1"), (18, "10.0.0.0/8"), (19, "[]"), (20, "[]"), (21, "res_x")] {
            assert!(!Line::read(&with(field, text)).unwrap().is_plain(), "{field}");
        }
    }

    #[test]
    fn a_line_is_read_as_the_row_is() {
        let text = with(6, "");
        let key = Line::read(&text).unwrap().row(&[1; 32]).unwrap().record(&ScopeCatalogue::default()).unwrap();
        assert_eq!(
            (key.id.as_str(), key.name.as_str(), &*key.workspace, key.owner.display_name.as_str()),
            (PLAIN[9], "CI", "acme", "Ada Löv")
        );
        assert_eq!((key.owner_active, key.owner_role, key.scopes.to_string()), (true, None, "chat project".to_owned()));
        assert_eq!((key.expires_at, key.inactivity_days), (Some(Timestamp::from_millis(9000)), Some(30)));
        assert_eq!(key.idle_from(), Timestamp::from_millis(2000));
        let keyset = Keyset::new();
        keyset.put(&key, [1; 32], &[], None, &crate::keyset::Stored::default());
        let plain = Line::read(&text).unwrap().plain(&keyset.profile(&key.id.digits()).unwrap()).map_err(|_| ()).unwrap();
        assert_eq!((plain.id, plain.name, plain.expires_at, plain.inactivity_days), (key.id.digits(), "CI", key.expires_at, 30));
        assert_eq!((plain.idle_from, plain.last_used_at), (key.idle_from(), Some(Timestamp::from_millis(3000))));
    }

    #[test]
    fn a_line_with_a_field_too_many_or_too_few_is_refused() {
        let whole = with(0, PLAIN[0]);
        assert!(Line::read(&format!("{whole}{LINE_SEPARATOR}")).is_err());
        assert!(Line::read(whole.trim_end_matches(LINE_SEPARATOR)).is_err());
    }

    /// Prints how long an instance takes to open, and what a key costs then. Run alone: `cargo test --release -p keyfold-engine --lib
    /// -- --ignored --exact loading::tests::what_a_start_costs --nocapture`.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "measures the process"]
    async fn what_a_start_costs() {
        use crate::testing::{MockClock, open};
        let resident = || std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096;
        for keys in [100_000, 1_000_000] {
            let folder = tempfile::tempdir().unwrap();
            let database = crate::DatabaseUrl::Sqlite(folder.path().join("keyfold.db"));
            let clock = Arc::new(MockClock::new(Timestamp::from_millis(1_800_000_000_000)));
            open(database.clone(), &clock, 1).await.unwrap().close().await;
            fill(&database, keys).await;
            for _ in 0..3 {
                let (before, begun) = (resident(), std::time::Instant::now());
                let engine = open(database.clone(), &clock, 1).await.unwrap();
                let (took, grown) = (begun.elapsed(), resident().saturating_sub(before));
                assert_eq!(engine.keys_in_memory(), keys);
                println!("{} ms to open with {keys} keys, and {} bytes a key", took.as_millis(), grown / u64::try_from(keys).unwrap());
                engine.close().await;
            }
        }
    }

    /// Keys of a thousand people.
    async fn fill(database: &crate::DatabaseUrl, keys: usize) {
        let statements = [
            "INSERT INTO workspaces (id, slug, name, never_allowed, members_may_create, max_live_per_user, max_live_per_workspace, created_at)
             VALUES ('wsp_0123456789012345678901', 'acme', 'Acme', TRUE, TRUE, 9, 9, 1)"
                .to_owned(),
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
             INSERT INTO users (id, username, email, display_name, password_hash, instance_admin, active, created_at)
             SELECT printf('usr_%022d', i), 'user' || i, '', 'User ' || i, '', FALSE, TRUE, 1 FROM n"
                .to_owned(),
            "INSERT INTO memberships (workspace_id, user_id, role, created_at) SELECT 'wsp_0123456789012345678901', id, 'member', 1 FROM users"
                .to_owned(),
            format!(
                "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {keys} - 1)
                 INSERT INTO keys (id, workspace_id, owner_id, created_by, name, folded_name, kind, scopes, note, created_at, total_calls, version)
                 SELECT printf('key_%022d', i), 'wsp_0123456789012345678901', printf('usr_%022d', i % 1000), 'ada', 'key ' || i, 'key ' || i,
                 'secret', 'chat project', '', 1, 0, 1 FROM n"
            ),
            "INSERT INTO secrets (id, key_id, mac, pepper_id, hint, created_at)
             SELECT 'sec_' || substr(id, 5), id, randomblob(32), 'x', 'abcd', 1 FROM keys"
                .to_owned(),
        ];
        for statement in &statements {
            crate::testing::execute(database, statement).await.unwrap();
        }
    }
}
