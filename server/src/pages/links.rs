//! Forms that make a one-time link, posted by a browser without script. The answer to the post is the page with the link, so
//! that its token is in no redirect and no page that could be loaded again.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response};
use keyfold_app::functions::context::RequestContext;
use keyfold_app::functions::fault::Fault;
use keyfold_app::functions::members::{InvitationForm, InviteMember, make_invitation};
use keyfold_app::functions::one_time_link::OneTimeLink;
use keyfold_app::functions::sessions::{PASSWORD_AGAIN, step_up_with};
use keyfold_app::functions::users::{CreateResetLink, CreateUser, PersonForm, make_reset_link, make_user};
use keyfold_app::pages::link_once::LinkWords;
use keyfold_app::{provide_refusal, render_link_page};
use keyfold_domain::policy::{Actor, Principal};
use keyfold_domain::problem::Problem;

use super::new_key::{page, read, sign_in};
use super::{assets, page_again, refusal, request_context};
use crate::auth::RequestActor;
use crate::state::AppState;

/// The address of the form of an invitation, as the pages know it.
pub(crate) const INVITE: &str = "/w/{workspace}/members/invite";
/// The address of the form of a new user.
pub(crate) const NEW_USER: &str = "/system/users/new";
/// The address of the form of a link to a new password.
pub(crate) const RESET_LINK: &str = "/system/users/{user}/reset";

const INVITED: LinkWords = LinkWords {
    title: "Copy the invitation",
    text: "Send it to whoever you invite, by a way that others cannot read.",
    life: "It works once, for 7 days.",
};
const ADDED: LinkWords = LinkWords {
    title: "Copy the link to a password",
    text: "Send it to its user, by a way that others cannot read. With it they choose a password and can sign in.",
    life: "It works once, for 24 hours.",
};

/// A form that was posted, and by whom.
struct Posted {
    parts: Parts,
    pairs: Vec<(String, String)>,
    context: RequestContext,
    actor: Actor,
    /// The cookie of a session that took the place of the present one, because the form brought the password along.
    cookie: Option<String>,
}

impl Posted {
    /// Reads the form; with a password in it the actor has a fresh proof from here on. An answer in place of a form is
    /// final.
    async fn read(state: &AppState, actor: Actor, request: Request) -> Result<(Self, Result<(), Fault>), Box<Response<Body>>> {
        if matches!(actor.principal, Principal::Anonymous) {
            return Err(Box::new(sign_in(request.uri())));
        }
        let (parts, body) = request.into_parts();
        let pairs = read(&parts, body).await.map_err(|problem| Box::new(refusal(&problem)))?;
        let context = request_context(state, actor.clone(), &parts.headers);
        let mut posted = Self { parts, pairs, context, actor, cookie: None };
        let password = posted.field(PASSWORD_AGAIN);
        if password.is_empty() {
            return Ok((posted, Ok(())));
        }
        let proven = match step_up_with(&posted.context, &posted.actor, password).await {
            Ok((actor, cookie)) => {
                posted.actor = actor;
                posted.cookie = Some(cookie);
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        Ok((posted, proven))
    }

    fn field(&self, name: &str) -> String {
        self.pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The page with the link, or the form again as it was, with what is wrong.
    async fn answer<S: leptos::server_fn::ServerFn>(
        self,
        state: &AppState,
        made: Result<OneTimeLink, Fault>,
        words: &'static LinkWords,
        back: &str,
        fields: &[&str],
    ) -> Response<Body> {
        let cookie = self.cookie.clone();
        let mut response = match made {
            Ok(link) => page(render_link_page(&assets(), &self.context, &link, words, back)),
            Err(mut fault) => {
                fault.typed = fields.iter().map(|name| ((*name).to_owned(), self.field(name))).collect();
                self.form_again::<S>(state, fault).await
            }
        };
        if let Some(mut value) = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
            value.set_sensitive(true);
            response.headers_mut().append(SET_COOKIE, value);
        }
        response
    }

    async fn form_again<S: leptos::server_fn::ServerFn>(mut self, state: &AppState, fault: Fault) -> Response<Body> {
        let shown = fault.problem.clone();
        // The session may have been replaced on the way here; the page is for whoever is there now.
        self.parts.extensions.insert(self.actor);
        page_again(state, self.parts, Some(&shown), move || provide_refusal::<S>(&fault)).await
    }
}

/// Makes the invitation that the form asks for and shows its link once.
pub(crate) async fn invite(
    State(state): State<AppState>,
    RequestActor(actor): RequestActor,
    Path(slug): Path<String>,
    request: Request,
) -> Response<Body> {
    let (posted, proven) = match Posted::read(&state, actor, request).await {
        Ok(read) => read,
        Err(answer) => return *answer,
    };
    let form = InvitationForm { role: posted.field("role"), label: posted.field("label") };
    let made = match proven {
        Ok(()) => make_invitation(&posted.context, &posted.actor, &slug, &form).await,
        Err(fault) => Err(fault),
    };
    posted.answer::<InviteMember>(&state, made, &INVITED, &format!("/w/{slug}/members"), &["role", "label"]).await
}

/// Adds the user that the form asks for and shows the link to a password once.
pub(crate) async fn create_user(State(state): State<AppState>, RequestActor(actor): RequestActor, request: Request) -> Response<Body> {
    let (posted, proven) = match Posted::read(&state, actor, request).await {
        Ok(read) => read,
        Err(answer) => return *answer,
    };
    let form = PersonForm {
        username: posted.field("username"),
        email: posted.field("email"),
        display_name: posted.field("display_name"),
        instance_admin: !posted.field("instance_admin").is_empty(),
    };
    let made = match proven {
        Ok(()) => make_user(&posted.context, &posted.actor, &form).await,
        Err(fault) => Err(fault),
    };
    let fields = ["username", "email", "display_name", "instance_admin"];
    posted.answer::<CreateUser>(&state, made, &ADDED, "/system/users", &fields).await
}

/// Makes a link to a new password and shows it once.
pub(crate) async fn create_reset_link(
    State(state): State<AppState>,
    RequestActor(actor): RequestActor,
    Path(user): Path<String>,
    request: Request,
) -> Response<Body> {
    let (posted, proven) = match Posted::read(&state, actor, request).await {
        Ok(read) => read,
        Err(answer) => return *answer,
    };
    let made = match (proven, user.parse()) {
        (Ok(()), Ok(user)) => make_reset_link(&posted.context, &posted.actor, &user).await,
        (Ok(()), Err(_)) => Err(Problem::not_found().into()),
        (Err(fault), _) => Err(fault),
    };
    posted.answer::<CreateResetLink>(&state, made, &ADDED, "/system/users", &[]).await
}
