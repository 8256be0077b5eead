//! The dialogs over the page of routes: a rule, a preset, a former version, the history. That of an import is in
//! `route_import`.

use leptos::prelude::*;

use super::keys::KeysPageContext;
use super::not_found::Trouble;
use super::place_acts::{after, error, focus_fault, typed_or};
use super::route_import::Import;
use super::routes::RuleList;
use crate::components::{
    Dialog, DialogFoot, FaultNotice, Field, FieldError, Icon, Moment, Notice, Precision, Select, SendForm, Sending, SubmitButton, Tone,
};
use crate::format;
use crate::functions::routes::{
    DeleteRouteRule, HistoryView, LoadRoutePreset, ProposalView, RevertRoutes, RuleView, SaveRouteRule, SavedLine, get_route_preset,
    get_route_rule, get_route_version, list_route_versions,
};

/// The dialog that the address names, if it names one.
#[component]
pub(super) fn RouteAct(first: String, second: String, page: KeysPageContext) -> impl IntoView {
    match (first.as_str(), second.as_str(), first.parse::<usize>(), second.parse::<i64>()) {
        ("", "", ..) => ().into_any(),
        ("new", "", ..) => view! { <Rule position=0 delete=false page /> }.into_any(),
        ("import", "", ..) => view! { <Import page /> }.into_any(),
        ("history", "", ..) => view! { <History page /> }.into_any(),
        ("history", _, _, Ok(version)) => view! { <Former version page /> }.into_any(),
        ("preset", name, ..) if !name.is_empty() => view! { <Preset name=name.to_owned() page /> }.into_any(),
        (_, "edit" | "delete", Ok(position @ 1..), _) => view! { <Rule position delete={second == "delete"} page /> }.into_any(),
        _ => view! { <Trouble fault=super::key::absent() /> }.into_any(),
    }
}

