//! Verification: from a presented secret to a verdict, out of memory. No database, no lock a writer can hold.

mod forward;

use std::net::IpAddr;
use std::sync::Arc;

use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::limits::{Cost, Limit, Limits, Standing, Whose};
use keyfold_domain::policy::{ActingKey, Action, Actor, Decision, Principal, RequestInfo, key_can, scope_for};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::scope::{KeyKind, ScopeSet};
use keyfold_domain::time::Timestamp;
use keyfold_domain::token;
use keyfold_domain::user::UserRef;
use keyfold_domain::verdict::{Check, Code, Moment, Question, ResourceRef, judge};
use keyfold_domain::workspace::Role;

use super::Core;
use crate::error::Error;
use crate::keyset::{Client, KeyRecord, WorkspaceRoutes};
pub use forward::{ForwardRequest, Forwarded, Passage};

/// What a crash may take from a key's last use, in milliseconds: two flush intervals. Dormancy waits that much longer.
pub(crate) const GRACE_MS: i64 = 10_000;

/// The most keys that can be asked about at once.
pub const MAX_BATCH: usize = 100;

/// A key that was found, and for how many seconds the server has been out of touch, if that is so.
type Found = (Arc<KeyRecord>, Option<u32>);

/// What a service asks about a key that was presented to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifyRequest<'a> {
    /// The presented secret.
    pub key: &'a str,
    /// The scope the act needs.
    pub scope: Option<&'a str>,
    /// The resource the act touches.
    pub resource: Option<&'a ResourceRef>,
    /// The end client's address.
    pub client_ip: Option<IpAddr>,
    /// How the end client's program calls itself.
    pub user_agent: Option<&'a str>,
    /// What the call takes from the key's limits.
    pub cost: Cost,
    /// Who asks: the client that presents the caller's own key.
    pub asker: Client<'a>,
    /// Take the verdict apart instead of counting a use.
    pub explain: bool,
}

/// The verdict, and the key it is about.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The verdict.
    pub code: Code,
    /// The key, if there is one that the asker may know of. The same nothing for unknown, deleted and foreign keys.
    pub key: Option<Arc<KeyRecord>>,
    /// How each limit stands after the call, in the order of [`Limits::iter`]; empty if it is not limited or failed an
    /// earlier check. See [`Self::limits`].
    pub standings: Vec<Standing>,
    /// Seconds until the call will fit into the limits; `None` if it did, or never will.
    pub retry_after: Option<u32>,
    /// Every check, for who asked for an explanation of a key that they may know of.
    pub checks: Option<Vec<Check>>,
    /// When it was decided.
    pub at: Timestamp,
    /// For how many seconds the server has been out of touch with the database, if it answers all the same because the workspace
    /// wants it so.
    pub stale: Option<u32>,
}

impl Answer {
    /// That there is no key, or none that the asker may know of.
    const fn nothing(code: Code, at: Timestamp) -> Self {
        Self { code, key: None, standings: Vec::new(), retry_after: None, checks: None, at, stale: None }
    }

    /// How each limit stands after the call, the key's own first; nothing if it is not limited or failed an earlier check.
    pub fn limits(&self) -> impl Iterator<Item = (Whose, &Limit, Standing)> {
        let limits = self.key.iter().filter_map(|key| key.limits()).flat_map(Limits::iter);
        limits.zip(&self.standings).map(|((whose, limit), standing)| (whose, limit, *standing))
    }
}

/// Seconds until that moment, at least one.
pub(super) fn seconds_until(at: Timestamp, now: Timestamp) -> u32 {
    u32::try_from((at.millis_since(now).saturating_add(999) / 1000).max(1)).unwrap_or(u32::MAX)
}

/// Verification as a use case.
#[derive(Clone)]
pub struct Verifier {
    pub(crate) core: Arc<Core>,
}

impl Verifier {
    /// Does this process know every key, up to date? While it does not, every question is answered `Unavailable`.
    pub fn is_ready(&self) -> bool {
        self.core.is_exact()
    }

