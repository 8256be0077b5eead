//! The audit log as it is read: events, which of them are wanted, what a check of the chains found.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The chain of what belongs to no workspace.
pub const INSTANCE_CHAIN: &str = "instance";

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditResult {
    /// It was done.
    Done,
    /// It was asked for and refused.
    Refused,
}

impl AuditResult {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Done, Self::Refused];

    /// The name in the log, in addresses and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }

    /// The result with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_str() == name)
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditActor {
    /// `user`, `key`, `operator` (the command line), `system` (Keyfold by itself) or `anonymous`.
    pub kind: String,
    /// The user's or the key's id; empty for the others.
    pub id: String,
    /// As they were called then; of a key the name of its owner.
    pub name: String,
}

/// A value before or after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// As text.
    Text(String),
    /// A moment, to be written as moments are.
    Moment(Timestamp),
}

/// One field that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// What it was; `None` for nothing.
    pub before: Option<Shown>,
    /// What it is now; `None` for nothing.
    pub after: Option<Shown>,
}

/// An event as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// The chain it is in: a workspace's id, or [`INSTANCE_CHAIN`].
    pub chain: String,
    /// Its number in the chain, from 1 on without gaps.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: AuditActor,
    /// What, as `noun.verb`; a refused act by the name of what was asked for.
    pub action: String,
    /// On what: an id; empty for none.
    pub object: String,
    /// What that is called now, where it is still known.
    pub object_name: Option<String>,
    /// How it went.
    pub result: AuditResult,
    /// The client's address, if there was one.
    pub ip: Option<String>,
    /// The id of the request.
    pub request_id: String,
    /// What it changed: only the fields that differ.
    pub changes: Vec<FieldChange>,
}

/// Which events are wanted, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditFilter {
    /// What was done: a whole action, or the start of some when it ends with a dot (`key.`); empty for all.
    pub action: String,
    /// The id of who did it; empty for everybody.
    pub actor: String,
    /// The id of what it was done to; empty for everything.
    pub object: String,
    /// How it went; `None` for both.
    pub result: Option<AuditResult>,
    /// Not before that moment.
    pub from: Option<Timestamp>,
    /// Before that moment.
    pub until: Option<Timestamp>,
    /// Part of a name, an id, an address or a value; empty for all.
    pub search: String,
    /// Where the page starts: the `next` of the page before.
    pub cursor: Option<String>,
    /// The most events, 1 to [`crate::key::MAX_PAGE`].
    pub limit: u32,
}

impl Default for AuditFilter {
    /// The newest events.
    fn default() -> Self {
        Self {
            action: String::new(),
            actor: String::new(),
            object: String::new(),
            result: None,
            from: None,
            until: None,
            search: String::new(),
            cursor: None,
            limit: crate::key::DEFAULT_PAGE,
        }
    }
}

/// What an action is, in words: `key.create` is "Key created".
pub fn in_words(action: &str) -> String {
    let spaced = |text: &str| text.replace(['_', '.'], " ");
    let words = match action.split_once('.') {
        None => spaced(action),
        Some((noun, verb)) => {
            let noun = spaced(noun);
            match verb {
                "create" | "update" | "delete" | "remove" | "rotate" | "activate" | "deactivate" | "revoke" | "invite" | "disable"
                | "enable" | "verify" | "rename" | "change" => format!("{noun} {verb}d"),
                "add" | "export" | "reset" | "accept" | "edit" | "limit" => format!("{noun} {}", past(verb)),
                "dormant" => format!("{noun} went dormant"),
                "expiring" => format!("{noun} ends soon"),
                "sign_in" => "signed in".to_owned(),
                "sign_in_elsewhere" => "signed in on another product's page".to_owned(),
                "sign_out" => "signed out".to_owned(),
                "step_up" => "password given again".to_owned(),
                "shorten" => format!("{noun} brought down to the rules"),
                other => format!("{noun} {}", spaced(other)),
            }
        }
    };
    let mut chars = words.chars();
    chars.next().map(|first| format!("{}{}", first.to_uppercase(), chars.as_str())).unwrap_or_default()
}

fn past(verb: &str) -> String {
    if verb == "reset" { verb.to_owned() } else { format!("{verb}ed") }
}

/// The newest link of a chain, to be kept elsewhere: what is cut off later cannot go unseen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainHead {
    /// The chain.
    pub chain: String,
    /// The number of its last event.
    pub seq: i64,
    /// That event's link, in hexadecimal.
    pub link: String,
}

/// What a check of the chains found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainReport {
    /// How many chains there are.
    pub chains: u64,
    /// How many events were checked.
    pub events: u64,
    /// The first link that does not hold; `None` if all do.
    pub broken: Option<BrokenLink>,
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenLink {
    /// The chain: a workspace's id, or `instance`.
    pub chain: String,
    /// The number of the event.
    pub seq: i64,
    /// What is wrong with it.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_reads_like_speech_also_one_that_is_not_known_yet() {
        for (action, words) in [
            ("key.create", "Key created"),
            ("key.deactivate", "Key deactivated"),
            ("key.dormant", "Key went dormant"),
            ("key.expired", "Key expired"),
            ("key.expiring", "Key ends soon"),
            ("member.add", "Member added"),
            ("session.sign_in", "Signed in"),
            ("session.sign_in_elsewhere", "Signed in on another product's page"),
            ("route_map.replace_all", "Route map replace all"),
            ("create_key", "Create key"),
            ("", ""),
        ] {
            assert_eq!(in_words(action), words);
        }
    }
}