#[component]
fn Rule(position: usize, delete: bool, page: KeysPageContext) -> impl IntoView {
    let rule = Resource::new_blocking(move || page.workspace.get(), move |workspace| get_route_rule(workspace, position));
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match rule.await {
                    Ok(view) if delete => view! { <Deletion view page /> }.into_any(),
                    Ok(view) => view! { <Change view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

const FIELDS: &[&str] = &["methods", "path", "access", "scope", "resource", "note", "to"];

#[component]
fn Change(view: RuleView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<SaveRouteRule>();
    let RuleView { workspace, version, position, count, form, scopes } = view;
    let new = position == 0;
    let back = if new { "add-rule".to_owned() } else { format!("edit-{position}") };
    after(action, page, back, |_| "The rule was saved. It holds from the next request on.".to_owned());
    focus_fault(action, FIELDS);
    let intro = view! { <p>"Of several rules that fit a request the first decides."</p> };
    let (title, label) = if new { ("Add rule", "Add rule") } else { ("Edit rule", "Save rule") };
    let place = if new { String::new() } else { position.to_string() };
    view! {
        <Dialog title intro=intro.into_any() leave=page.list>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault=action.fault() fields=FIELDS />
                    <input type="hidden" name="workspace" value=workspace.slug />
                    <input type="hidden" name="version" value=version.to_string() />
                    <input type="hidden" name="position" value=position.to_string() />
                    <Field
                        name="methods"
                        label="Methods"
                        value=typed_or(action, "methods", &form.methods)
                        hint="With spaces between them. GET is also for HEAD. * stands for every method."
                        placeholder="GET POST"
                        required=true
                        autofocus=true
                        autocomplete="off"
                        error=error(action, "methods")
                    />
                    <Field
                        name="path"
                        label="Path"
                        value=typed_or(action, "path", &form.path)
                        hint="{name} or * for one part, ** at the end for all that follows, [/] at the end for a slash that may be missing. ?name=value asks for a parameter."
                        placeholder="/projects/{id}/**"
                        maxlength=400
                        required=true
                        autocomplete="off"
                        error=error(action, "path")
                    />
                    <Access action access=form.access scope=form.scope scopes resource=form.resource />
                    <Field
                        name="note"
                        label="Note"
                        optional=true
                        value=typed_or(action, "note", &form.note)
                        placeholder="Why the rule is there"
                        maxlength=200
                        autocomplete="off"
                        error=error(action, "note")
                    />
                    <Field
                        name="to"
                        label="Place in the list"
                        kind="number"
                        min="1".to_owned()
                        optional=new
                        value=typed_or(action, "to", &place)
                        hint=if new { "Empty for the end." } else { "1 is asked first." }
                        error=error(action, "to")
                    />
                    {(new && count > 0)
                        .then(|| {
                            view! {
                                <p class="soft small">
                                    {format!("There {} already. A rule at the end is asked last.", there_are(count))}
                                </p>
                            }
                        })}
                </div>
                <DialogFoot>
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label pending=action.pending />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

fn there_are(count: usize) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{verb} {}", format::counted(i64::try_from(count).unwrap_or_default(), "rule"))
}

/// Who passes.
#[component]
fn Access(action: Sending, access: String, scope: String, scopes: Vec<String>, resource: String) -> impl IntoView {
    let access = typed_or(action, "access", &access);
    let scope = typed_or(action, "scope", &scope);
    let lost = Some(scope.clone()).filter(|scope| !scope.is_empty() && !scopes.contains(scope));
    let choice = |value: &'static str, title: &'static str, text: &'static str| {
        let chosen = access == value;
        view! {
            <label class="choice">
                <input type="radio" name="access" value=value checked=chosen required=true />
                <span class="choice-title">{title}</span>
                <span class="choice-text">{text}</span>
            </label>
        }
    };
    view! {
        <fieldset class="field route-access">
            <legend class="field-label">"Who passes"</legend>
            <div class="choices">
                {choice("key", "Keys", "Those that work and can do what is asked for below.")}
                {choice("public", "Everybody", "With a key or without. It is not looked at.")}
                {choice("deny", "Nobody", "Refused, whatever comes.")}
            </div>
            <FieldError id="access-error".into() error=error(action, "access") />
            <div class="route-key">
                <div class="field">
                    <label class="field-label" for="scope">
                        "Scope"
                    </label>
                    <Select name="scope" id="scope" described_by="scope-error">
                        <option value="" selected=scope.is_empty()>
                            "Any key"
                        </option>
                        {lost
                            .map(|name| {
                                view! {
                                    <option value=name.clone() selected=true>
                                        {name.clone()}
                                        " (no such scope)"
                                    </option>
                                }
                            })}
                        {scopes
                            .into_iter()
                            .map(|name| {
                                let chosen = name == scope;
                                view! {
                                    <option value=name.clone() selected=chosen>
                                        {name.clone()}
                                    </option>
                                }
                            })
                            .collect_view()}
                    </Select>
                    <FieldError id="scope-error".into() error=error(action, "scope") />
                </div>
                <Field
                    name="resource"
                    label="On the resource"
                    optional=true
                    value=typed_or(action, "resource", &resource)
                    hint="project:{id} with a name from the path; collection:{own} for the one a key is tied to; untied for keys that are tied to nothing."
                    placeholder="project:{id}"
                    autocomplete="off"
                    error=error(action, "resource")
                />
            </div>
        </fieldset>
    }
}

#[component]
fn Deletion(view: RuleView, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<DeleteRouteRule>();
    after(action, page, "add-rule".into(), |_| "The rule was deleted.".to_owned());
    let RuleView { workspace, version, position, form, .. } = view;
    let intro = view! { <p>"Requests that only this rule fits are refused from then on; others meet the next rule that fits."</p> };
    view! {
        <Dialog title="Delete this rule?" intro=intro.into_any() leave=page.list narrow=true>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault=action.fault() />
                    <input type="hidden" name="workspace" value=workspace.slug />
                    <input type="hidden" name="version" value=version.to_string() />
                    <input type="hidden" name="position" value=position.to_string() />
                    <p class="mono break" translate="no">
                        {format!("{position}. {} {}", form.methods, form.path)}
                    </p>
                    <p class="soft small">"The history keeps the rules as they are now."</p>
                </div>
                <DialogFoot>
                    <a class="button" href=page.list data-noscroll="" autofocus>
                        "Cancel"
                    </a>
                    <SubmitButton label="Delete rule" pending=action.pending class="button button-danger" />
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

#[component]
fn Preset(name: String, page: KeysPageContext) -> impl IntoView {
    let shown = name.clone();
    let preset =
        Resource::new_blocking(move || (page.workspace.get(), name.clone()), |(workspace, name)| get_route_preset(workspace, name));
    view! {
        <Suspense>
            {move || {
                let name = shown.clone();
                Suspend::new(async move {
                    match preset.await {
                        Ok(view) => view! { <Load view name page /> }.into_any(),
                        Err(fault) => view! { <Trouble fault /> }.into_any(),
                    }
                })
            }}
        </Suspense>
    }
}

#[component]
fn Load(view: ProposalView, name: String, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<LoadRoutePreset>();
    after(action, page, format!("preset-{name}"), |_| "These rules hold from the next request on.".to_owned());
    let fields = view! { <input type="hidden" name="name" value=name /> };
    let title = format!("Rules of {}", view.title);
    view! { <Proposal view title action fields=fields.into_any() label="Put in force" page /> }
}

#[component]
fn Former(version: i64, page: KeysPageContext) -> impl IntoView {
    let former = Resource::new_blocking(move || page.workspace.get(), move |workspace| get_route_version(workspace, version));
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match former.await {
                    Ok(view) => view! { <Revert view former=version page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

#[component]
fn Revert(view: ProposalView, former: i64, page: KeysPageContext) -> impl IntoView {
    let action = Sending::to::<RevertRoutes>();
    after(action, page, "history".into(), move |_| format!("Version {former} holds again from the next request on."));
    let fields = view! { <input type="hidden" name="to" value=former.to_string() /> };
    let title = view.title.clone();
    view! { <Proposal view title action fields=fields.into_any() label="Put in force again" page /> }
}

/// Rules that could take the place of the present ones, and the decision.
#[component]
fn Proposal(
    view: ProposalView,
    title: String,
    action: Sending,
    fields: AnyView,
    label: &'static str,
    page: KeysPageContext,
) -> impl IntoView {
    let ProposalView { workspace, version, replaces, about, rules, saved, now, .. } = view;
    let in_force = saved.as_ref().is_some_and(|saved| saved.version == version);
    let told = match &saved {
        Some(saved) => format!("{} by {}, {}.", saved.source, saved.by, format::relative(saved.at, now)),
        None => about,
    };
    let intro = view! { <p>{told}</p> };
    view! {
        <Dialog title intro=intro.into_any() leave=page.list>
            <SendForm to=action>
                <div class="dialog-body">
                    <FaultNotice fault=action.fault() />
                    <Replaces replaces in_force />
                    <input type="hidden" name="workspace" value=workspace.slug />
                    <input type="hidden" name="version" value=version.to_string() />
                    {fields}
                    <RuleList rules />
                </div>
                <DialogFoot>
                    <a class="button" href=page.list data-noscroll="">
                        {if in_force { "Close" } else { "Cancel" }}
                    </a>
                    {(!in_force).then(|| view! { <SubmitButton label pending=action.pending /> })}
                </DialogFoot>
            </SendForm>
        </Dialog>
    }
}

/// What becomes of the present rules.
#[component]
pub(super) fn Replaces(replaces: usize, #[prop(optional)] in_force: bool) -> impl IntoView {
    if in_force {
        return view! { <Notice tone=Tone::Good quiet=true>"These rules are in force."</Notice> }.into_any();
    }
    (replaces > 0)
        .then(|| {
            let rules = format::counted(i64::try_from(replaces).unwrap_or_default(), "rule");
            view! {
                <Notice tone=Tone::Warn>
                    {format!("They take the place of all present rules ({rules}). The history keeps those.")}
                </Notice>
            }
        })
        .into_any()
}

#[component]
fn History(page: KeysPageContext) -> impl IntoView {
    let versions = Resource::new_blocking(move || page.workspace.get(), list_route_versions);
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match versions.await {
                    Ok(view) => view! { <Versions view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

#[component]
fn Versions(view: HistoryView, page: KeysPageContext) -> impl IntoView {
    let HistoryView { versions, now, .. } = view;
    let newest = versions.first().map(|saved| saved.version);
    let intro = view! { <p>"Every save is a version. The last 100 are kept, and each can be put in force again."</p> };
    let row = move |saved: SavedLine| {
        let address = format!("history/{}", saved.version);
        view! {
            <tr>
                <th scope="row">
                    <a href=move || page.dialog(&address) data-noscroll="">
                        {format!("Version {}", saved.version)}
                    </a>
                </th>
                <td data-label="Came from">
                    <span>
                        {saved.source}
                        {(newest == Some(saved.version))
                            .then(|| {
                                view! {
                                    " "
                                    <span class="status status-good">
                                        <Icon name="circle-check" />
                                        "In force"
                                    </span>
                                }
                            })}
                    </span>
                </td>
                <td class="number" data-label="Rules">
                    {saved.rules}
                </td>
                <td class="break" data-label="By">
                    {saved.by}
                </td>
                <td data-label="When">
                    <span>
                        <Moment at=saved.at precision=Precision::Minute />
                        <span class="soft small">{format!(" · {}", format::relative(saved.at, now))}</span>
                    </span>
                </td>
            </tr>
        }
    };
    view! {
        <Dialog title="History of the rules" intro=intro.into_any() leave=page.list>
            <div class="dialog-body">
                {if versions.is_empty() {
                    view! { <p class="soft">"Nothing was saved yet."</p> }.into_any()
                } else {
                    view! {
                        <div class="keys panel route-list" tabindex="0" role="group" aria-label="Versions">
                            <table>
                                <caption>"Versions, the newest first"</caption>
                                <thead>
                                    <tr>
                                        <th scope="col">"Version"</th>
                                        <th scope="col">"Came from"</th>
                                        <th scope="col" class="number">
                                            "Rules"
                                        </th>
                                        <th scope="col">"By"</th>
                                        <th scope="col">"When"</th>
                                    </tr>
                                </thead>
                                <tbody>{versions.into_iter().map(row).collect_view()}</tbody>
                            </table>
                        </div>
                    }
                        .into_any()
                }}
            </div>
            <DialogFoot>
                <a class="button" href=page.list data-noscroll="">
                    "Close"
                </a>
            </DialogFoot>
        </Dialog>
    }
}