    /// The route map of the workspace with that id or short name. `None`: there is no such workspace, or it has no map, and
    /// nothing passes there. Reads the memory alone.
    pub fn routes(&self, slug_or_id: &str) -> Result<Option<Arc<WorkspaceRoutes>>, Error> {
        let routes = self.core.keyset.routes(slug_or_id);
        let lenient = || routes.as_deref().is_some_and(|routes| self.core.keyset.lenience.includes(routes.workspace.as_str()));
        if !self.core.is_exact() && !lenient() {
            return Err(Error::Unavailable("the route maps are not loaded or may be out of date".into()));
        }
        Ok(routes)
    }

    /// What a key may learn about itself: its verdict on nothing in particular.
    pub fn whoami(&self, secret: &str, client_ip: Option<IpAddr>) -> Result<Answer, Error> {
        self.whoami_from(secret, &Client { ip: client_ip, user_agent: None })
    }

    /// The same, for a client of which more is known.
    pub fn whoami_from(&self, secret: &str, client: &Client<'_>) -> Result<Answer, Error> {
        let now = self.core.now();
        let question = Question { client_ip: client.ip, ..Question::default() };
        Ok(match self.find(secret, now)? {
            Err(code) => Answer::nothing(code, now),
            Ok((entry, stale)) => Answer { stale, ..self.answer(entry, &question, Cost::default(), client, now) },
        })
    }

    /// The verdict on a presented key, for a caller whose own key holds the scope `verify`. `Unauthenticated` and
    /// `Forbidden` are about the caller; the presented key is always answered for with a code.
    pub fn verify(&self, caller: &str, request: &VerifyRequest<'_>) -> Result<Answer, Error> {
        let now = self.core.now();
        let asking = self.asking(caller, &request.asker, Cost::default(), now)?;
        self.decide(asking.workspace_id(), request, now)
    }

