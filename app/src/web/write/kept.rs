//! Nothing typed is lost: when a form can't be taken now, or the program fails, its fields come back on a page with one button.

use askama::Template;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use crate::web::app::Shared;
use crate::web::layout::Layout;
use crate::web::visitor::Manner;
use crate::web::{EDITOR_BYTES_MAX, FORM_BYTES_MAX};

/// Share of a request's time after which a form is answered with what was typed: after all of it, nobody could.
const SHARE_OF_TIME: f64 = 0.9;

#[derive(Template)]
#[template(path = "kept.html")]
struct KeptTemplate {
    l: Layout,
    path: String,
    why: &'static str,
    signed_out: bool,
    fields: Vec<(String, String)>,
}

impl KeptTemplate {
    /// The field that took the time to write is shown; the others ride along.
    fn is_long(&self, name: &str) -> bool {
        name == "body"
    }
}

/// Puts the layer around forms.
pub(crate) fn keep_typed(forms: Router<Shared>, app: &Shared) -> Router<Shared> {
    forms.layer(from_fn_with_state(app.clone(), keep))
}

async fn keep(State(app): State<Shared>, request: Request, next: Next) -> Response {
    if *request.method() != Method::POST {
        return next.run(request).await;
    }
    let manner = Manner::of(&app, request.headers(), request.uri());
    let (parts, body) = request.into_parts();
    let bytes_max = if parts.uri.path().starts_with("/desk") { EDITOR_BYTES_MAX } else { FORM_BYTES_MAX };
    let Ok(bytes) = to_bytes(body, bytes_max).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = parts.uri.path().to_owned();
    let answer = next.run(Request::from_parts(parts, Body::from(bytes.clone())));
    let most = app.options.request_timeout.mul_f64(SHARE_OF_TIME);
    let mut response = match tokio::time::timeout(most, answer).await {
        Ok(response) => response,
        Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
    };
    let signed_out =
        response.headers().get(header::LOCATION).is_some_and(|place| place.as_bytes().starts_with(b"/login"));
    let t = manner.text();
    let (status, why) = match response.status() {
        StatusCode::SERVICE_UNAVAILABLE => (StatusCode::SERVICE_UNAVAILABLE, t.kept_away),
        StatusCode::GATEWAY_TIMEOUT => (StatusCode::SERVICE_UNAVAILABLE, t.kept_failed),
        StatusCode::INTERNAL_SERVER_ERROR => (StatusCode::INTERNAL_SERVER_ERROR, t.kept_failed),
        StatusCode::SEE_OTHER if signed_out => (StatusCode::UNAUTHORIZED, t.kept_signed_out),
        _ => return response,
    };
    let page = serde_urlencoded::from_bytes::<Vec<(String, String)>>(&bytes).ok().and_then(|fields| {
        let l = Layout::bare(&app, &manner, t.kept_title.to_owned()).unlisted();
        KeptTemplate { l, path, why, signed_out, fields }.render().ok()
    });
    match page {
        Some(html) => {
            (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], html)
                .into_response()
        }
        None => {
            *response.status_mut() = status;
            response
        }
    }
}
