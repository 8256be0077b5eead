//! The person at the screen: profile, password, sessions, theme, workspaces.

use keyfold_domain::problem::Problem;
use keyfold_domain::session::SessionSummary;
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::UserSummary;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::console::ViewerResource;
use super::member_dialogs::RemoveDialog;
use super::members::role_words;
use super::not_found::{NotFoundPage, Trouble};
use super::people::{DoneNotice, Listing, error, typed_or};
use super::place::open_part;
use crate::browser;
use crate::components::{
    FaultNotice, Field, Icon, Moment, PasswordAgain, Precision, SendForm, Sending, SubmitButton, ThemeSwitch, Title, Toasts,
};
use crate::functions::account::{AccountView, ChangePassword, EndOtherSessions, EndSession, UpdateAccount, get_account};
use crate::functions::members::get_member;
use crate::functions::preferences::{OFF, SetShortcuts};
use crate::functions::sessions::{SignOut, Viewer};

const DONE: &[(&str, &str)] = &[
    ("profile", "Your profile was saved."),
    ("password", "Your password was changed."),
    ("session", "The session was ended."),
    ("sessions", "Every other session was ended."),
    ("shortcuts", "The choice was saved for this browser."),
];

/// The account, and over it the dialog to leave a workspace: `/account/leave/<workspace>`.
#[component]
pub(crate) fn AccountPage() -> impl IntoView {
    let viewer = expect_context::<ViewerResource>();
    let (act, subject) = (open_part(0), open_part(1));
    let page = Listing::new(Signal::derive(|| "/account".to_owned()));
    let account = Resource::new_blocking(move || page.changes.get(), |_| get_account());
    let dialog = move || match (act.get().as_str(), subject.get()) {
        ("leave", slug) => view! { <Leave slug viewer page /> }.into_any(),
        ("", _) => ().into_any(),
        _ => view! { <NotFoundPage /> }.into_any(),
    };
    view! {
        <Title text="Account · Keyfold" />
        <main class="page page-narrow" id="main" tabindex="-1">
            <div class="behind">
                <div class="page-head">
                    <div>
                        <h1 id="page-title" tabindex="-1">
                            "Account"
                        </h1>
                        <p>"You, on this server."</p>
                    </div>
                </div>
                <DoneNotice words=DONE />
                <Transition>
                    {move || Suspend::new(async move {
                        match (viewer.await, account.await) {
                            (Ok(Some(viewer)), Ok(view)) => view! { <Account viewer view page /> }.into_any(),
                            (Ok(None), _) => ().into_any(),
                            (Err(fault), _) | (_, Err(fault)) => view! { <Trouble fault /> }.into_any(),
                        }
                    })}
                </Transition>
            </div>
            {dialog}
        </main>
    }
    .into_any()
}

/// Says what was done and reads the account again.
fn after(action: Sending, page: Listing, said: &'static str) {
    let toasts = use_context::<Toasts>();
    Effect::new(move || {
        if action.is_done() {
            action.value.set(None);
            page.changed();
            if let Some(toasts) = toasts {
                toasts.say(said);
            }
        }
    });
}

#[component]
fn Account(viewer: Viewer, view: AccountView, page: Listing) -> impl IntoView {
    Effect::new(move || page.settle());
    let sign_out = Sending::to::<SignOut>();
    let navigate = use_navigate();
    Effect::new(move || {
        if sign_out.is_done() {
            navigate("/sign-in", NavigateOptions::default());
        }
    });
    view! {
        <div class="panel">
            <Profile user=view.user.clone() page />
            <Places viewer=viewer.clone() user=view.user page />
            <Password page />
            <Sessions sessions=view.sessions now=view.now page />
            <section class="account-section" aria-labelledby="theme-title">
                <h2 id="theme-title">"Theme"</h2>
                <div class="stack-tight">
                    <div class="row theme-row">
                        <ThemeSwitch theme=viewer.theme />
                    </div>
                    <p class="small faint">"System follows your device. The choice is kept in this browser."</p>
                </div>
            </section>
            <Keyboard on=view.shortcuts page />
            <section class="account-section" aria-labelledby="api-title">
                <h2 id="api-title">"For scripts"</h2>
                <div class="stack-tight">
                    <p>
                        "Whatever you do here, a script can do with a management key. "
                        <a href="/docs/api" rel="external">
                            "Read the API reference"
                        </a>
                    </p>
                    <p class="small faint">"It is a page of this server, and tells of this version."</p>
                </div>
            </section>
            <section class="account-section" aria-labelledby="end-title">
                <h2 id="end-title">"This session"</h2>
                <SendForm to=sign_out>
                    <button class="button">
                        <Icon name="log-out" />
                        "Sign out"
                    </button>
                </SendForm>
            </section>
        </div>
    }
}

