//! Route maps that come with Keyfold: the rules of platforms as their pages and clients tell them.
//!
//! A preset is a start, not a law: it is loaded into a workspace's own map and can be changed there.

use super::rule::RuleDraft;

/// A map that comes with Keyfold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name in the API.
    pub name: &'static str,
    /// What it is for, as people call it.
    pub title: &'static str,
    /// What it does, in a sentence or two.
    pub about: &'static str,
    rules: &'static [Line],
}

/// Methods, path, who passes, why.
type Line = (&'static str, &'static str, Needs, &'static str);

/// Who passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Public,
    Deny,
    /// Any key that works.
    AnyKey,
    /// A scope, whatever the key is tied to.
    Scope(&'static str),
    /// A scope, on a resource.
    On(&'static str, &'static str),
}

use Needs::{AnyKey, Deny, On, Public, Scope};

/// Every preset.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "h2ogpte",
        title: "Enterprise h2oGPTe",
        about: "Global keys do everything. A key that is tied to a collection chats with that collection and creates, changes and \
                deletes nothing.",
        rules: H2OGPTE,
    },
    Preset {
        name: "docsgpt",
        title: "DocsGPT",
        about: "Questions pass without a look at the key, which is in their body: the service asks /v1/verify itself. The \
                OpenAI-compatible routes take the key in the header. What manages DocsGPT's keys is closed to keys.",
        rules: DOCSGPT,
    },
    Preset {
        name: "epigos",
        title: "EPIGOS AI",
        about: "Inference keys make predictions and nothing else. Project keys work with projects, data sets and training, and make \
                predictions too.",
        rules: EPIGOS,
    },
    Preset {
        name: "openai",
        title: "OpenAI-compatible server",
        about: "The scope inference is for answers, embeddings, images and speech; the scope project is for files, batches, training, \
                assistants and vector stores.",
        rules: OPENAI,
    },
];

/// The preset of that name.
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

impl Preset {
    /// Its rules, in their order.
    pub fn rules(&self) -> Vec<RuleDraft> {
        self.rules.iter().map(draft).collect()
    }
}

fn draft((methods, path, needs, note): &Line) -> RuleDraft {
    let (access, scope, resource) = match *needs {
        Public => ("public", None, None),
        Deny => ("deny", None, None),
        AnyKey => ("key", None, None),
        Scope(scope) => ("key", Some(scope), None),
        On(scope, resource) => ("key", Some(scope), Some(resource)),
    };
    RuleDraft {
        methods: methods.split(' ').map(str::to_owned).collect(),
        path: (*path).to_owned(),
        access: access.to_owned(),
        scope: scope.map(str::to_owned),
        resource: resource.map(str::to_owned),
        note: (*note).to_owned(),
    }
}

/// A collection by its id in the path, and the key's own one.
const COLLECTION: Needs = On("chat", "collection:{id}");
const OWN_COLLECTION: Needs = On("chat", "collection:{own}");

