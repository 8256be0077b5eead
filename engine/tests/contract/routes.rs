//! Route maps: saved as versions, in force at once, tried on keys.

use keyfold_domain::audit::{AuditFilter, Shown};
use keyfold_domain::catalogue::NewScope;
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::key::NewKey;
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::resource::NewResource;
use keyfold_domain::route::{
    Demand, KEPT_VERSIONS, NoRoute, RouteMap, RouteMapDetail, RouteSource, RuleDraft, Step, TrialOutcome, presets,
};
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use keyfold_engine::{Engine, RouteQuestion};

use crate::support::{Instance, code, from, new_key, on_both, operator, refusal, scopes};

fn rule(method: &str, path: &str, scope: &str) -> RuleDraft {
    RuleDraft { methods: vec![method.into()], path: path.into(), access: "key".into(), scope: Some(scope.into()), ..RuleDraft::default() }
}

fn map(rules: &[RuleDraft]) -> RouteMap {
    RouteMap::read(rules).unwrap()
}

fn preset(name: &str) -> RouteMap {
    map(&presets::find(name).unwrap().rules())
}

async fn saved(instance: &Instance, actor: &Actor, workspace: &WorkspaceId, rules: &[RuleDraft]) -> RouteMapDetail {
    instance.engine.routes.replace(actor, workspace, map(rules), RouteSource::Edit, None).await.unwrap()
}

/// The scope that the map in memory asks for, or the code without one.
fn asked(engine: &Engine, workspace: &str, method: &str, target: &str) -> String {
    let Some(routes) = engine.verifier.routes(workspace).unwrap() else { return "no map".into() };
    match routes.map.find(method, target) {
        Err(why) => why.as_str().into(),
        Ok(found) => match found.demand {
            Demand::Key(demand) => demand.scope.map(ToString::to_string).unwrap_or_default(),
            other => format!("{other:?}"),
        },
    }
}

fn question(method: &str, target: &str) -> RouteQuestion {
    RouteQuestion { method: method.into(), target: target.into(), ..RouteQuestion::default() }
}

