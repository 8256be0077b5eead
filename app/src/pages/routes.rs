//! Route maps: the rules in their order, and a place to try a request on them. The dialogs have addresses below the page:
//! `/routes/new`, `/routes/<place>/edit`, `/routes/<place>/delete`, `/routes/preset/<name>`, `/routes/import`,
//! `/routes/history` and `/routes/history/<version>`.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::keys::KeysPageContext;
use super::not_found::Trouble;
use super::people::DoneNotice;
use super::place::PlaceContext;
use super::route_acts::RouteAct;
use crate::browser;
use crate::components::{FaultNotice, Icon, Notice, PAGE_TITLE, QueryForm, Select, SendForm, Sending, Title, Tone};
use crate::format;
use crate::functions::fault::Fault;
use crate::functions::routes::{MoveRouteRule, PresetLine, RoutesView, RuleLine, TryView, get_routes, try_route};

/// Methods that are offered where one is tried.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A request to be tried, from the address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    method: String,
    path: String,
    key: String,
}

/// What a form that was sent without script has done, by the word in the address.
const DONE: &[(&str, &str)] = &[
    ("saved", "The rule was saved. It holds from the next request on."),
    ("deleted", "The rule was deleted."),
    ("replaced", "These rules hold from the next request on."),
];

#[component]
pub(super) fn RoutesPage() -> impl IntoView {
    let place = expect_context::<PlaceContext>();
    let query = use_query_map();
    let list = Signal::derive(move || format!("/w/{}/routes", place.workspace.get()));
    let page = KeysPageContext::new(place.workspace, list);
    provide_context(page);
    let routes = Resource::new_blocking(move || (place.workspace.get(), page.changes.get()), |(workspace, _)| get_routes(workspace));
    let asked = Memo::new(move |_| {
        query.with(|query| {
            let text = |name: &str| query.get(name).unwrap_or_default();
            (!text("path").is_empty()).then(|| Asked { method: text("method"), path: text("path"), key: text("key") })
        })
    });
    let tried = Resource::new_blocking(
        move || (place.workspace.get(), asked.get(), page.changes.get()),
        |(workspace, asked, _)| async move {
            match asked {
                Some(Asked { method, path, key }) => Some(try_route(workspace, method, path, key).await),
                None => None,
            }
        },
    );
    view! {
        <Title text="Routes · Keyfold" />
        <main class="page" id="main" tabindex="-1">
            <div class="behind">
                <Transition>
                    {move || Suspend::new(async move {
                        match (routes.await, tried.await) {
                            (Ok(view), tried) => view! { <Routes view asked=asked.get_untracked() tried page /> }.into_any(),
                            (Err(fault), _) => view! { <Trouble fault /> }.into_any(),
                        }
                    })}
                </Transition>
            </div>
            {move || view! { <RouteAct first=place.id.get() second=place.act.get() page /> }}
        </main>
    }
    .into_any()
}

#[component]
fn Routes(view: RoutesView, asked: Option<Asked>, tried: Option<Result<TryView, Fault>>, page: KeysPageContext) -> impl IntoView {
    Effect::new(move || page.settle());
    let RoutesView { workspace, version, rules, saved, manages, presets, keys, now } = view;
    let hit = tried.as_ref().and_then(|tried| tried.as_ref().ok()).and_then(|tried| tried.position);
    let empty = rules.is_empty();
    view! {
        <div class="page-head">
            <div>
                <h1 id=PAGE_TITLE tabindex="-1">
                    "Routes"
                </h1>
                <p>
                    "What requests to your services need. A proxy asks about each one; the first rule that fits decides, and what no rule fits is refused."
                </p>
            </div>
            {manages.then(|| view! { <HeadActs page /> })}
        </div>
        <DoneNotice words=DONE />
        <div class="stack routes">
            {if empty {
                view! { <NoneYet manages presets page /> }.into_any()
            } else {
                view! {
                    <Try workspace=workspace.slug.clone() keys asked tried />
                    <section aria-labelledby="rules-title">
                        <div class="routes-title">
                            <h2 id="rules-title" class="group-title">
                                {format::counted(i64::try_from(rules.len()).unwrap_or_default(), "rule")}
                            </h2>
                            {saved
                                .map(|saved| {
                                    view! {
                                        <span class="soft small">
                                            {format!("Version {} · {} by {} · ", saved.version, saved.source, saved.by)}
                                            {format::relative(saved.at, now)}
                                        </span>
                                    }
                                })}
                        </div>
                        <Table workspace=workspace.slug version rules manages hit page />
                    </section>
                    {manages.then(|| view! { <Presets presets page /> })}
                }
                    .into_any()
            }}
        </div>
    }
}