/// The switch for single keys (WCAG 2.1.4). What listens to the keyboard reads it from the document.
#[component]
fn Keyboard(on: bool, page: Listing) -> impl IntoView {
    let action = Sending::to::<SetShortcuts>();
    after(action, page, "The choice was saved for this browser.");
    Effect::new(move || {
        browser::set_root("data-shortcuts", (!on).then_some(OFF));
    });
    let (value, word, state) =
        if on { (OFF, "Switch single keys off", "Single keys act.") } else { ("on", "Switch single keys on", "Single keys do nothing.") };
    view! {
        <section class="account-section" aria-labelledby="keyboard-title">
            <h2 id="keyboard-title">"Keyboard"</h2>
            <div class="stack-tight">
                <FaultNotice fault=action.fault() />
                <p>
                    {state} " " <a href="/account/keyboard">"See what each key does"</a> "."
                </p>
                <SendForm to=action>
                    <input type="hidden" name="shortcuts" value=value />
                    <SubmitButton label=word pending=action.pending class="button" />
                </SendForm>
                <p class="small faint">
                    "Ctrl+K opens the search in either case. The choice is kept in this browser. Switch them off if you speak to your computer, or if keys are pressed by mistake."
                </p>
            </div>
        </section>
    }
}

#[component]
fn Profile(user: UserSummary, page: Listing) -> impl IntoView {
    let action = Sending::to::<UpdateAccount>();
    let fault = action.fault();
    after(action, page, "Your profile was saved.");
    let (name, email) = (typed_or(action, "display_name", &user.display_name), typed_or(action, "email", &user.email));
    let rank = if user.instance_admin { "Instance administrator" } else { "User" };
    view! {
        <section class="account-section" aria-labelledby="profile-title">
            <h2 id="profile-title">"Profile"</h2>
            <div class="stack">
                <dl class="facts">
                    <dt>"Username"</dt>
                    <dd class="break">{user.username}</dd>
                    <dt>"Rank"</dt>
                    <dd>{rank}</dd>
                </dl>
                <SendForm to=action>
                    <div class="stack">
                        <FaultNotice fault fields=&["display_name", "email", "password_again"] />
                        <Field name="display_name" label="Name" value=name autocomplete="name" maxlength=100 error=error(action, "display_name") />
                        <Field name="email" label="E-mail" kind="email" value=email autocomplete="email" required=true maxlength=254 error=error(action, "email") />
                        <PasswordAgain fault />
                        <div>
                            <SubmitButton label="Save profile" pending=action.pending class="button" />
                        </div>
                    </div>
                </SendForm>
            </div>
        </section>
    }
}

/// Where the person belongs, and the way out. An instance administrator may enter everywhere: that is a page of its own.
#[component]
fn Places(viewer: Viewer, user: UserSummary, page: Listing) -> impl IntoView {
    let all = user.instance_admin;
    let own = viewer.workspaces.into_iter().filter(|_| !all).collect::<Vec<_>>();
    let none = !all && own.is_empty();
    let rows = own.into_iter().map(|place| {
        let address = format!("leave/{}", place.slug);
        let name = place.name.clone();
        let role = place.role.map_or("", |role| role_words(role).0);
        view! {
            <li class="line">
                <span class="two-lines">
                    <a class="break" href=format!("/w/{}/keys", place.slug)>
                        {place.name}
                    </a>
                    <span>{role}</span>
                </span>
                <a
                    class="button button-small button-quiet button-removes"
                    href=move || page.dialog(&address)
                    aria-label=format!("Leave {name}")
                    data-noscroll=""
                >
                    "Leave"
                </a>
            </li>
        }
    });
    let rows = rows.collect_view();
    view! {
        <section class="account-section" aria-labelledby="places-title">
            <h2 id="places-title">"Workspaces"</h2>
            {none.then(|| view! { <p class="soft">"None yet. Ask an administrator to let you into one."</p> })}
            {if all {
                view! { <p>"As an instance administrator you may enter " <a href="/system/workspaces">"every workspace"</a> "."</p> }.into_any()
            } else {
                view! { <ul class="lines">{rows}</ul> }.into_any()
            }}
        </section>
    }
}

