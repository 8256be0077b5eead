//! Test a key's access: what it would be answered and why, without its secret. The question is the address.

use keyfold_domain::verdict::{Check, Code, Explanation};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::key_usage::code_words;
use super::keys::KeysPageContext;
use super::keys_table::shown_name;
use crate::components::{Dialog, DialogFoot, FaultNotice, Field, FieldError, Icon, Moment, Precision, QueryForm, Select, describe};
use crate::functions::fault::Fault;
use crate::functions::key_test::{KeyTest, explain_key};
use crate::functions::keys::KeyView;

/// The question that the address asks; `None` before anything was asked.
fn question(query: &leptos_router::params::ParamsMap) -> Option<KeyTest> {
    let text = |name: &str| query.get(name).unwrap_or_default();
    (!text("ask").is_empty()).then(|| KeyTest {
        scope: text("scope"),
        resource: text("resource"),
        method: text("method"),
        path: text("path"),
        client_ip: text("client_ip"),
        at: text("at"),
    })
}

#[component]
pub(super) fn TestKeyDialog(view: KeyView, page: KeysPageContext) -> impl IntoView {
    let query = use_query_map();
    let id = view.key.id.clone();
    let asked = Memo::new(move |_| query.with(question));
    let answer = Resource::new_blocking(
        move || (page.workspace.get(), asked.get()),
        move |(workspace, asked)| {
            let id = id.clone();
            async move {
                match asked {
                    Some(question) => Some(explain_key(workspace, id, question).await),
                    None => None,
                }
            }
        },
    );
    let typed = query.with_untracked(question).unwrap_or_default();
    let name = shown_name(&view.key);
    let intro = view! {
        <p>
            <strong class="break">{name}</strong>
            " "
            <span class="mono">{view.key.hint.clone()}</span>
        </p>
        <p class="soft small">"The secret is not needed, and nothing is counted."</p>
    };
    view! {
        <Dialog title="Test this key’s access" intro=intro.into_any() leave=page.list>
            <Transition>
                {move || {
                    let (typed, view) = (typed.clone(), view.clone());
                    Suspend::new(async move {
                        let (fault, explained) = match answer.await {
                            Some(Ok(explained)) => (None, Some(explained)),
                            Some(Err(fault)) => (Some(fault), None),
                            None => (None, None),
                        };
                        let typed = asked.get_untracked().unwrap_or(typed);
                        view! { <Asking view typed fault explained page /> }
                    })
                }}
            </Transition>
        </Dialog>
    }
}

#[component]
fn Asking(view: KeyView, typed: KeyTest, fault: Option<Fault>, explained: Option<Explanation>, page: KeysPageContext) -> impl IntoView {
    let fault = StoredValue::new(fault);
    let error = move |field: &'static str| Signal::derive(move || fault.with_value(|fault| describe(fault.as_ref(), field)));
    let action = format!("/w/{}/keys/{}/edit/test", view.workspace.slug, view.key.id);
    let mut scopes: Vec<String> = view.catalogue.iter().map(|scope| scope.name.to_string()).collect();
    if !typed.scope.is_empty() && !scopes.contains(&typed.scope) {
        scopes.push(typed.scope.clone());
    }
    let chosen = typed.scope.clone();
    let option = move |name: String| {
        let selected = name == chosen;
        view! {
            <option value=name.clone() selected=selected>
                {name.clone()}
            </option>
        }
    };
    let scopes = scopes.into_iter().map(option).collect_view();
    let chosen = typed.method.clone();
    let method = move |name: &'static str| {
        view! {
            <option value=name selected=name == chosen>
                {name}
            </option>
        }
    };
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().map(method).collect_view();
    view! {
        <QueryForm action=action>
            <div class="dialog-body">
                <FaultNotice fault=Signal::derive(move || fault.get_value()) fields=&["scope", "resource", "path", "client_ip", "at"] />
                <input type="hidden" name="ask" value="1" />
                <div class="columns">
                    <div class="field">
                        <label class="field-label" for="test-scope">
                            "Scope"
                        </label>
                        <Select name="scope" id="test-scope" described_by="scope-error">
                            <option value="">"None in particular"</option>
                            {scopes}
                        </Select>
                        <FieldError id="scope-error".into() error=error("scope") />
                    </div>
                    <Field
                        name="resource"
                        label="Resource"
                        optional=true
                        value=typed.resource.clone()
                        placeholder="collection:contracts"
                        maxlength=241
                        autocomplete="off"
                        error=error("resource")
                    />
                    <div class="field">
                        <label class="field-label" for="test-method">
                            "Or a request’s method"
                        </label>
                        <Select name="method" id="test-method">
                            {methods}
                        </Select>
                    </div>
                    <Field
                        name="path"
                        label="And its path"
                        optional=true
                        value=typed.path.clone()
                        hint="The route map says what it needs"
                        placeholder="/predict/detect/m1/"
                        maxlength=2000
                        autocomplete="off"
                        error=error("path")
                    />
                    <Field
                        name="client_ip"
                        label="Client’s address"
                        optional=true
                        value=typed.client_ip.clone()
                        placeholder="203.0.113.7"
                        maxlength=45
                        autocomplete="off"
                        error=error("client_ip")
                    />
                    <Field
                        name="at"
                        label="Moment in UTC"
                        kind="datetime-local"
                        optional=true
                        value=typed.at.clone()
                        hint="Now, if left empty"
                        error=error("at")
                    />
                </div>
                <div aria-live="polite" id="test-answer">
                    {explained.map(|explained| view! { <Answer explained /> })}
                </div>
            </div>
            <DialogFoot>
                <a class="button" href=page.list data-noscroll="">
                    "Close"
                </a>
                <button class="button button-primary">"Test access"</button>
            </DialogFoot>
        </QueryForm>
    }
}

