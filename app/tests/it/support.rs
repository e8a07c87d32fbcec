//! A blog for one test.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use blog::store::{DatabaseUrl, Role, Store};
use blog::web::faults::Faults;
use blog::web::passwords::Passwords;
use blog::web::{App, CookieSafety, Options, Shared, router};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// What browsers call themselves.
pub(crate) const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36";

/// A blog with a database of its own.
pub(crate) struct TestBlog {
    pub(crate) app: Shared,
    pub(crate) folder: tempfile::TempDir,
    router: Router,
    cookie: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: String,
    /// Bytes of the body as they were sent.
    pub(crate) bytes: usize,
}

impl Answer {
    /// A header's value, or empty.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> String {
        let values: Vec<_> = self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        values.join(", ")
    }
}

/// The options of a process in tests.
pub(crate) fn options() -> Options {
    Options {
        version: "v1".to_owned(),
        accent: "#0f766e".parse().unwrap(),
        base_url: None,
        trusted_hops: 0,
        cookies: CookieSafety::Secure,
        faults: Faults::default(),
        request_timeout: Duration::from_secs(20),
        page_cache_bytes: 1 << 20,
        pictures: blog::pictures::Place::Database,
    }
}

/// An empty migrated SQLite database in a folder.
pub(crate) async fn sqlite(folder: &Path) -> Store {
    migrated(&DatabaseUrl::Sqlite(folder.join("blog.db"))).await
}

/// An empty database with the schema of this program, or with that of a newer release: `BLOG_TEST_MIGRATE_WITH`
/// names its program, so that this very suite shows that both releases can share a database.
pub(crate) async fn migrated(url: &DatabaseUrl) -> Store {
    let Some(newer) = std::env::var_os("BLOG_TEST_MIGRATE_WITH") else {
        let store = Store::create(url).await.unwrap();
        store.migrate().await.unwrap();
        return store;
    };
    let text = match url {
        DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
        DatabaseUrl::Postgres(text) => text.clone(),
    };
    let done = std::process::Command::new(newer).args(["migrate", "--database-url", &text]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Store::open(url).await.unwrap()
}

impl TestBlog {
    /// An empty blog.
    pub(crate) async fn empty() -> Self {
        Self::with(options()).await
    }

    /// An empty blog with options.
    pub(crate) async fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = sqlite(folder.path()).await;
        let app = App::new(store, options).unwrap();
        Self { router: router(&app), app, folder, cookie: None }
    }

    /// An empty blog on a database that is there.
    pub(crate) async fn on(url: &DatabaseUrl, options: Options) -> Self {
        let store = Store::create(url).await.unwrap();
        store.migrate().await.unwrap();
        let app = App::new(store, options).unwrap();
        Self { router: router(&app), app, folder: tempfile::tempdir().unwrap(), cookie: None }
    }

    /// A blog with example posts.
    pub(crate) async fn seeded(posts: u32) -> Self {
        let blog = Self::empty().await;
        blog::seed::fill(&blog.app.store, posts, None).await.unwrap();
        blog
    }

    /// Another process on the same database.
    pub(crate) async fn second_process(&self, options: Options) -> Self {
        let store = Store::open(&DatabaseUrl::Sqlite(self.folder.path().join("blog.db"))).await.unwrap();
        let app = App::new(store, options).unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { router: router(&app), app, folder, cookie: self.cookie.clone() }
    }

    /// Makes an account and signs in, through the pages.
    pub(crate) async fn signed_in(self, username: &str, role: Role) -> Self {
        let hash = Passwords::new().hash("correct horse battery".to_owned()).await.unwrap();
        self.app.store.create_user((username, username), &hash, role, 1_700_000_000).await.unwrap();
        self.sign_in(username).await
    }

    /// Signs in with an account that is there.
    pub(crate) async fn sign_in(mut self, username: &str) -> Self {
        let answer =
            self.post("/login", &[("username", username), ("password", "correct horse battery")]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        self.cookie = Some(answer.header("set-cookie").split(';').next().unwrap().to_owned());
        self
    }

    pub(crate) fn signed_out(mut self) -> Self {
        self.cookie = None;
        self
    }

    /// A request as it is; the cookie of the session is added.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        if let Some(cookie) = &self.cookie {
            request.headers_mut().append(header::COOKIE, cookie.parse().unwrap());
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes: body.len(),
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// A request of a browser with more headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(path).header("host", "blog.test").header("user-agent", BROWSER);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// A page in English.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[("accept-language", "en")]).await
    }

    /// A form that a browser sends from a page of this site.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, fields, &[("origin", "http://blog.test")]).await
    }

    /// A form with more headers.
    pub(crate) async fn post_with(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let encode = |text: &str| blog::text::url_segment(text);
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("host", "blog.test")
            .header("user-agent", BROWSER)
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.join("&"))).unwrap()).await
    }

    /// Writes a post through the editor; the number of the post.
    pub(crate) async fn write(&self, title: &str, body: &str) -> i64 {
        self.write_with(&[("title", title), ("body", body)]).await
    }

    /// Writes and publishes a post through the editor, with more fields.
    pub(crate) async fn write_with(&self, fields: &[(&str, &str)]) -> i64 {
        let mut all = fields.to_vec();
        for (name, value) in [("action", "publish"), ("comments_open", "on")] {
            if !fields.iter().any(|(given, _)| *given == name) {
                all.push((name, value));
            }
        }
        let answer = self.post("/desk/posts", &all).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        let place = answer.header("location");
        place.trim_start_matches("/desk/posts/").split('?').next().unwrap().parse().unwrap()
    }
}
