//! The verdict taken apart: every check, how it came out, and what would make it pass. It runs through the same list as
//! `judge`, so that the two can never disagree; only the words are its own.

use serde::{Deserialize, Serialize};

use super::{CHECKS, Code, Facts, Moment, Question, ResourceRef, dormant_from};
use crate::limits::{Limit, Standing, Whose};
use crate::scope::ScopeSet;
use crate::time::Timestamp;

/// The most names that a sentence lists; of more it says how many they are.
const MOST_NAMES: usize = 8;
/// What helps where a key is stopped for good, whatever else is the matter with it.
const GONE: &str = "It cannot come back. Create a new key.";

/// One check and how it came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The code that its failure gives.
    pub code: Code,
    /// Does the key pass it?
    pub passed: bool,
    /// What was looked at and found, as a sentence.
    pub detail: String,
    /// What would make it pass, as a sentence; `None` if it does.
    pub remedy: Option<String>,
    /// When what it looks at came or will come to pass, where time has a part in it.
    pub at: Option<Timestamp>,
}

/// What a workspace's route map says of the request that was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteHit {
    /// The place of the rule that decides, from 1; `None` if no rule is for the request.
    pub position: Option<usize>,
    /// Why, as a sentence.
    pub why: String,
    /// Does the request pass, or not, whoever asks? `None` if the key decides.
    pub passes: Option<bool>,
}

/// A verdict and everything that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The code of the first check that fails, or [`Code::Valid`].
    pub code: Code,
    /// Every check, in the order in which they are made.
    pub checks: Vec<Check>,
    /// Which route rule said what is asked of the key, if a request was asked about.
    pub route: Option<RouteHit>,
}

impl Explanation {
    /// Judges and explains.
    pub fn of<'a>(key: impl Into<Facts<'a>>, question: &Question<'_>, moment: &Moment) -> Self {
        let checks = explain(key, question, moment);
        let code = checks.iter().find(|check| !check.passed).map_or(Code::Valid, |check| check.code);
        Self { code, checks, route: None }
    }

    /// Would the call pass? As the verdict says, unless a route rule decides whoever asks.
    pub fn passes(&self) -> bool {
        self.route.as_ref().and_then(|route| route.passes).unwrap_or(self.code == Code::Valid)
    }

    /// Says of the limits how they stand, and when the call will fit into them if it does not and ever will.
    #[must_use]
    pub fn with_limits(mut self, limits: &[(Whose, &Limit, Standing)], fits_at: Option<Timestamp>) -> Self {
        for check in &mut self.checks {
            let (one, quota) = match check.code {
                Code::RateLimited => ("rate limit", false),
                Code::QuotaExceeded => ("quota", true),
                _ => continue,
            };
            let these = limits.iter().filter(|(_, limit, _)| limit.refill().is_quota() == quota);
            let these = names(these.map(|(whose, limit, standing)| {
                let of = if *whose == Whose::Owner { ", for all keys of its owner" } else { "" };
                format!("{} ({} of {} left{of})", limit.name(), standing.remaining, limit.most())
            }));
            check.detail = if these.is_empty() { format!("It has no {one}.") } else { format!("It is held to {these}.") };
            if !check.passed && check.remedy.as_deref() != Some(GONE) {
                check.at = fits_at;
                let text =
                    if fits_at.is_some() { "Wait until then, or raise the" } else { "It costs more than can ever be left. Raise the" };
                check.remedy = Some(format!("{text} {one}."));
            }
        }
        self
    }
}

/// Every check on `key` in the fixed order. The first that does not pass is the verdict of [`super::judge`]; those after it
/// are looked at all the same, so that whoever mends one thing knows what is next.
pub fn explain<'a>(key: impl Into<Facts<'a>>, question: &Question<'_>, moment: &Moment) -> Vec<Check> {
    let key = &key.into();
    let gone = key.deleted_at.is_some() || key.stopped_for_good;
    let check = |(code, passes): &(Code, super::Passes)| {
        let passed = passes(key, question, moment);
        let Words { detail, remedy, at } = words(*code, passed, key, question, moment);
        let remedy = remedy.filter(|_| !passed).map(|remedy| if gone { GONE.to_owned() } else { remedy });
        Check { code: *code, passed, detail, remedy, at }
    };
    CHECKS.iter().map(check).collect()
}

/// What is said of a check.
struct Words {
    detail: String,
    remedy: Option<String>,
    at: Option<Timestamp>,
}

fn said(detail: impl Into<String>) -> Words {
    Words { detail: detail.into(), remedy: None, at: None }
}

