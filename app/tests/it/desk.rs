//! Authors, editors and administrators: what each may do, and what the audit log says of it.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use blog::store::{CommentStatus, NewComment, Role};
use blog::web::passwords::Passwords;

use crate::support::{TestBlog, options};

#[tokio::test]
async fn each_role_reaches_its_own_pages_and_no_others() {
    let blog = TestBlog::empty().await;
    for (role, name) in [(Role::Author, "author"), (Role::Editor, "editor"), (Role::Admin, "admin")] {
        let person = blog.second_process(options()).await.signed_in(name, role).await;
        for (path, least) in [
            ("/desk", Role::Author),
            ("/desk/posts/new", Role::Author),
            ("/desk/pictures", Role::Author),
            ("/desk/account", Role::Author),
            ("/desk/comments", Role::Editor),
            ("/desk/terms", Role::Editor),
            ("/desk/users", Role::Admin),
            ("/desk/settings", Role::Admin),
            ("/desk/audit", Role::Admin),
        ] {
            let status = if role >= least { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(person.get(path).await.status, status, "{name} at {path}");
        }
        for (path, form, least) in [
            ("/desk/comments", [("action", "approved"), ("id", "1")], Role::Editor),
            ("/desk/terms", [("action", "delete"), ("kind", "tag")], Role::Editor),
            ("/desk/users", [("action", "invite"), ("role", "admin")], Role::Admin),
            ("/desk/settings", [("title", "Mine"), ("page_size", "5")], Role::Admin),
        ] {
            let refused = person.post(path, &form).await.status == StatusCode::FORBIDDEN;
            // A form that lacks a field is refused before anybody asks who sent it; neither changes anything.
            assert!(
                refused || role >= least || path == "/desk/terms" || path == "/desk/settings",
                "{name}: {path}"
            );
        }
    }
    assert_eq!(blog.app.store.settings().await.unwrap().title, "Huidu Blog");
    for path in ["/desk", "/desk/users", "/desk/posts/new"] {
        assert_eq!(blog.get(path).await.status, StatusCode::SEE_OTHER, "{path} asks strangers to sign in");
    }
}

/// Comments of readers, `answers` naming one above by its place.
async fn comments(blog: &TestBlog, post_id: i64, bodies: &[(&str, Option<usize>)]) -> Vec<String> {
    let mut ids: Vec<i64> = Vec::new();
    for (index, (body, answers)) in bodies.iter().enumerate() {
        let comment = NewComment {
            post_id,
            parent_id: None,
            user_id: None,
            author_name: format!("Reader {index}"),
            author_email: String::new(),
            author_url: String::new(),
            body: (*body).to_owned(),
            status: CommentStatus::Pending,
            address: String::new(),
        };
        if let Some(answered) = answers {
            blog.app.store.moderate(&[ids[*answered]], CommentStatus::Approved).await.unwrap();
        }
        let parent_id = answers.map(|answered| ids[answered]);
        ids.push(blog.app.store.add_comment(&NewComment { parent_id, ..comment }, 100).await.unwrap());
    }
    ids.iter().map(i64::to_string).collect()
}

#[tokio::test]
async fn many_comments_are_approved_put_aside_or_deleted_with_one_button() {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    let post = blog.write("Talk", "x").await;
    let ids = comments(&blog, post, &[("one", None), ("two", None), ("three", None), ("four", None)]).await;
    let chosen = |action: &'static str, ids: &[String]| {
        let mut form = vec![("action", action), ("back", "pending")];
        form.extend(ids.iter().map(|id| ("id", &*id.clone().leak())));
        form
    };
    blog.post("/desk/comments", &chosen("approved", &ids[..2])).await;
    blog.post("/desk/comments", &chosen("spam", &ids[2..3])).await;
    let page = blog.get("/posts/talk").await.body;
    assert!(
        page.contains("one") && page.contains("two") && !page.contains("three") && !page.contains("four")
    );
    assert!(blog.get("/desk/comments?status=spam").await.body.contains("three"));
    assert!(blog.get("/desk/comments").await.body.contains("four"));
    blog.post("/desk/comments", &chosen("delete", &ids[2..])).await;
    for status in ["pending", "spam"] {
        let queue = blog.get(&format!("/desk/comments?status={status}")).await.body;
        assert!(!queue.contains("three") && !queue.contains("four"), "{status}");
    }
    let unknown = blog.post("/desk/comments", &chosen("publish", &ids)).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert!(unknown.body.contains("no action on comments"), "{}", unknown.body);
}

