//! Who there is, and what they make keys for.

use std::collections::HashMap;
use std::sync::Arc;

use keyfold_domain::catalogue::NewScope;
use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::resource::{NewResource, ResourceDetail, ResourceSummary};
use keyfold_domain::scope::KeyKind;
use keyfold_domain::secret::Grace;
use keyfold_domain::workspace::{NewWorkspace, Role};
use keyfold_engine::{Engine, Error, NewUser, Password};

use super::clock::TravelClock;
use crate::cli::operator;

/// Administers the instance.
pub(super) const ADMINISTRATOR: &str = "ada";
/// A plain member.
pub(super) const MEMBER: &str = "linus";

/// Username and full name.
pub(super) const PEOPLE: [(&str, &str); 11] = [
    ("ada", "Ada Lovelace"),
    ("grace", "Grace Hopper"),
    ("linus", "Linus Lindqvist"),
    ("margaret", "Margaret Hamilton"),
    ("edsger", "Edsger Dijkstra"),
    ("barbara", "Barbara Liskov"),
    ("radia", "Radia Perlman"),
    ("ken", "Ken Adeyemi"),
    ("joan", "Joan Clarke"),
    ("tim", "Tim Okafor"),
    ("vera", "Vera Molnár"),
];

/// A workspace and who is in it; the first is its owner.
pub(super) struct Place {
    pub(super) slug: &'static str,
    name: &'static str,
    members: &'static [(&'static str, Role)],
}

pub(super) const WORKSPACES: [Place; 3] = [
    Place {
        slug: "orchard",
        name: "Orchard Research",
        members: &[
            ("ada", Role::Owner),
            ("grace", Role::Admin),
            ("linus", Role::Member),
            ("margaret", Role::Member),
            ("edsger", Role::Member),
            ("vera", Role::Viewer),
        ],
    },
    Place {
        slug: "harbor",
        name: "Harbor Logistics",
        members: &[("grace", Role::Owner), ("radia", Role::Admin), ("ken", Role::Member), ("tim", Role::Member), ("linus", Role::Member)],
    },
    Place { slug: "lab", name: "The Lab", members: &[("barbara", Role::Owner), ("joan", Role::Member), ("margaret", Role::Admin)] },
];

/// Something that keys are tied to.
pub(super) struct Thing {
    pub(super) place: usize,
    owner: &'static str,
    kind: &'static str,
    external_id: &'static str,
    pub(super) name: &'static str,
}

const fn thing(place: usize, owner: &'static str, kind: &'static str, external_id: &'static str, name: &'static str) -> Thing {
    Thing { place, owner, kind, external_id, name }
}

/// Every resource.
pub(super) const THINGS: [Thing; 9] = [
    thing(0, "linus", "collection", "quarterly-reports", "Quarterly reports"),
    thing(0, "linus", "collection", "harvest-2026", "Harvest 2026"),
    thing(0, "margaret", "project", "guidance", "Guidance computer"),
    thing(0, "edsger", "project", "graphs", "Graphs"),
    thing(0, "grace", "source", "handbook", "Handbook"),
    thing(1, "tim", "source", "manifests", "Manifests"),
    thing(1, "ken", "model", "crane-wear-v3", "Crane wear, third model"),
    thing(1, "radia", "project", "routes", "Routes"),
    thing(2, "margaret", "collection", "alarms", "Alarms"),
];

/// A scope of a workspace's own.
struct OwnScope {
    place: usize,
    name: &'static str,
    description: &'static str,
    implies: &'static [&'static str],
}

/// Every scope besides the built-in ones. One that implies another comes after it.
const SCOPES: [OwnScope; 3] = [
    OwnScope { place: 0, name: "reports:read", description: "Read finished reports.", implies: &[] },
    OwnScope { place: 0, name: "reports", description: "Write reports, and read them.", implies: &["reports:read"] },
    OwnScope { place: 1, name: "routes:plan", description: "Have a route planned.", implies: &["inference"] },
];

/// What happens to a key in the end.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// It goes on.
    None,
    /// Somebody stops it on that day, for a reason.
    Stopped(i64, &'static str),
    /// Somebody deletes it on that day.
    Deleted(i64),
    /// Its scopes are narrowed to this one on that day.
    Narrowed(i64, &'static str),
    /// It gets a new secret on that day. Not everybody notices while the old one goes on.
    Rotated(i64, Grace),
}

/// A key of the story. Days count from the start.
pub(super) struct Key {
    pub(super) place: usize,
    pub(super) owner: &'static str,
    pub(super) name: &'static str,
    pub(super) note: &'static str,
    pub(super) kind: KeyKind,
    pub(super) scopes: &'static [&'static str],
    pub(super) made: i64,
    /// How many days it lives; `None` for ever.
    pub(super) life: Option<i64>,
    pub(super) interval: Option<u32>,
    /// The last day of its use; `None` if it is never used.
    pub(super) used_until: Option<i64>,
    /// About how many calls on a working day.
    pub(super) calls: i64,
    pub(super) fate: Fate,
    /// What it is tied to; empty for everything.
    pub(super) ties: &'static [&'static str],
}

