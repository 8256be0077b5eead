//! The form of an import of routes, posted by a browser without script. The answer to the post is the page with the rules: the
//! document is too large for an address, and nothing is saved that could be led to.

use std::collections::BTreeMap;

use axum::Form;
use axum::body::Body;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::Response;
use keyfold_app::functions::routes::{ImportForm, SentImport, import};
use keyfold_domain::policy::Principal;
use keyfold_domain::problem::{Problem, ProblemCode};
use leptos::prelude::provide_context;

use super::new_key::sign_in;
use super::{page_again, refusal, request_context};
use crate::auth::RequestActor;
use crate::state::AppState;

/// The address of the form, as the pages know it.
pub(crate) const IMPORT_ROUTES: &str = "/w/{workspace}/routes/import";

/// Shows the rules that the form's document makes, or the form again with what is wrong.
pub(crate) async fn import_routes(
    State(state): State<AppState>,
    RequestActor(actor): RequestActor,
    Path(slug): Path<String>,
    request: Request,
) -> Response<Body> {
    if matches!(actor.principal, Principal::Anonymous) {
        return sign_in(request.uri());
    }
    let (parts, body) = request.into_parts();
    let sent = Request::from_parts(parts.clone(), body);
    // Its size was looked at when it was taken in.
    let Ok(Form(pairs)) = Form::<Vec<(String, String)>>::from_request(sent, &()).await else {
        return refusal(&Problem::new(ProblemCode::Invalid, "The form cannot be read. Load the page again."));
    };
    let typed: BTreeMap<String, String> = pairs.into_iter().filter(|(name, _)| ImportForm::FIELDS.contains(&name.as_str())).collect();
    let text = |name: &str| typed.get(name).cloned().unwrap_or_default();
    let form = ImportForm {
        document: text("document"),
        read: text("read"),
        write: text("write"),
        delete: text("delete"),
        prefix: text("prefix"),
        variable: text("variable"),
        kind: text("kind"),
    };
    let context = request_context(&state, actor.clone(), &parts.headers);
    let imported = import(&context, &actor, &slug, &form).await;
    let refused = imported.as_ref().err().map(|fault| fault.problem.clone());
    let sent = SentImport { typed, imported };
    page_again(&state, parts, refused.as_ref(), move || provide_context(sent.clone())).await
}
