//! What one request demands of the key that comes with it.

use std::borrow::Cow;
use std::fmt;

use super::rule::{Outcome, ResourceNeed};
use super::target::UnsafeTarget;
use super::template::Captures;
use crate::scope::ScopeName;
use crate::verdict::ResourceRef;

/// What a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand<'m> {
    /// Nothing. A key that is presented is not looked at.
    Public,
    /// It is refused, whoever asks.
    Deny,
    /// A key that works and can do this.
    Key(KeyDemand<'m>),
}

/// What a key must be able to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDemand<'m> {
    /// The scope; `None` for any key.
    pub scope: Option<&'m ScopeName>,
    /// What the request touches.
    pub tie: Tie<'m>,
}

/// What a request touches, and so what a key must be tied to if it is tied to anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tie<'m> {
    /// Nothing that is known.
    Nothing,
    /// More than a key can be tied to.
    Untied,
    /// The one resource of that kind that the key is tied to.
    Own(&'m str),
    /// This resource.
    To(Cow<'m, ResourceRef>),
}

impl<'m> Demand<'m> {
    pub(super) fn of(outcome: &'m Outcome, captures: &Captures<'_>) -> Result<Self, UnsafeTarget> {
        let (scope, resource) = match outcome {
            Outcome::Public => return Ok(Self::Public),
            Outcome::Deny => return Ok(Self::Deny),
            Outcome::Key { scope, resource } => (scope, resource),
        };
        let tie = match resource {
            ResourceNeed::Nothing => Tie::Nothing,
            ResourceNeed::Untied => Tie::Untied,
            ResourceNeed::Own(kind) => Tie::Own(kind),
            ResourceNeed::Fixed(resource) => Tie::To(Cow::Borrowed(resource)),
            ResourceNeed::Named { kind, variable } => {
                let id = captures.iter().find(|(name, _)| **name == **variable).map_or("", |(_, value)| value);
                Tie::To(Cow::Owned(ResourceRef::new(kind, id).map_err(|_| UnsafeTarget::Resource)?))
            }
        };
        Ok(Self::Key(KeyDemand { scope: scope.as_ref(), tie }))
    }
}

impl Tie<'_> {
    /// The resource to ask [`crate::verdict::judge`] about for a key that is tied so: asked with it, one that does not meet this is
    /// judged `wrong_resource`, in its place among the other checks.
    ///
    /// Also what the service behind is to be told that the request is about, once the verdict is a yes.
    pub fn resource_for(&self, tied: Option<&[ResourceRef]>) -> Option<Cow<'_, ResourceRef>> {
        match (self, tied) {
            (Self::Nothing, _) | (Self::Untied | Self::Own(_), None) => None,
            (Self::To(resource), _) => Some(Cow::Borrowed(resource)),
            (Self::Untied, Some(tied)) => Some(Cow::Owned(not_among(tied))),
            (Self::Own(kind), Some(tied)) => {
                let mut own = tied.iter().filter(|resource| resource.kind() == *kind);
                match (own.next(), own.next()) {
                    (Some(only), None) => Some(Cow::Owned(only.clone())),
                    // With none or several of them nobody can say which one is meant.
                    _ => Some(Cow::Owned(not_among(tied))),
                }
            }
        }
    }
}

/// A resource that is not in the list: the question that every key with this list fails.
fn not_among(tied: &[ResourceRef]) -> ResourceRef {
    let mut number = 0u64;
    loop {
        if let Ok(other) = ResourceRef::new("none", &number.to_string())
            && !tied.contains(&other)
        {
            return other;
        }
        number = number.wrapping_add(1);
    }
}

impl fmt::Display for Tie<'_> {
    /// What a key must be tied to if it is tied to anything, to follow "on".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing in particular"),
            Self::Untied => f.write_str("everything"),
            Self::Own(kind) => write!(f, "the key's one {kind}"),
            Self::To(resource) => resource.fmt(f),
        }
    }
}