/// Shorter than naming every field: place, owner, name, kind, scopes, made, life, interval, used until, calls, fate.
#[expect(clippy::too_many_arguments, reason = "one line a key reads as the table that it is")]
const fn key(
    place: usize,
    owner: &'static str,
    name: &'static str,
    kind: KeyKind,
    scopes: &'static [&'static str],
    made: i64,
    life: Option<i64>,
    interval: Option<u32>,
    used_until: Option<i64>,
    calls: i64,
    fate: Fate,
) -> Key {
    Key { place, owner, name, note: "", kind, scopes, made, life, interval, used_until, calls, fate, ties: &[] }
}

/// Every key.
#[rustfmt::skip]
pub(super) fn keys() -> Vec<Key> {
    use Fate::{Deleted, Narrowed, Rotated, Stopped};
    use Grace::{Day, Week};
    use KeyKind::{Management, Publishable, Secret};
    let always = Some(i64::MAX);
    let mut all = vec![
        key(0, "ada", "Gateway verifier", Management, &["verify", "keys:read"], 0, None, None, always, 12, Fate::None),
        key(0, "linus", "Nightly report", Secret, &["reports", "inference"], 2, Some(180), Some(30), always, 40, Rotated(117, Week)),
        key(0, "linus", "CI pipeline", Secret, &["project", "inference"], 3, Some(365), None, always, 90, Narrowed(95, "inference")),
        key(0, "linus", "Old laptop", Secret, &["project"], 4, Some(30), None, Some(33), 6, Fate::None),
        key(0, "margaret", "Apollo simulator", Secret, &["project"], 6, Some(125), None, always, 55, Fate::None),
        key(0, "margaret", "Notebook", Secret, &["inference", "chat"], 20, None, Some(14), Some(70), 9, Fate::None),
        key(0, "edsger", "Shortest path", Secret, &["inference"], 8, Some(90), Some(30), Some(97), 22, Fate::None),
        key(0, "edsger", "Thesis figures", Secret, &["project"], 31, Some(365), None, None, 0, Fate::None),
        key(0, "grace", "Docs widget", Publishable, &["inference"], 12, Some(365), None, always, 130, Fate::None),
        key(0, "grace", "Leaked in a gist", Secret, &["project", "inference"], 40, Some(180), None, Some(77), 35, Stopped(78, "Found in a public repository")),
        key(0, "ada", "Terraform", Management, &["keys:read", "keys:write", "members:read"], 50, Some(90), None, always, 3, Fate::None),
        key(0, "ada", "Migration helper", Secret, &["project"], 55, Some(30), None, Some(60), 200, Deleted(61)),
        key(0, "linus", "", Secret, &["chat"], 70, Some(90), Some(60), None, 0, Fate::None),
        key(0, "margaret", "Evaluation run 7", Secret, &["inference"], 88, Some(37), None, always, 70, Fate::None),
        key(0, "edsger", "Evaluation run 8", Secret, &["inference"], 101, Some(30), Some(90), always, 64, Fate::None),
        key(1, "grace", "Port gateway", Management, &["verify"], 1, None, None, always, 10, Fate::None),
        key(1, "ken", "Crane telemetry", Secret, &["inference"], 5, Some(365), Some(30), always, 150, Rotated(62, Day)),
        key(1, "ken", "Crane telemetry (staging)", Secret, &["inference"], 5, Some(365), Some(7), Some(44), 20, Fate::None),
        key(1, "tim", "Manifest parser", Secret, &["project", "chat"], 14, Some(180), None, always, 45, Fate::None),
        key(1, "tim", "Customs demo", Secret, &["chat"], 33, Some(7), None, Some(38), 12, Fate::None),
        key(1, "radia", "Route planner", Secret, &["project", "routes:plan"], 21, Some(365), None, always, 80, Rotated(115, Week)),
        key(1, "radia", "Spanning tree test", Secret, &["project"], 60, Some(60), None, Some(66), 4, Deleted(80)),
        key(1, "linus", "Visiting consultant", Secret, &["inference"], 75, Some(90), Some(30), Some(90), 8, Stopped(92, "Project over")),
        key(1, "grace", "Public tracking page", Publishable, &["inference"], 82, Some(365), None, always, 160, Fate::None),
        key(2, "barbara", "Lab gateway", Management, &["verify"], 1, None, None, always, 6, Fate::None),
        key(2, "barbara", "Type checker", Secret, &["project", "inference"], 9, Some(365), None, always, 26, Fate::None),
        key(2, "joan", "Bombe", Secret, &["inference"], 17, Some(90), None, Some(106), 33, Fate::None),
        key(2, "joan", "Bombe, second try", Secret, &["inference"], 104, Some(90), Some(30), always, 38, Fate::None),
        key(2, "margaret", "Priority display", Secret, &["chat"], 66, Some(56), None, always, 14, Fate::None),
        key(2, "joan", "Scratch", Secret, &["project"], 90, Some(180), None, None, 0, Deleted(91)),
    ];
    for (name, ties) in TIED {
        for key in all.iter_mut().filter(|key| key.name == name) {
            key.ties = ties;
        }
    }
    all[1].note = "Runs at 02:00 on report-1.\nAsk Linus before rotating it.";
    all[8].note = "In the page source of docs.orchard.example. That is fine: it can only make predictions.";
    all
}