    /// The verdicts on 1 to [`MAX_BATCH`] presented keys, in the order of the questions: each is judged and counted as by
    /// [`Self::verify`], one after the other. The caller is looked at once and used once, and as many units as there are
    /// questions are taken from the limits of its key. The questions' own `asker` is not looked at.
    pub fn verify_batch(&self, caller: &str, asker: &Client<'_>, requests: &[VerifyRequest<'_>]) -> Result<Vec<Answer>, Error> {
        if requests.is_empty() || requests.len() > MAX_BATCH {
            return Err(Problem::invalid("checks", format!("Ask about 1 to {MAX_BATCH} keys at once.")).into());
        }
        let now = self.core.now();
        let cost = Cost::new(u64::try_from(requests.len()).unwrap_or(u64::MAX))?;
        let asking = self.asking(caller, asker, cost, now)?;
        requests.iter().map(|request| self.decide(asking.workspace_id(), request, now)).collect()
    }

    /// The caller's own key, which may ask about others. The use is counted, and the cost taken from its limits.
    fn asking(&self, caller: &str, asker: &Client<'_>, cost: Cost, now: Timestamp) -> Result<Arc<KeyRecord>, Error> {
        let (asking, role, _) = self.acting(caller, asker.ip, now)?;
        if key_can(role, asking.effective(), Action::VerifyKey) != Decision::Allow {
            return Err(Error::forbidden("Verifying needs a management key with the scope verify."));
        }
        self.take(&asking, cost, now)?;
        self.core.keyset.count(&asking, scope_for(Action::VerifyKey), asker, now);
        Ok(asking)
    }

    /// The verdict on a presented key, for who may know of the keys of that workspace.
    fn decide(&self, workspace: &WorkspaceId, request: &VerifyRequest<'_>, now: Timestamp) -> Result<Answer, Error> {
        let question = Question { scope: request.scope, resource: request.resource, client_ip: request.client_ip };
        let client = Client { ip: request.client_ip, user_agent: request.user_agent };
        Ok(match self.find(request.key, now)? {
            Err(code) => Answer::nothing(code, now),
            // The same answer as for a key that was never there.
            Ok((entry, _)) if entry.workspace_id() != workspace => Answer::nothing(Code::NotFound, now),
            Ok((entry, stale)) if request.explain => Answer { stale, ..self.explained(entry, &question, request.cost, now) },
            Ok((entry, stale)) => Answer { stale, ..self.answer(entry, &question, request.cost, &client, now) },
        })
    }

    /// The actor behind a management key presented as a credential.
    pub fn authenticate(&self, secret: &str, request: &RequestInfo) -> Result<Actor, Error> {
        self.authenticate_from(secret, request, None)
    }

    /// The same, for a program that says how it calls itself.
    pub fn authenticate_from(&self, secret: &str, request: &RequestInfo, user_agent: Option<&str>) -> Result<Actor, Error> {
        let now = self.core.now();
        let (entry, role, stale) = self.acting(secret, request.ip, now)?;
        Self::exactly(stale)?;
        self.take(&entry, Cost::default(), now)?;
        // Which of its scopes the act needs shows when the policy is asked.
        self.core.keyset.count(&entry, None, &Client { ip: request.ip, user_agent }, now);
        Ok(Self::actor(&entry, role, request))
    }

    /// The same, for a look that is no use of the key: a client that waits asks again and again. It takes nothing from the
    /// key's limits, and passes where a use would.
    pub fn authenticate_uncounted(&self, secret: &str, request: &RequestInfo) -> Result<Actor, Error> {
        let now = self.core.now();
        let (entry, role, stale) = self.acting(secret, request.ip, now)?;
        Self::exactly(stale)?;
        self.take(&entry, Cost::CHECK, now)?;
        Ok(Self::actor(&entry, role, request))
    }

    fn actor(record: &KeyRecord, role: Role, request: &RequestInfo) -> Actor {
        let acting = ActingKey {
            id: record.id(),
            workspace_id: record.workspace_id().clone(),
            owner: UserRef::clone(record.owner()),
            role,
            scopes: ScopeSet::clone(record.effective()),
            expires_at: record.expires_at(),
            resources: record.resources().map(<[_]>::to_vec),
            ip_allow: record.ip_allow().to_vec(),
            limits: record.limits().map(|limits| limits.own().to_vec()).unwrap_or_default(),
        };
        Actor { principal: Principal::Key(acting), request: request.clone() }
    }

    /// The management key with that secret, and its owner's role. Not counted as a use: the caller may still be refused.
    fn acting(&self, secret: &str, client_ip: Option<IpAddr>, now: Timestamp) -> Result<(Arc<KeyRecord>, Role, Option<u32>), Error> {
        let (entry, stale) = self.find(secret, now)?.map_err(|code| Error::unauthenticated(code.explanation()))?;
        let question = Question { client_ip, ..Question::default() };
        match Self::judge(&entry, &question, now) {
            Code::Valid => {}
            code => {
                self.core.keyset.count_denial(&entry, code, now);
                return Err(if code == Code::IpDenied {
                    Error::forbidden(code.explanation())
                } else {
                    Error::unauthenticated(code.explanation())
                });
            }
        }
        if entry.kind() != KeyKind::Management {
            return Err(Error::forbidden("This is not a management key. Create one of kind Management for this."));
        }
        let role = entry.owner_role().ok_or_else(|| Error::unauthenticated(Code::OwnerDisabled.explanation()))?;
        Ok((entry, role, stale))
    }

    /// What may be out of date is good enough for verdicts of workspaces that want it so, never for acts.
    fn exactly(stale: Option<u32>) -> Result<(), Error> {
        stale.map_or(Ok(()), |_| Err(Error::Unavailable("the keys may be out of date".into())))
    }

    /// The key with that secret, or the code that says why there is none. With the key, for how many seconds the server has been
    /// out of touch, if it has and the workspace wants answers all the same.
    fn find(&self, secret: &str, now: Timestamp) -> Result<Result<Found, Code>, Error> {
        let core = &self.core;
        if !core.is_exact() {
            return self.find_in_outage(secret, now);
        }
        if token::parse(&core.prefix, secret).is_err() {
            return Ok(Err(Code::Malformed));
        }
        let mac = core.macs.key(secret);
        let found = core.keyset.find(&mac).or_else(|| core.keyset.find_under_old(core.macs.key_under_old(secret)?, mac));
        Ok(found.filter(|entry| !entry.has_ended(now)).map(|entry| (entry, None)).ok_or(Code::NotFound))
    }

    /// The same while the memory may be out of date. Only keys that are known, of workspaces that want it so: that a key is not
    /// known says nothing now.
    #[cold]
    fn find_in_outage(&self, secret: &str, now: Timestamp) -> Result<Result<Found, Code>, Error> {
        let core = &self.core;
        let unavailable = || Error::Unavailable("the keys are not loaded or may be out of date".into());
        if core.keyset.lenience.count() == 0 || token::parse(&core.prefix, secret).is_err() {
            return Err(unavailable());
        }
        let mac = core.macs.key(secret);
        let found = core.keyset.find(&mac).or_else(|| core.keyset.find_under_old(core.macs.key_under_old(secret)?, mac));
        let lenient = |entry: &Arc<KeyRecord>| !entry.has_ended(now) && core.keyset.lenience.includes(entry.workspace_id().as_str());
        let entry = found.filter(lenient).ok_or_else(unavailable)?;
        core.keyset.lenience.answered();
        let seconds = u32::try_from(core.follower.out_of_touch_ms() / 1000).unwrap_or(u32::MAX);
        Ok(Ok((entry, Some(seconds))))
    }

    /// Takes from the limits of a management key what it asks for.
    fn take(&self, entry: &Arc<KeyRecord>, cost: Cost, now: Timestamp) -> Result<(), Error> {
        let Some(weighed) = self.core.keyset.weigh(entry, cost, false, now) else { return Ok(()) };
        let code = weighed.allowance.code();
        if code == Code::Valid {
            return Ok(());
        }
        self.core.keyset.count_denial(entry, code, now);
        let retry_after = weighed.fits_at.map(|at| seconds_until(at, now));
        Err(Problem { retry_after, ..Problem::new(ProblemCode::RateLimited, code.explanation()) }.into())
    }

    /// The verdict on a key. A yes is a use, a no is counted as well. Limits come last: what is refused for another reason
    /// takes nothing from them.
    fn answer(&self, entry: Arc<KeyRecord>, question: &Question<'_>, cost: Cost, client: &Client<'_>, now: Timestamp) -> Answer {
        let answer = self.weighed(&entry, question, cost, now);
        if answer.code == Code::Valid {
            self.core.keyset.count(&entry, question.scope, client, now);
        }
        Answer { key: Some(entry), ..answer }
    }

    /// The same where a yes is no use of the key and takes nothing from its limits. It is said where a use would pass.
    fn answer_uncounted(&self, entry: Arc<KeyRecord>, question: &Question<'_>, now: Timestamp) -> Answer {
        let answer = self.weighed(&entry, question, Cost::CHECK, now);
        Answer { key: Some(entry), ..answer }
    }

    /// The verdict on a key and how its limits stand, without the key. A no is counted here.
    fn weighed(&self, entry: &Arc<KeyRecord>, question: &Question<'_>, cost: Cost, now: Timestamp) -> Answer {
        let mut answer = Answer::nothing(Self::judge(entry, question, now), now);
        if answer.code == Code::Valid
            && let Some(weighed) = self.core.keyset.weigh(entry, cost, false, now)
        {
            answer.code = weighed.allowance.code();
            answer.retry_after = weighed.fits_at.map(|at| seconds_until(at, now));
            answer.standings = weighed.standings;
        }
        if answer.code != Code::Valid {
            self.core.keyset.count_denial(entry, answer.code, now);
        }
        answer
    }

    fn judge(entry: &KeyRecord, question: &Question<'_>, now: Timestamp) -> Code {
        let moment = Moment { last_used_at: entry.seen_at(), grace_ms: GRACE_MS, ..Moment::at(now) };
        match judge(entry, question, &moment) {
            // This secret was not used for long. Another one may have been, or this one before the server started.
            Code::Dormant => judge(entry, question, &Moment { last_used_at: entry.last_used_at(), ..moment }),
            code => code,
        }
    }
}