#[tokio::test]
async fn deleting_a_comment_deletes_the_answers_under_it() {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    let post = blog.write("Talk", "x").await;
    let ids = comments(&blog, post, &[("question", None), ("answer", Some(0)), ("other", None)]).await;
    blog.post("/desk/comments", &[("action", "delete"), ("id", &ids[0])]).await;
    let queue = blog.get("/desk/comments").await.body;
    assert!(!queue.contains("answer") && queue.contains("other"), "{queue}");
}

#[tokio::test]
async fn editors_write_pages_and_authors_do_not() {
    let ed = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    assert!(ed.get("/desk/posts/new").await.body.contains("name=\"kind\""));
    let id = ed.write_with(&[("title", "Imprint"), ("body", "who"), ("kind", "page")]).await;
    assert!(ed.get("/pages/imprint").await.body.contains("who"));
    assert_eq!(ed.get("/posts/imprint").await.header("location"), "/pages/imprint");
    let save = [("title", "Imprint"), ("body", "what"), ("version", "1"), ("action", "save")];
    ed.post(&format!("/desk/posts/{id}"), &save).await;
    assert!(ed.get("/pages/imprint").await.body.contains("what"), "it stays a page");
    let ada = ed.second_process(options()).await.signed_out().signed_in("ada", Role::Author).await;
    assert!(!ada.get("/desk/posts/new").await.body.contains("name=\"kind\""));
    ada.write_with(&[("title", "Trick"), ("body", "x"), ("kind", "page")]).await;
    assert_eq!(ada.get("/pages/trick").await.status, StatusCode::NOT_FOUND);
    assert_eq!(ada.get("/posts/trick").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_draft_is_scheduled_published_put_away_and_published_again() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let reader = blog.second_process(options()).await.signed_out();
    let id = blog.write_with(&[("title", "Plan"), ("body", "x"), ("action", "draft")]).await;
    let path = format!("/desk/posts/{id}");
    let steps = [
        ("publish", "2999-01-01T08:00", StatusCode::NOT_FOUND, "status published\">Scheduled"),
        ("publish", "2024-01-01T08:00", StatusCode::OK, "status published\">Published"),
        ("archive", "", StatusCode::NOT_FOUND, "status archived\">Archived"),
        ("draft", "", StatusCode::NOT_FOUND, "status draft\">Draft"),
        ("publish", "", StatusCode::OK, "status published\">Published"),
    ];
    for (version, (action, at, status, shown)) in (1..).zip(steps) {
        let version: i32 = version;
        let version = version.to_string();
        let form =
            [("title", "Plan"), ("body", "x"), ("version", &version), ("action", action), ("publish_at", at)];
        let saved = blog.post(&path, &form).await;
        assert_eq!(saved.status, StatusCode::SEE_OTHER, "{action}: {}", saved.body);
        assert_eq!(reader.get("/posts/plan").await.status, status, "{action} {at}");
        assert!(blog.get("/desk").await.body.contains(shown), "{action} {at}");
    }
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_and_only_administrators_read_it() {
    let root = TestBlog::empty().await.signed_in("root", Role::Admin).await;
    root.write("Seen", "x").await;
    root.post("/desk/account", &[("action", "token"), ("name", "script"), ("scope", "read")]).await;
    root.post("/desk/users", &[("action", "invite"), ("role", "author")]).await;
    let settings = [("title", "Other"), ("time_zone", "UTC"), ("page_size", "5")];
    root.post("/desk/settings", &settings).await;
    let log = root.get("/desk/audit").await.body;
    for action in ["post.create", "token.create", "user.invite", "settings.save"] {
        assert!(log.contains(action), "{action}");
    }
    assert!(log.contains("root") && !log.contains("blog_"), "no token is in it");
}

#[tokio::test]
async fn many_sign_ins_at_once_are_hashed_two_at_a_time_and_all_are_answered() {
    let passwords = std::sync::Arc::new(Passwords::new());
    let hash = passwords.hash("correct horse battery".to_owned()).await.unwrap();
    let mut waiting = Vec::new();
    for number in 0..8 {
        let (passwords, hash) = (passwords.clone(), hash.clone());
        let word = if number % 2 == 0 { "correct horse battery" } else { "wrong" };
        waiting.push(tokio::spawn(async move { passwords.verify(word.to_owned(), Some(hash)).await }));
    }
    let mut most = 0;
    while waiting.iter().any(|task| !task.is_finished()) {
        most = most.max(passwords.under_way());
        tokio::task::yield_now().await;
    }
    let mut answers = BTreeMap::new();
    for task in waiting {
        *answers.entry(task.await.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(answers, BTreeMap::from([(true, 4), (false, 4)]));
    assert_eq!(most, 2);
}