/// What a check looks at, in a word or two.
const fn subject(code: Code) -> &'static str {
    match code {
        Code::Malformed => "Form",
        Code::NotFound => "Existence",
        Code::Deleted => "Deletion",
        Code::Deactivated => "Deactivation",
        Code::OwnerDisabled => "Owner",
        Code::Expired => "Expiry date",
        Code::Dormant => "Inactivity",
        Code::IpDenied => "Address",
        Code::MissingScope => "Scope",
        Code::WrongResource => "Resource",
        Code::RateLimited => "Rate limit",
        Code::QuotaExceeded => "Quota",
        Code::Valid => "Verdict",
    }
}

#[component]
fn Answer(explained: Explanation) -> impl IntoView {
    let passes = explained.passes();
    let Explanation { code, checks, route } = explained;
    // A rule that decides whoever asks leaves nothing to the key.
    let by_rule = route.as_ref().is_some_and(|route| route.passes.is_some() && route.passes != Some(code == Code::Valid));
    let pill = if passes {
        view! {
            <span class="status status-good">
                <Icon name="circle-check" />
                "Allowed"
            </span>
        }
    } else {
        view! {
            <span class="status status-bad">
                <Icon name="circle-x" />
                {if by_rule { "Denied by the route map".to_owned() } else { format!("Denied: {}", code_words(code)) }}
            </span>
        }
    };
    view! {
        <h3 class="test-verdict">
            {pill}
            {(!by_rule)
                .then(|| view! { <span class="small soft">"Answered with " <code translate="no">{code.as_str()}</code></span> })}
        </h3>
        {route.map(|route| view! { <p class="break">{route.why}</p> })}
        <ol class="test-checks" aria-label="Checks, in their order">
            {checks.into_iter().map(|check| view! { <One check first=code /> }).collect_view()}
        </ol>
    }
}

#[component]
fn One(check: Check, first: Code) -> impl IntoView {
    let Check { code, passed, detail, remedy, at } = check;
    let (class, icon, word) = match (passed, code == first) {
        (true, _) => ("test-check test-passed", "check", "Passed"),
        (false, true) => ("test-check test-failed", "x", "Failed"),
        (false, false) => ("test-check test-failed", "x", "Fails as well"),
    };
    view! {
        <li class=class>
            <Icon name=icon />
            <div>
                <strong>{subject(code)}</strong>
                " "
                <span class="test-word">{word}</span>
                <p class="break">
                    {detail}
                    {at
                        .map(|at| {
                            view! {
                                " · "
                                <Moment at precision=Precision::Minute />
                            }
                        })}
                </p>
                {remedy.map(|remedy| view! { <p class="break test-remedy">{remedy}</p> })}
            </div>
        </li>
    }
}
