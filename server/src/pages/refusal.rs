//! A refusal as a page of its own. It is plain HTML, so that it can be shown when nothing else works.

use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use keyfold_domain::problem::Problem;

use crate::problem::stamp;
use crate::site;
use crate::telemetry::RequestId;

pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(super) const STYLE_ONLY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The page: what happened, what to do, and the request's id for whoever has to look into it.
pub(crate) fn refusal(problem: &Problem) -> Response<Body> {
    let style = site::CSS.map(|css| format!("<link rel=\"stylesheet\" href=\"{css}\">")).unwrap_or_default();
    let title = escape(problem.code.title());
    let page = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} · Keyfold</title>{style}<link rel=\"icon\" href=\"/favicon.svg\"></head><body><main class=\"gate\" id=\"main\">\
         <div class=\"gate-brand\"><h1>{title}</h1><p>{}</p></div><p class=\"small faint\">Request {}</p>\
         <a class=\"button\" href=\"/\">Go to the start</a></main></body></html>",
        escape(&problem.message),
        RequestId::current()
    );
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HTML);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, STYLE_ONLY);
    stamp(&mut response, problem);
    response
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn words_from_outside_stay_words() {
        let response = refusal(&Problem::invalid("name", "<script>alert('x')</script>"));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let page = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let page = std::str::from_utf8(&page).unwrap();
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") && !page.contains("<script"));
    }
}