#[component]
fn HeadActs(page: KeysPageContext) -> impl IntoView {
    view! {
        <div class="routes-acts">
            <a class="button button-quiet" id="history" href=move || page.dialog("history") data-noscroll="">
                <Icon name="clock" />
                "History"
            </a>
            <a class="button" id="import" href=move || page.dialog("import") data-noscroll="">
                <Icon name="download" />
                "Import"
            </a>
            <a class="button button-primary" id="add-rule" href=move || page.dialog("new") data-noscroll="">
                <Icon name="plus" />
                "Add rule"
            </a>
        </div>
    }
}

#[component]
fn NoneYet(manages: bool, presets: Vec<PresetLine>, page: KeysPageContext) -> impl IntoView {
    if !manages {
        return view! { <p class="panel soft scopes-none">"No rules yet: nothing passes. Administrators of the workspace add them."</p> }
            .into_any();
    }
    view! {
        <p class="panel soft scopes-none">
            "No rules yet: nothing passes. Start with the rules of a platform, read them out of an OpenAPI document, or add the first one yourself, for instance "
            <code>"POST /predict/**"</code>" needs the scope "<code>"inference"</code>"."
        </p>
        <Presets presets page />
    }
    .into_any()
}

#[component]
fn Presets(presets: Vec<PresetLine>, page: KeysPageContext) -> impl IntoView {
    let preset = move |PresetLine { name, title, about }: PresetLine| {
        let address = format!("preset/{name}");
        view! {
            <li class="panel preset">
                <a id=format!("preset-{name}") href=move || page.dialog(&address) data-noscroll="">
                    {title}
                </a>
                <span class="soft small">{about}</span>
            </li>
        }
    };
    view! {
        <section aria-labelledby="presets-title">
            <h2 id="presets-title" class="group-title">
                "Rules of platforms"
            </h2>
            <ul class="presets">{presets.into_iter().map(preset).collect_view()}</ul>
        </section>
    }
}

/// A request that is tried: the form, and what comes of it.
#[component]
fn Try(workspace: String, keys: Vec<(String, String)>, asked: Option<Asked>, tried: Option<Result<TryView, Fault>>) -> impl IntoView {
    let Asked { method, path, key } = asked.unwrap_or_else(|| Asked { method: "GET".into(), path: String::new(), key: String::new() });
    let other = (!METHODS.contains(&method.as_str())).then(|| method.clone());
    let methods = METHODS.into_iter().map(str::to_owned).chain(other);
    view! {
        <section class="panel try" aria-labelledby="try-title">
            <h2 id="try-title" class="group-title">
                "Try a request"
            </h2>
            <QueryForm action=format!("/w/{workspace}/routes") attr:class="try-form">
                <div class="field try-method">
                    <label class="field-label" for="try-method">
                        "Method"
                    </label>
                    <Select name="method" id="try-method">
                        {methods
                            .map(|name| {
                                let chosen = name == method;
                                view! {
                                    <option value=name.clone() selected=chosen>
                                        {name.clone()}
                                    </option>
                                }
                            })
                            .collect_view()}
                    </Select>
                </div>
                <div class="field grow">
                    <label class="field-label" for="try-path">
                        "Path"
                    </label>
                    <input class="control mono" id="try-path" name="path" value=path placeholder="/predict/detect/m1/" autocomplete="off" spellcheck="false" required maxlength="2000" />
                </div>
                <div class="field try-key">
                    <label class="field-label" for="try-key">
                        "With the key"
                    </label>
                    <Select name="key" id="try-key">
                        <option value="">"None"</option>
                        {keys
                            .into_iter()
                            .map(|(id, name)| {
                                let chosen = id == key;
                                view! {
                                    <option value=id selected=chosen>
                                        {name}
                                    </option>
                                }
                            })
                            .collect_view()}
                    </Select>
                </div>
                <button class="button">"Try"</button>
            </QueryForm>
            {tried
                .map(|tried| match tried {
                    Ok(tried) => view! { <Answer tried /> }.into_any(),
                    Err(fault) => view! { <Notice tone=Tone::Bad>{fault.problem.message}</Notice> }.into_any(),
                })}
        </section>
    }
}