impl Words {
    fn but(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    fn at(self, at: Option<Timestamp>) -> Self {
        Self { at, ..self }
    }
}

fn words(code: Code, passed: bool, key: &Facts<'_>, question: &Question<'_>, moment: &Moment) -> Words {
    match code {
        Code::Deleted if passed => said("The key was not deleted."),
        Code::Deleted => said("The key was deleted. Whoever presents it is told that there is no such key.").but(GONE).at(key.deleted_at),
        Code::Deactivated if passed => said("Nobody deactivated it."),
        Code::Deactivated if key.stopped_for_good => said("Somebody deactivated it for good.").but(GONE).at(key.deactivated_at),
        Code::Deactivated => {
            said("Somebody deactivated it.").but("An administrator has to activate it. Its secret stays the same.").at(key.deactivated_at)
        }
        Code::OwnerDisabled => owner(key),
        Code::Expired => expiry(passed, key),
        Code::Dormant => dormancy(passed, key, moment),
        Code::IpDenied => address(passed, key, question),
        Code::MissingScope => scope(passed, key, question),
        Code::WrongResource => resource(passed, key, question),
        Code::RateLimited if passed => said("It is within its rate limits, or has none."),
        Code::RateLimited => said("It was used too often in too short a time.").but("Wait, or raise its rate limit."),
        Code::QuotaExceeded if passed => said("It is within its quota, or has none."),
        Code::QuotaExceeded => said("Its quota is used up.").but("Wait for the next period, or raise its quota."),
        // Said where there is no record to look at.
        Code::Malformed | Code::NotFound | Code::Valid => said(code.explanation()),
    }
}

fn owner(key: &Facts<'_>) -> Words {
    let name = &key.owner.username;
    match (key.owner_active, key.owner_role) {
        (true, Some(role)) => said(format!("Its owner, {name}, belongs to the workspace as {}.", role.as_str())),
        (false, _) => said(format!("Its owner, {name}, is disabled."))
            .but(format!("An administrator of the instance has to enable {name}, or the key needs another owner.")),
        (true, None) => said(format!("Its owner, {name}, left the workspace."))
            .but(format!("Take {name} back into the workspace, or give the key to somebody who belongs to it.")),
    }
}

fn expiry(passed: bool, key: &Facts<'_>) -> Words {
    let words = match (key.expires_at, passed) {
        (None, _) => said("It has no expiry date."),
        (Some(_), true) => said("Its expiry date lies ahead."),
        (Some(_), false) => said("Its expiry date has passed.").but("Give it a later expiry date, or none. Its secret stays the same."),
    };
    words.at(key.expires_at)
}

fn dormancy(passed: bool, key: &Facts<'_>, moment: &Moment) -> Words {
    let Some(days) = key.inactivity_days else { return said("It has no inactivity interval.") };
    let days = if days == 1 { "a day".to_owned() } else { format!("{days} days") };
    let words = if passed {
        said(format!("It goes dormant {days} after its last use, and was used, made or activated since."))
    } else {
        said(format!("It was not used for {days}."))
            .but("An administrator has to activate it; its idle time then counts anew. A longer interval helps as well.")
    };
    words.at(dormant_from(key, moment))
}

fn address(passed: bool, key: &Facts<'_>, question: &Question<'_>) -> Words {
    if key.ip_allow.is_empty() {
        return said("It may be used from every address.");
    }
    let listed = names(key.ip_allow.iter());
    match question.client_ip.map(|ip| ip.to_canonical()) {
        Some(ip) if passed => said(format!("{ip} is on its list of addresses.")),
        Some(ip) => said(format!("{ip} is not on its list of addresses, which holds {listed}."))
            .but(format!("Use it from an address on the list, or add {ip} to the list.")),
        None => said(format!("It has a list of addresses, which holds {listed}, and no client's address was given."))
            .but("Say from which address the key is used. It is the end client's, not that of the service that asks."),
    }
}

fn scope(passed: bool, key: &Facts<'_>, question: &Question<'_>) -> Words {
    let Some(asked) = question.scope else { return said("No scope was asked for.") };
    if passed {
        let given = key.scopes.contains(asked);
        return said(if given {
            format!("It holds {asked}.")
        } else {
            format!("It holds {asked}, which comes with another of its scopes.")
        });
    }
    let held = if key.effective.is_empty() { "no scope at all".to_owned() } else { held(key.effective) };
    said(format!("It does not hold {asked}. It holds {held}.")).but(format!("Give it the scope {asked}, or one that implies it."))
}

fn held(scopes: &ScopeSet) -> String {
    names(scopes.iter().map(crate::scope::ScopeName::as_str))
}

fn resource(passed: bool, key: &Facts<'_>, question: &Question<'_>) -> Words {
    let tied = match key.resources {
        None => return said("It is not tied to resources and may be used on all of them."),
        Some([]) => {
            return said("Every resource that it was tied to was deleted.").but("Tie it to another resource, or to none at all.");
        }
        Some(tied) => tied,
    };
    let listed = names(tied.iter().map(ResourceRef::to_string));
    match question.resource {
        None => said(format!("It is tied to {listed}; no resource was asked for.")),
        Some(asked) if passed => said(format!("It is tied to {asked}.")),
        Some(asked) => {
            said(format!("It is tied to {listed}, not to {asked}.")).but(format!("Tie it to {asked} as well, or to no resource at all."))
        }
    }
}

/// The first few of them, and how many more there are.
fn names<T: ToString>(all: impl Iterator<Item = T>) -> String {
    let all: Vec<String> = all.map(|name| name.to_string()).collect();
    let shown = all.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::limits::Limits;
    use crate::verdict::tests::NOW;
    use crate::verdict::{Allowance, Key, judge};
    use crate::workspace::Role;
    use proptest::prelude::*;

    fn key() -> Key {
        Key { expires_at: None, inactivity_days: None, ..crate::verdict::tests::key() }
    }

    /// The check of that code.
    fn one(key: &Key, question: &Question<'_>, moment: &Moment, code: Code) -> Check {
        explain(key, question, moment).into_iter().find(|check| check.code == code).unwrap()
    }

    #[test]
    fn a_working_key_passes_every_check_in_the_order_of_the_codes() {
        let explained = Explanation::of(&key(), &Question::default(), &Moment::at(NOW));
        assert_eq!(explained.code, Code::Valid);
        let codes: Vec<Code> = explained.checks.iter().map(|check| check.code).collect();
        assert_eq!(codes, Code::ALL[2..12]);
        assert!(explained.checks.iter().all(|check| check.passed && check.remedy.is_none() && check.detail.ends_with('.')));
    }

    #[test]
    fn what_fails_says_what_was_found_and_what_would_help() {
        let (asked, moment) = ("collection:b".parse().unwrap(), Moment::at(NOW));
        let question = Question { scope: Some("chat"), resource: Some(&asked), client_ip: "203.0.113.7".parse().ok() };
        let key = Key {
            resources: Some(vec!["collection:a".parse().unwrap()]),
            ip_allow: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            inactivity_days: Some(5),
            expires_at: Some(NOW),
            ..key()
        };
        let found = |code| {
            let check = one(&key, &question, &moment, code);
            (check.detail, check.remedy.unwrap())
        };
        assert_eq!(
            found(Code::MissingScope),
            ("It does not hold chat. It holds inference, project.".into(), "Give it the scope chat, or one that implies it.".into())
        );
        assert_eq!(
            found(Code::WrongResource),
            ("It is tied to collection:a, not to collection:b.".into(), "Tie it to collection:b as well, or to no resource at all.".into())
        );
        assert_eq!(
            found(Code::IpDenied),
            (
                "203.0.113.7 is not on its list of addresses, which holds 10.0.0.0/8, 2001:db8::/32.".into(),
                "Use it from an address on the list, or add 203.0.113.7 to the list.".into()
            )
        );
        assert_eq!(one(&key, &question, &moment, Code::Expired).at, Some(NOW));
        let dormant = one(&key, &question, &moment, Code::Dormant);
        assert_eq!((dormant.passed, dormant.at), (false, Some(NOW.plus_days(-5))));
        // An implied scope is said to be one, and an address in its IPv6 form is the address that it is.
        let question = Question { scope: Some("inference"), resource: None, client_ip: "::ffff:10.1.2.3".parse().ok() };
        assert_eq!(one(&key, &question, &moment, Code::MissingScope).detail, "It holds inference, which comes with another of its scopes.");
        assert_eq!(one(&key, &question, &moment, Code::IpDenied).detail, "10.1.2.3 is on its list of addresses.");
    }

    #[test]
    fn whoever_reads_of_a_key_that_is_stopped_for_good_is_not_told_to_mend_it() {
        let moment = Moment { allowance: Allowance::RateLimited, ..Moment::at(NOW) };
        let question = Question { scope: Some("chat"), ..Question::default() };
        let ended = Key {
            deactivated_at: Some(NOW.plus_days(-1)),
            expires_at: Some(NOW),
            inactivity_days: Some(5),
            owner_active: false,
            ip_allow: vec!["10.0.0.0/8".parse().unwrap()],
            resources: Some(Vec::new()),
            ..key()
        };
        let limits = Limits::of(serde_json::from_str(r#"[{"name":"burst","limit":1,"window":60}]"#).unwrap(), Vec::new()).unwrap();
        let standing = Standing { remaining: 0, resets_at: NOW };
        let standings: Vec<_> = limits.iter().map(|(whose, limit)| (whose, limit, standing)).collect();
        let remedies = |key: &Key| {
            let explained = Explanation::of(key, &question, &moment).with_limits(&standings, Some(NOW.plus_ms(1)));
            explained.checks.into_iter().filter_map(|check| check.remedy).collect::<Vec<String>>()
        };
        let deleted = Key { deleted_at: Some(NOW), ..ended.clone() };
        assert_eq!(remedies(&deleted), vec!["It cannot come back. Create a new key."; 9]);
        let for_good = Key { stopped_for_good: true, ..ended.clone() };
        assert_eq!(remedies(&for_good), vec!["It cannot come back. Create a new key."; 8]);
        assert_eq!(one(&for_good, &question, &moment, Code::Deactivated).detail, "Somebody deactivated it for good.");
        // One that was stopped for now can be mended.
        let for_now = remedies(&ended);
        assert!(for_now.len() == 8 && for_now[0].contains("has to activate it") && !for_now.contains(&GONE.to_owned()), "{for_now:?}");
    }

    #[test]
    fn a_long_list_is_cut() {
        let tied = (0..40).map(|number| format!("collection:{number:02}").parse().unwrap()).collect();
        let asked = "collection:x".parse().unwrap();
        let question = Question { resource: Some(&asked), ..Question::default() };
        let check = one(&Key { resources: Some(tied), ..key() }, &question, &Moment::at(NOW), Code::WrongResource);
        assert!(check.detail.contains("collection:07 and 32 more, not to collection:x"), "{}", check.detail);
    }

    prop_compose! {
        /// Any key, any question, any moment: each check may go either way.
        fn anything()(
            flags in any::<[bool; 8]>(),
            ends in prop::option::of(-3i64..3),
            idle in prop::option::of(1u32..5),
            used in prop::option::of(-6i64..1),
            tied in prop::option::of(prop::collection::btree_set("[ab]", 0..2)),
            nets in prop::sample::select(vec![vec![], vec!["10.0.0.0/8"], vec!["::/0"], vec!["10.0.0.0/8", "::/0"]]),
            allowance in prop::sample::select(vec![Allowance::Free, Allowance::RateLimited, Allowance::QuotaExceeded]),
        ) -> (Key, [bool; 8], Moment) {
            let when = |wanted: bool| wanted.then(|| NOW.plus_days(-1));
            let key = Key {
                deleted_at: when(flags[0] && flags[1]),
                deactivated_at: when(flags[1] && flags[2]),
                stopped_for_good: flags[1] && flags[2] && flags[3],
                owner_active: flags[2] || flags[3],
                owner_role: (flags[3] || flags[4]).then_some(Role::Member),
                expires_at: ends.map(|days| NOW.plus_days(days)),
                inactivity_days: idle,
                resources: tied.map(|tied| tied.iter().map(|id| format!("collection:{id}").parse().unwrap()).collect()),
                ip_allow: nets.iter().map(|net| net.parse().unwrap()).collect(),
                ..key()
            };
            (key, flags, Moment { last_used_at: used.map(|days| NOW.plus_days(days)), allowance, ..Moment::at(NOW) })
        }
    }

    proptest! {
        #[test]
        fn the_first_check_that_fails_is_the_verdict((key, flags, moment) in anything()) {
            let asked = "collection:a".parse().unwrap();
            let question = Question {
                scope: flags[5].then_some(if flags[6] { "inference" } else { "chat" }),
                resource: flags[6].then_some(&asked),
                client_ip: flags[7].then(|| if flags[5] { "10.1.2.3" } else { "192.0.2.1" }.parse().unwrap()),
            };
            let explained = Explanation::of(&key, &question, &moment);
            prop_assert_eq!(explained.code, judge(&key, &question, &moment));
            prop_assert_eq!(explained.checks.len(), CHECKS.len());
            for check in explained.checks {
                prop_assert_eq!(check.passed, check.remedy.is_none(), "{:?}", check);
                prop_assert!(!check.detail.is_empty());
            }
        }
    }
}
