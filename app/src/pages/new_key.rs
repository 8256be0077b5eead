//! Add New Key. Without script the form is posted to its own address, which answers with the page of the secret.

use keyfold_domain::catalogue::ScopeCatalogue;
use keyfold_domain::ids::{KeyId, UserId};
use keyfold_domain::key::{Expiry, IssuedKey};
use keyfold_domain::policy_limits::KeyPolicy;
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

use super::keys::KeysPageContext;
use super::new_key_fields::{Advanced, Again, Inactivity, KindCards, Life, Note, Promise};
use super::not_found::Trouble;
use crate::browser;
use crate::components::{
    Dialog, DialogFoot, FaultNotice, Field, FieldError, ResourcePicker, ScopePicker, SecretReveal, SubmitButton, describe,
};
use crate::format::{self, Civil};
use crate::functions::fault::Fault;
use crate::functions::keys::{KeyFormView, create_key, get_key_form};
use crate::functions::password_input::PasswordInput;
use crate::functions::sessions::StepUp;
use crate::key_form::KeyForm;

const FIELDS: &[&str] = &[
    "name",
    "kind",
    "scopes",
    "resources",
    "expires_at",
    "expires_on",
    "inactivity_days",
    "inactivity_custom",
    "note",
    "password",
    "ip_allow",
    "limits",
];

#[component]
pub(crate) fn NewKeyDialog() -> impl IntoView {
    let page = expect_context::<KeysPageContext>();
    // The key whose settings are copied, and the user whose key it shall be. What is no id names nothing.
    let named = |name: &str| use_query_map().with_untracked(|query| query.get(name));
    let from = named("from").and_then(|id| id.parse::<KeyId>().ok());
    let owner = named("owner").and_then(|id| id.parse::<UserId>().ok());
    let view = Resource::new_blocking(move || page.workspace.get(), move |workspace| get_key_form(workspace, from.clone(), owner.clone()));
    view! { <Filled view page /> }.into_any()
}

/// The form of a new key of somebody else's, over a page that knows no workspace.
#[component]
pub(super) fn NewKeyFor(slug: String, owner: UserId, page: KeysPageContext) -> impl IntoView {
    let view = Resource::new_blocking(move || (slug.clone(), owner.clone()), |(slug, owner)| get_key_form(slug, None, Some(owner)));
    view! { <Filled view page /> }
}