/// Which keys are tied to what.
const TIED: [(&str, &[&str]); 7] = [
    ("Nightly report", &["collection:quarterly-reports", "collection:harvest-2026"]),
    ("Apollo simulator", &["project:guidance"]),
    ("Thesis figures", &["project:graphs"]),
    ("Docs widget", &["source:handbook"]),
    ("Manifest parser", &["source:manifests"]),
    ("Crane telemetry", &["model:crane-wear-v3"]),
    ("Priority display", &["collection:alarms"]),
];

/// The people and workspaces, by what the story calls them.
pub(super) struct Places {
    pub(super) users: HashMap<&'static str, UserId>,
    pub(super) workspaces: Vec<WorkspaceId>,
    /// The resources by their place, each with its owner.
    resources: Vec<(usize, UserId, ResourceSummary)>,
}

impl Places {
    /// The workspace for very many keys.
    pub(super) fn crowded(&self) -> &WorkspaceId {
        &self.workspaces[0]
    }

    /// Who may have keys there.
    pub(super) fn owners(&self) -> Vec<UserId> {
        let members = WORKSPACES[0].members.iter().filter(|(_, role)| *role >= Role::Member);
        members.filter_map(|(name, _)| self.users.get(name).cloned()).collect()
    }

    /// What keys can be tied to there, each with its owner.
    pub(super) fn things(&self) -> Vec<(UserId, ResourceSummary)> {
        let there = self.resources.iter().filter(|(place, _, _)| *place == 0);
        there.map(|(_, owner, thing)| (owner.clone(), thing.clone())).collect()
    }
}

/// Makes everybody and every place.
pub(super) async fn settle(engine: &Engine, clock: &Arc<TravelClock>, password: &str) -> Result<Places, Error> {
    let mut places = Places { users: HashMap::new(), workspaces: Vec::new(), resources: Vec::new() };
    for (username, display_name) in PEOPLE {
        let new = NewUser {
            username: username.to_owned(),
            email: format!("{username}@example.com"),
            display_name: display_name.to_owned(),
            password: Password::new(password.to_owned()),
            instance_admin: username == ADMINISTRATOR,
        };
        let user = engine.users.create(&operator(), new).await?;
        places.users.insert(username, user.id);
        clock.go_to(engine.now().plus_ms(47_000));
    }
    for place in WORKSPACES {
        let mut members = place.members.iter().filter_map(|(name, role)| Some((places.users.get(name)?, *role)));
        let Some((owner, _)) = members.next() else { continue };
        let new = NewWorkspace { slug: place.slug.to_owned(), name: place.name.to_owned() };
        let workspace = engine.workspaces.create(&operator(), new, owner).await?.id;
        for (member, role) in members {
            engine.members.add(&operator(), &workspace, member, role).await?;
            clock.go_to(engine.now().plus_ms(31_000));
        }
        places.workspaces.push(workspace);
    }
    places.resources = furnish(engine, clock, &places).await?;
    Ok(places)
}

/// Adds what keys are tied to and may be used for. Returns the former.
async fn furnish(engine: &Engine, clock: &Arc<TravelClock>, places: &Places) -> Result<Vec<(usize, UserId, ResourceSummary)>, Error> {
    let mut added = Vec::with_capacity(THINGS.len());
    for thing in &THINGS {
        let new = NewResource {
            kind: thing.kind.to_owned(),
            external_id: thing.external_id.to_owned(),
            name: thing.name.to_owned(),
            owner: places.users.get(thing.owner).cloned(),
        };
        let ResourceDetail { id, kind, external_id, name, owner, .. } =
            engine.resources.create(&operator(), &places.workspaces[thing.place], new).await?;
        added.push((thing.place, owner.id, ResourceSummary { id, kind, external_id, name, deleted: false }));
        clock.go_to(engine.now().plus_ms(12_000));
    }
    for scope in &SCOPES {
        let new = NewScope {
            name: scope.name.to_owned(),
            description: scope.description.to_owned(),
            implies: super::life::scopes(scope.implies)?,
            public: false,
        };
        engine.scopes.create(&operator(), &places.workspaces[scope.place], new).await?;
        clock.go_to(engine.now().plus_ms(19_000));
    }
    Ok(added)
}
