//! Who may do what: one table, asked by every service before anything is read out or changed.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::ids::{KeyId, SessionId, UserId, WorkspaceId};
use crate::limits::Limit;
use crate::scope::ScopeSet;
use crate::time::Timestamp;
use crate::user::UserRef;
use crate::verdict::ResourceRef;
use crate::workspace::{Membership, Role};

/// From where a request came and under which id it is logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// The client's address, if there is one.
    pub ip: Option<IpAddr>,
    /// The request's id.
    pub id: String,
    /// The client's program in a few words of ours; see [`crate::user_agent::in_words`].
    pub client: Option<String>,
}

/// Who is asking, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub principal: Principal,
    /// From where.
    pub request: RequestInfo,
}

/// A person in a session, with what they are in every workspace at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub user: UserRef,
    /// May manage the whole instance.
    pub instance_admin: bool,
    /// The session.
    pub session: SessionId,
    /// When the password was last given in this session.
    pub proven_at: Timestamp,
    /// Their places.
    pub memberships: Vec<Membership>,
}

/// A management key acting for its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActingKey {
    /// The key.
    pub id: KeyId,
    /// The only workspace it can act in.
    pub workspace_id: WorkspaceId,
    /// Whose it is.
    pub owner: UserRef,
    /// What the owner is there now.
    pub role: Role,
    /// Its scopes and what they imply.
    pub scopes: ScopeSet,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// What it is tied to, as in [`crate::verdict::Key::resources`].
    pub resources: Option<Vec<ResourceRef>>,
    /// From where it may be used; empty for anywhere.
    pub ip_allow: Vec<IpNet>,
    /// Its own limits.
    pub limits: Vec<Limit>,
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The operator at the command line of the server, who has the database anyway.
    Operator,
    /// Nobody known.
    Anonymous,
    /// A person in a session.
    User(SignedIn),
    /// A management key.
    Key(ActingKey),
}

impl Actor {
    /// Somebody who has not shown who they are.
    pub const fn anonymous(request: RequestInfo) -> Self {
        Self { principal: Principal::Anonymous, request }
    }

    /// The person behind the act: the one signed in or the owner of the key.
    pub const fn user(&self) -> Option<&UserRef> {
        match &self.principal {
            Principal::User(person) => Some(&person.user),
            Principal::Key(key) => Some(&key.owner),
            Principal::Operator | Principal::Anonymous => None,
        }
    }

    /// What the actor counts as in that workspace, instance administrators as its owner; `None` if it is closed to them.
    pub fn role_in(&self, workspace: &WorkspaceId) -> Option<Role> {
        match &self.principal {
            Principal::Operator => Some(Role::Owner),
            Principal::Anonymous => None,
            Principal::User(person) if person.instance_admin => Some(Role::Owner),
            Principal::User(person) => person.memberships.iter().find(|place| place.workspace_id == *workspace).map(|place| place.role),
            Principal::Key(key) => (key.workspace_id == *workspace).then_some(key.role),
        }
    }

    /// Does the actor see every key of the workspace, or only their own?
    pub fn sees_all_keys(&self, workspace: &WorkspaceId) -> bool {
        self.role_in(workspace) >= Some(Role::Admin)
    }
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// See that a workspace exists, its name and its rules.
    ReadWorkspace,
    /// See a key's settings.
    ReadKey,
    /// See everybody's keys of a workspace, as who administers them.
    AdministerKeys,
    /// Make a key.
    CreateKey,
    /// Change a key's name, scopes, expiry, interval or note.
    UpdateKey,
    /// Say from where and how often a key may be used.
    LimitKey,
    /// Give a key a new secret, end an old one.
    RotateKey,
    /// Stop a key for now.
    DeactivateKey,
    /// Let a stopped key work again.
    ActivateKey,
    /// End a key for good.
    DeleteKey,
    /// Ask for a verdict on another key.
    VerifyKey,
    /// See who belongs to a workspace, and who is invited.
    ReadMembers,
    /// Let a person into a workspace.
    AddMember,
    /// Give a member another role, remove one, and say what becomes of the keys of those who left.
    ManageMembers,
    /// Give up one's own place in a workspace.
    LeaveWorkspace,
    /// See the resources that keys can be tied to.
    ReadResources,
    /// Add, change and delete resources.
    ManageResources,
    /// See the scopes there are.
    ReadScopes,
    /// Add, change and delete the workspace's own scopes.
    ManageScopes,
    /// See the rules for requests to services behind a proxy, and try requests on them.
    ReadRoutes,
    /// Change those rules.
    ManageRoutes,
    /// Make a workspace.
    CreateWorkspace,
    /// List every workspace, rename one.
    ManageWorkspaces,
    /// Make, list, change, disable and enable users.
    ManageUsers,
    /// Read the audit log. A member reads what concerns them.
    ReadAudit,
    /// Take the audit log away as a file.
    ExportAudit,
    /// Check the audit chains.
    VerifyAudit,
    /// Change the rules for keys, or see whom a change would concern.
    ChangePolicy,
    /// Let servers that have lost touch with the database go on answering.
    ChangeOutageRule,
    /// See and change the keys of every workspace.
    ManageAllKeys,
    /// See which servers run on the database, and how far each is.
    ReadNodes,
}