/// Paths of the REST API and of the older calls under `/rpc`, with the start that the clients send.
const H2OGPTE: &[Line] = &[
    // "Create an API key": a collection-specific key may only chat with its collection. The clients open such a chat on
    // `default` (create_chat_session_on_default_collection) or on the collection's id (create_chat_session).
    ("POST", "/api/v1/chats?collection_id=default", OWN_COLLECTION, "Open a chat on the key's own collection"),
    ("POST", "/api/v1/chats?collection_id={id}", COLLECTION, "Open a chat on a collection"),
    // A chat without a collection, or with every one, is none of a collection-specific key's.
    ("POST", "/api/v1/chats", On("chat", "untied"), "Open a chat without a collection"),
    // Its own chats. Which chat belongs to which collection only the platform knows; it is told the key and its collection.
    ("GET", "/api/v1/chats/{chat}", Scope("chat"), "Look at a chat; the platform checks whose it is"),
    ("GET", "/api/v1/chats/{chat}/messages", Scope("chat"), "Read a chat; the platform checks whose it is"),
    ("POST", "/api/v1/chats/{chat}/completions", Scope("chat"), "Say something in a chat; the platform checks whose it is"),
    // The chat of the clients' `connect`.
    ("GET", "/ws", Scope("chat"), "Talk in a chat; the platform checks whose it is"),
    // The collection itself and what belongs to it, by `default` (get_default_collection) or by id.
    ("GET", "/api/v1/collections/default", OWN_COLLECTION, "The key's own collection"),
    ("GET", "/api/v1/collections/default/metadata", OWN_COLLECTION, ""),
    ("GET", "/api/v1/collections/default/settings", OWN_COLLECTION, ""),
    ("GET", "/api/v1/collections/default/chat_settings", OWN_COLLECTION, ""),
    ("GET", "/api/v1/collections/default/documents", OWN_COLLECTION, ""),
    ("GET", "/api/v1/collections/default/questions", OWN_COLLECTION, ""),
    ("GET", "/api/v1/collections/{id}", COLLECTION, "A collection"),
    ("GET", "/api/v1/collections/{id}/metadata", COLLECTION, ""),
    ("GET", "/api/v1/collections/{id}/settings", COLLECTION, ""),
    ("GET", "/api/v1/collections/{id}/chat_settings", COLLECTION, ""),
    ("GET", "/api/v1/collections/{id}/documents", COLLECTION, ""),
    ("GET", "/api/v1/collections/{id}/questions", COLLECTION, ""),
    // What every client asks at its start, and about itself.
    ("GET", "/rpc/meta", AnyKey, "Who am I; every client starts with it"),
    ("GET", "/api/v1/users/current/*", AnyKey, "About the key's own user"),
    ("GET", "/api/v1/models", AnyKey, "Which models there are"),
    // Everything else creates, changes, deletes, or is about others: collections, uploads, ingestion, jobs, users, roles,
    // permissions, configurations, secrets, agents, and the calls under /rpc, whose meaning is in their body.
    ("*", "/api/v1/**", On("project", "untied"), "Everything else is for global keys"),
    ("*", "/rpc/**", On("project", "untied"), "Everything else is for global keys"),
];

const DOCSGPT: &[Line] = &[
    // The widget asks from other people's pages: browsers ask first whether it may, without any key.
    ("OPTIONS", "/**", Public, "Browsers ask before the widget does; carries no key"),
    // The key is the field `api_key` of the body, which a proxy does not show.
    ("POST", "/api/answer", Public, "The key is in the body: the service asks /v1/verify"),
    ("POST", "/stream", Public, "The key is in the body: the service asks /v1/verify"),
    ("POST", "/api/search", Public, "The key is in the body: the service asks /v1/verify"),
    ("POST", "/api/feedback", Public, "The key is in the body: the service asks /v1/verify"),
    ("GET", "/api/config", Public, "Whether sign-in is needed"),
    // Agents, since 0.14: the key is a bearer token, and names its source.
    ("POST", "/v1/chat/completions", On("chat", "source:{own}"), "The key's own source answers"),
    ("GET", "/v1/models", Scope("chat"), "The agent behind the key"),
    // The settings page works with sessions. A key that opened it could make itself others.
    ("*", "/api/get_api_keys", Deny, "For sessions, never for keys"),
    ("*", "/api/create_api_key", Deny, "For sessions, never for keys"),
    ("*", "/api/delete_api_key", Deny, "For sessions, never for keys"),
    ("*", "/api/generate_token", Deny, "For sessions, never for keys"),
    ("*", "/api/get_prompts", Deny, "For sessions, never for keys"),
    ("*", "/api/sources", Deny, "For sessions, never for keys"),
];

/// The slash at the end is part of every path. What the pages call Inference and Project are the scopes of these names,
/// and Project includes Inference.
const EPIGOS: &[Line] = &[
    // POST /predict/classify/{model_id}/ and /predict/detect/{model_id}/ of the SDK.
    ("POST", "/predict/*/{model_id}/", On("inference", "model:{model_id}"), "Make a prediction with a model"),
    // Whatever else there is to predict names no model that is known here.
    ("POST", "/predict/**", On("inference", "untied"), "Other predictions"),
    // GET /projects/{id}/, POST /projects/{id}/batches/, upload/, datasets/records/, annotations/, annotations/labels/.
    ("*", "/projects/{id}/**", On("project", "project:{id}"), "Everything in a project"),
    // Lists and new projects are about more than one project.
    ("GET POST", "/projects/", On("project", "untied"), "List and create projects"),
];

