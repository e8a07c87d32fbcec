//! What browsers, links and files of the previous release hold must be read by this one: each test has the very bytes.

use axum::http::StatusCode;
use blog::pictures::Place;
use blog::store::{Cursor, NewSession, Role};
use blog::transfer::{Options, Source, import};
use blog::web::passwords::Passwords;

use crate::support::TestBlog;

const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// SHA-256 of the 64 characters above.
const TOKEN_SHA256: &str = "2a8abfa8cb9906290437854193ca6bca";

#[tokio::test]
async fn a_session_cookie_of_the_previous_release_signs_in() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await.signed_out();
    let token_hash = blog::text::sha256_hex(TOKEN.as_bytes());
    assert!(token_hash.starts_with(TOKEN_SHA256), "{token_hash}");
    let session = NewSession {
        token_hash,
        user_id: 1,
        expires_at: i64::MAX,
        user_agent: String::new(),
        address: String::new(),
    };
    blog.app.store.start_session(&session, 1).await.unwrap();
    let cookie = format!("blog_theme=dark; blog_session={TOKEN}; blog_lang=zh");
    let desk = blog.get_with("/desk", &[("cookie", &cookie), ("accept-language", "en")]).await;
    assert_eq!(desk.status, StatusCode::OK);
    assert!(
        desk.body.contains("lang=\"zh-CN\"") && desk.body.contains("data-theme=\"dark\""),
        "{}",
        desk.body
    );
}

#[tokio::test]
async fn the_session_cookie_is_written_as_the_previous_release_reads_it() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await.signed_out();
    let form = [("username", "ada"), ("password", "correct horse battery")];
    let cookie = blog.post("/login", &form).await.header("set-cookie").to_owned();
    let (token, rest) = cookie.strip_prefix("blog_session=").unwrap().split_at(64);
    assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{cookie}");
    assert_eq!(rest, "; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure");
}

#[tokio::test]
async fn a_password_hash_of_the_previous_release_still_fits() {
    let hash =
        "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$69I7qCjDTsQwhQqFvpQJiqEI0lGQvxC84fXE0Ktxca4";
    let passwords = Passwords::new();
    assert!(passwords.verify("correct horse battery".to_owned(), Some(hash.to_owned())).await);
    assert!(!passwords.verify("correct horse".to_owned(), Some(hash.to_owned())).await);
}

#[tokio::test]
async fn a_cursor_in_a_link_of_the_previous_release_leads_to_the_same_posts() {
    assert_eq!("1700000000-42".parse(), Ok(Cursor { at: 1_700_000_000, id: 42 }));
    let blog = TestBlog::seeded(30).await;
    let home = blog.get("/").await.body;
    let link = home.split("href=\"/?before=").nth(1).unwrap().split('"').next().unwrap();
    let (at, id) = link.split_once('-').unwrap();
    assert!(at.parse::<i64>().is_ok() && id.parse::<i64>().is_ok(), "{link}");
    assert!(blog.get(&format!("/?before={link}")).await.body.contains("class=\"card"));
}

#[tokio::test]
async fn an_export_of_the_first_format_is_read_and_what_a_newer_one_added_is_passed_over() {
    let blog = TestBlog::empty().await;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/export-1");
    let options =
        Options { source: Source::Blog, path, author: None, uploads: None, place: Place::Database, now: 1 };
    let report = import(&blog.app.store, options).await.unwrap();
    assert_eq!((report.posts, report.comments, report.pictures, report.accounts), (1, 2, 1, 1), "{report}");
    let post = blog.app.store.post_by_slug("canary").await.unwrap().unwrap();
    assert_eq!((post.title.as_str(), post.version, post.views), ("灰度", 2, 7));
    assert_eq!(blog.app.store.revision(post.id, 1).await.unwrap().unwrap().body, "First.");
    assert_eq!(blog.get("/posts/old-name").await.header("location"), "/posts/canary");
    assert_eq!(blog.get("/2024/canary").await.header("location"), "/posts/canary");
    assert_eq!(blog.get("/media/example-01.svg").await.status, StatusCode::OK);
    assert_eq!(blog.app.store.settings().await.unwrap().title, "Kept");
    let ada = blog.post("/login", &[("username", "ada"), ("password", "correct horse battery")]).await;
    assert_eq!(ada.status, StatusCode::SEE_OTHER, "the password came with the account");
}