on_both! {
    async fn every_save_is_a_version_and_an_older_one_can_be_put_back(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let routes = &instance.engine.routes;
        let none = routes.get(&ada, &acme.id).await.unwrap();
        assert_eq!((none.version(), none.map.rules().len()), (0, 0));
        assert!(routes.versions(&ada, &acme.id).await.unwrap().is_empty());
        let first = routes.replace(&ada, &acme.id, preset("epigos"), RouteSource::Preset("epigos".into()), Some(0)).await.unwrap();
        assert_eq!((first.version(), &first.map), (1, &preset("epigos")));
        let second = routes.replace(&ada, &acme.id, map(&[rule("GET", "/a", "chat")]), RouteSource::Edit, Some(1)).await.unwrap();
        assert_eq!(routes.get(&ada, &acme.id).await.unwrap(), second);
        assert_eq!(routes.get_version(&ada, &acme.id, 1).await.unwrap(), first);
        assert_eq!(code(routes.get_version(&ada, &acme.id, 3).await), ProblemCode::NotFound);
        let third = routes.revert(&ada, &acme.id, 1, Some(2)).await.unwrap();
        assert_eq!((third.version(), &third.map), (3, &first.map));
        let versions = routes.versions(&ada, &acme.id).await.unwrap();
        let told: Vec<_> = versions.iter().map(|version| (version.version, version.rules, version.source.to_string())).collect();
        assert_eq!(told, [(3, 4, "version:1".into()), (2, 1, "edit".into()), (1, 4, "preset:epigos".into())]);
        assert!(versions.iter().all(|version| version.saved_by == "ada"));
        assert_eq!(instance.engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
    }

    async fn a_save_from_an_old_version_changes_nothing(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let routes = &instance.engine.routes;
        let first = saved(&instance, &ada, &acme.id, &[rule("GET", "/a", "chat")]).await;
        for stale in [0, 2] {
            let refused = refusal(routes.replace(&ada, &acme.id, RouteMap::default(), RouteSource::Edit, Some(stale)).await);
            assert_eq!((refused.code, refused.field.as_deref()), (ProblemCode::Conflict, Some("version")));
            assert_eq!(code(routes.revert(&ada, &acme.id, 1, Some(stale)).await), ProblemCode::Conflict);
        }
        assert_eq!(routes.get(&ada, &acme.id).await.unwrap(), first);
        let edits = (0..6).map(|at| {
            let map = map(&[rule("GET", &format!("/{at}"), "chat")]);
            routes.replace(&ada, &acme.id, map, RouteSource::Edit, Some(1))
        });
        let done = futures_util::future::join_all(edits).await;
        assert_eq!(done.iter().filter(|result| result.is_ok()).count(), 1);
        assert_eq!(routes.versions(&ada, &acme.id).await.unwrap().len(), 2);
    }

    async fn a_scope_that_is_not_there_is_refused_with_its_rule(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let routes = &instance.engine.routes;
        let wanted = map(&[rule("GET", "/a", "chat"), rule("GET", "/b", "reports")]);
        let refused = refusal(routes.replace(&ada, &acme.id, wanted.clone(), RouteSource::Edit, None).await);
        assert_eq!((refused.code, refused.field.as_deref()), (ProblemCode::Invalid, Some("rules[1].scope")));
        let new = NewScope { name: "reports".into(), description: String::new(), implies: scopes(&[]), public: false };
        instance.engine.scopes.create(&ada, &acme.id, new).await.unwrap();
        assert_eq!(routes.replace(&ada, &acme.id, wanted, RouteSource::Edit, None).await.unwrap().version(), 1);
    }

    async fn members_read_the_map_only_admins_change_it_and_no_key_does(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (_, eve) = instance.workspace("other", "eve").await;
        saved(&instance, &ada, &acme.id, &[rule("GET", "/a", "chat")]).await;
        let linus = instance.member(&acme.id, "linus", Role::Viewer).await;
        let manager = instance.management(&ada, &acme.id, &["keys:write", "project", "chat"]).await;
        let acting = instance.engine.verifier.authenticate(manager.secret.expose(), &from([192, 0, 2, 1])).unwrap();
        let routes = &instance.engine.routes;
        for (actor, reads, writes) in [(&linus, None, ProblemCode::Forbidden), (&acting, None, ProblemCode::Forbidden), (&eve, Some(ProblemCode::NotFound), ProblemCode::NotFound)] {
            assert_eq!(routes.get(actor, &acme.id).await.err().map(|error| error.problem().code), reads);
            assert_eq!(routes.versions(actor, &acme.id).await.err().map(|error| error.problem().code), reads);
            assert_eq!(routes.test(actor, &acme.id, &question("GET", "/a")).await.err().map(|error| error.problem().code), reads);
            assert_eq!(code(routes.replace(actor, &acme.id, RouteMap::default(), RouteSource::Edit, None).await), writes);
            assert_eq!(code(routes.revert(actor, &acme.id, 1, None).await), writes);
        }
        assert_eq!(routes.get(&ada, &acme.id).await.unwrap().version(), 1);
    }

    async fn a_change_is_in_force_here_beside_and_after_a_start(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (other, _) = instance.workspace("other", "eve").await;
        let engine = &instance.engine;
        assert_eq!(asked(engine, "acme", "GET", "/a"), "no map");
        saved(&instance, &ada, &acme.id, &[rule("GET", "/a", "chat")]).await;
        saved(&instance, &operator(), &other.id, &[rule("GET", "/a", "inference")]).await;
        for name in ["acme", acme.id.as_str()] {
            assert_eq!(asked(engine, name, "GET", "/a"), "chat");
        }
        assert_eq!(asked(engine, "other", "GET", "/a"), "inference");
        assert_eq!(asked(engine, "acme", "POST", "/a"), "no_route");
        // Changed beside the server, as another node would.
        let beside = instance.beside().await;
        beside.routes.replace(&operator(), &acme.id, map(&[rule("GET", "/a", "project")]), RouteSource::Edit, Some(1)).await.unwrap();
        engine.sync().await.unwrap();
        assert_eq!(asked(engine, "acme", "GET", "/a"), "project");
        assert_eq!(asked(engine, "other", "GET", "/a"), "inference");
        assert_eq!(engine.verifier.routes("acme").unwrap().unwrap().version, 2);
        let third = instance.beside().await;
        assert_eq!((asked(&third, "acme", "GET", "/a"), asked(&third, "other", "GET", "/a")), ("project".into(), "inference".into()));
        third.close().await;
        beside.close().await;
        // No rules at all: nothing passes.
        engine.routes.replace(&ada, &acme.id, RouteMap::default(), RouteSource::Edit, None).await.unwrap();
        assert_eq!(asked(engine, "acme", "GET", "/a"), "no_route");
    }

    async fn the_log_tells_which_rules_came_and_went(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (a, b, c) = (rule("GET", "/a", "chat"), rule("POST", "/b", "chat"), rule("PUT", "/c", "project"));
        saved(&instance, &ada, &acme.id, &[a.clone(), b.clone()]).await;
        saved(&instance, &ada, &acme.id, &[b.clone(), a.clone()]).await;
        saved(&instance, &ada, &acme.id, &[b, c]).await;
        let filter = AuditFilter { action: "routes.update".into(), ..AuditFilter::default() };
        let events = instance.engine.audit.list(&ada, Some(&acme.id), &filter).await.unwrap().items;
        assert_eq!(events.len(), 3);
        let told = |at: usize, field: &str| {
            let change = events[at].changes.iter().find(|change| change.field == field);
            change.and_then(|change| change.after.clone()).map(|shown| match shown {
                Shown::Text(text) => text,
                Shown::Moment(_) => panic!("{field} is no moment"),
            })
        };
        let (added, removed) = ("GET /a: Needs the scope chat; POST /b: Needs the scope chat", "GET /a: Needs the scope chat");
        assert_eq!((told(2, "added").as_deref(), told(2, "removed"), told(2, "moved")), (Some(added), None, None));
        assert_eq!((told(1, "added"), told(1, "removed"), told(1, "moved").is_some()), (None, None, true));
        let last = (told(0, "added"), told(0, "removed"), told(0, "moved"), told(0, "map_version"));
        assert_eq!(last, (Some("PUT /c: Needs the scope project".into()), Some(removed.into()), None, Some("3".into())));
    }

    async fn a_try_says_which_rule_a_request_meets_and_what_a_key_is_answered(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let engine = &instance.engine;
        engine.routes.replace(&ada, &acme.id, preset("h2ogpte"), RouteSource::Preset("h2ogpte".into()), None).await.unwrap();
        let resource = NewResource { kind: "collection".into(), external_id: "c1".into(), name: "Contracts".into(), owner: None };
        let resource = engine.resources.create(&ada, &acme.id, resource).await.unwrap();
        let tied = NewKey { resources: vec![resource.id.clone().into()], ..new_key("tied", &["chat"]) };
        let tied = engine.keys.create(&ada, &acme.id, tied, None).await.unwrap();
        let stopped = engine.keys.create(&ada, &acme.id, new_key("stopped", &["chat"]), None).await.unwrap();
        engine.keys.deactivate(&ada, &acme.id, &stopped.key.id, "").await.unwrap();
        let ask = async |method: &str, target: &str, key: &keyfold_domain::ids::KeyId| {
            engine.routes.test(&ada, &acme.id, &RouteQuestion { key: Some(key.clone()), ..question(method, target) }).await.unwrap()
        };
        let chat = ask("POST", "/api/v1/chats?collection_id=default", &tied.key.id).await;
        let judged = chat.key.clone().unwrap();
        assert_eq!((chat.position, chat.passes(), judged.code), (Some(1), Some(true), Some(Code::Valid)));
        assert_eq!((judged.name.as_str(), judged.resource.unwrap().to_string().as_str()), ("tied", "collection:c1"));
        let chat = ask("POST", "/api/v1/chats?collection_id=c2", &tied.key.id).await;
        assert_eq!((chat.position, chat.key.unwrap().code, &chat.steps[..]), (Some(2), Some(Code::WrongResource), &[Step::Query, Step::Fits][..]));
        assert_eq!(chat.outcome, TrialOutcome::Key { scope: Some("chat".parse().unwrap()), on: "collection:c2".into() });
        let create = ask("POST", "/api/v1/collections", &tied.key.id).await;
        assert_eq!((create.passes(), create.key.unwrap().code), (Some(false), Some(Code::MissingScope)));
        let stopped = ask("GET", "/rpc/meta", &stopped.key.id).await;
        assert_eq!(stopped.key.unwrap().code, Some(Code::Deactivated));
        let lost = ask("GET", "/elsewhere", &tied.key.id).await;
        assert_eq!((lost.passes(), lost.key.unwrap().code), (Some(false), None));
        assert_eq!(lost.outcome, TrialOutcome::NoRoute(NoRoute::NoRule));
        // Nothing of it was a use of the key.
        engine.flush_usage().await.unwrap();
        assert_eq!(engine.keys.get(&ada, &acme.id, &tied.key.id).await.unwrap().total_calls, 0);
        // A member tries with keys of their own only.
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let foreign = RouteQuestion { key: Some(tied.key.id.clone()), ..question("GET", "/rpc/meta") };
        assert_eq!(code(engine.routes.test(&linus, &acme.id, &foreign).await), ProblemCode::NotFound);
    }

    async fn old_versions_are_forgotten_in_the_end(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let routes = &instance.engine.routes;
        for _ in 0..=KEPT_VERSIONS {
            routes.replace(&ada, &acme.id, RouteMap::default(), RouteSource::Edit, None).await.unwrap();
        }
        let versions = routes.versions(&ada, &acme.id).await.unwrap();
        assert_eq!((versions[0].version, versions.last().unwrap().version), (KEPT_VERSIONS + 1, 2));
        assert_eq!(code(routes.revert(&ada, &acme.id, 1, None).await), ProblemCode::NotFound);
    }
}