#[component]
fn Leave(slug: String, viewer: ViewerResource, page: Listing) -> impl IntoView {
    let view = Resource::new_blocking(
        move || slug.clone(),
        move |slug| async move {
            match viewer.await? {
                Some(viewer) => get_member(slug, viewer.user.id).await,
                None => Err(Problem::not_found().into()),
            }
        },
    );
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match view.await {
                    Ok(view) => view! { <RemoveDialog view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

#[component]
fn Password(page: Listing) -> impl IntoView {
    let action = Sending::to::<ChangePassword>();
    let fault = action.fault();
    after(action, page, "Your password was changed.");
    view! {
        <section class="account-section" aria-labelledby="password-title">
            <h2 id="password-title">"Password"</h2>
            <SendForm to=action>
                <div class="stack">
                    <FaultNotice fault fields=&["present", "password"] />
                    <Field name="present" label="Present password" kind="password" autocomplete="current-password" required=true error=error(action, "present") />
                    <Field name="password" label="New password" kind="password" hint="At least 15 characters. A sentence is easy to remember." autocomplete="new-password" required=true error=error(action, "password") />
                    <label class="check">
                        <input type="checkbox" name="end_others" value="true" checked=true />
                        <span>"Sign out everywhere else"</span>
                    </label>
                    <div>
                        <SubmitButton label="Change password" pending=action.pending class="button" />
                    </div>
                </div>
            </SendForm>
        </section>
    }
}

#[component]
fn Sessions(sessions: Vec<SessionSummary>, now: Timestamp, page: Listing) -> impl IntoView {
    let end = Sending::to::<EndSession>();
    let end_others = Sending::to::<EndOtherSessions>();
    after(end, page, "The session was ended.");
    after(end_others, page, "Every other session was ended.");
    let others = sessions.iter().any(|session| !session.current);
    let rows = sessions.into_iter().map(|session| {
        let ip = session.ip.unwrap_or_else(|| "an unknown address".to_owned());
        let client = session.client.unwrap_or_else(|| "An unknown browser".to_owned());
        let named = format!("Sign out {client} at {ip}");
        view! {
            <li class="line">
                <span class="two-lines">
                    <span>
                        {client} " · " <span class="mono">{ip}</span>
                        {session.current.then(|| view! { <span class="chip this-one">"This one"</span> })}
                    </span>
                    <span>
                        "Signed in "
                        <Moment at=session.created_at precision=Precision::Minute />
                        ", last used "
                        <Moment at=session.last_seen_at precision=Precision::Distance(now) />
                    </span>
                </span>
                {(!session.current)
                    .then(|| {
                        view! {
                            <SendForm to=end>
                                <input type="hidden" name="session" value=session.id.to_string() />
                                <button class="button button-small button-quiet" aria-label=named>
                                    "Sign out"
                                </button>
                            </SendForm>
                        }
                    })}
            </li>
        }
    });
    let rows = rows.collect_view();
    view! {
        <section class="account-section" aria-labelledby="sessions-title">
            <h2 id="sessions-title">"Sessions"</h2>
            <div class="stack">
                <FaultNotice fault=end.fault() />
                <ul class="lines">{rows}</ul>
                {others
                    .then(|| {
                        view! {
                            <SendForm to=end_others>
                                <button class="button">"Sign out elsewhere"</button>
                            </SendForm>
                        }
                    })}
            </div>
        </section>
    }
}