/// The model is in the body, except where a path names it: what a key that is tied to models asks for cannot be seen.
const OPENAI: &[Line] = &[
    ("POST", "/v1/chat/completions", On("inference", "untied"), "The model is in the body"),
    ("POST", "/v1/completions", On("inference", "untied"), "The model is in the body"),
    ("POST", "/v1/responses", On("inference", "untied"), "The model is in the body"),
    ("POST", "/v1/embeddings", On("inference", "untied"), "The model is in the body"),
    ("POST", "/v1/moderations", On("inference", "untied"), "The model is in the body"),
    ("POST", "/v1/images/*", On("inference", "untied"), "Images: generations, edits, variations"),
    ("POST", "/v1/audio/*", On("inference", "untied"), "Audio: speech, transcriptions, translations"),
    ("GET", "/v1/models", Scope("inference"), "Which models there are"),
    ("GET", "/v1/models/{model}", On("inference", "model:{model}"), "One model"),
    ("DELETE", "/v1/models/{model}", On("project", "model:{model}"), "Delete a model that was trained"),
    ("*", "/v1/files/**", On("project", "untied"), "Files"),
    ("GET POST", "/v1/files", On("project", "untied"), "Files"),
    ("*", "/v1/uploads/**", On("project", "untied"), "Large files, in parts"),
    ("POST", "/v1/uploads", On("project", "untied"), "Large files, in parts"),
    ("*", "/v1/batches/**", On("project", "untied"), "Many requests at once"),
    ("GET POST", "/v1/batches", On("project", "untied"), "Many requests at once"),
    ("*", "/v1/fine_tuning/**", On("project", "untied"), "Training"),
    ("*", "/v1/vector_stores/**", On("project", "untied"), "Data for answers"),
    ("GET POST", "/v1/vector_stores", On("project", "untied"), "Data for answers"),
    ("*", "/v1/assistants/**", On("project", "untied"), "Assistants"),
    ("GET POST", "/v1/assistants", On("project", "untied"), "Assistants"),
    ("*", "/v1/threads/**", On("project", "untied"), "Assistants' conversations"),
    ("POST", "/v1/threads", On("project", "untied"), "Assistants' conversations"),
    ("DELETE GET", "/v1/responses/**", On("project", "untied"), "Answers that were kept"),
];

#[cfg(test)]
mod tests {
    use super::super::RouteMap;
    use super::super::tests::{gate, key};
    use super::*;
    use crate::catalogue::ScopeCatalogue;
    use crate::verdict::Key;

    fn map(name: &str) -> RouteMap {
        RouteMap::read(&find(name).unwrap().rules()).unwrap()
    }

    /// Rows of method and path, and what each key of the list is answered.
    fn table<const N: usize>(preset: &str, keys: [&Key; N], rows: &[(&str, &str, [&str; N])]) {
        let map = map(preset);
        for (method, target, expected) in rows {
            assert_eq!(keys.map(|key| gate(&map, key, method, target)), *expected, "{method} {target}");
        }
    }

    #[test]
    fn every_preset_is_a_map_that_every_workspace_can_have() {
        for preset in PRESETS {
            map(preset.name).check_scopes(&ScopeCatalogue::default()).unwrap();
            assert!(preset.about.len() < 300 && !preset.about.contains("  "), "{}", preset.name);
        }
        assert!(find("other").is_none());
    }

    const YES: &str = "valid";
    const TIED: &str = "wrong_resource";

