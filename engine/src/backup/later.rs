//! What happened after a backup was taken, read from the audit log that went on: which keys, people and things may not come
//! back to life.
//!
//! The events are those of `keyfold audit export`. Each is linked to the one before it, and the first to the last one in the
//! backup: what was changed or left out in between is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use keyfold_domain::audit::ChainHead;
use keyfold_domain::scope::ScopeSet;
use keyfold_domain::workspace::Role;
use serde::Deserialize;
use serde_json::Value;

use crate::mac::{Macs, hex, unhex};
use crate::store::keys::parse_scopes;

/// The longest line that is read, in bytes. An event is far shorter.
const LONGEST: u64 = 1024 * 1024;

/// Fields of a key that say nothing of what it may do.
const HARMLESS: [&str; 8] = ["name", "note", "version", "stopped_by", "deactivated_at", "deactivated_reason", "deleted_at", "scopes_at"];

/// A workspace, and something in it.
pub(super) type Place = (String, String);

/// What became of a key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) deleted: bool,
    /// It was deactivated and not activated again.
    pub(super) deactivated: Option<Deactivation>,
    /// It may do less, lives shorter, or belongs to somebody else.
    pub(super) narrowed: bool,
    /// It was rotated: when the secret that was current in the backup ends.
    pub(super) rotated: Option<i64>,
    /// Every older secret ended.
    pub(super) older_ended: bool,
    /// These secrets were ended early.
    pub(super) ended: BTreeSet<String>,
}

/// How a key was deactivated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Deactivation {
    pub(super) why: String,
    /// Its owner was told that this is for good.
    pub(super) for_good: bool,
}

/// What became of a person.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PersonFate {
    pub(super) disabled: bool,
    pub(super) demoted: bool,
}

/// What happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Later {
    /// So many events.
    pub(super) events: u64,
    pub(super) keys: BTreeMap<Place, Fate>,
    pub(super) people: BTreeMap<String, PersonFate>,
    /// The last word on somebody's place in a workspace; `None` for none.
    pub(super) places: BTreeMap<Place, Option<Role>>,
    pub(super) resources: BTreeSet<Place>,
    /// What is not carried over, by action.
    pub(super) left: BTreeMap<String, u64>,
}

/// An event as it was linked.
struct Linked {
    body: String,
    link: String,
}

#[derive(Deserialize)]
struct Numbered {
    chain: String,
    seq: i64,
}

#[derive(Deserialize)]
struct Body {
    action: String,
    object: String,
    result: String,
    at: i64,
    before: Option<Value>,
    after: Option<Value>,
}

type Chains = BTreeMap<String, BTreeMap<i64, Linked>>;

impl Later {
    /// Reads what came after `heads` from files of events. `kept` are heads of the same log taken later: the events must
    /// reach as far.
    pub(super) fn read(files: &[PathBuf], heads: &[ChainHead], kept: &[ChainHead], macs: &Macs) -> Result<Self, String> {
        let known: BTreeMap<&str, &ChainHead> = heads.iter().map(|head| (head.chain.as_str(), head)).collect();
        let mut chains = Chains::new();
        for file in files {
            collect(file, &known, &mut chains)?;
        }
        let mut later = Self::default();
        for (chain, events) in &chains {
            let Some(head) = known.get(chain.as_str()) else { continue };
            later.follow(chain, head, events, macs)?;
        }
        for kept in kept {
            let Some(head) = known.get(kept.chain.as_str()) else { continue };
            let last = chains.get(&kept.chain).and_then(|events| events.keys().next_back()).copied().unwrap_or(head.seq);
            if last < kept.seq {
                return Err(format!(
                    "the events of chain {} end with number {last}, and the log had {} by the heads that were kept. Give all that came after the backup, or choose --deactivate-all",
                    kept.chain, kept.seq
                ));
            }
        }
        Ok(later)
    }

