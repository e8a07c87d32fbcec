//! The pages: one file lists every route, one the layers around them, and each group of pages has its own.

mod api;
pub mod app;
mod assets;
mod bounded;
mod error;
pub mod faults;
mod i18n;
mod layers;
mod layout;
mod metrics;
pub mod passwords;
pub mod probes;
mod read;
mod rendered;
mod reuse;
mod views;
mod visitor;
mod write;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

pub use app::{App, CookieSafety, Options, Shared};
pub use assets::Accent;
pub(crate) use write::account::PASSWORD_CHARS_MIN;
pub(crate) use write::users::is_username;

/// Bytes of a form: a comment or a sign-in is far below.
const FORM_BYTES_MAX: usize = 256 << 10;
/// Bytes of the editor's form. Browsers write each Chinese character as nine bytes.
const EDITOR_BYTES_MAX: usize = 16 << 20;

/// Every address of the blog.
pub fn router(app: &Shared) -> Router {
    let editor = DefaultBodyLimit::max(EDITOR_BYTES_MAX);
    let readers = Router::new()
        .route("/", get(read::lists::home))
        .route("/posts/{slug}", get(read::post::post))
        .route("/pages/{slug}", get(read::post::page))
        .route("/tags", get(read::terms::tags))
        .route("/tags/{slug}", get(read::lists::tag))
        .route("/categories", get(read::terms::categories))
        .route("/categories/{slug}", get(read::lists::category))
        .route("/archive", get(read::terms::archive))
        .route("/archive/{year}/{month}", get(read::lists::month))
        .route("/search", get(read::search::search))
        .route("/feed.xml", get(read::feed::atom))
        .route("/rss.xml", get(read::feed::rss))
        .route("/feed.json", get(read::feed::json))
        .route("/robots.txt", get(read::sitemap::robots))
        .route("/sitemap.xml", get(read::sitemap::index))
        .route("/sitemap/pages.xml", get(read::sitemap::pages))
        .route("/sitemap/{year}/{month}", get(read::sitemap::month));
    let forms = Router::new()
        .route("/posts/{slug}/comments", get(write::comment::back).post(write::comment::create))
        .route("/desk/posts", get(write::desk::home).post(write::editor::create).layer(editor))
        .route("/desk/posts/{id}", get(write::editor::edit).post(write::editor::update).layer(editor));
    let others = Router::new()
        .route("/media/{file}", get(read::media::media))
        .route("/preferences", get(read::preferences::set))
        .route("/login", get(write::login::form).post(write::login::sign_in))
        .route("/logout", post(write::login::sign_out))
        .route("/desk", get(write::desk::posts))
        .route("/desk/posts/new", get(write::editor::new))
        .route("/desk/posts/{id}/revisions", get(write::revisions::list))
        .route(
            "/desk/posts/{id}/revisions/{version}",
            get(write::revisions::show).post(write::revisions::restore),
        )
        .route("/desk/autosave", post(write::typing::autosave).layer(editor))
        .route("/desk/autosave/forget", post(write::typing::forget))
        .route("/desk/preview", post(write::typing::preview).layer(editor))
        .route(
            "/desk/pictures",
            get(write::pictures::page)
                .post(write::pictures::upload)
                .layer(DefaultBodyLimit::max(write::pictures::UPLOAD_BYTES_MAX)),
        )
        .route("/desk/pictures/delete", post(write::pictures::delete))
        .route("/desk/terms", get(write::settings::terms).post(write::settings::change_term))
        .route("/desk/settings", get(write::settings::page).post(write::settings::save))
        .route("/desk/audit", get(write::settings::audit))
        .route("/desk/account", get(write::account::page).post(write::account::act))
        .route("/desk/users", get(write::users::page).post(write::users::act))
        .route("/invite/{token}", get(write::users::invited).post(write::users::join))
        .route("/desk/comments", get(write::moderation::queue).post(write::moderation::act))
        .merge(api::routes())
        .route("/assets/{file}", get(assets::asset))
        .route("/favicon.ico", get(assets::icon))
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .route("/startupz", get(probes::startupz))
        .route("/version", get(probes::version))
        .fallback(read::moved::moved);
    let forms = write::kept::keep_typed(layers::faulty(forms, app), app);
    let others = layers::faulty(others, app).merge(forms).layer(DefaultBodyLimit::max(FORM_BYTES_MAX));
    let routes = layers::faulty(layers::reused(readers, app), app).merge(layers::compressed(others));
    layers::wrap(routes, app)
}