#[component]
fn Answer(tried: TryView) -> impl IntoView {
    let TryView { passes, position, why, key, resource, near } = tried;
    let (tone, icon, word) = match passes {
        Some(true) => ("status status-good", "circle-check", "Passes"),
        Some(false) => ("status status-bad", "circle-x", "Refused"),
        None => ("status", "key-round", "Needs a key"),
    };
    view! {
        <div class="try-answer" role="status" id="try-answer">
            <p>
                <span class=tone>
                    <Icon name=icon />
                    {word}
                </span>
                " "
                {why}
                {position
                    .map(|at| {
                        view! {
                            " "
                            <a href=format!("#rule-{at}")>"Show the rule"</a>
                        }
                    })}
            </p>
            {key
                .and_then(|(name, verdict)| verdict.map(|(code, text)| (name, code, text)))
                .map(|(name, code, text)| {
                    view! {
                        <p>
                            <strong class="break">{name}</strong>
                            ": "
                            <code>{code}</code>
                            " – "
                            {text}
                            {resource.map(|resource| view! { " The service is told " <code class="break">{resource}</code> "." })}
                        </p>
                    }
                })}
            {(!near.is_empty())
                .then(|| {
                    view! {
                        <ul class="soft small">
                            {near.into_iter().map(|(at, why)| view! { <li>{format!("Rule {at}: {why}")}</li> }).collect_view()}
                        </ul>
                    }
                })}
        </div>
    }
}

/// The rules as a table. One form around it moves them, so that its buttons work without script.
#[component]
fn Table(workspace: String, version: i64, rules: Vec<RuleLine>, manages: bool, hit: Option<usize>, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<MoveRouteRule>();
    Effect::new(move || {
        if action.is_done() {
            // The rows are filled anew where they stand, so the button that was pressed would keep the keyboard, in another rule.
            browser::let_go();
            page.changed(action.text());
        }
    });
    let last = rules.len();
    let row = move |(at, rule): (usize, RuleLine)| view! { <Row at=at + 1 last rule manages hit page /> };
    let rows = rules.into_iter().enumerate().map(row).collect_view();
    view! {
        <FaultNotice fault=action.fault() />
        <SendForm to=action>
            <input type="hidden" name="workspace" value=workspace />
            <input type="hidden" name="version" value=version.to_string() />
            <div class="keys panel route-table">
                <table>
                    <caption>"Rules in their order"</caption>
                    <thead>
                        <tr>
                            <th scope="col" class="number">
                                "No."
                            </th>
                            <th scope="col">"Request"</th>
                            <th scope="col">"Needs"</th>
                            <th scope="col">
                                <span class="visually-hidden">"Actions"</span>
                            </th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </SendForm>
    }
}

#[component]
fn Row(at: usize, last: usize, rule: RuleLine, manages: bool, hit: Option<usize>, page: KeysPageContext) -> impl IntoView {
    let decides = hit == Some(at);
    let name = format!("{} {}", rule.methods, rule.path);
    view! {
        <tr id=format!("rule-{at}") class:decides=decides>
            <td class="number" data-label="No.">
                {at}
            </td>
            <th scope="row">
                <Request methods=rule.methods.clone() path=rule.path.clone() note=rule.note.clone() />
                {decides
                    .then(|| {
                        view! {
                            <span class="status status-good">
                                <Icon name="arrow-left" />
                                "Decides"
                            </span>
                        }
                    })}
            </th>
            <td data-label="Needs">
                <Needs rule />
            </td>
            <td class="col-actions">{manages.then(|| view! { <Actions at last name page /> })}</td>
        </tr>
    }
}