#[component]
fn Filled(view: Resource<Result<KeyFormView, Fault>>, page: KeysPageContext) -> impl IntoView {
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match view.await {
                    Ok(view) => view! { <NewKey view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
    .into_any()
}

pub(super) fn asks_for_password(problem: &Problem) -> bool {
    problem.code == ProblemCode::StepUpRequired || problem.field.as_deref() == Some("password")
}

/// What the parts of the form share. What is typed lives in the page; `form` follows it.
#[derive(Clone, Copy)]
pub(super) struct Filling {
    pub(super) form: RwSignal<KeyForm>,
    pub(super) fault: RwSignal<Option<Fault>>,
    pub(super) pending: RwSignal<bool>,
    pub(super) now: RwSignal<Timestamp>,
    /// The viewer's zone, once the page is alive.
    pub(super) zone: RwSignal<Option<String>>,
    /// The password is needed again, for a key that may manage others.
    pub(super) asks: RwSignal<bool>,
    pub(super) policy: StoredValue<KeyPolicy>,
    /// The scopes there are.
    pub(super) catalogue: StoredValue<ScopeCatalogue>,
    /// What the offered resources are called, by id.
    pub(super) names: RwSignal<Vec<(String, String)>>,
}

impl Filling {
    /// The form as it is shown first, and why it was refused before, if it was.
    pub(super) fn new(form: KeyForm, fault: Option<Fault>, policy: KeyPolicy, now: Timestamp) -> Self {
        let asks = fault.as_ref().is_some_and(|fault| asks_for_password(&fault.problem));
        Self {
            form: RwSignal::new(form),
            fault: RwSignal::new(fault),
            pending: RwSignal::new(false),
            now: RwSignal::new(now),
            zone: RwSignal::new(None),
            asks: RwSignal::new(asks),
            policy: StoredValue::new(policy),
            catalogue: StoredValue::new(ScopeCatalogue::default()),
            names: RwSignal::new(Vec::new()),
        }
    }

    /// Once the page is alive: what the browser knows of the viewer's zone, and of fields it filled in itself.
    pub(super) fn wake(self, id: &'static str) {
        Effect::new(move || {
            self.zone.set(browser::zone());
            if let Some(element) = document().get_element_by_id(id).map(wasm_bindgen::JsCast::unchecked_into) {
                self.read(&element);
            }
        });
    }

    pub(super) fn error(self, field: &'static str) -> Signal<Option<String>> {
        Signal::derive(move || self.fault.with(|fault| describe(fault.as_ref(), field)))
    }

    /// Reads the form again. A date becomes the end of that day where the viewer is.
    pub(super) fn read(self, element: &web_sys::HtmlFormElement) {
        let mut form = KeyForm::from_pairs(browser::form_pairs(element));
        form.expires_at = Civil::end_of_day(&form.expires_on).and_then(|day| browser::end_of_local_day(&day));
        self.form.set(form);
        self.now.set(browser::now());
    }

    /// The password, if it was asked for again.
    fn password(self) -> Option<PasswordInput> {
        self.asks.get_untracked().then(|| PasswordInput::typed(browser::value_of("password")))
    }

    /// What the server would refuse, said without asking it.
    fn check(self) -> Result<(), Problem> {
        let now = self.now.get_untracked();
        let key = self.form.with_untracked(|form| self.catalogue.with_value(|catalogue| form.new_key(catalogue)))?;
        self.policy.with_value(|policy| policy.resolve(key.expires_at, now)).map(drop)
    }

    /// Shows why the form was refused, and puts the keyboard on the field at fault.
    fn refuse(self, fault: Fault) {
        let field = fault.problem.field.clone().unwrap_or_default();
        let asks = asks_for_password(&fault.problem);
        self.asks.update(|asked| *asked |= asks);
        self.fault.set(Some(fault));
        // A frame later, when the field for the password may have come.
        request_animation_frame(move || {
            let _ = match field.as_str() {
                _ if asks => browser::focus("password"),
                "scopes" => browser::focus_first("#new-key .scopes input"),
                "kind" => browser::focus_first("#new-key .cards input"),
                "resources" => browser::focus_first("#new-key .reach input"),
                "expires_at" => browser::focus("expiry"),
                "limits" => browser::focus_first("#new-key .limit-rows input"),
                other => browser::focus(other),
            };
        });
    }

    /// When the key would end, in words; `None` for never.
    pub(super) fn end(self) -> Result<Option<String>, Problem> {
        let zone = self.zone.get();
        let write = |at: Timestamp| match zone {
            Some(zone) => format!("{} ({zone})", format::date_time(&browser::local(at))),
            None => format!("{} UTC", format::date_time(&Civil::utc(at))),
        };
        Ok(match self.form.with(KeyForm::expiry)? {
            Expiry::At(at) => Some(write(at)),
            Expiry::InDays(days) => Some(write(self.now.get().plus_days(i64::from(days)))),
            Expiry::Never | Expiry::Default => None,
        })
    }
}

#[component]
fn NewKey(view: KeyFormView, page: KeysPageContext) -> impl IntoView {
    let KeyFormView { workspace, offered, owner, submitted, idempotency_key, catalogue, resources, may_limit, now } = view;
    let policy = workspace.key_policy.clone();
    let (form, problem) = submitted.map_or((offered, None), |sent| (sent.form, Some(sent.problem)));
    let shown = form.clone();
    let filling =
        Filling { catalogue: StoredValue::new(catalogue.clone()), ..Filling::new(form, problem.map(Fault::from), policy.clone(), now) };
    filling.wake("new-key");
    let place = workspace.name.clone();
    let whose = owner.as_ref().map_or_else(String::new, |owner| format!("?owner={}", owner.id));
    let action = format!("/w/{}/keys/new{whose}", workspace.slug);
    let send = sender(filling, page, (workspace.slug.clone(), owner.as_ref().map(|owner| owner.id.clone())), idempotency_key.clone());
    let follow = move |event: web_sys::Event| {
        if let Some(element) = browser::form_of(&event) {
            filling.read(&element);
        }
    };
    let whose = owner.map(|owner| format!("For {}. ", owner.display_name));
    let intro = view! { <p>{whose} "In " <span class="break">{place.clone()}</span> ". The secret is shown once, on the next screen."</p> };
    view! {
        <Dialog title="Add New Key" intro=intro.into_any() leave=page.list>
            <form
                class="key-form"
                id="new-key"
                method="post"
                action=action
                autocomplete="off"
                on:submit=send
                on:input=follow
                on:change=follow
            >
                <div class="dialog-body">
                    <FaultNotice fault=filling.fault fields=FIELDS />
                    <input type="hidden" name="idempotency_key" value=idempotency_key />
                    <Field
                        name="name"
                        label="Name"
                        value=shown.name.clone()
                        placeholder="Where it will be used, e.g. CI pipeline"
                        maxlength=100
                        autofocus=true
                        error=filling.error("name")
                    />
                    <KindCards chosen=shown.kind() error=filling.error("kind") />
                    <div class="field">
                        <ScopePicker
                            offered=catalogue.iter().cloned().collect()
                            held=shown.scopes.clone()
                            described_by="scopes-error"
                            invalid=Signal::derive(move || filling.error("scopes").with(Option::is_some))
                        />
                        <FieldError id="scopes-error".into() error=filling.error("scopes") />
                    </div>
                    <ResourcePicker
                        workspace=workspace.slug
                        choice=resources
                        reach=shown.reach.clone()
                        held=shown.resources.clone()
                        override_owner=shown.override_owner
                        names=filling.names
                        error=filling.error("resources")
                    />
                    <div class="columns">
                        <Life filling shown=shown.clone() policy now />
                        <Inactivity filling shown=shown.clone() />
                    </div>
                    <Note filling note=shown.note.clone() />
                    {may_limit.then(|| view! { <Advanced filling shown=shown.clone() /> })}
                    {move || filling.asks.get().then(|| view! { <Again filling /> })}
                </div>
                <Promise filling place />
                <DialogFoot>
                    <a class="button" href=page.list data-noscroll="">
                        "Cancel"
                    </a>
                    <SubmitButton label="Generate Key" pending=filling.pending />
                </DialogFoot>
            </form>
        </Dialog>
    }
}

fn reveal(issued: RwSignal<Option<IssuedKey>>, public_url: String) -> AnyView {
    view! { <SecretReveal issued public_url /> }.into_any()
}

/// With script the form is sent from here, and the secret shown over the list.
fn sender(
    filling: Filling,
    page: KeysPageContext,
    place: (String, Option<UserId>),
    idempotency_key: String,
) -> impl FnMut(web_sys::SubmitEvent) + 'static {
    let navigate = use_navigate();
    move |event| {
        event.prevent_default();
        if filling.pending.get_untracked() {
            return;
        }
        let Some(element) = browser::form_of(&event) else { return };
        filling.read(&element);
        if let Err(problem) = filling.check() {
            return filling.refuse(problem.into());
        }
        filling.pending.set(true);
        let (navigate, idempotency_key, (slug, owner)) = (navigate.clone(), idempotency_key.clone(), place.clone());
        let password = filling.password();
        spawn_local(async move {
            let proven = match password {
                Some(password) => browser::post_form(StepUp::PATH, &password.as_form("password")).await.map(drop),
                None => Ok(()),
            };
            let answer = match proven {
                Ok(()) => create_key(slug, filling.form.get_untracked(), idempotency_key, owner).await,
                Err(fault) => Err(fault),
            };
            filling.pending.set(false);
            match answer {
                Ok(issued) => {
                    let options = NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() };
                    navigate(&page.list.get_untracked(), options);
                    page.changes.update(|changes| *changes += 1);
                    page.reveal.set_value(Some(reveal));
                    page.issued.set(Some(issued));
                }
                Err(fault) => filling.refuse(fault),
            }
        });
    }
}