    /// Goes through what came after the head of a chain, one event after the other.
    fn follow(&mut self, chain: &str, head: &ChainHead, events: &BTreeMap<i64, Linked>, macs: &Macs) -> Result<(), String> {
        let mut seq = head.seq;
        let mut link = unhex(&head.link).ok_or_else(|| format!("the head of chain {chain} cannot be read"))?;
        for (at, event) in events {
            if *at != seq + 1 {
                return Err(format!(
                    "event {} of chain {chain} is missing in the events. Give all that came after the backup, without any filter, or choose --deactivate-all",
                    seq + 1
                ));
            }
            let expected = macs.audit(&link, &event.body);
            if hex(&expected) != event.link {
                return Err(format!(
                    "event {at} of chain {chain} does not follow on what is in the backup: it was changed, or is of another log"
                ));
            }
            let body: Body = serde_json::from_str(&event.body).map_err(|error| format!("event {at} of chain {chain}: {error}"))?;
            if body.result == "done" {
                self.note(chain, &body);
            }
            self.events += 1;
            (seq, link) = (*at, expected);
        }
        Ok(())
    }

    fn note(&mut self, chain: &str, event: &Body) {
        let place = (chain.to_owned(), event.object.clone());
        let of_after = |name: &str| event.after.as_ref().and_then(|after| after.get(name));
        match event.action.as_str() {
            "session.sign_in" | "session.step_up" | "session.sign_out" | "session.end" | "session.end_others" | "audit.export"
            | "key.expired" | "key.dormant" | "key.keep" => {}
            "user.disable" => self.people.entry(event.object.clone()).or_default().disabled = true,
            "user.enable" => self.people.entry(event.object.clone()).or_default().disabled = false,
            "user.update" => match of_after("instance_admin").and_then(Value::as_bool) {
                Some(admin) => self.people.entry(event.object.clone()).or_default().demoted = !admin,
                None => self.left(&event.action),
            },
            "member.remove" | "member.leave" => drop(self.places.insert(place, None)),
            "member.add" | "member.update" => {
                let role = of_after("role").and_then(|role| serde_json::from_value::<Role>(role.clone()).ok());
                self.places.insert(place, role);
            }
            "resource.delete" => drop(self.resources.insert(place)),
            action if action.starts_with("key.") && action != "key.create" && action != "key.create_many" => self.note_key(place, event),
            action => self.left(action),
        }
    }

    fn left(&mut self, action: &str) {
        *self.left.entry(action.to_owned()).or_default() += 1;
    }

    fn note_key(&mut self, key: Place, event: &Body) {
        let text = |name: &str| event.after.as_ref().and_then(|after| after.get(name)).and_then(Value::as_str).unwrap_or_default();
        let fate = self.keys.entry(key).or_default();
        match event.action.as_str() {
            "key.delete" => fate.deleted = true,
            "key.deactivate" => {
                let for_good = event.after.as_ref().is_some_and(|after| after["stopped_for_good"] == true);
                fate.deactivated = Some(Deactivation { why: text("deactivated_reason").to_owned(), for_good });
            }
            "key.activate" => fate.deactivated = None,
            "key.rotate" => {
                let end =
                    event.after.as_ref().and_then(|after| after.get("old_secret_ends_at")).and_then(Value::as_i64).unwrap_or(event.at);
                let now = text("grace") == "now";
                fate.older_ended |= now;
                // Later rotations end other secrets, unless they end all.
                fate.rotated = Some(match fate.rotated {
                    Some(earlier) if now => earlier.min(event.at),
                    Some(earlier) => earlier,
                    None => end,
                });
            }
            "key.end_secret" => drop(fate.ended.insert(text("secret").to_owned())),
            "key.update" | "key.shorten" => fate.narrowed |= narrows(event.before.as_ref(), event.after.as_ref()),
            // Another owner, or an act that this version does not know.
            _ => fate.narrowed = true,
        }
    }
}

/// May a key do less, or live shorter, than before? Of a field that is not known: was it changed?
fn narrows(before: Option<&Value>, after: Option<&Value>) -> bool {
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after) else { return true };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| !HARMLESS.contains(&name.as_str())).any(|name| {
        let (was, is) = (before.get(name).unwrap_or(&Value::Null), after.get(name).unwrap_or(&Value::Null));
        was != is
            && match name.as_str() {
                "scopes" => !covered(was, is),
                "expires_at" => is.as_i64().is_some_and(|is| was.as_i64().is_none_or(|was| is < was)),
                _ => true,
            }
    })
}

/// Is every scope of the one among those of the other?
fn covered(was: &Value, is: &Value) -> bool {
    let read = |value: &Value| -> Option<ScopeSet> { parse_scopes(value.as_str()?) };
    matches!((read(was), read(is)), (Some(was), Some(is)) if was.is_subset(&is))
}