/// On what.
#[derive(Debug, Clone, Copy)]
pub enum Object<'a> {
    /// The whole instance.
    Instance,
    /// A workspace.
    Workspace(&'a WorkspaceId),
    /// A key, there already or to be made.
    Key {
        /// Where.
        workspace: &'a WorkspaceId,
        /// Whose.
        owner: &'a UserId,
        /// Which, if it is there already.
        id: Option<&'a KeyId>,
    },
}

/// The answer of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Do it.
    Allow,
    /// The actor may know of the thing but not do this.
    Forbid,
    /// The actor must not learn whether the thing exists.
    Hide,
    /// Nobody has said who they are.
    Identify,
}

/// The least role an act on a workspace or on somebody else's key needs, the least on one's own key, and the scope a
/// management key needs for it (`None`: no key may).
const fn needs(action: Action) -> (Role, Role, Option<&'static str>) {
    match action {
        Action::ReadWorkspace | Action::ReadResources | Action::ReadScopes | Action::ReadRoutes => {
            (Role::Viewer, Role::Viewer, Some("keys:read"))
        }
        Action::ReadKey => (Role::Admin, Role::Viewer, Some("keys:read")),
        Action::AdministerKeys => (Role::Admin, Role::Admin, Some("keys:read")),
        Action::CreateKey | Action::UpdateKey | Action::RotateKey | Action::DeactivateKey | Action::DeleteKey => {
            (Role::Admin, Role::Member, Some("keys:write"))
        }
        // A limit that its holder can lift is none.
        Action::ActivateKey | Action::LimitKey | Action::ManageResources => (Role::Admin, Role::Admin, Some("keys:write")),
        Action::VerifyKey => (Role::Member, Role::Member, Some("verify")),
        Action::ReadMembers => (Role::Admin, Role::Admin, Some("members:read")),
        Action::ReadAudit => (Role::Member, Role::Member, Some("audit:read")),
        Action::ExportAudit | Action::VerifyAudit => (Role::Admin, Role::Admin, Some("audit:read")),
        // A key that could loosen the rules could give itself a longer life, and one that could change what its scopes imply
        // or what its routes ask for more than it has.
        Action::AddMember | Action::ManageMembers | Action::ChangePolicy | Action::ManageScopes | Action::ManageRoutes => {
            (Role::Admin, Role::Admin, None)
        }
        Action::ChangeOutageRule => (Role::Owner, Role::Owner, None),
        Action::LeaveWorkspace => (Role::Viewer, Role::Viewer, None),
        // Of the instance only; in a workspace not even its owner.
        Action::CreateWorkspace | Action::ManageWorkspaces | Action::ManageUsers | Action::ManageAllKeys | Action::ReadNodes => {
            (Role::Owner, Role::Owner, None)
        }
    }
}

/// The scope that a management key needs for an act; `None`: no key may.
pub const fn scope_for(action: Action) -> Option<&'static str> {
    needs(action).2
}

/// May `actor` do `action` on `object`?
pub fn can(actor: &Actor, action: Action, object: &Object<'_>) -> Decision {
    let workspace = match (&actor.principal, object) {
        (Principal::Operator, _) => return Decision::Allow,
        (Principal::Anonymous, _) => return Decision::Identify,
        (Principal::User(person), Object::Instance) if person.instance_admin => return Decision::Allow,
        (_, Object::Instance) => return Decision::Forbid,
        (_, Object::Workspace(workspace) | Object::Key { workspace, .. }) => *workspace,
    };
    let Some(role) = actor.role_in(workspace) else { return Decision::Hide };
    let (others, own, scope) = needs(action);
    let mine = match object {
        Object::Key { owner, .. } => actor.user().is_some_and(|user| user.id == **owner),
        Object::Workspace(_) | Object::Instance => false,
    };
    // A member must not find out by trying which ids name other people's keys.
    if matches!(object, Object::Key { id: Some(_), .. }) && !mine && role < Role::Admin {
        return Decision::Hide;
    }
    if let Principal::Key(key) = &actor.principal {
        let on_itself = matches!(object, Object::Key { id: Some(id), .. } if **id == key.id) && action != Action::ReadKey;
        if on_itself || !scope.is_some_and(|scope| key.scopes.contains(scope)) {
            return Decision::Forbid;
        }
    }
    if role >= if mine { own } else { others } { Decision::Allow } else { Decision::Forbid }
}