    #[test]
    fn h2ogpte_a_collection_specific_key_chats_with_its_collection() {
        let own = key(&["chat", "project"], Some(&["collection:c1"]));
        let global = key(&["chat", "project"], None);
        table(
            "h2ogpte",
            [&own, &global],
            &[
                ("POST", "/api/v1/chats?collection_id=default", [YES, YES]),
                ("POST", "/api/v1/chats?collection_id=c1", [YES, YES]),
                ("GET", "/api/v1/collections/default", [YES, YES]),
                ("GET", "/api/v1/collections/default/metadata", [YES, YES]),
                ("GET", "/api/v1/collections/c1", [YES, YES]),
                ("GET", "/api/v1/collections/c1/metadata", [YES, YES]),
                ("GET", "/api/v1/collections/c1/settings", [YES, YES]),
                ("GET", "/api/v1/collections/c1/chat_settings", [YES, YES]),
                ("GET", "/api/v1/collections/c1/documents", [YES, YES]),
                ("GET", "/api/v1/collections/c1/documents?offset=0&limit=10", [YES, YES]),
                ("GET", "/api/v1/collections/c1/questions", [YES, YES]),
                ("GET", "/api/v1/chats/x", [YES, YES]),
                ("GET", "/api/v1/chats/x/messages", [YES, YES]),
                ("POST", "/api/v1/chats/x/completions", [YES, YES]),
                ("GET", "/ws?currentSessionID=x&source=py", [YES, YES]),
                ("GET", "/rpc/meta", [YES, YES]),
                ("GET", "/api/v1/users/current/permissions", [YES, YES]),
                ("GET", "/api/v1/models", [YES, YES]),
            ],
        );
    }

    #[test]
    fn h2ogpte_a_collection_specific_key_creates_deletes_and_touches_nothing_else() {
        let own = key(&["chat", "project"], Some(&["collection:c1"]));
        let global = key(&["chat", "project"], None);
        let rows = [
            ("POST", "/api/v1/chats?collection_id=c2"),
            ("POST", "/api/v1/chats"),
            ("GET", "/api/v1/collections/c2"),
            ("GET", "/api/v1/collections/c2/documents"),
            ("GET", "/api/v1/collections"),
            ("POST", "/api/v1/collections"),
            ("PATCH", "/api/v1/collections/c1"),
            ("DELETE", "/api/v1/collections/c1"),
            ("DELETE", "/api/v1/collections/default"),
            ("PUT", "/rpc/fs"),
            ("PUT", "/api/v1/uploads"),
            ("POST", "/api/v1/uploads/a%2Cb/ingest/job?collection_id=c1"),
            ("POST", "/api/v1/ingest/website"),
            ("DELETE", "/api/v1/chats/x"),
            ("GET", "/api/v1/chats"),
            ("GET", "/api/v1/admin/api_keys"),
            ("POST", "/api/v1/admin/api_keys"),
            ("GET", "/api/v1/users"),
            ("DELETE", "/api/v1/users/u-bob"),
            ("GET", "/api/v1/roles"),
            ("PUT", "/api/v1/users/u-bob/roles/admin"),
            ("GET", "/api/v1/permissions"),
            ("PUT", "/api/v1/configurations/x"),
            ("GET", "/api/v1/secrets"),
            ("POST", "/api/v1/agents"),
            ("POST", "/rpc/db"),
            ("POST", "/rpc/job"),
            ("POST", "/rpc/lang"),
        ];
        let rows: Vec<_> = rows.into_iter().map(|(method, target)| (method, target, [TIED, YES])).collect();
        table("h2ogpte", [&own, &global], &rows);
        let out = "no_route";
        table("h2ogpte", [&own, &global], &[("GET", "/", [out, out]), ("GET", "/api/v2/x", [out, out]), ("POST", "/ws", [out, out])]);
    }

    #[test]
    fn h2ogpte_default_is_the_one_collection_of_the_key_and_a_key_for_chats_alone_creates_nothing() {
        let two = key(&["chat"], Some(&["collection:c1", "collection:c2"]));
        let chat = key(&["chat"], None);
        let gone = key(&["chat"], Some(&[]));
        table(
            "h2ogpte",
            [&two, &chat, &gone],
            &[
                ("POST", "/api/v1/chats?collection_id=default", [TIED, YES, TIED]),
                ("POST", "/api/v1/chats?collection_id=c2", [YES, YES, TIED]),
                ("POST", "/api/v1/collections", ["missing_scope"; 3]),
                ("POST", "/api/v1/chats?collection_id=c1&collection_id=c3", ["unsafe_path"; 3]),
                ("POST", "/api/v1/chats?collection_id=c1&Collection_ID=c3", ["unsafe_path"; 3]),
                ("GET", "/api/v1/collections/c1%2F..%2Fc3", ["unsafe_path"; 3]),
                ("GET", "/rpc/meta", [YES, YES, TIED]),
            ],
        );
    }