/// Takes the events of a file that come after the heads.
fn collect(file: &PathBuf, known: &BTreeMap<&str, &ChainHead>, chains: &mut Chains) -> Result<(), String> {
    let wrong = |why: &dyn std::fmt::Display| format!("the events in {}: {why}", file.display());
    let mut reader = BufReader::new(File::open(file).map_err(|error| wrong(&error))?);
    for number in 1u64.. {
        let mut line = String::new();
        let read = reader.by_ref().take(LONGEST).read_line(&mut line).map_err(|error| wrong(&error))?;
        if read == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        let unreadable = || wrong(&format!("line {number} is no event as `keyfold audit export` writes it"));
        let (body, link) = split(line.trim()).ok_or_else(unreadable)?;
        let Numbered { chain, seq } = serde_json::from_str(&body).map_err(|_| unreadable())?;
        if known.get(chain.as_str()).is_some_and(|head| seq > head.seq) {
            chains.entry(chain).or_default().insert(seq, Linked { link: link.to_owned(), body });
        }
    }
    Ok(())
}

/// The text that was linked, and the link.
fn split(line: &str) -> Option<(String, &str)> {
    let (start, link) = line.strip_suffix("\"}")?.rsplit_once(",\"link\":\"")?;
    Some((format!("{start}}}"), link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_is_narrowed_by_what_it_loses_alone() {
        let key = |changed: Value| {
            let mut key = json!({"name": "a", "scopes": "chat project", "expires_at": 1000, "resources": [], "version": 1});
            key.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
            key
        };
        let narrowed = |before: Value, after: Value| narrows(Some(&key(before)), Some(&key(after)));
        for (before, after) in [
            (json!({}), json!({"scopes": "chat"})),
            (json!({}), json!({"scopes": "chat inference"})),
            (json!({}), json!({"expires_at": 999})),
            (json!({"expires_at": null}), json!({})),
            (json!({}), json!({"resources": ["res_1"]})),
            (json!({}), json!({"inactivity_days": 30})),
            (json!({}), json!({"ip_allow": ["192.0.2.0/24"]})),
        ] {
            assert!(narrowed(before.clone(), after.clone()), "{before} {after}");
        }
        for (before, after) in [
            (json!({}), json!({"name": "b", "note": "c", "version": 2})),
            (json!({"scopes": "chat"}), json!({})),
            (json!({}), json!({"expires_at": null})),
            (json!({}), json!({"expires_at": 2000})),
        ] {
            assert!(!narrowed(before.clone(), after.clone()), "{before} {after}");
        }
        assert!(narrows(None, None), "what cannot be read is taken for the worst");
    }

    #[test]
    fn the_last_word_on_a_key_counts_and_no_activation_undoes_a_narrowing() {
        let mut later = Later::default();
        let mut note = |action: &str, at: i64, after: Value| {
            let event = Body { action: action.into(), object: "key_1".into(), result: "done".into(), at, before: None, after: Some(after) };
            later.note("wsp_1", &event);
        };
        note("key.deactivate", 1, json!({"deactivated_reason": "lost"}));
        note("key.rotate", 2, json!({"grace": "hour", "old_secret_ends_at": 3600}));
        note("key.rotate", 3, json!({"grace": "day", "old_secret_ends_at": 9999}));
        note("key.update", 4, json!({}));
        note("key.activate", 5, json!({}));
        note("key.end_secret", 6, json!({"secret": "sec_1"}));
        note("scope.update", 7, json!({}));
        let fate = &later.keys[&("wsp_1".to_owned(), "key_1".to_owned())];
        assert_eq!((fate.deleted, &fate.deactivated, fate.narrowed, fate.rotated), (false, &None, true, Some(3600)));
        assert!(fate.ended.contains("sec_1") && !fate.older_ended);
        assert_eq!(later.left["scope.update"], 1);
        let event = Body {
            action: "key.rotate".into(),
            object: "key_1".into(),
            result: "done".into(),
            at: 8,
            before: None,
            after: Some(json!({"grace": "now", "old_secret_ends_at": 8})),
        };
        later.note("wsp_1", &event);
        let fate = &later.keys[&("wsp_1".to_owned(), "key_1".to_owned())];
        assert_eq!((fate.rotated, fate.older_ended), (Some(8), true));
    }
}