/// May a management key with these effective scopes, whose owner has that role, do `action` in its own workspace? The
/// answer of [`can`] on [`Object::Workspace`], for who asks too often to make an [`Actor`] first.
pub fn key_can(role: Role, scopes: &ScopeSet, action: Action) -> Decision {
    let (others, _, scope) = needs(action);
    let holds = scope.is_some_and(|scope| scopes.contains(scope));
    if holds && role >= others { Decision::Allow } else { Decision::Forbid }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::ScopeCatalogue;

    fn id<T: std::str::FromStr>(prefix: &str, last: char) -> T
    where
        T::Err: std::fmt::Debug,
    {
        format!("{prefix}{}{last}", "0".repeat(21)).parse().unwrap()
    }

    fn person(role: Option<Role>, instance_admin: bool) -> Actor {
        let memberships = role.map(|role| Membership { workspace_id: id("wsp_", '1'), role }).into_iter().collect();
        let user = UserRef { id: id("usr_", '1'), username: "ada".into(), display_name: "Ada".into() };
        let proven_at = Timestamp::from_millis(0);
        let principal = Principal::User(SignedIn { user, instance_admin, session: id("ses_", '1'), proven_at, memberships });
        Actor { principal, request: RequestInfo::default() }
    }

    fn key_of(role: Role, scopes: &[&str]) -> Actor {
        let scopes: ScopeSet = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let owner = UserRef { id: id("usr_", '1'), username: "ada".into(), display_name: "Ada".into() };
        let key = ActingKey {
            id: id("key_", '9'),
            workspace_id: id("wsp_", '1'),
            owner,
            role,
            scopes: scopes.effective(&ScopeCatalogue::default()),
            expires_at: None,
            resources: None,
            ip_allow: vec![],
            limits: vec![],
        };
        Actor { principal: Principal::Key(key), request: RequestInfo::default() }
    }

    /// The table of PRODUCT 3 for keys: rows are actors, columns are (own key, another's key, another workspace).
    #[test]
    fn the_table_for_keys_holds_for_every_role() {
        use Decision::{Allow, Forbid, Hide, Identify};
        let (here, there) = (id::<WorkspaceId>("wsp_", '1'), id::<WorkspaceId>("wsp_", '2'));
        let (me, other) = (id::<UserId>("usr_", '1'), id::<UserId>("usr_", '2'));
        let key = id::<KeyId>("key_", '1');
        let actors = [
            (Actor::anonymous(RequestInfo::default()), [Identify; 3], [Identify; 3]),
            (person(None, false), [Hide; 3], [Hide; 3]),
            (person(Some(Role::Viewer), false), [Allow, Hide, Hide], [Forbid, Hide, Hide]),
            (person(Some(Role::Member), false), [Allow, Hide, Hide], [Allow, Hide, Hide]),
            (person(Some(Role::Admin), false), [Allow, Allow, Hide], [Allow, Allow, Hide]),
            (person(Some(Role::Owner), false), [Allow, Allow, Hide], [Allow, Allow, Hide]),
            (person(None, true), [Allow; 3], [Allow; 3]),
            (key_of(Role::Admin, &["keys:write"]), [Allow, Allow, Hide], [Allow, Allow, Hide]),
            (key_of(Role::Admin, &["keys:read"]), [Allow, Allow, Hide], [Forbid, Forbid, Hide]),
            (key_of(Role::Admin, &["verify"]), [Forbid, Forbid, Hide], [Forbid, Forbid, Hide]),
            (key_of(Role::Member, &["keys:write"]), [Allow, Hide, Hide], [Allow, Hide, Hide]),
            (key_of(Role::Viewer, &["keys:write"]), [Allow, Hide, Hide], [Forbid, Hide, Hide]),
        ];
        for (actor, reads, writes) in actors {
            let objects = [(&here, &me), (&here, &other), (&there, &me)];
            for (at, (workspace, owner)) in objects.into_iter().enumerate() {
                // One's own id in a foreign workspace is still foreign.
                let object = Object::Key { workspace, owner, id: Some(&key) };
                assert_eq!(can(&actor, Action::ReadKey, &object), reads[at], "read {actor:?} {object:?}");
                for action in [Action::UpdateKey, Action::RotateKey, Action::DeleteKey, Action::DeactivateKey] {
                    assert_eq!(can(&actor, action, &object), writes[at], "{action:?} {actor:?} {object:?}");
                }
            }
        }
    }

    #[test]
    fn admins_manage_resources_scopes_and_routes_and_no_key_changes_what_its_scopes_mean() {
        use Decision::{Allow, Forbid};
        let here = id::<WorkspaceId>("wsp_", '1');
        let actions = [
            Action::ReadResources,
            Action::ReadScopes,
            Action::ReadRoutes,
            Action::ManageResources,
            Action::ManageScopes,
            Action::ManageRoutes,
        ];
        for (actor, expected) in [
            (person(Some(Role::Viewer), false), [Allow, Allow, Allow, Forbid, Forbid, Forbid]),
            (person(Some(Role::Member), false), [Allow, Allow, Allow, Forbid, Forbid, Forbid]),
            (person(Some(Role::Admin), false), [Allow; 6]),
            (person(None, true), [Allow; 6]),
            (key_of(Role::Owner, &["keys:write", "keys:read"]), [Allow, Allow, Allow, Allow, Forbid, Forbid]),
            (key_of(Role::Member, &["keys:write", "keys:read"]), [Allow, Allow, Allow, Forbid, Forbid, Forbid]),
            (key_of(Role::Owner, &["verify", "audit:read", "members:read"]), [Forbid; 6]),
        ] {
            let found = actions.map(|action| can(&actor, action, &Object::Workspace(&here)));
            assert_eq!(found, expected, "{actor:?}");
        }
    }

    #[test]
    fn a_member_creates_for_themselves_and_an_admin_for_anyone() {
        let (here, me, other) = (id("wsp_", '1'), id("usr_", '1'), id("usr_", '2'));
        let own = Object::Key { workspace: &here, owner: &me, id: None };
        let others = Object::Key { workspace: &here, owner: &other, id: None };
        assert_eq!(can(&person(Some(Role::Viewer), false), Action::CreateKey, &own), Decision::Forbid);
        assert_eq!(can(&person(Some(Role::Member), false), Action::CreateKey, &own), Decision::Allow);
        assert_eq!(can(&person(Some(Role::Member), false), Action::CreateKey, &others), Decision::Forbid);
        assert_eq!(can(&person(Some(Role::Admin), false), Action::CreateKey, &others), Decision::Allow);
    }

    #[test]
    fn the_short_way_for_a_key_says_what_the_table_says() {
        let here = id("wsp_", '1');
        let actions =
            [Action::ReadWorkspace, Action::ReadKey, Action::CreateKey, Action::ActivateKey, Action::VerifyKey, Action::AddMember];
        for role in [Role::Viewer, Role::Member, Role::Admin, Role::Owner] {
            for scopes in [&[][..], &["verify"], &["keys:read"], &["keys:write"], &["verify", "keys:write"], &["chat"]] {
                let actor = key_of(role, scopes);
                let Principal::Key(key) = &actor.principal else { unreachable!() };
                for action in actions {
                    let table = can(&actor, action, &Object::Workspace(&here));
                    assert_eq!(key_can(role, &key.scopes, action), table, "{role:?} {scopes:?} {action:?}");
                }
            }
        }
    }

    #[test]
    fn a_key_cannot_change_itself() {
        let (here, me, itself) = (id("wsp_", '1'), id("usr_", '1'), id("key_", '9'));
        let object = Object::Key { workspace: &here, owner: &me, id: Some(&itself) };
        let key = key_of(Role::Owner, &["keys:write"]);
        assert_eq!(can(&key, Action::ReadKey, &object), Decision::Allow);
        for action in
            [Action::UpdateKey, Action::LimitKey, Action::RotateKey, Action::DeactivateKey, Action::ActivateKey, Action::DeleteKey]
        {
            assert_eq!(can(&key, action, &object), Decision::Forbid);
        }
    }

    #[test]
    fn the_instance_is_for_its_administrators_and_the_operator() {
        let operator = Actor { principal: Principal::Operator, request: RequestInfo::default() };
        for action in [
            Action::CreateWorkspace,
            Action::ManageWorkspaces,
            Action::ManageUsers,
            Action::ReadAudit,
            Action::ExportAudit,
            Action::VerifyAudit,
            Action::ChangePolicy,
            Action::ManageAllKeys,
            Action::ReadNodes,
        ] {
            assert_eq!(can(&operator, action, &Object::Instance), Decision::Allow);
            assert_eq!(can(&person(None, true), action, &Object::Instance), Decision::Allow);
            assert_eq!(can(&person(Some(Role::Owner), false), action, &Object::Instance), Decision::Forbid);
            assert_eq!(can(&key_of(Role::Owner, &["keys:write", "verify", "audit:read"]), action, &Object::Instance), Decision::Forbid);
        }
    }

    #[test]
    fn the_log_is_open_to_members_its_whole_to_admins_and_the_rules_to_people_alone() {
        use Decision::{Allow, Forbid, Hide};
        let (here, there) = (id("wsp_", '1'), id("wsp_", '2'));
        let actions = [Action::ReadAudit, Action::ExportAudit, Action::VerifyAudit, Action::ChangePolicy];
        for (actor, expected) in [
            (person(Some(Role::Viewer), false), [Forbid; 4]),
            (person(Some(Role::Member), false), [Allow, Forbid, Forbid, Forbid]),
            (person(Some(Role::Admin), false), [Allow; 4]),
            (person(Some(Role::Owner), false), [Allow; 4]),
            (person(None, true), [Allow; 4]),
            (person(None, false), [Hide; 4]),
            (key_of(Role::Owner, &["audit:read"]), [Allow, Allow, Allow, Forbid]),
            (key_of(Role::Member, &["audit:read"]), [Allow, Forbid, Forbid, Forbid]),
            (key_of(Role::Viewer, &["audit:read"]), [Forbid; 4]),
            (key_of(Role::Owner, &["keys:read", "keys:write", "members:read", "verify"]), [Forbid; 4]),
        ] {
            for (action, expected) in actions.into_iter().zip(expected) {
                assert_eq!(can(&actor, action, &Object::Workspace(&here)), expected, "{action:?} {actor:?}");
                let elsewhere = can(&actor, action, &Object::Workspace(&there));
                assert_eq!(elsewhere == Allow, actor.role_in(&there).is_some(), "{action:?} {actor:?}");
            }
        }
    }

    #[test]
    fn admins_manage_members_anybody_may_leave_and_a_key_only_reads() {
        let here = id("wsp_", '1');
        let place = Object::Workspace(&here);
        for (role, manages) in [(Role::Viewer, false), (Role::Member, false), (Role::Admin, true), (Role::Owner, true)] {
            let expected = if manages { Decision::Allow } else { Decision::Forbid };
            for action in [Action::ReadMembers, Action::AddMember, Action::ManageMembers] {
                assert_eq!(can(&person(Some(role), false), action, &place), expected, "{role:?} {action:?}");
            }
            assert_eq!(can(&person(Some(role), false), Action::LeaveWorkspace, &place), Decision::Allow);
            let key = key_of(role, &["members:read", "keys:write"]);
            assert_eq!(can(&key, Action::ReadMembers, &place), expected, "a key of {role:?}");
            for action in [Action::AddMember, Action::ManageMembers, Action::LeaveWorkspace] {
                assert_eq!(can(&key, action, &place), Decision::Forbid, "a key of {role:?}: {action:?}");
            }
        }
        assert_eq!(can(&key_of(Role::Owner, &["keys:read"]), Action::ReadMembers, &place), Decision::Forbid);
        assert_eq!(can(&person(None, false), Action::LeaveWorkspace, &place), Decision::Hide);
        assert_eq!(can(&person(None, true), Action::ManageMembers, &place), Decision::Allow);
    }

    #[test]
    fn a_member_can_bring_nobody_in_and_only_an_admin_reactivates_and_limits() {
        let (here, me, key) = (id("wsp_", '1'), id("usr_", '1'), id("key_", '1'));
        let own = Object::Key { workspace: &here, owner: &me, id: Some(&key) };
        assert_eq!(can(&person(Some(Role::Member), false), Action::AddMember, &Object::Workspace(&here)), Decision::Forbid);
        assert_eq!(can(&person(Some(Role::Admin), false), Action::AddMember, &Object::Workspace(&here)), Decision::Allow);
        for action in [Action::ActivateKey, Action::LimitKey] {
            assert_eq!(can(&person(Some(Role::Member), false), action, &own), Decision::Forbid);
            assert_eq!(can(&person(Some(Role::Admin), false), action, &own), Decision::Allow);
        }
    }
}
