//! The dialog that reads rules out of an OpenAPI document: first the document and what becomes of its operations, then the
//! rules that come of it, and only then the decision. Without script the first form is answered by the page itself.

use std::collections::BTreeMap;

use keyfold_domain::route::MAX_RULES;
use leptos::prelude::*;

use super::keys::KeysPageContext;
use super::not_found::Trouble;
use super::place_acts::after;
use super::route_acts::Replaces;
use super::routes::RuleList;
use crate::components::{
    Dialog, DialogFoot, FaultNotice, Field, FieldError, Notice, Select, SendForm, Sending, SubmitButton, Tone, describe,
};
use crate::format;
use crate::functions::routes::{ImportView, ImportedView, PreviewImport, SaveImport, SentImport, get_route_import};

const FIELDS: &[&str] = &["document", "read", "write", "delete", "prefix", "variable", "kind"];

#[component]
pub(super) fn Import(page: KeysPageContext) -> impl IntoView {
    let import = Resource::new_blocking(move || page.workspace.get(), get_route_import);
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match import.await {
                    Ok(view) => view! { <Importing view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

#[component]
fn Importing(view: ImportView, page: KeysPageContext) -> impl IntoView {
    let ask = Sending::to::<PreviewImport>();
    let ImportView { workspace, scopes, sent } = view;
    let (typed, before) = match sent {
        Some(SentImport { typed, imported: Ok(imported) }) => (typed, Some(imported)),
        Some(SentImport { typed, imported: Err(fault) }) => {
            ask.value.set(Some(Err(fault)));
            (typed, None)
        }
        None => (BTreeMap::new(), None),
    };
    let imported = RwSignal::new(before);
    Effect::new(move || {
        let read = ask.value.with(|value| serde_json::from_str::<ImportedView>(value.as_ref()?.as_ref().ok()?).ok());
        if read.is_some() {
            imported.set(read);
        }
    });
    let form = StoredValue::new((workspace.slug.clone(), scopes, typed));
    let intro = view! { <p>"The paths and methods of your service become rules. Nothing is saved before you have seen them."</p> };
    view! {
        <Dialog title="Import from OpenAPI" intro=intro.into_any() leave=page.list>
            {move || match imported.get() {
                Some(view) => view! { <Decision view workspace=workspace.slug.clone() page /> }.into_any(),
                None => {
                    let (workspace, scopes, typed) = form.get_value();
                    view! { <Document ask workspace scopes typed page /> }.into_any()
                }
            }}
        </Dialog>
    }
}

#[component]
fn Document(ask: Sending, workspace: String, scopes: Vec<String>, typed: BTreeMap<String, String>, page: KeysPageContext) -> impl IntoView {
    let fault = ask.fault();
    let error = move |field: &'static str| Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), field)));
    let text = move |field: &str, otherwise: &str| typed.get(field).cloned().unwrap_or_else(|| otherwise.to_owned());
    let has = |scope: &str| scopes.iter().any(|name| name == scope);
    let (read, write) = (if has("inference") { "key:inference" } else { "key" }, if has("project") { "key:project" } else { "key" });
    let (read, write, delete) = (text("read", read), text("write", write), text("delete", write));
    view! {
        <SendForm to=ask plain=format!("/w/{workspace}/routes/import")>
            <div class="dialog-body">
                <FaultNotice fault fields=FIELDS />
                <input type="hidden" name="workspace" value=workspace.clone() />
                <div class="field">
                    <label class="field-label" for="document">
                        "OpenAPI document"
                    </label>
                    <textarea
                        class="control mono import-document"
                        id="document"
                        name="document"
                        rows="9"
                        required
                        spellcheck="false"
                        autocomplete="off"
                        aria-describedby="document-hint document-error"
                    >
                        {text("document", "")}
                    </textarea>
                    <span class="field-hint" id="document-hint">
                        {format!("JSON or YAML, up to 1 MiB and {MAX_RULES} rules. Only its paths are read.")}
                    </span>
                    <FieldError id="document-error".into() error=error("document") />
                </div>
                <div class="import-classes">
                    <Class name="read" label="Reading: GET" chosen=read scopes=scopes.clone() error=error("read") />
                    <Class name="write" label="Writing: POST, PUT, PATCH" chosen=write scopes=scopes.clone() error=error("write") />
                    <Class name="delete" label="Deleting: DELETE" chosen=delete scopes=scopes error=error("delete") />
                </div>
                <Field
                    name="prefix"
                    label="Before every path"
                    optional=true
                    value=text("prefix", "")
                    hint="Empty for what the document says of its first server."
                    placeholder="/api/v1"
                    autocomplete="off"
                    error=error("prefix")
                />
                <div class="import-classes">
                    <Field
                        name="variable"
                        label="Name of an id in the paths"
                        optional=true
                        value=text("variable", "")
                        placeholder="project_id"
                        autocomplete="off"
                        error=error("variable")
                    />
                    <Field
                        name="kind"
                        label="Kind of that resource"
                        optional=true
                        value=text("kind", "")
                        placeholder="project"
                        autocomplete="off"
                        error=error("kind")
                    />
                </div>
            </div>
            <DialogFoot>
                <a class="button" href=page.list data-noscroll="">
                    "Cancel"
                </a>
                <SubmitButton label="Show the rules" pending=ask.pending />
            </DialogFoot>
        </SendForm>
    }
}

/// What becomes of one class of operations.
#[component]
fn Class(
    name: &'static str,
    label: &'static str,
    chosen: String,
    scopes: Vec<String>,
    #[prop(into)] error: Signal<Option<String>>,
) -> impl IntoView {
    let of_scopes = scopes.into_iter().map(|scope| (format!("key:{scope}"), format!("Scope {scope}")));
    let others = [("key", "Any key"), ("public", "Everybody"), ("deny", "Nobody"), ("", "No rule")];
    let others = others.map(|(value, text)| (value.to_owned(), text.to_owned()));
    let option = |(value, text): (String, String)| {
        let selected = value == chosen;
        view! {
            <option value=value selected=selected>
                {text}
            </option>
        }
    };
    let options = of_scopes.chain(others).map(option).collect_view();
    view! {
        <div class="field">
            <label class="field-label" for=name>
                {label}
            </label>
            <Select name=name id=name described_by=format!("{name}-error")>
                {options}
            </Select>
            <FieldError id=format!("{name}-error") error />
        </div>
    }
}

#[component]
fn Decision(view: ImportedView, workspace: String, page: KeysPageContext) -> impl IntoView {
    let save = Sending::to::<SaveImport>();
    after(save, page, "import".into(), |_| "These rules hold from the next request on.".to_owned());
    let ImportedView { version, replaces, rules, operations, left_out, json } = view;
    let counted = |count: usize, word: &str| format::counted(i64::try_from(count).unwrap_or_default(), word);
    let said = format!("{} for {}.", counted(rules.len(), "rule"), counted(operations, "operation"));
    view! {
        <SendForm to=save>
            <div class="dialog-body" id="imported">
                <FaultNotice fault=save.fault() />
                <p role="status">{said}</p>
                <Replaces replaces />
                {(!left_out.is_empty())
                    .then(|| {
                        view! {
                            <Notice tone=Tone::Warn>
                                <p>{format!("{} cannot be rules and are refused:", counted(left_out.len(), "path"))}</p>
                                <ul>
                                    {left_out
                                        .into_iter()
                                        .map(|(path, why)| {
                                            view! {
                                                <li>
                                                    <code class="break">{path}</code>
                                                    " "
                                                    {why}
                                                </li>
                                            }
                                        })
                                        .collect_view()}
                                </ul>
                            </Notice>
                        }
                    })}
                <input type="hidden" name="workspace" value=workspace />
                <input type="hidden" name="version" value=version.to_string() />
                <input type="hidden" name="rules" value=json />
                <RuleList rules />
            </div>
            <DialogFoot>
                <a class="button" href=page.list data-noscroll="">
                    "Cancel"
                </a>
                <SubmitButton label="Put in force" pending=save.pending />
            </DialogFoot>
        </SendForm>
    }
}