    #[test]
    fn docsgpt_questions_pass_and_sessions_are_closed_to_keys() {
        let tied = key(&["chat"], Some(&["source:handbook"]));
        let other = key(&["inference"], None);
        table(
            "docsgpt",
            [&tied, &other],
            &[
                ("POST", "/api/answer", ["public"; 2]),
                ("POST", "/stream", ["public"; 2]),
                ("POST", "/api/search", ["public"; 2]),
                ("POST", "/api/feedback", ["public"; 2]),
                ("OPTIONS", "/stream", ["public"; 2]),
                ("GET", "/api/config", ["public"; 2]),
                ("POST", "/v1/chat/completions", [YES, "missing_scope"]),
                ("GET", "/v1/models", [YES, "missing_scope"]),
                ("GET", "/api/get_api_keys", ["deny"; 2]),
                ("POST", "/api/create_api_key", ["deny"; 2]),
                ("POST", "/api/delete_api_key", ["deny"; 2]),
                ("GET", "/api/sources", ["deny"; 2]),
                ("GET", "/api/get_prompts", ["deny"; 2]),
                ("GET", "/api/generate_token", ["deny"; 2]),
                ("POST", "/api/get_user_logs", ["no_route"; 2]),
                ("POST", "/api/share?isPromptable=true", ["no_route"; 2]),
            ],
        );
    }

    #[test]
    fn epigos_inference_predicts_and_nothing_else_and_project_does_both() {
        let inference = key(&["inference"], None);
        let project = key(&["project"], None);
        let one = key(&["project"], Some(&["project:p", "model:m"]));
        let no = "missing_scope";
        table(
            "epigos",
            [&inference, &project, &one],
            &[
                ("POST", "/predict/classify/m/", [YES, YES, YES]),
                ("POST", "/predict/detect/m/", [YES, YES, YES]),
                ("POST", "/predict/detect/other/", [YES, YES, TIED]),
                ("POST", "/predict/x", [YES, YES, TIED]),
                ("GET", "/predict/classify/m/", ["no_route"; 3]),
                ("GET", "/projects/p/", [no, YES, YES]),
                ("POST", "/projects/p/batches/", [no, YES, YES]),
                ("POST", "/projects/p/upload/", [no, YES, YES]),
                ("POST", "/projects/p/datasets/records/", [no, YES, YES]),
                ("POST", "/projects/p/annotations/", [no, YES, YES]),
                ("POST", "/projects/p/annotations/labels/", [no, YES, YES]),
                ("DELETE", "/projects/p/", [no, YES, YES]),
                ("GET", "/projects/q/", [no, YES, TIED]),
                ("GET", "/projects/", [no, YES, TIED]),
                // The slash at the end is part of the path.
                ("GET", "/projects/p", ["no_route"; 3]),
                ("POST", "/predict", ["no_route"; 3]),
                ("GET", "/", ["no_route"; 3]),
            ],
        );
    }

    #[test]
    fn openai_answers_are_for_inference_and_files_for_project() {
        let inference = key(&["inference"], None);
        let project = key(&["project"], None);
        let model = key(&["inference"], Some(&["model:small"]));
        let no = "missing_scope";
        table(
            "openai",
            [&inference, &project, &model],
            &[
                ("POST", "/v1/chat/completions", [YES, YES, TIED]),
                ("POST", "/v1/embeddings", [YES, YES, TIED]),
                ("POST", "/v1/audio/speech", [YES, YES, TIED]),
                ("GET", "/v1/models", [YES, YES, YES]),
                ("GET", "/v1/models/small", [YES, YES, YES]),
                ("GET", "/v1/models/large", [YES, YES, TIED]),
                ("DELETE", "/v1/models/small", [no, YES, no]),
                ("POST", "/v1/files", [no, YES, no]),
                ("DELETE", "/v1/files/f", [no, YES, no]),
                ("POST", "/v1/fine_tuning/jobs", [no, YES, no]),
                ("GET", "/v1/organization/users", ["no_route"; 3]),
                ("DELETE", "/v1/chat/completions", ["no_route"; 3]),
            ],
        );
    }
}
