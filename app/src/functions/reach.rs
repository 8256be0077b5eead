//! How far a change has come on the servers of an instance, for people.

use std::fmt;
use std::str::FromStr;

use crate::format::counted;
#[cfg(feature = "ssr")]
use {
    super::context::{self, RequestContext},
    keyfold_domain::node::{InForce, Standing},
    keyfold_domain::policy::Actor,
};

/// How many servers act on a change. Written as four numbers, `3-3-0-140`, in the address to which a form without script leads:
/// numbers cannot say anything that is not true of some change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    /// On so many it is in force.
    on: i64,
    /// So many there are.
    of: i64,
    /// So many have not been heard of yet.
    waiting: i64,
    after_ms: i64,
}

impl Reach {
    /// The same in a sentence.
    pub(crate) fn words(self) -> String {
        let Self { on, of, waiting, after_ms } = self;
        let mut words = format!("In force on {on} of {} after {after_ms} ms.", counted(of, "node"));
        let stopped = of.saturating_sub(on).saturating_sub(waiting);
        for (count, what) in [(stopped, "out of touch, and lets nobody through"), (waiting, "not heard of yet")] {
            if count > 0 {
                words = format!("{words} {count}: {what}.");
            }
        }
        words
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { on, of, waiting, after_ms } = self;
        write!(f, "{on}-{of}-{waiting}-{after_ms}")
    }
}

impl FromStr for Reach {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers = text.split('-').map(str::parse).collect::<Result<Vec<i64>, _>>().map_err(drop)?;
        let &[on, of, waiting, after_ms] = numbers.as_slice() else { return Err(()) };
        if numbers.iter().any(|number| *number < 0) {
            return Err(());
        }
        Ok(Self { on, of, waiting, after_ms })
    }
}

#[cfg(feature = "ssr")]
impl From<&InForce> for Reach {
    fn from(found: &InForce) -> Self {
        let count = |standing| i64::try_from(found.count(standing)).unwrap_or(i64::MAX);
        let of = i64::try_from(found.nodes.len()).unwrap_or(i64::MAX);
        Self {
            on: count(Standing::InForce),
            of,
            waiting: count(Standing::Waiting),
            after_ms: i64::try_from(found.after_ms).unwrap_or(i64::MAX),
        }
    }
}

/// After an act that changes what keys may do: says to script on how many servers it is in force, and leads a form without
/// script to `path`, where the same is said. Nothing is said where there is one server.
#[cfg(feature = "ssr")]
pub(super) async fn told(request: &RequestContext, actor: &Actor, path: &str) -> Option<String> {
    let reach = request.engine.nodes.reach(actor).await.map(|found| Reach::from(&found));
    match reach {
        Some(reach) => context::go_to(&format!("{path}&reach={reach}")),
        None => context::go_to(path),
    }
    reach.map(Reach::words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reach_is_told_in_a_sentence_and_survives_an_address() {
        let cases = [
            ("3-3-0-140", "In force on 3 of 3 nodes after 140 ms."),
            ("2-3-1-6000", "In force on 2 of 3 nodes after 6000 ms. 1: not heard of yet."),
            ("1-3-1-40", "In force on 1 of 3 nodes after 40 ms. 1: out of touch, and lets nobody through. 1: not heard of yet."),
        ];
        for (text, words) in cases {
            let reach: Reach = text.parse().unwrap();
            assert_eq!((reach.to_string().as_str(), reach.words().as_str()), (text, words));
        }
        for text in ["", "3-3-0", "3-3-0-x", "3-3-0-1-1", "3-3-0-99999999999999999999", "3-+3-0-1a"] {
            assert_eq!(text.parse::<Reach>(), Err(()), "{text}");
        }
    }
}
