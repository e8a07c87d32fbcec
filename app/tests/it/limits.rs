//! What strangers and mistakes can not do.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use blog::store::{Draft, LoadPost, Publication, Role};
use blog::web::faults::Faults;
use blog::web::{CookieSafety, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::process::{Process, Visitor, run};
use crate::support::{TestBlog, options};

/// The same blog on both databases; PostgreSQL only where it is installed.
async fn on_both() -> Vec<TestBlog> {
    let mut blogs = vec![TestBlog::empty().await.signed_in("root", Role::Admin).await];
    if let Some(url) = crate::postgres::database().await {
        blogs.push(TestBlog::on(&url, options()).await.signed_in("root", Role::Admin).await);
    }
    blogs
}

const SCRIPT: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";

#[tokio::test]
async fn script_nul_and_broken_text_in_any_field_of_any_form_harm_nothing() {
    let long = "长".repeat(3_000);
    for blog in on_both().await {
        blog.write("Steady", "text").await;
        for value in [SCRIPT, "a\0b", "\u{feff}\u{202e}x\u{fffe}", "😀😀", "'; DROP TABLE posts; --", &long]
        {
            for (path, fields) in FORMS {
                let form: Vec<_> =
                    fields.iter().map(|(name, given)| (*name, given.unwrap_or(value))).collect();
                let answer = blog.post(path, &form).await;
                let all = format!("{path} with {value:.30?}: {} {}", answer.status, answer.body);
                assert!(!answer.status.is_server_error(), "{all}");
                assert!(
                    !answer.body.contains("<script>alert") && !answer.body.contains("<img src=x"),
                    "{all}"
                );
            }
        }
        for path in PAGES {
            let page = blog.get(path).await;
            assert_eq!(page.status, StatusCode::OK, "{path}");
            assert!(!page.body.contains("<script>alert") && !page.body.contains("<img src=x"), "{path}");
        }
        for path in ["/posts/%00", "/tags/a%00", "/media/%00.png", "/invite/%00"] {
            assert_eq!(blog.get(path).await.status, StatusCode::BAD_REQUEST, "{path}");
        }
        assert_ne!(blog.get("/search?q=a%00b").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}

type Fields = &'static [(&'static str, Option<&'static str>)];

/// Forms with their fields; those without a value here get the attack.
const FORMS: &[(&str, Fields)] = &[
    (
        "/desk/posts",
        &[
            ("title", None),
            ("body", None),
            ("summary", None),
            ("category", None),
            ("tags", None),
            ("action", Some("publish")),
        ],
    ),
    (
        "/desk/posts",
        &[
            ("title", Some("Slug")),
            ("body", None),
            ("slug", None),
            ("action", Some("publish")),
            ("comments_open", Some("on")),
        ],
    ),
    ("/desk/posts", &[("title", Some("At")), ("body", Some("x")), ("publish_at", None)]),
    ("/desk/posts", &[("title", Some("Cover")), ("body", Some("x")), ("cover", None)]),
    ("/posts/steady/comments", &[("body", None), ("name", None)]),
    ("/posts/steady/comments", &[("body", Some("x")), ("url", None), ("email", None), ("parent", None)]),
    ("/desk/autosave", &[("title", None), ("body", None), ("post", Some("0")), ("version", Some("0"))]),
    ("/desk/preview", &[("title", None), ("body", None)]),
    (
        "/desk/settings",
        &[("title", None), ("tagline", None), ("time_zone", Some("UTC")), ("page_size", Some("5"))],
    ),
    ("/desk/settings", &[("title", Some("Blog")), ("time_zone", None), ("page_size", None)]),
    ("/desk/account", &[("action", Some("profile")), ("display_name", None), ("bio", None)]),
    ("/desk/account", &[("action", Some("token")), ("name", None)]),
    ("/desk/account", &[("action", Some("password")), ("current", None), ("password", None)]),
    ("/desk/users", &[("action", Some("invite")), ("role", None)]),
    ("/desk/users", &[("action", Some("withdraw")), ("token", None)]),
    ("/desk/terms", &[("action", Some("rename")), ("kind", Some("tag")), ("id", Some("1")), ("name", None)]),
    ("/desk/comments", &[("action", None), ("id", None), ("back", None)]),
    ("/login", &[("username", None), ("password", None), ("next", None)]),
];

const PAGES: &[&str] = &[
    "/",
    "/posts/steady",
    "/tags",
    "/categories",
    "/archive",
    "/feed.xml",
    "/rss.xml",
    "/feed.json",
    "/search?q=alert",
    "/desk",
    "/desk/posts/1",
    "/desk/posts/new",
    "/desk/posts/1/revisions",
    "/desk/comments",
    "/desk/terms",
    "/desk/users",
    "/desk/settings",
    "/desk/account",
    "/desk/audit",
];

#[tokio::test]
async fn no_page_needs_script_or_style_inside_itself() {
    let blog = TestBlog::seeded(5).await.signed_in("root", Role::Admin).await;
    let post = blog
        .get("/")
        .await
        .body
        .split("<h2><a href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let pages = PAGES
        .iter()
        .filter(|path| !path.contains("feed") && !path.contains("rss") && !path.contains("steady"));
    for path in pages.copied().chain([post.as_str(), "/login", "/nowhere"]) {
        let page = blog.get(path).await.body;
        for element in page.split("<script").skip(1) {
            assert!(
                element.starts_with(" src=") || element.starts_with(" type=\"application/ld+json\""),
                "{path}"
            );
        }
        for inline in [" style=\"", "<style", " onclick=", " onload=", " onerror=", "javascript:"] {
            assert!(!page.contains(inline), "{path} has {inline}");
        }
    }
}

#[tokio::test]
async fn cookies_are_safe_unless_plain_http_is_asked_for_by_name() {
    for (cookies, is_secure) in [(CookieSafety::Secure, true), (CookieSafety::PlainHttp, false)] {
        let blog =
            TestBlog::with(Options { cookies, ..options() }).await.signed_in("ada", Role::Author).await;
        let login = [("username", "ada"), ("password", "correct horse battery")];
        let answers = [blog.post("/login", &login).await, blog.get("/preferences?theme=dark").await];
        for answer in answers {
            let cookie = answer.header("set-cookie");
            assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax"), "{cookie}");
            assert_eq!(cookie.contains("; Secure"), is_secure, "{cookie}");
        }
    }
}

#[tokio::test]
async fn a_client_can_not_choose_its_address_past_the_proxies_that_are_trusted() {
    for (hops, forwarded, limited) in [
        // Nobody in front: what a client says of itself counts for nothing.
        (0, ["1.1.1.1", "2.2.2.2"], true),
        // One proxy appends what it saw; what stood before it is the client's own invention.
        (1, ["1.1.1.1, 9.9.9.9", "2.2.2.2, 9.9.9.9"], true),
        (1, ["9.9.9.9, 1.1.1.1", "9.9.9.9, 2.2.2.2"], false),
        // Two proxies: the second from the right.
        (2, ["1.1.1.1, 10.0.0.1", "2.2.2.2, 10.0.0.1"], false),
    ] {
        let blog = TestBlog::with(Options { trusted_hops: hops, ..options() }).await;
        let blog = blog.signed_in("ed", Role::Editor).await;
        blog.write("Open", "text").await;
        let blog = blog.signed_out();
        let mut last = StatusCode::OK;
        for number in 0..8 {
            let body = format!("comment {number}");
            let form = [("name", "x"), ("body", body.as_str())];
            let headers = [("origin", "http://blog.test"), ("x-forwarded-for", forwarded[number % 2])];
            last = blog.post_with("/posts/open/comments", &form, &headers).await.status;
        }
        assert_eq!(last == StatusCode::TOO_MANY_REQUESTS, limited, "{hops} hops, {forwarded:?}");
    }
}

#[tokio::test]
async fn a_title_of_two_hundred_characters_is_fine_everywhere_and_one_more_comes_back() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let title = "灰".repeat(199) + "😀";
    blog.write(&title, "text").await;
    for path in ["/", "/feed.xml", "/desk"] {
        assert!(blog.get(path).await.body.contains(&title), "{path}");
    }
    let long = title + "x";
    let answer =
        blog.post("/desk/posts", &[("title", &long), ("body", "kept text"), ("action", "publish")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body.contains(&long) && answer.body.contains("kept text"));
}

#[tokio::test]
async fn a_text_of_ten_megabytes_is_refused_with_the_limit_and_comes_back_whole() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let body = "lorem-ipsum ".repeat((10 << 20) / 12);
    let answer =
        blog.post("/desk/posts", &[("title", "Novel"), ("body", &body), ("action", "publish")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body.contains("at most 2 MiB") && answer.body.contains(body.trim_end()));
    let most = "灰度 ".repeat((2 << 20) / 7);
    blog.write_with(&[("title", "Book"), ("body", &most)]).await;
    assert!(blog.get("/posts/book").await.bytes > most.len());
    let stranger = blog.signed_out();
    let huge = stranger.post("/posts/book/comments", &[("name", "x"), ("body", &body)]).await;
    assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE, "strangers may send far less");
}

#[tokio::test]
async fn bytes_that_are_no_text_become_a_readable_page() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let request = Request::post("/desk/posts")
        .header("host", "blog.test")
        .header("origin", "http://blog.test")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(&b"title=%FF%FEbroken&body=%C3%28+\xff\xfe&action=publish"[..]))
        .unwrap();
    let answer = blog.send(request).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert!(blog.get("/posts/broken").await.body.contains("\u{fffd}("));
}

#[tokio::test]
async fn eight_editors_of_one_post_are_one_winner_and_seven_who_still_have_their_text() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let id = blog.write("Shared", "first").await;
    let mut tasks = Vec::new();
    for number in 0..8 {
        let process = blog.second_process(options()).await;
        tasks.push(tokio::spawn(async move {
            let body = format!("text of editor {number}");
            let form = [("title", "Shared"), ("body", body.as_str()), ("version", "1"), ("action", "save")];
            let answer = process.post(&format!("/desk/posts/{id}"), &form).await;
            assert!(answer.status == StatusCode::SEE_OTHER || answer.body.contains(&body), "{}", answer.body);
            answer.status
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|status| **status == StatusCode::SEE_OTHER).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == StatusCode::CONFLICT).count(), 7, "{answers:?}");
}

#[tokio::test]
async fn the_same_title_saved_by_eight_at_once_makes_eight_posts() {
    for blog in on_both().await {
        let blog = std::sync::Arc::new(blog);
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let blog = blog.clone();
                tokio::spawn(async move { blog.write("Same", "text").await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        for slug in ["same", "same-2", "same-8"] {
            assert_eq!(blog.get(&format!("/posts/{slug}")).await.status, StatusCode::OK, "{slug}");
        }
    }
}

#[tokio::test]
async fn a_word_that_stands_everywhere_still_leads_to_the_old_post_that_has_it_in_its_title() {
    for blog in on_both().await {
        let post = |number: i64, title: String| LoadPost {
            draft: Draft {
                kind: "post",
                slug: format!("post-{number}"),
                title,
                body: "a common word".to_owned(),
                publication: Publication::Published(1_700_000_000 + number),
                ..Draft::default()
            },
            author_id: 1,
            created_at: 1_700_000_000,
            updated_at: 1_700_000_000,
        };
        let mut posts = vec![post(0, "All about common things".to_owned())];
        posts.extend((1..700).map(|number| post(number, format!("Post {number}"))));
        blog.app.store.load_posts(&posts).await.unwrap();
        let found = blog.get("/search?q=common").await.body;
        let first = found.split("class=\"result\"").nth(1).unwrap();
        assert!(first.contains("/posts/post-0\""), "{first}");
        assert_eq!(found.matches("class=\"result\"").count(), 10);
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_or_fails_is_answered_and_a_form_comes_back() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    blog.write("Open", "text").await;
    let slow = Faults { error_rate: 0.0, slow_rate: 1.0, slow: Duration::from_secs(60) };
    let failing = Faults { error_rate: 1.0, slow_rate: 0.0, slow: Duration::ZERO };
    for (faults, status) in
        [(slow, StatusCode::SERVICE_UNAVAILABLE), (failing, StatusCode::INTERNAL_SERVER_ERROR)]
    {
        let options = Options { faults, request_timeout: Duration::from_millis(200), ..options() };
        let process = blog.second_process(options).await;
        let page = process.get("/").await;
        assert_eq!(page.status, status);
        assert!(page.body.contains("<!doctype html>"), "{}", page.body);
        for path in ["/desk/posts", "/desk/posts/1", "/posts/open/comments"] {
            let form = [("title", "A <title>"), ("body", "Hours of work & more"), ("action", "publish")];
            let answer = process.post(path, &form).await;
            assert_eq!(answer.status, status, "{path}");
            for kept in
                ["Hours of work &#38; more</textarea>", "value=\"A &#60;title&#62;\"", "value=\"publish\""]
            {
                assert!(answer.body.contains(kept), "{path}: {}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("blog.db");
    run(&database, &["migrate"], "").await;
    let process = Process::start(&database, &[]).await;
    let mut stream = tokio::net::TcpStream::connect(process.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n", "x".repeat(64 << 10));
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn metrics_tell_routes_pool_and_build_and_a_stranger_adds_no_series() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("blog.db");
    let flags = ["--metrics-listen", "127.0.0.1:0", "--app-version", "v7"];
    let process = Process::with_author(&database, &flags).await;
    let visitor = Visitor::stranger(process.address);
    for path in ["/", "/posts/a", "/posts/b", "/posts/%E7%81%B0", "/no/such/place", "/version", "/startupz"] {
        visitor.get(path).await.unwrap();
    }
    let text = visitor.at(process.metrics.unwrap()).get("/metrics").await.unwrap().body;
    for line in [
        "http_request_duration_seconds_count{method=\"GET\",path=\"/posts/{slug}\",status=\"404\"} 3",
        "http_request_duration_seconds_count{method=\"GET\",path=\"other\",status=\"404\"} 1",
        "http_requests_in_flight 0",
        "blog_database_connections{pool=\"write\",state=\"max\"} 1",
        "blog_build_info{schema=\"",
        "version=\"v7\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("no/such"), "{text}");
}

#[tokio::test]
async fn faults_are_off_by_default_and_loud_when_on() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("blog.db");
    run(&database, &["migrate"], "").await;
    assert!(!logged(&database, &[]).await.contains("FAULT"));
    let log = logged(&database, &["--fault-error-rate", "1"]).await;
    assert!(log.contains("WARN") && log.contains("FAULT INJECTION IS ON"), "{log}");
}

/// What a process says while it starts and answers one request.
async fn logged(database: &Path, flags: &[&str]) -> String {
    let process = Process::start(database, flags).await;
    let status = Visitor::stranger(process.address).get("/").await.unwrap().status;
    assert_eq!(status, if flags.is_empty() { 200 } else { 500 });
    process.log().await
}