/// Which requests a rule is for.
#[component]
fn Request(methods: String, path: String, note: String) -> impl IntoView {
    view! {
        <span class="route" translate="no">
            <span class="route-methods">{methods}</span>
            " "
            <span class="route-path mono break">{path}</span>
        </span>
        {(!note.is_empty()).then(|| view! { <span class="scope-about break">{note}</span> })}
    }
}

/// What a rule asks for, in words.
#[component]
fn Needs(rule: RuleLine) -> impl IntoView {
    match rule.access.as_str() {
        "public" => {
            return view! {
                <span class="tag">
                    <Icon name="globe" />
                    "Open to everybody"
                </span>
            }
            .into_any();
        }
        "deny" => {
            return view! {
                <span class="status status-bad">
                    <Icon name="circle-slash" />
                    "Refused"
                </span>
            }
            .into_any();
        }
        _ => {}
    }
    view! {
        <span class="needs">
            {match rule.scope {
                Some(scope) => view! { <span class="chip">{scope}</span> }.into_any(),
                None => view! { <span>"Any key"</span> }.into_any(),
            }}
            {(!rule.on.is_empty())
                .then(|| {
                    let word = if rule.on == "tied to nothing" { "key " } else { "on " };
                    view! {
                        <span class="soft small break">
                            {word} {rule.on}
                        </span>
                    }
                })}
            {rule
                .lost
                .then(|| {
                    view! {
                        <span class="status status-warn">
                            <Icon name="triangle-alert" />
                            "No such scope"
                        </span>
                    }
                })}
        </span>
    }
    .into_any()
}

#[component]
fn Actions(at: usize, last: usize, name: String, page: KeysPageContext) -> impl IntoView {
    let (edit, delete) = (format!("{at}/edit"), format!("{at}/delete"));
    view! {
        <span class="row-actions">
            <button
                class="button button-small button-square button-quiet"
                id=format!("up-{at}")
                name="step"
                value=format!("{at} up")
                disabled=at == 1
                title="Move up"
                aria-label=format!("Move {name} up")
            >
                <Icon name="arrow-up" />
            </button>
            <button
                class="button button-small button-square button-quiet"
                id=format!("down-{at}")
                name="step"
                value=format!("{at} down")
                disabled=at == last
                title="Move down"
                aria-label=format!("Move {name} down")
            >
                <Icon name="arrow-down" />
            </button>
            <a
                class="button button-small button-quiet"
                id=format!("edit-{at}")
                href=move || page.dialog(&edit)
                title="Edit"
                aria-label=format!("Edit {name}")
                data-noscroll=""
            >
                <Icon name="sliders-horizontal" />
                <span class="action-word">"Edit"</span>
            </a>
            <a
                class="button button-small button-square button-quiet button-removes"
                href=move || page.dialog(&delete)
                title="Delete"
                aria-label=format!("Delete {name}")
                data-noscroll=""
            >
                <Icon name="trash-2" />
            </a>
        </span>
    }
}

/// Rules that are only looked at.
#[component]
pub(super) fn RuleList(rules: Vec<RuleLine>) -> impl IntoView {
    let row = |(at, rule): (usize, RuleLine)| {
        view! {
            <tr>
                <td class="number" data-label="No.">
                    {at + 1}
                </td>
                <th scope="row">
                    <Request methods=rule.methods.clone() path=rule.path.clone() note=rule.note.clone() />
                </th>
                <td data-label="Needs">
                    <Needs rule />
                </td>
            </tr>
        }
    };
    view! {
        <div class="keys panel route-table route-list" tabindex="0" role="group" aria-label="Rules">
            <table>
                <caption>"Rules in their order"</caption>
                <thead>
                    <tr>
                        <th scope="col" class="number">
                            "No."
                        </th>
                        <th scope="col">"Request"</th>
                        <th scope="col">"Needs"</th>
                    </tr>
                </thead>
                <tbody>{rules.into_iter().enumerate().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}
